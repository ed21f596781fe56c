/** Makes or changes the objects of the mesh by server-side apply, and takes away those that are no longer wanted. */

import { MeshError } from '../base/error.ts';
import { ApiError, orNull } from '../kube/api/api-error.ts';
import { changesOf } from './changes.ts';
import { collectionPath, isBuiltIn, kindOf, KINDS, pathOf, type Kind } from './kinds.ts';
import { OURS } from '../model/names.ts';
import { type Api, DNS_NAMESPACE, LABEL_MANAGED_BY, MANAGER, nameOf } from './names.ts';
import { listAll } from './pages.ts';
import { textAt, type Raw } from '../base/record.ts';

export interface Applied {
  /** `Deployment maesh/maesh-controller`. */
  readonly name: string;
  readonly outcome: 'created' | 'changed' | 'unchanged' | 'deleted' | 'untried';
  /** `spec.replicas: 2 → 3`; of an object that was changed. */
  readonly changes: readonly string[];
  /** As the API server has it now, or would have it. */
  readonly object: Raw;
}

export interface ApplyOptions {
  readonly api: Api;
  readonly namespace: string;
  /** Asks the API server, and changes nothing. */
  readonly isDryRun: boolean;
  readonly onApplied: (applied: Applied) => void;
}

/** In the order that they have. The first that fails ends it: a `MeshError` that names it. */
export async function applyAll(objects: readonly Raw[], options: ApplyOptions): Promise<void> {
  const hasNamespace = !options.isDryRun || (await exists(options.api, options.namespace));
  for (const object of objects) {
    const isInside = textAt(object, 'metadata', 'namespace') === options.namespace;
    if (isInside && !hasNamespace) {
      options.onApplied({ name: nameOf(object), outcome: 'untried', changes: [], object });
    } else {
      options.onApplied(await applyOne(object, options));
    }
  }
}

/** Deletes what an earlier version of these objects had and they have not; only what `maesh` itself made. */
export async function prune(objects: readonly Raw[], options: ApplyOptions): Promise<void> {
  const wanted = new Set(objects.map(nameOf));
  for (const kind of KINDS.toReversed()) {
    if (kind.kind === 'Namespace') continue;
    for (const path of collections(kind, options.namespace)) {
      for (const found of await listOurs(options.api, path, kind)) {
        const object = { ...found, kind: kind.kind, apiVersion: kind.apiVersion };
        if (wanted.has(nameOf(object))) continue;
        if (!options.isDryRun) await options.api.delete(pathOf(object));
        options.onApplied({ name: nameOf(object), outcome: 'deleted', changes: [], object });
      }
    }
  }
}

async function applyOne(object: Raw, { api, isDryRun }: ApplyOptions): Promise<Applied> {
  const name = nameOf(object);
  const path = pathOf(object);
  try {
    const before = await orNull(api.get(path));
    // What somebody changed by hand is put back: the values are the place to change it.
    const query = isDryRun ? { dryRun: 'All' } : {};
    const after = await api.apply(path, object, { force: true, query });
    const changes = before === null ? [] : changesOf(before, after);
    const outcome = before === null ? 'created' : changes.length === 0 ? 'unchanged' : 'changed';
    return { name, outcome, changes, object: after };
  } catch (error) {
    if (error instanceof ApiError && error.isNotFound && !isBuiltIn(kindOf(object))) {
      throw new MeshError(
        'not_found',
        `Cannot create ${name}: this cluster has no such kind; install the Prometheus operator first, or set metrics.podMonitor.enabled and metrics.serviceMonitor.enabled to false`,
        error,
      );
    }
    throw MeshError.from(error, `Cannot create ${name}`);
  }
}

function collections(kind: Kind, namespace: string): readonly string[] {
  if (!kind.isNamespaced) return [collectionPath(kind, null)];
  const namespaces = kind.kind.startsWith('Role') ? [namespace, DNS_NAMESPACE] : [namespace];
  return namespaces.map((each) => collectionPath(kind, each));
}

async function listOurs(api: Api, path: string, kind: Kind): Promise<readonly Raw[]> {
  try {
    const labelSelector = `${OURS},${LABEL_MANAGED_BY}=${MANAGER}`;
    return await listAll(api, path, { labelSelector });
  } catch (error) {
    const isAbsent = error instanceof ApiError && (error.isNotFound || error.isForbidden);
    if (isAbsent && !isBuiltIn(kind)) return [];
    throw error;
  }
}

async function exists(api: Api, namespace: string): Promise<boolean> {
  return (await orNull(api.get(`/api/v1/namespaces/${encodeURIComponent(namespace)}`))) !== null;
}
