/** What one reflector says, held back until it goes into the store together with the rest. */

import { isEqual } from '../../base/equal.ts';
import type { Problem } from '../../model/service.ts';
import type { Kind } from '../object.ts';
import type { ObjectRef, Store } from '../store.ts';
import type { ObjectKey, Sink } from './reflector.ts';
import type { Picked } from './watched-kind.ts';

export interface KindFeedOptions {
  readonly store: Store;
  readonly kind: Kind;
  /** Only objects of this namespace are its own; null: of all. */
  readonly namespace: string | null;
  /** Of all, but for those of these namespaces, which are another's. */
  readonly without?: readonly string[];
  /** Only the object of this name; null: all. */
  readonly name: string | null;
  /** Something waits; `isWhole` when it is a new list. */
  readonly onPending: (isWhole: boolean) => void;
}

interface SeenObject extends ObjectKey {
  /** null: it is gone. */
  readonly picked: Picked | null;
}

/** The store's objects of one kind and place, written by nobody else. */
export class KindFeed implements Sink<Picked> {
  readonly #options: KindFeedOptions;
  /** `namespace/name` → what is last known of it. */
  readonly #pending = new Map<string, SeenObject>();
  /** What is pending is all that there is. */
  #isWhole = false;
  readonly #problems = new Map<string, readonly Problem[]>();
  #objects = 0;

  constructor(options: KindFeedOptions) {
    this.#options = options;
  }

  /** Objects in the store. */
  get objects(): number {
    return this.#objects;
  }

  problems(): Iterable<readonly Problem[]> {
    return this.#problems.values();
  }

  replace(all: readonly Picked[]): void {
    this.#pending.clear();
    this.#isWhole = true;
    for (const picked of all) this.#put(picked, picked);
    this.#options.onPending(true);
  }

  set(picked: Picked): void {
    this.#put(picked, picked);
    this.#options.onPending(false);
  }

  delete(key: ObjectKey): void {
    this.#put(key, null);
    this.#options.onPending(false);
  }

  /** Writes what waits; call it in a batch. True when problems changed. */
  flush(): boolean {
    const isWhole = this.#isWhole;
    const changes = isWhole
      ? [...this.#dropAbsent(), ...this.#pending.values()]
      : this.#pending.values();
    let changed = false;
    for (const entry of changes) changed = this.#write(entry) || changed;
    if (isWhole) this.#objects = this.#countPending();
    this.#pending.clear();
    this.#isWhole = false;
    return changed;
  }

  /** Takes all of its objects out of the store. */
  clear(): void {
    this.#pending.clear();
    this.#isWhole = true;
    this.flush();
  }

  #countPending(): number {
    let count = 0;
    for (const { picked } of this.#pending.values()) if ((picked?.object ?? null) !== null) count++;
    return count;
  }

  #put({ namespace, name }: ObjectKey, picked: Picked | null): void {
    this.#pending.set(`${namespace}/${name}`, { namespace, name, picked });
  }

  /** Objects and problems that a whole list does not name. */
  #dropAbsent(): SeenObject[] {
    const { store, kind, namespace, name, without = [] } = this.#options;
    const gone: SeenObject[] = [];
    for (const { meta } of store.list(kind, namespace ?? undefined)) {
      if (name !== null && name !== meta.name) continue;
      if (without.includes(meta.namespace)) continue;
      if (this.#pending.has(`${meta.namespace}/${meta.name}`)) continue;
      gone.push({ namespace: meta.namespace, name: meta.name, picked: null });
    }
    for (const key of this.#problems.keys()) {
      if (this.#pending.has(key)) continue;
      const [namespace = '', name = ''] = key.split('/');
      gone.push({ namespace, name, picked: null });
    }
    return gone;
  }

  #write({ namespace, name, picked }: SeenObject): boolean {
    const { store, kind } = this.#options;
    const ref: ObjectRef = { kind, namespace, name };
    const wasThere = store.get(kind, namespace, name) !== undefined;
    const object = picked?.object ?? null;
    if (object === null) store.delete(ref);
    else store.set(object);
    this.#objects += (object === null ? 0 : 1) - (wasThere ? 1 : 0);
    return this.#keepProblems(`${namespace}/${name}`, picked?.problems ?? []);
  }

  #keepProblems(key: string, problems: readonly Problem[]): boolean {
    if (isEqual(this.#problems.get(key) ?? [], problems)) return false;
    if (problems.length === 0) this.#problems.delete(key);
    else this.#problems.set(key, problems);
    return true;
  }
}
