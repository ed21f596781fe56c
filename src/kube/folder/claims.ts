/** Which file an object comes from when several have it: the first in order wins, and the next takes over when it goes. */

import { compareText } from '../../base/compare.ts';
import type { Problem } from '../../model/service.ts';
import { PROBLEMS_MAX } from '../manifest.ts';
import type { ManifestObject } from '../manifest.ts';
import { describe } from '../object.ts';
import type { KubeObject } from '../object.ts';
import { refKey } from '../store.ts';
import type { ObjectRef, Origin, StoreWriter } from '../store.ts';
import { about, aboutObject } from '../../model/object-reference.ts';
import { isEqual } from '../../base/equal.ts';

interface Claim {
  readonly file: string;
  /** Position in its file. */
  readonly index: number;
  readonly ref: ObjectRef;
  readonly object: KubeObject;
  readonly origin: Origin;
}

/** Writes the winners into the store. Call inside a batch of the store. */
export class Claims {
  readonly #store: StoreWriter;
  readonly #claims = new Map<string, Claim[]>();
  readonly #byFile = new Map<string, Map<string, ObjectRef>>();
  readonly #contested = new Set<string>();

  constructor(store: StoreWriter) {
    this.#store = store;
  }

  /** Whether the file has objects. */
  has(file: string): boolean {
    return this.#byFile.has(file);
  }

  /** Whether leaving only `objects` to the file would take one from it. */
  wouldLose(file: string, objects: readonly ManifestObject[]): boolean {
    const old = this.#byFile.get(file);
    if (old === undefined) return false;
    const kept = new Set(objects.map(({ object }) => refKey(refOf(object))));
    return [...old.keys()].some((key) => !kept.has(key));
  }

  /** From now on the file has these objects and no others. */
  replace(file: string, objects: readonly ManifestObject[]): void {
    const touched = this.#drop(file);
    const own = new Map<string, ObjectRef>();
    for (const [index, { object, origin }] of objects.entries()) {
      const ref = refOf(object);
      const key = refKey(ref);
      own.set(key, ref);
      touched.set(key, ref);
      this.#insert(key, { file, index, ref, object, origin });
    }
    if (own.size > 0) this.#byFile.set(file, own);
    for (const [key, ref] of touched) this.#settle(key, ref);
  }

  /** One problem, up to a limit, for each object that is not used because another place has it too; `isIgnored` files do not count. */
  problems(isIgnored: (file: string) => boolean): Problem[] {
    // A workload that is there twice is one problem, however many Pods it has.
    const problems = new Map<string, Problem>();
    for (const key of this.#contested) {
      const [winner, ...others] = (this.#claims.get(key) ?? []).filter(
        ({ file }) => !isIgnored(file),
      );
      if (winner === undefined) continue;
      for (const other of others) {
        const problem = duplicate(winner, other);
        problems.set(`${problem.object} ${problem.message}`, problem);
      }
      if (problems.size >= PROBLEMS_MAX) break;
    }
    return [...problems.values()].toSorted((a, b) => compareText(a.location, b.location));
  }

  #drop(file: string): Map<string, ObjectRef> {
    const touched = new Map<string, ObjectRef>(this.#byFile.get(file));
    for (const key of touched.keys()) {
      const rest = (this.#claims.get(key) ?? []).filter((claim) => claim.file !== file);
      if (rest.length === 0) this.#claims.delete(key);
      else this.#claims.set(key, rest);
    }
    this.#byFile.delete(file);
    return touched;
  }

  #insert(key: string, claim: Claim): void {
    const claims = this.#claims.get(key);
    if (claims === undefined) {
      this.#claims.set(key, [claim]);
      return;
    }
    const last = claims.at(-1);
    claims.push(claim);
    if (last === undefined || compareClaims(last, claim) <= 0) return;
    claims.sort(compareClaims);
  }

  #settle(key: string, ref: ObjectRef): void {
    const claims = this.#claims.get(key);
    if (claims !== undefined && claims.length > 1) this.#contested.add(key);
    else this.#contested.delete(key);
    const [winner] = claims ?? [];
    if (winner === undefined) this.#store.delete(ref);
    else this.#store.set(winner.object, winner.origin);
  }
}

function compareClaims(a: Claim, b: Claim): number {
  return compareText(a.file, b.file) || a.index - b.index;
}

function refOf({ kind, meta }: KubeObject): ObjectRef {
  return { kind, namespace: meta.namespace, name: meta.name };
}

function duplicate(winner: Claim, other: Claim): Problem {
  const owner = other.origin.text?.owner ?? null;
  const isWhole = owner === null || isEqual(owner, winner.origin.text?.owner);
  const what = isWhole ? 'Object' : `Its ${describe(other.object)}`;
  return {
    severity: 'error',
    ...(owner === null
      ? aboutObject(other.ref.kind, other.ref.namespace, other.ref.name)
      : about(owner)),
    field: 'metadata.name',
    value: (owner ?? other.ref).name,
    message: `${what} is there twice: ${place(other.origin)} is not used because ${place(winner.origin)} comes first`,
    remedy: 'remove or rename one of the two',
    location: place(other.origin),
  };
}

function place({ file, line, column }: Origin): string {
  return `${file}:${line}:${column}`;
}
