/** The collections that the mesh is made of, and what of their objects is kept. */

import { isRecord } from '../../base/record.ts';
import type { Problem } from '../../model/service.ts';
import { convert } from '../convert.ts';
import { formatPath } from '../fields.ts';
import type { FieldProblem } from '../fields.ts';
import { apiVersionOf, type KubeKind, upgraded } from '../kind/table.ts';
import type { KubeObject } from '../object.ts';
import { show } from '../show.ts';
import type { KubeRecord } from './client.ts';
import type { ServerFeatures } from './server-features.ts';
import { about, aboutText, type About } from '../../model/object-reference.ts';

/** Problems of one object. */
const OBJECT_PROBLEMS_MAX = 20;

/** A kind in the version that the server has. */
export type WatchedKind = KubeKind & { readonly version: string };

/** An object as it goes into the store, or why it cannot. */
export interface Picked {
  readonly namespace: string;
  readonly name: string;
  readonly object: KubeObject | null;
  readonly problems: readonly Problem[];
}

/** Of these kinds, those that are watched on such a server without asking whether it has them. */
export function watchedKinds(
  kinds: readonly KubeKind[],
  { slices }: Pick<ServerFeatures, 'slices'>,
): readonly WatchedKind[] {
  const unread = slices === null ? 'EndpointSlice' : 'Endpoints';
  return kinds
    .filter(({ kind, isOptional }) => !isOptional && kind !== unread)
    .map((each) => ({
      ...each,
      version: each.kind === 'EndpointSlice' && slices !== null ? slices : each.versions[0],
    }));
}

/** Reads one object as the API sends it. `keepAnnotation` tells which annotations are for the mesh. */
export function pick(
  watched: WatchedKind,
  raw: KubeRecord,
  keepAnnotation: (key: string) => boolean,
): Picked {
  const meta = isRecord(raw['metadata']) ? raw['metadata'] : {};
  const metadata = trimMeta(watched, meta, keepAnnotation);
  const apiVersion = apiVersionOf(watched, watched.version);
  const value = upgraded(watched, apiVersion, { ...raw, metadata });
  const { ref, object, findings } = convert(watched, value);
  const problems = findings
    .slice(0, OBJECT_PROBLEMS_MAX)
    .map((finding) => toProblem(ref === null ? aboutText(watched.kind) : about(ref), finding));
  return { namespace: text(meta['namespace']), name: text(meta['name']), object, problems };
}

function trimMeta(
  { keptLabels }: KubeKind,
  meta: KubeRecord,
  keepAnnotation: (key: string) => boolean,
): KubeRecord {
  if (keptLabels === undefined)
    return { ...meta, annotations: filter(meta['annotations'], keepAnnotation) };
  const labels = filter(meta['labels'], (key) => keptLabels.includes(key));
  return { ...meta, labels, annotations: undefined };
}

function filter(value: unknown, isKept: (key: string) => boolean): unknown {
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => isKept(key)));
}

function toProblem(subject: About, finding: FieldProblem): Problem {
  const { severity, path, value, message, remedy } = finding;
  return {
    severity,
    ...subject,
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
