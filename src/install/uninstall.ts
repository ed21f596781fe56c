/**
 * Takes the mesh out of a cluster, in an order in which callers always have somewhere to go: names first, then what they
 * led to. The controller is stopped before anything else, or it would repair what is taken back; agents carry on without it.
 */

import type { Clock } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import { ApiError, orNull } from '../kube/api/api-error.ts';
import { resourcePath } from '../kube/api/path.ts';
import { collectionPath, isBuiltIn, KINDS, type Kind } from './kinds.ts';
import { CA, CONTROLLER, DNS_BACKUP, OURS, selectorOfPart } from '../model/names.ts';
import { type Api, DNS_NAMESPACE, nameOf } from './names.ts';
import { inParallel, listAll } from './pages.ts';
import { listAt, numberAt, textAt, type Raw } from '../base/record.ts';
import { waitUntil } from './wait.ts';

/** The grace time of a controller is 30 s. */
const CONTROLLER_GONE_MS = 60_000;
/** How many replicas there were before; who fails to uninstall puts them back. */
const REPLICAS_ANNOTATION = 'maesh.dev/replicas-before-uninstall';

export interface UninstallOptions {
  readonly api: Api;
  readonly clock: Clock;
  readonly namespace: string;
  /** Takes the mesh domains out of the cluster DNS; null where they were never put in. */
  readonly restoreDns: (() => Promise<void>) | null;
  /** Resolves when callers had time to notice. */
  readonly leave: () => Promise<void>;
  /** A line for each thing that was done. */
  readonly tell: (line: string) => void;
}

export interface RemovalOptions extends UninstallOptions {
  /** For Pods to be gone. */
  readonly timeoutMs: number;
  readonly deleteNamespace: boolean;
}

/**
 * Takes back what the controller made outside of the release: the stanza of the cluster DNS, shadow Services, its CA and
 * Leases. This is all that the hook of the chart does. Throws a `MeshError`; the mesh works as before when names are still there.
 */
export async function takeBack(options: UninstallOptions): Promise<void> {
  const { restoreDns, tell } = options;
  await stopController(options);
  try {
    if (restoreDns !== null) {
      await restoreDns();
      tell('The cluster DNS is as it was before the mesh');
    }
  } catch (error) {
    await putControllerBack(options);
    const { code, message } = MeshError.from(error);
    throw new MeshError(
      code,
      `Cannot take the mesh domains out of the cluster DNS: ${message}; nothing was deleted and the controller runs again. Take them out by hand (docs/cluster-dns.md says what), then uninstall with --dns-mode off`,
      error,
    );
  }
  await options.leave();
  await deleteShadows(options);
  await deleteState(options);
}

/** Takes back, then deletes everything that the installation made. Throws a `MeshError`. */
export async function uninstall(options: RemovalOptions): Promise<void> {
  await takeBack(options);
  const kinds = KINDS.filter((kind) => kind.kind !== 'Namespace').toReversed();
  for (const kind of kinds) await deleteKind(options, kind);
  await podsGone(options);
  if (options.deleteNamespace) await deleteNamespace(options);
}

/** The Deployment of the controller, or null. */
export async function findController(api: Api, namespace: string): Promise<Raw | null> {
  return orNull(api.get(deploymentPath(namespace)));
}

async function stopController({ api, clock, namespace, tell }: UninstallOptions): Promise<void> {
  const deployment = await findController(api, namespace);
  if (deployment === null) return;
  const replicas = numberAt(deployment, 'spec', 'replicas');
  if (replicas > 0) {
    const annotations = { [REPLICAS_ANNOTATION]: String(replicas) };
    await api.patch(deploymentPath(namespace), {
      metadata: { annotations },
      spec: { replicas: 0 },
    });
  }
  const left = await waitUntil({
    clock,
    timeoutMs: CONTROLLER_GONE_MS,
    tell,
    missing: async () => {
      const path = resourcePath({ version: 'v1', plural: 'pods', namespace });
      const pods = await listAll(api, path, { labelSelector: selectorOfPart('controller') });
      const names = pods.map((pod) => textAt(pod, 'metadata', 'name'));
      return names.length === 0 ? '' : `Waiting for the controller to end: ${names.join(', ')}`;
    },
  });
  if (left === '') return tell('The controller is stopped; agents carry on');
  await putControllerBack({ api, namespace });
  throw new MeshError(
    'unknown',
    `Cannot uninstall: after ${CONTROLLER_GONE_MS / 1_000} s this was still so: ${left}; is a node gone? Delete these Pods with --force, then uninstall again`,
  );
}

async function putControllerBack({
  api,
  namespace,
}: Pick<UninstallOptions, 'api' | 'namespace'>): Promise<void> {
  const deployment = await findController(api, namespace);
  const before = textAt(deployment, 'metadata', 'annotations', REPLICAS_ANNOTATION);
  const replicas = Number(before);
  if (before === '' || !Number.isInteger(replicas)) return;
  const annotations = { [REPLICAS_ANNOTATION]: null };
  await api.patch(deploymentPath(namespace), { metadata: { annotations }, spec: { replicas } });
}

