/** All objects in one place, with the indexes the compiler asks for. Sources write, one subscriber reads batches. */

import type { Kind, KubeObject } from './object.ts';

/** Where an object was read: a file with line and column (1-based), or '' for the API. */
export interface Origin {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export const NO_ORIGIN: Origin = { file: '', line: 0, column: 0 };

/** What changed: look the object up to see what it is now. */
export interface ObjectRef {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
}

type ObjectOf<K extends Kind> = Extract<KubeObject, { readonly kind: K }>;

/** The reading side, all that the compiler sees. */
export interface StoreView {
  get<K extends Kind>(kind: K, namespace: string, name: string): ObjectOf<K> | undefined;
  /** All objects of a kind; of one namespace when given. Order is not defined. */
  list<K extends Kind>(kind: K, namespace?: string): Iterable<ObjectOf<K>>;
  /** EndpointSlices that name this Service. */
  slicesOf(namespace: string, service: string): Iterable<ObjectOf<'EndpointSlice'>>;
  originOf(ref: ObjectRef): Origin;
}
