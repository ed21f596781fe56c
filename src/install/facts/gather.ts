/** Reads what is in place of the mesh. What cannot be read is a fact too: one thing that fails hides no other. */

import type { Clock } from '../../base/clock.ts';
import { MeshError } from '../../base/error.ts';
import { ApiError, orNull } from '../../kube/api/api-error.ts';
import { resourcePath } from '../../kube/api/path.ts';
import { AGENT, CA, CONTROLLER, DNS_SERVICE, OURS, selectorOfPart } from '../../model/names.ts';
import { type Api, DNS_NAMESPACE } from '../names.ts';
import { listAll } from '../pages.ts';
import { askReplica } from './ask-replica.ts';
import type { ClusterFacts, DnsServiceFact, Known, PodFact, ReplicaFact } from './facts.ts';
import {
  caFact,
  dnsServiceFact,
  kubeProxyFact,
  leaseFact,
  shadowFact,
  versionFact,
} from './objects.ts';
import { nodeFact, podFact, workloadFact } from './workload.ts';

export interface GatherOptions {
  readonly api: Api;
  readonly clock: Clock;
  readonly namespace: string;
}

/** Never throws, but for a cluster that cannot be reached at all: then a `MeshError`. */
export async function gather({ api, clock, namespace }: GatherOptions): Promise<ClusterFacts> {
  const version = await read(async () => versionFact(await api.get('/version')), true);
  const nowMs = clock.wallMs();
  const core = { version: 'v1', namespace };
  const apps = { group: 'apps', version: 'v1', namespace };
  const get = <T>(path: string, make: (raw: unknown) => T): Promise<Known<T | null>> =>
    read(() => orNull(api.get(path).then(make)));
  const [controller, agent, pods, nodes, lease, shadows, dnsService, ca, kubeProxy] =
    await Promise.all([
      get(resourcePath({ ...apps, plural: 'deployments', name: CONTROLLER }), workloadFact),
      get(resourcePath({ ...apps, plural: 'daemonsets', name: AGENT }), workloadFact),
      read(async () => readPods(api, namespace)),
      read(async () =>
        (await listAll(api, resourcePath({ version: 'v1', plural: 'nodes' }))).map(nodeFact),
      ),
      get(
        resourcePath({
          group: 'coordination.k8s.io',
          version: 'v1',
          plural: 'leases',
          namespace,
          name: CONTROLLER,
        }),
        (raw) => leaseFact(raw, nowMs),
      ),
      read(async () => {
        const path = resourcePath({ ...core, plural: 'services' });
        return (await listAll(api, path, { labelSelector: selectorOfPart('shadow') })).map(
          shadowFact,
        );
      }),
      read(() => orNull(readDnsService(api, namespace))),
      get(resourcePath({ ...core, plural: 'configmaps', name: CA }), caFact),
      get(
        resourcePath({
          version: 'v1',
          plural: 'configmaps',
          namespace: DNS_NAMESPACE,
          name: 'kube-proxy',
        }),
        kubeProxyFact,
      ),
    ]);
  const replicas = await askReplicas({ api, namespace }, pods);
  return {
    namespace,
    server: api.server,
    nowMs,
    version,
    controller,
    agent,
    pods,
    nodes,
    lease,
    shadows,
    dnsService,
    ca,
    kubeProxy,
    replicas,
  };
}

async function readDnsService(api: Api, namespace: string): Promise<DnsServiceFact> {
  const slices = { group: 'discovery.k8s.io', version: 'v1', plural: 'endpointslices', namespace };
  const service = { version: 'v1', plural: 'services', namespace, name: DNS_SERVICE };
  return dnsServiceFact(
    await api.get(resourcePath(service)),
    await listAll(api, resourcePath(slices), {
      labelSelector: `kubernetes.io/service-name=${DNS_SERVICE}`,
    }),
  );
}

async function readPods(api: Api, namespace: string): Promise<readonly PodFact[]> {
  const path = resourcePath({ version: 'v1', plural: 'pods', namespace });
  const pods = await listAll(api, path, { labelSelector: OURS });
  return pods.map(podFact).filter((pod) => pod !== null);
}

async function askReplicas(
  { api, namespace }: Omit<GatherOptions, 'clock'>,
  pods: Known<readonly PodFact[]>,
): Promise<ReadonlyMap<string, Known<ReplicaFact>>> {
  const running = (pods.ok ? pods.value : []).filter(
    ({ component, node, trouble, isEnding }) =>
      component === 'controller' && node !== '' && trouble === '' && !isEnding,
  );
  const answers = await Promise.all(
    running.map(async ({ name }) => {
      return [name, await read(() => askReplica(api, { namespace, name }))] as const;
    }),
  );
  return new Map(answers);
}

/** With `isFirst`, a cluster that does not answer ends it all: nothing else would be known. */
export async function read<T>(run: () => Promise<T>, isFirst = false): Promise<Known<T>> {
  try {
    return { ok: true, value: await run() };
  } catch (error) {
    const isAnswer = error instanceof ApiError;
    if (isFirst && (!isAnswer || error.isUnauthorized)) throw error;
    const isForbidden = isAnswer && error.isForbidden;
    return { ok: false, why: MeshError.from(error).message, isForbidden };
  }
}