async function deleteShadows({ api, namespace, tell }: UninstallOptions): Promise<void> {
  const path = resourcePath({ version: 'v1', plural: 'services', namespace });
  const shadows = await listAll(api, path, { labelSelector: selectorOfPart('shadow') });
  await inParallel(shadows, (shadow) =>
    orNull(api.delete(`${path}/${encodeURIComponent(textAt(shadow, 'metadata', 'name'))}`)),
  );
  tell(
    shadows.length === 1 ? '1 shadow Service deleted' : `${shadows.length} shadow Services deleted`,
  );
}

/** What the controller keeps for itself. */
async function deleteState({ api, namespace, tell }: UninstallOptions): Promise<void> {
  const core = (plural: string, name: string): string =>
    resourcePath({ version: 'v1', plural, namespace, name });
  const group = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', namespace };
  const paths = [
    core('configmaps', CA),
    core('configmaps', DNS_BACKUP),
    core('secrets', CA),
    ...(await leaseNames(api, resourcePath(group))).map((name) => resourcePath({ ...group, name })),
  ];
  const deleted = await inParallel(paths, (path) => orNull(api.delete(path)));
  tell(`${deleted.filter((answer) => answer !== null).length} records of the controller deleted`);
}

/** The one of the leader, and those of replicas; who may not list them leaves those to the garbage collector. */
async function leaseNames(api: Api, path: string): Promise<readonly string[]> {
  try {
    const leases = await listAll(api, path, { labelSelector: OURS });
    const names = leases.map((lease) => textAt(lease, 'metadata', 'name'));
    return [...new Set([CONTROLLER, ...names])];
  } catch (error) {
    if (error instanceof ApiError && error.isForbidden) return [CONTROLLER];
    throw error;
  }
}

async function deleteKind(options: RemovalOptions, kind: Kind): Promise<void> {
  const { api, namespace, tell } = options;
  const namespaces = kind.isNamespaced
    ? [namespace, ...(kind.kind.startsWith('Role') ? [DNS_NAMESPACE] : [])]
    : [null];
  for (const where of namespaces) {
    const path = collectionPath(kind, where);
    const found = await listKind(api, path, kind);
    await inParallel(found, async (object) => {
      const name = textAt(object, 'metadata', 'name');
      await orNull(api.delete(`${path}/${encodeURIComponent(name)}`));
      tell(`${nameOf({ ...object, kind: kind.kind })} deleted`);
    });
  }
}

/** Empty for a kind that this cluster does not know. */
async function listKind(api: Api, path: string, kind: Kind): Promise<readonly Raw[]> {
  try {
    return await listAll(api, path, { labelSelector: OURS });
  } catch (error) {
    if (error instanceof ApiError && error.isNotFound) return [];
    if (error instanceof ApiError && error.isForbidden && !isBuiltIn(kind)) return [];
    throw error;
  }
}

async function podsGone({ api, clock, namespace, timeoutMs, tell }: RemovalOptions): Promise<void> {
  const path = resourcePath({ version: 'v1', plural: 'pods', namespace });
  const left = await waitUntil({
    clock,
    timeoutMs,
    tell,
    missing: async () => {
      const pods = await listAll(api, path, { labelSelector: OURS });
      const noun = pods.length === 1 ? 'Pod' : 'Pods';
      return pods.length === 0 ? '' : `Waiting for ${pods.length} ${noun} to finish what runs`;
    },
  });
  if (left !== '') tell(`${left}; they end by themselves`);
}

/** Throws a `MeshError` that says what keeps it, when it is not gone in time. */
async function deleteNamespace(options: RemovalOptions): Promise<void> {
  const { api, clock, namespace, timeoutMs, tell } = options;
  const path = resourcePath({ version: 'v1', plural: 'namespaces', name: namespace });
  if ((await orNull(api.delete(path))) === null) return;
  const left = await waitUntil({
    clock,
    timeoutMs,
    tell,
    missing: async () => {
      const found = await orNull(api.get(path));
      if (found === null) return '';
      const why = listAt(found, 'status', 'conditions')
        .filter((condition) => textAt(condition, 'status') === 'True')
        .map((condition) => textAt(condition, 'message'));
      const shown = why.length === 0 ? '' : `: ${why.join('; ')}`;
      return `Waiting for namespace ${namespace} to be gone${shown}`;
    },
  });
  if (left === '') return tell(`Namespace ${namespace} deleted`);
  throw new MeshError(
    'unknown',
    `The mesh is uninstalled, but after ${timeoutMs / 1_000} s namespace "${namespace}" is not gone: ${left}; see what keeps it: kubectl get namespace ${namespace} -o yaml`,
  );
}

function deploymentPath(namespace: string): string {
  const where = { group: 'apps', version: 'v1', plural: 'deployments', namespace };
  return resourcePath({ ...where, name: CONTROLLER });
}
