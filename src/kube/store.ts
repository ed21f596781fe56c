/** All objects in one place, with the indexes the compiler asks for. Sources write, one subscriber reads batches. */

import { isEqual } from '../base/equal.ts';
import type { Step } from './fields.ts';
import type { Kind, KubeObject } from './object.ts';
import type { ObjectReference } from '../model/object-reference.ts';

/** Where an object was read: a file with line and column (1-based), or '' for the API. */
export interface Origin {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Finds the fields of the object in the file; absent where there is no file. */
  readonly text?: ObjectText;
}

/** The text that an object was read from. */
export interface ObjectText {
  /** What was written where the object is made of something else, as a Deployment; null for the object itself. */
  readonly owner: ObjectReference | null;
  /** Where the object is in its owner: `['spec', 'template']`. */
  readonly within: readonly Step[];
  /** Line and column (1-based) of a field of the object, or of what is around it; of an annotation or label, of its key. */
  locate(path: readonly Step[]): { readonly line: number; readonly column: number };
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

/** The writing side. */
export type StoreWriter = Pick<Store, 'set' | 'delete' | 'batch'>;

interface StoredObject {
  readonly object: KubeObject;
  readonly origin: Origin;
}

interface Change {
  readonly ref: ObjectRef;
  /** What the object was when the batch began. */
  readonly before: KubeObject | undefined;
}

/**
 * The one place that sources write to. `set` and `delete` cost the same however many objects there are;
 * an object equal to the one already held changes its origin at most and nobody is told.
 */
export class Store implements StoreView {
  readonly #kinds = new Map<Kind, Map<string, Map<string, StoredObject>>>();
  /** `namespace/service` → slice name → slice. */
  readonly #slices = new Map<string, Map<string, ObjectOf<'EndpointSlice'>>>();
  readonly #listeners = new Set<(changed: readonly ObjectRef[]) => void>();
  readonly #changes = new Map<string, Change>();
  #depth = 0;

  get<K extends Kind>(kind: K, namespace: string, name: string): ObjectOf<K> | undefined {
    const object = this.#entry(kind, namespace, name)?.object;
    return isOfKind(object, kind) ? object : undefined;
  }

  *list<K extends Kind>(kind: K, namespace?: string): Iterable<ObjectOf<K>> {
    const namespaces = this.#kinds.get(kind);
    if (namespaces === undefined) return;
    const chosen = namespace === undefined ? namespaces.values() : [namespaces.get(namespace)];
    for (const names of chosen) {
      if (names === undefined) continue;
      for (const { object } of names.values()) {
        if (isOfKind(object, kind)) yield object;
      }
    }
  }

  slicesOf(namespace: string, service: string): Iterable<ObjectOf<'EndpointSlice'>> {
    return this.#slices.get(`${namespace}/${service}`)?.values() ?? [];
  }

  originOf(ref: ObjectRef): Origin {
    return this.#entry(ref.kind, ref.namespace, ref.name)?.origin ?? NO_ORIGIN;
  }

  /** Adds or replaces the object of that kind, namespace and name. The store keeps it as it is: never edit it later. */
  set(object: KubeObject, origin: Origin = NO_ORIGIN): void {
    this.batch(() => {
      const { namespace, name } = object.meta;
      const before = this.#entry(object.kind, namespace, name)?.object;
      const same = before !== undefined && isEqual(before, object);
      const kept = same ? before : object;
      this.#namesOf(object.kind, namespace).set(name, { object: kept, origin });
      if (same) return;
      this.#unlinkSlice(before);
      this.#linkSlice(object);
      this.#record({ kind: object.kind, namespace, name }, before);
    });
  }

  /** Removes the object; one that is not there is no change. */
  delete(ref: ObjectRef): void {
    this.batch(() => {
      const before = this.#entry(ref.kind, ref.namespace, ref.name)?.object;
      if (before === undefined) return;
      const namespaces = this.#kinds.get(ref.kind);
      const names = namespaces?.get(ref.namespace);
      names?.delete(ref.name);
      if (names?.size === 0) namespaces?.delete(ref.namespace);
      this.#unlinkSlice(before);
      this.#record({ kind: ref.kind, namespace: ref.namespace, name: ref.name }, before);
    });
  }

  /**
   * Runs `change` and tells subscribers once, with all refs that differ from what they were before it; none when nothing
   * differs. Batches may be nested: the outermost one tells. When `change` throws, what it did is told and stays.
   */
  batch(change: () => void): void {
    this.#depth++;
    try {
      change();
    } finally {
      this.#depth--;
      if (this.#depth === 0 && this.#changes.size > 0) this.#tell();
    }
  }

  /** Calls `listener` after each batch that changed something. The returned function ends it. */
  subscribe(listener: (changed: readonly ObjectRef[]) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  #entry(kind: Kind, namespace: string, name: string): StoredObject | undefined {
    return this.#kinds.get(kind)?.get(namespace)?.get(name);
  }

  #namesOf(kind: Kind, namespace: string): Map<string, StoredObject> {
    let namespaces = this.#kinds.get(kind);
    if (namespaces === undefined) this.#kinds.set(kind, (namespaces = new Map()));
    let names = namespaces.get(namespace);
    if (names === undefined) namespaces.set(namespace, (names = new Map()));
    return names;
  }

  #linkSlice(object: KubeObject): void {
    if (object.kind !== 'EndpointSlice' || object.service === '') return;
    const key = `${object.meta.namespace}/${object.service}`;
    let slices = this.#slices.get(key);
    if (slices === undefined) this.#slices.set(key, (slices = new Map()));
    slices.set(object.meta.name, object);
  }

  #unlinkSlice(object: KubeObject | undefined): void {
    if (object?.kind !== 'EndpointSlice') return;
    const key = `${object.meta.namespace}/${object.service}`;
    const slices = this.#slices.get(key);
    slices?.delete(object.meta.name);
    if (slices?.size === 0) this.#slices.delete(key);
  }

  #record(ref: ObjectRef, before: KubeObject | undefined): void {
    const key = refKey(ref);
    if (!this.#changes.has(key)) this.#changes.set(key, { ref, before });
  }

  #tell(): void {
    const changed: ObjectRef[] = [];
    for (const { ref, before } of this.#changes.values()) {
      const now = this.#entry(ref.kind, ref.namespace, ref.name)?.object;
      if (!isEqual(before, now)) changed.push(ref);
    }
    this.#changes.clear();
    if (changed.length === 0) return;
    for (const listener of this.#listeners) listener(changed);
  }
}

/** `Service/shop/web`: one string per object, for maps. */
export function refKey(ref: ObjectRef): string {
  return `${ref.kind}/${ref.namespace}/${ref.name}`;
}

function isOfKind<K extends Kind>(object: KubeObject | undefined, kind: K): object is ObjectOf<K> {
  return object?.kind === kind;
}
