/** Reads what decides whether the mesh can be installed. Changes nothing; what cannot be read is a fact too. */

import { recordAt, textAt, type Raw } from '../../base/record.ts';
import { orNull } from '../../kube/api/api-error.ts';
import { resourcePath } from '../../kube/api/path.ts';
import { CONTROLLER, isOfMesh } from '../../model/names.ts';
import { Chart } from '../chart.ts';
import { isBuiltIn, kindOf, pathOf } from '../kinds.ts';
import { type Api, LABEL_MANAGED_BY, MANAGER, nameOf } from '../names.ts';
import { inParallel, listAll } from '../pages.ts';
import { overlay } from '../values.ts';
import type { Known } from './facts.ts';
import { read } from './gather.ts';
import { versionFact } from './objects.ts';
import type { DnsPlan, PreFacts } from './pre-facts.ts';
import { helmRelease } from './workload.ts';

export interface GatherPreOptions {
  readonly api: Api;
  readonly namespace: string;
  /** Looks at the cluster DNS, for these values of the chart. */
  readonly planDns: (domains: readonly string[], mode: string) => Promise<DnsPlan>;
}

const TRAEFIK = new Set(['traefik-mesh-controller', 'maesh-controller']);

/** Never throws, but for a cluster that cannot be reached at all: then a `MeshError`. */
export async function gatherPre({ api, namespace, planDns }: GatherPreOptions): Promise<PreFacts> {
  const version = await read(async () => versionFact(await api.get('/version')), true);
  const chart = await Chart.load();
  const values = chart.values(overlay({ namespace: { create: true } }, {}));
  const kubeVersion = version.ok ? version.value : '';
  const objects = chart.objects(values, { namespace, kubeVersion });
  const dnsValues = recordAt(values, 'dns');
  const domains = (recordAt(values, 'mesh')['domains'] ?? []) as readonly string[];
  const deployments = await read(() =>
    listAll(api, resourcePath({ group: 'apps', version: 'v1', plural: 'deployments' })),
  );
  const [target, clashes, missing, dns] = await Promise.all([
    read(() => readNamespace(api, namespace)),
    read(() => readClashes(api, objects)),
    read(() => readMissing(api, objects)),
    read(() => planDns(domains, textAt(dnsValues, 'mode') || 'auto')),
  ]);
  return {
    namespace,
    version,
    mesh: over(deployments, meshIn),
    target,
    clashes,
    missing,
    traefik: over(deployments, traefikIn),
    dns,
  };
}

function over<A, B>(fact: Known<A>, make: (value: A) => B): Known<B> {
  return fact.ok ? { ok: true, value: make(fact.value) } : fact;
}

function meshIn(deployments: readonly Raw[]): { namespace: string; helmRelease: string } | null {
  const found = deployments.find(
    (each) => textAt(each, 'metadata', 'name') === CONTROLLER && isOurs(each),
  );
  if (found === undefined) return null;
  return { namespace: textAt(found, 'metadata', 'namespace'), helmRelease: helmRelease(found) };
}

function traefikIn(deployments: readonly Raw[]): readonly string[] {
  const found = deployments.filter(
    (each) => TRAEFIK.has(textAt(each, 'metadata', 'name')) && !isOurs(each),
  );
  return [...new Set(found.map((each) => textAt(each, 'metadata', 'namespace')))];
}

function isOurs(object: Raw): boolean {
  return isOfMesh(recordAt(object, 'metadata', 'labels'));
}

async function readNamespace(
  api: Api,
  name: string,
): Promise<{ isEnding: boolean; enforce: string } | null> {
  const raw = await orNull(api.get(resourcePath({ version: 'v1', plural: 'namespaces', name })));
  if (raw === null) return null;
  return {
    isEnding: textAt(raw, 'metadata', 'deletionTimestamp') !== '',
    enforce: textAt(raw, 'metadata', 'labels', 'pod-security.kubernetes.io/enforce'),
  };
}

/** Objects of fixed names that are there and not ours. */
async function readClashes(
  api: Api,
  objects: readonly Raw[],
): Promise<readonly { object: string; owner: string }[]> {
  const named = objects.filter(({ kind }) => kind !== 'Namespace');
  const found = await inParallel(named, async (object) => {
    const there = await orNull(api.get(pathOf(object)));
    if (there === null || isOurs(there)) return null;
    const owner = textAt(there, 'metadata', 'labels', LABEL_MANAGED_BY);
    return { object: nameOf(object), owner };
  });
  return found.filter((clash) => clash !== null);
}

/** Asks about each kind, once per namespace: to apply is to patch, and to create what is not there. */
async function readMissing(api: Api, objects: readonly Raw[]): Promise<readonly string[]> {
  const asked = new Map<string, { group: string; resource: string; namespace: string }>();
  for (const object of objects) {
    const kind = kindOf(object);
    if (!isBuiltIn(kind)) continue;
    const slash = kind.apiVersion.indexOf('/');
    const group = slash < 0 ? '' : kind.apiVersion.slice(0, slash);
    const namespace = kind.isNamespaced ? textAt(object, 'metadata', 'namespace') : '';
    asked.set(`${kind.plural} ${namespace}`, { group, resource: kind.plural, namespace });
  }
  const questions = [...asked.values()].flatMap((each) =>
    ['create', 'patch'].map((verb) => ({ ...each, verb })),
  );
  const answers = await inParallel(questions, async (resourceAttributes) => {
    const answer = await api.create(
      '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes },
      },
      { query: { fieldManager: MANAGER } },
    );
    if (recordAt(answer, 'status')['allowed'] === true) return null;
    const { verb, resource, namespace } = resourceAttributes;
    return `${verb} ${resource}${namespace === '' ? '' : ` in ${namespace}`}`;
  });
  return answers.filter((text) => text !== null);
}
