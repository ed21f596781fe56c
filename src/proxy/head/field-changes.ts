/** Changes of the fields of a head, ready to be made: what stays behind is marked in the head, what is added stands beside it. */

import type { FieldChange } from '../../model/filter.ts';
import { FIELD_DROP, FIELD_STRIDE, type Head } from './head.ts';
import { isNamed } from './named.ts';

export interface ExtraField {
  /** Lower-case. */
  readonly name: string;
  readonly value: string;
}

/** Fields that leave with a head without standing in it. */
export class ExtraFields {
  readonly list: readonly ExtraField[];
  /** `name: value CRLF` for each. */
  readonly lines: Buffer;

  constructor(list: readonly ExtraField[]) {
    this.list = list;
    this.lines = Buffer.from(list.map(({ name, value }) => `${name}: ${value}\r\n`).join(''));
  }
}

export class FieldChanges {
  readonly extra: ExtraFields;
  /** Names of what stays behind. */
  readonly removed: readonly string[];
  /** They say of Date what there is to say. */
  readonly #changesDate: boolean;
  /** What stays behind, by the length of its name: most names of a head are told apart by it. */
  readonly #dropped: readonly (readonly string[] | undefined)[];

  /** The outcome is as if the changes were made one after the other. */
  constructor(changes: readonly FieldChange[]) {
    const dropped = new Set<string>();
    const added = new Map<string, ExtraField[]>();
    for (const { action, name, value } of changes) {
      if (action !== 'add') {
        dropped.add(name);
        added.delete(name);
      }
      if (action === 'remove') continue;
      const fields = added.get(name) ?? [];
      // White space around a value is none of it (RFC 9110 §5.5).
      fields.push({ name, value: value.replaceAll(/^[ \t]+|[ \t]+$/g, '') });
      added.set(name, fields);
    }
    this.extra = new ExtraFields([...added.values()].flat());
    this.removed = [...dropped];
    this.#changesDate = dropped.has('date') || added.has('date');
    this.#dropped = byLength(dropped);
  }

  /** Marks in a head what does not leave. */
  mark(data: Buffer, head: Head): void {
    // Then the proxy writes none of its own.
    if (this.#changesDate) head.dated = true;
    head.serial = 0;
    const { fields } = head;
    const last = head.count * FIELD_STRIDE;
    for (let i = 0; i < last; i += FIELD_STRIDE) {
      const start = fields[i + 1] as number;
      const end = fields[i + 2] as number;
      const names = this.#dropped[end - start];
      if (names !== undefined && isOneOf(names, data, start, end)) fields[i] = FIELD_DROP;
    }
  }
}

function byLength(names: ReadonlySet<string>): (string[] | undefined)[] {
  const longest = Math.max(0, ...[...names].map((name) => name.length));
  const lists = Array.from<unknown, string[] | undefined>({ length: longest + 1 }, () => undefined);
  for (const name of names) (lists[name.length] ??= []).push(name);
  return lists;
}

function isOneOf(names: readonly string[], data: Buffer, start: number, end: number): boolean {
  for (const name of names) if (isNamed(data, start, end, name)) return true;
  return false;
}
