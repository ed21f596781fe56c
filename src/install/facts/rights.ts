/** Which rights the mesh lacks: asks the API server about each rule that the chart would give. */

import { MeshError } from '../../base/error.ts';
import { ApiError } from '../../kube/api/api-error.ts';
import { Chart } from '../chart.ts';
import { MANAGER, type Api } from '../names.ts';
import { inParallel } from '../pages.ts';
import { listAt, recordAt, textAt, type Raw } from '../../base/record.ts';
import type { ClusterFacts, Known, MissingRight } from './facts.ts';

/** One question to the API server. */
interface Right {
  /** A ServiceAccount of the mesh namespace, or `you`. */
  readonly who: string;
  readonly verb: string;
  readonly group: string;
  /** `pods/proxy`. */
  readonly resource: string;
  readonly name: string;
  /** '' for the whole cluster. */
  readonly namespace: string;
}

/** What `maesh check` and `maesh status` need themselves. */
const OWN: readonly Pick<Right, 'verb' | 'group' | 'resource'>[] = [
  { verb: 'list', group: '', resource: 'pods' },
  { verb: 'get', group: '', resource: 'pods/proxy' },
  { verb: 'list', group: '', resource: 'services' },
  { verb: 'get', group: 'coordination.k8s.io', resource: 'leases' },
];

/** null when nothing is installed. Rights of ServiceAccounts are left out where the caller may not ask about them. */
export async function missingRights(
  api: Api,
  facts: ClusterFacts,
): Promise<Known<readonly MissingRight[]> | null> {
  if (!facts.controller.ok || facts.controller.value === null) return null;
  try {
    const own = OWN.map((right) => ({
      ...right,
      who: 'you',
      name: '',
      namespace: facts.namespace,
    }));
    const mine = await inParallel(own, (right) => lacks(api, right, facts.namespace));
    const accounts = await rightsOfChart(facts);
    const theirs = await inParallel(accounts, (right) => lacks(api, right, facts.namespace));
    return { ok: true, value: [...mine, ...theirs].filter((right) => right !== null) };
  } catch (error) {
    const isForbidden = error instanceof ApiError && error.isForbidden;
    return { ok: false, why: MeshError.from(error).message, isForbidden };
  }
}

/** The rules of the Roles of this version, for the DNS mode and the namespaces of Secrets that are installed. */
async function rightsOfChart(facts: ClusterFacts): Promise<readonly Right[]> {
  const chart = await Chart.load();
  const workload = facts.controller.ok ? facts.controller.value : null;
  const mode = workload?.env.get('MAESH_DNS_MODE') ?? '';
  const named = workload?.env.get('MAESH_SECRET_NAMESPACE') ?? '';
  const secretNamespaces = named.split(',').filter((each) => each !== '');
  const values = chart.values({
    controller: { secretNamespaces },
    ...(mode === '' ? {} : { dns: { mode } }),
  });
  const kubeVersion = facts.version.ok ? facts.version.value : '';
  return rightsOf(chart.objects(values, { namespace: facts.namespace, kubeVersion }));
}

/** Every right that Roles among these objects give to ServiceAccounts, one by one. */
export function rightsOf(objects: readonly Raw[]): readonly Right[] {
  return objects.flatMap((binding) => {
    if (!textAt(binding, 'kind').endsWith('RoleBinding')) return [];
    const roleName = textAt(binding, 'roleRef', 'name');
    const kind = textAt(binding, 'roleRef', 'kind');
    const namespace = textAt(binding, 'metadata', 'namespace');
    const role = objects.find(
      (object) =>
        textAt(object, 'kind') === kind &&
        textAt(object, 'metadata', 'name') === roleName &&
        (kind === 'ClusterRole' || textAt(object, 'metadata', 'namespace') === namespace),
    );
    return listAt(binding, 'subjects').flatMap((subject) =>
      listAt(role, 'rules').flatMap((rule) =>
        rightsOfRule(rule, textAt(subject, 'name'), namespace),
      ),
    );
  });
}

function rightsOfRule(rule: unknown, who: string, namespace: string): readonly Right[] {
  const words = (key: string): readonly string[] => listAt(rule, key).map(String);
  const names = words('resourceNames');
  const rights: Right[] = [];
  for (const group of words('apiGroups')) {
    for (const resource of words('resources')) {
      for (const verb of words('verbs')) {
        for (const name of names.length === 0 ? [''] : names) {
          rights.push({ who, verb, group, resource, name, namespace });
        }
      }
    }
  }
  return rights;
}

async function lacks(api: Api, right: Right, mesh: string): Promise<MissingRight | null> {
  const { who, verb, group, name, namespace } = right;
  const [resource = '', subresource = ''] = right.resource.split('/');
  const resourceAttributes = { verb, group, resource, subresource, name, namespace };
  const isSelf = who === 'you';
  const kind = isSelf ? 'SelfSubjectAccessReview' : 'SubjectAccessReview';
  const account = {
    user: `system:serviceaccount:${mesh}:${who}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${mesh}`, 'system:authenticated'],
  };
  const spec = { resourceAttributes, ...(isSelf ? {} : account) };
  const answer = await api.create(
    `/apis/authorization.k8s.io/v1/${kind.toLowerCase()}s`,
    { apiVersion: 'authorization.k8s.io/v1', kind, spec },
    { query: { fieldManager: MANAGER } },
  );
  if (recordAt(answer, 'status')['allowed'] === true) return null;
  const where = namespace === '' ? 'in the whole cluster' : `in ${namespace}`;
  return { who, what: `${verb} ${right.resource}${name === '' ? '' : ` "${name}"`} ${where}` };
}
