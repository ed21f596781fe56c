/** The collections that the mesh is made of, and what of their objects is kept. */

import type { Problem } from '../../model/service.ts';
import { convert } from '../convert.ts';
import { formatPath } from '../fields.ts';
import type { Finding } from '../fields.ts';
import type { Kind, KubeObject } from '../object.ts';
import { isRecord } from '../../base/record.ts';
import { show } from '../show.ts';
import type { KubeRecord } from './client.ts';
import type { ServerFeatures } from './server-features.ts';

/** Problems of one object. */
const OBJECT_PROBLEMS_MAX = 20;

export interface WatchedKind {
  readonly kind: Kind;
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly isNamespaced: boolean;
  readonly fieldSelector: string | undefined;
}

/** An object as it goes into the store, or why it cannot. */
export interface Picked {
  readonly namespace: string;
  readonly name: string;
  readonly object: KubeObject | null;
  readonly problems: readonly Problem[];
}

/** Everything that is watched on such a server. */
export function watchedKinds({ slices }: Pick<ServerFeatures, 'slices'>): readonly WatchedKind[] {
  const core = { group: '', version: 'v1', isNamespaced: true, fieldSelector: undefined };
  const group = 'discovery.k8s.io';
  return [
    { ...core, kind: 'Namespace', plural: 'namespaces', isNamespaced: false },
    { ...core, kind: 'Node', plural: 'nodes', isNamespaced: false },
    { ...core, kind: 'ServiceAccount', plural: 'serviceaccounts' },
    { ...core, kind: 'Service', plural: 'services' },
    {
      ...core,
      kind: 'Pod',
      plural: 'pods',
      // Jobs leave pods behind by the thousand, whose addresses others have by now.
      fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed',
    },
    slices === null
      ? { ...core, kind: 'Endpoints', plural: 'endpoints' }
      : { ...core, kind: 'EndpointSlice', group, version: slices, plural: 'endpointslices' },
  ];
}

/** Reads one object as the API sends it. `keepAnnotation` tells which annotations are for the mesh. */
export function pick(
  watched: WatchedKind,
  raw: KubeRecord,
  keepAnnotation: (key: string) => boolean,
): Picked {
  const { kind } = watched;
  const meta = isRecord(raw['metadata']) ? raw['metadata'] : {};
  const metadata = trimMeta(kind, meta, keepAnnotation);
  const isOldSlice = kind === 'EndpointSlice' && watched.version === 'v1beta1';
  const value = { ...raw, metadata, ...(isOldSlice ? { endpoints: endpointsOf(raw) } : {}) };
  const { name: shown, object, findings } = convert(kind, value);
  const problems = findings
    .slice(0, OBJECT_PROBLEMS_MAX)
    .map((finding) => toProblem(shown === '' ? kind : shown, finding));
  return { namespace: text(meta['namespace']), name: text(meta['name']), object, problems };
}

/** The annotations of Endpoints and slices change with every event, and no label but one is read. */
function trimMeta(
  kind: Kind,
  meta: KubeRecord,
  keepAnnotation: (key: string) => boolean,
): KubeRecord {
  const isEndpoints = kind === 'EndpointSlice' || kind === 'Endpoints';
  return {
    ...meta,
    labels: isEndpoints ? filter(meta['labels'], isServiceLabel) : meta['labels'],
    annotations: isEndpoints ? undefined : filter(meta['annotations'], keepAnnotation),
  };
}

function isServiceLabel(key: string): boolean {
  return key === 'kubernetes.io/service-name';
}

function filter(value: unknown, isKept: (key: string) => boolean): unknown {
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => isKept(key)));
}

/** v1beta1 has node and zone in a mapping of labels (removed in Kubernetes 1.25). */
function endpointsOf(raw: KubeRecord): unknown {
  const { endpoints } = raw;
  if (!Array.isArray(endpoints)) return endpoints;
  return (endpoints as readonly unknown[]).map((endpoint) => {
    if (!isRecord(endpoint) || !isRecord(endpoint['topology'])) return endpoint;
    const { topology } = endpoint;
    return {
      ...endpoint,
      nodeName: endpoint['nodeName'] ?? topology['kubernetes.io/hostname'],
      zone: endpoint['zone'] ?? topology['topology.kubernetes.io/zone'],
    };
  });
}

function toProblem(object: string, finding: Finding): Problem {
  const { severity, path, value, message, remedy } = finding;
  return {
    severity,
    object,
    field: formatPath(path),
    value: show(value),
    message,
    remedy,
    location: '',
  };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
