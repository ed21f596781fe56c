/** Where the nodes of a document start in its text, worked out only when a message needs it. */

import type { Step } from '../fields.ts';

/** A node: the offset of its first character and, for mappings and lists, its children. */
export interface Place {
  readonly offset: number;
  /** Of its key, where it is a value of a mapping. */
  readonly key?: number;
  readonly children: ReadonlyMap<Step, Place> | null;
}

/** One document: its data, and a way to ask where each node is. */
export interface TextDocument {
  readonly value: unknown;
  /** Offset of the first character of the content. */
  readonly offset: number;
  /** Reads the text once more; keep the answer while it is used. */
  places(): Place;
}

/** What could not be read, and where. The message quotes nothing of the text, which may be a secret. */
export interface SyntaxFailure {
  readonly offset: number;
  readonly message: string;
}

/** How deep mappings and lists may be inside each other; Kubernetes objects stay below 30. */
export const DEPTH_MAX = 100;

/** Mappings in which people look for a key: what they write there are names. */
const BY_KEY: ReadonlySet<Step | undefined> = new Set(['annotations', 'labels']);

/** The offset of the node at `path` (of an annotation or label: of its key), or of its closest ancestor that is written down. */
export function offsetOf(root: Place, path: readonly Step[], isKey = false): number {
  let place = root;
  for (const [index, step] of path.entries()) {
    const next = place.children?.get(step);
    if (next === undefined) return place.offset;
    const isLast = index === path.length - 1;
    if (isLast && (isKey || BY_KEY.has(path[index - 1]))) return next.key ?? next.offset;
    place = next;
  }
  return place.offset;
}
