/** The fields of one kind of object on the wire, and what a reader does that does not know one of them: `vocabulary.ts` has them all. */

import { isEqual } from '../base/equal.ts';

export interface Later<Value> {
  readonly unknown: 'refuse' | 'ignore';
  /** The value that means that the field is not used: not sent, and put in by the reader. */
  readonly unused: Value;
}
type Standing<Value> = 'first' | Later<Value>;
export type FieldsOf<T> = { readonly [K in keyof T]-?: Standing<T[K]> };
export type Table = Readonly<Record<string, Standing<unknown>>>;

export type WordStanding = 'first' | 'refuse' | 'ignore';
export type WordsOf<T extends string> = { readonly [Word in T]: WordStanding };

/** One kind of object on the wire. */
export class ObjectTerms {
  readonly #name: string;
  readonly #known: ReadonlySet<string>;
  readonly #later: readonly (readonly [field: string, later: Later<unknown>])[];

  constructor(name: string, table: Table) {
    this.#name = name;
    this.#known = new Set(Object.keys(table));
    this.#later = Object.entries(table).flatMap(([field, standing]) =>
      standing === 'first' ? [] : [[field, standing] as const],
    );
  }

  /** Whether all readers know all fields, so that there is nothing to look for. */
  get isFirst(): boolean {
    return this.#later.length === 0;
  }

  /** Names of the fields that came later. */
  get laterFields(): readonly string[] {
    return this.#later.map(([field]) => field);
  }

  /** `object.field` for those that came later and are of this standing. */
  later(standing: 'refuse' | 'ignore'): string[] {
    return this.#later
      .filter(([, { unknown }]) => unknown === standing)
      .map(([field]) => this.term(field));
  }

  /** Adds the names of what has to be known to serve an object. */
  addNeeds(value: object, needs: Set<string>): void {
    for (const [field, { unknown, unused }] of this.#later) {
      const isUsed = !isEqual(Reflect.get(value, field), unused);
      if (unknown === 'refuse' && isUsed) needs.add(this.term(field));
    }
  }

  /** The object without the fields that it does not use; itself when that is all of it. */
  lean<T extends object>(value: T): T {
    if (this.isFirst) return value;
    const copy = { ...value };
    for (const [field, { unused }] of this.#later) {
      if (isEqual(Reflect.get(copy, field), unused)) Reflect.deleteProperty(copy, field);
    }
    return copy;
  }

  /** Puts in the fields that were not sent. */
  complete(value: Record<string, unknown>): void {
    for (const [field, { unused }] of this.#later) value[field] ??= unused;
  }

  /** Adds the names of the fields that are not known here, but for those that may be ignored. */
  addUnknown(value: object, ignorable: ReadonlySet<string>, unknown: Set<string>): void {
    for (const field of Object.keys(value)) this.addUnknownField(field, ignorable, unknown);
  }

  addUnknownField(field: string, ignorable: ReadonlySet<string>, unknown: Set<string>): void {
    if (this.#known.has(field)) return;
    const term = this.term(field);
    if (!ignorable.has(term)) unknown.add(term);
  }

  term(field: string): string {
    return `${this.#name}.${field}`;
  }
}
