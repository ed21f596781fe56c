/**
 * What calls of gRPC are counted by, of one Service on one thread: their method, which callers choose. So a method has figures of its
 * own only from its first success on: where endpoints know their methods, nobody can make one up, fill the table and keep others out.
 * All else, and what comes when the table is full, shares the figures of `OTHER_METHOD`.
 */

import { METHOD_CELLS } from './layout.ts';

/** Methods of a thread with figures of their own, of all Services: some 700 bytes each. */
export const METHODS_MAX = 2_000;
/** Bytes of the longest name of one. */
const NAME_BYTES_MAX = 256;
/** No method is called so: in their names there is a slash. */
export const OTHER_METHOD = 'other';

export type MethodCells = Float64Array<SharedArrayBuffer>;

/** What the tables of a thread share. */
export class MethodRoom {
  readonly perService: number;
  /** Methods with figures of their own. */
  taken = 0;
  /** Shows new figures to whoever reads them. */
  onMethod: ((service: string, method: string, cells: SharedArrayBuffer) => void) | null = null;

  constructor(perService: number) {
    this.perService = perService;
  }

  open(service: string, method: string): MethodCells {
    const cells = new Float64Array(new SharedArrayBuffer(8 * METHOD_CELLS));
    this.onMethod?.(service, method, cells.buffer);
    return cells;
  }
}

interface Entry {
  /** `package.Service/Method`. */
  readonly name: Buffer;
  readonly cells: MethodCells;
  /** With the same hash. */
  readonly next: Entry | undefined;
}

/** Takes no more than its name until the first call ended. */
export class MethodTable {
  readonly #service: string;
  #byHash: Map<number, Entry> | null = null;
  #other: MethodCells | null = null;
  #room: MethodRoom | null = null;
  #size = 0;
  #isGone = false;

  constructor(service: string) {
    this.#service = service;
  }

  /** The figures for the path in `data[start, end)`, which may get some of its own if a call of it was a success. */
  // oxlint-disable-next-line max-params -- on the path of a call, without an object
  cellsOf(
    room: MethodRoom,
    data: Buffer,
    start: number,
    end: number,
    isSuccess: boolean,
  ): MethodCells {
    const other = (this.#other ??= room.open(this.#service, OTHER_METHOD));
    const from = start + 1;
    if (end - from > NAME_BYTES_MAX) return other;
    const hash = hashOf(data, from, end);
    let entry = this.#byHash?.get(hash);
    while (entry !== undefined && !isSame(entry.name, data, from, end)) entry = entry.next;
    if (entry !== undefined) return entry.cells;
    if (!isSuccess || !this.#hasRoom(room) || !isMethod(data, from, end)) return other;
    return this.#add(room, hash, Buffer.from(data.subarray(from, end)));
  }

  #hasRoom(room: MethodRoom): boolean {
    return !this.#isGone && this.#size < room.perService && room.taken < METHODS_MAX;
  }

  #add(room: MethodRoom, hash: number, name: Buffer): MethodCells {
    this.#room = room;
    this.#size++;
    room.taken++;
    const cells = room.open(this.#service, name.toString('latin1'));
    this.#byHash ??= new Map();
    this.#byHash.set(hash, { name, cells, next: this.#byHash.get(hash) });
    return cells;
  }

  /** Its Service is gone; calls may still end. */
  release(): void {
    if (this.#room !== null && !this.#isGone) this.#room.taken -= this.#size;
    this.#isGone = true;
  }
}

/** Of the last bytes and the length: names of one package begin alike. Only names that are there have an entry to collide with. */
function hashOf(data: Buffer, start: number, end: number): number {
  let h = end - start;
  for (let i = Math.max(start, end - HASHED_BYTES); i < end; i++)
    h = Math.imul(h ^ (data[i] as number), 0x01000193);
  return h;
}

const HASHED_BYTES = 12;

/** Looks at the end first, for the same reason. */
function isSame(name: Buffer, data: Buffer, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = name.length - 1; i >= 0; i--) if (name[i] !== data[start + i]) return false;
  return true;
}

const SLASH = 0x2f;
const QUOTE = 0x22;
const QUESTION = 0x3f;
const BACKSLASH = 0x5c;

/** Names around a slash, of what a label may show as it is, and without a query. */
function isMethod(data: Buffer, start: number, end: number): boolean {
  let slashes = 0;
  for (let i = start; i < end; i++) {
    const byte = data[i] as number;
    if (byte <= 0x20 || byte >= 0x7f) return false;
    if (byte === QUOTE || byte === QUESTION || byte === BACKSLASH) return false;
    if (byte === SLASH) slashes++;
  }
  return slashes > 0;
}
