/**
 * Endpoints and identities on the wire: rows instead of objects, since there are ten times as many of them as of anything else,
 * and parsing them is most of what a snapshot costs an agent. Each part names its columns, so that a newer version can have
 * more of them and an older one fewer. What many rows share (nodes, zones, namespaces) is in the table `texts` of the part.
 */

import { MeshError } from '../base/error.ts';
import { type Endpoint, type Identity, labelsText } from '../model/endpoint.ts';
import type { Fields } from './fields.ts';

export type Column<T> = keyof T & string;

export const ENDPOINT_COLUMNS = [
  'address',
  'port',
  'weight',
  'pod',
  'node',
  'zone',
] as const satisfies readonly Column<Endpoint>[];

export const IDENTITY_COLUMNS = [
  'address',
  'namespace',
  'pod',
  'serviceAccount',
  'node',
  'zone',
  'doubt',
  'labels',
] as const satisfies readonly Column<Identity>[];

/** Columns whose values are places in the table of texts. */
export const SHARED_COLUMNS: readonly string[] = ['namespace', 'serviceAccount', 'node', 'zone'];

/** Texts and their places, while a part is written. */
export class TextTable {
  readonly texts: string[] = [];
  /** Characters of all of them, about. */
  length = 0;
  readonly #places = new Map<string, number>();

  place(text: string): number {
    const known = this.#places.get(text);
    if (known !== undefined) return known;
    const place = this.texts.push(text) - 1;
    this.#places.set(text, place);
    this.length += text.length + 3;
    return place;
  }
}

/** `extra` are the columns after `ENDPOINT_COLUMNS`. */
export function endpointRow(
  endpoint: Endpoint,
  table: TextTable,
  extra: readonly string[],
): unknown[] {
  const { address, port, weight, pod, node, zone } = endpoint;
  const row = [address, port, weight, pod, table.place(node), table.place(zone)];
  for (const column of extra) row.push(Reflect.get(endpoint, column));
  return row;
}

export function identityRow(identity: Identity, table: TextTable): unknown[] {
  const { address, namespace, pod, serviceAccount, node, zone, doubt, labels } = identity;
  const row = [
    address,
    table.place(namespace),
    pod,
    table.place(serviceAccount),
    table.place(node),
    table.place(zone),
  ];
  // Nearly all rows end here. Labels are no shared column: older readers do not know it, and take the end of a row for a bad place.
  const text = labelsText(labels);
  if (doubt !== '' || text !== '') row.push(doubt);
  if (text !== '') row.push(text);
  return row;
}

/** The columns of a part that is read. */
export class Columns {
  /** Of the columns known here, in their order: where each of them is in a row, or -1. */
  readonly #known: readonly number[];
  /** Those that are not known here, and pass through. */
  readonly #extra: readonly (readonly [name: string, index: number])[];
  readonly #isShared: readonly boolean[];
  readonly #texts: readonly string[];

  constructor(
    names: readonly string[],
    known: readonly string[],
    table: { readonly shared: ReadonlySet<string>; readonly texts: readonly string[] },
  ) {
    this.#known = known.map((name) => names.indexOf(name));
    this.#extra = names
      .map((name, index) => [name, index] as const)
      .filter(([name]) => !known.includes(name) && name !== '__proto__');
    this.#isShared = names.map((name) => table.shared.has(name));
    this.#texts = table.texts;
  }

  /** The value of the known column `index`; undefined when the part has no such column. */
  get(row: readonly unknown[], index: number): unknown {
    const at = this.#known[index] ?? -1;
    return at < 0 ? undefined : this.#value(row, at);
  }

  /** Puts what is not known here into the object. */
  addExtra(row: readonly unknown[], fields: Fields): void {
    for (const [name, index] of this.#extra) fields[name] = this.#value(row, index);
  }

  #value(row: readonly unknown[], index: number): unknown {
    const value = row[index];
    if (this.#isShared[index] !== true) return value;
    const text = this.#texts[value as number];
    if (text === undefined) throw new MeshError('invalid_input', `no text ${String(value)}`);
    return text;
  }
}
