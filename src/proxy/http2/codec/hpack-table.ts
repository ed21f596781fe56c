/**
 * The dynamic table: RFC 7541 §2.3.2 and §4. Its entries stand as lines, `name: value` and a line end, in one ring of bytes, and as
 * four numbers each in another ring. Both grow with what is in them, so that a connection without entries costs nothing.
 */

import { COLON, SPACE } from '../../head/characters.ts';
import { newStamp, NO_STAMP } from '../../head/stamp.ts';
import { viewOf, WORD_SLACK_BYTES } from './words.ts';

/** Of the tables of both ends: the default of SETTINGS_HEADER_TABLE_SIZE. */
export const TABLE_BYTES_MAX = 4096;
/** What an entry counts beyond its name and value. */
export const ENTRY_OVERHEAD_BYTES = 32;
/** What a line has beyond them. */
export const LINE_OVERHEAD_BYTES = 4;

/** Numbers per entry in `entries`: where its line begins, the lengths of name and value, and one that the user gives. */
const STRIDE = 4;
const ENTRIES_MIN = 16;
const BYTES_MIN = 1024;

const NO_BYTES = Buffer.alloc(0);
const NO_ENTRIES = new Int32Array(0);
const NO_STAMPS = new Float64Array(0);

export class HpackTable {
  /** The lines. */
  bytes: Buffer = NO_BYTES;
  /** The same, for `copyWords`. */
  view: DataView = viewOf(NO_BYTES);
  /** Of each entry, from where `slotOf` says. */
  entries: Int32Array = NO_ENTRIES;
  /** The stamp of each entry, if the table was made with them: a quarter of where `slotOf` says. */
  stamps: Float64Array = NO_STAMPS;
  /** Entries count from 0 in the order in which they came: the first that is there, and the next that will come. */
  first = 0;
  next = 0;
  /** As the RFC counts it. */
  size = 0;
  #maxBytes: number;
  readonly #hasStamps: boolean;
  /** Of the numbers of entries, so that they are a place in the ring. */
  #mask = 0;
  /** Of `bytes`, without what is read by words behind the last line. Never more than twice what `maxBytes` allows. */
  #capacity = 0;
  /** Where the next line goes, if it fits before the end. */
  #at = 0;

  /** @param hasStamps each entry gets a stamp of its own */
  constructor(maxBytes: number, hasStamps = false) {
    this.#maxBytes = maxBytes;
    this.#hasStamps = hasStamps;
  }

  get count(): number {
    return this.next - this.first;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** Entries that have no room any more go. */
  setMax(bytes: number): void {
    this.#maxBytes = bytes;
    this.#evictDownTo(bytes);
  }

  clear(): void {
    this.first = this.next;
    this.size = 0;
  }

  /** Where the numbers of an entry begin. */
  slotOf(entry: number): number {
    return (entry & this.#mask) * STRIDE;
  }

  /** Takes the line that begins at `start`. One that is larger than the table leaves it empty. @returns its stamp */
  // oxlint-disable-next-line max-params -- once per field: an options object would be an allocation
  insert(
    data: Buffer,
    start: number,
    nameLength: number,
    valueLength: number,
    mark: number,
  ): number {
    const at = this.reserve(nameLength, valueLength, mark);
    if (at < 0) return NO_STAMP;
    const end = start + nameLength + valueLength + LINE_OVERHEAD_BYTES;
    data.copy(this.bytes, at, start, end);
    return this.stampOf(this.next - 1);
  }

  /** Only where entries have stamps. */
  stampOf(entry: number): number {
    return this.stamps[entry & this.#mask] as number;
  }

  /** Makes an entry whose line the caller must write. @returns where, or -1 when the table is empty instead */
  reserve(nameLength: number, valueLength: number, mark: number): number {
    const size = nameLength + valueLength + ENTRY_OVERHEAD_BYTES;
    if (size > this.#maxBytes) {
      this.clear();
      return -1;
    }
    this.#evictDownTo(this.#maxBytes - size);
    this.size += size;
    const at = this.#place(nameLength + valueLength + LINE_OVERHEAD_BYTES);
    if (this.next - this.first >= this.entries.length / STRIDE) this.#growEntries();
    if (this.#hasStamps) this.stamps[this.next & this.#mask] = newStamp();
    const slot = this.slotOf(this.next++);
    this.entries[slot] = at;
    this.entries[slot + 1] = nameLength;
    this.entries[slot + 2] = valueLength;
    this.entries[slot + 3] = mark;
    return at;
  }

  #evictDownTo(bytes: number): void {
    while (this.size > bytes) {
      const slot = this.slotOf(this.first++);
      this.size -=
        (this.entries[slot + 1] as number) +
        (this.entries[slot + 2] as number) +
        ENTRY_OVERHEAD_BYTES;
    }
  }

  /**
   * Finds room for a line. All lines together fill half of the ring at most, so that there is always room either behind the
   * newest or, when that is too near the end, from the beginning up to the oldest. `size` counts more than the lines have.
   */
  #place(length: number): number {
    if (this.#capacity < 2 * this.size) this.#growBytes();
    if (this.#at + length > this.#capacity) this.#at = 0;
    const at = this.#at;
    this.#at += length;
    return at;
  }

  #growBytes(): void {
    let capacity = Math.max(BYTES_MIN, this.#capacity);
    while (capacity < 2 * this.size) capacity *= 2;
    const larger = Buffer.allocUnsafeSlow(capacity + WORD_SLACK_BYTES);
    let to = 0;
    for (let entry = this.first; entry < this.next; entry++) {
      const slot = this.slotOf(entry);
      const at = this.entries[slot] as number;
      const length =
        (this.entries[slot + 1] as number) +
        (this.entries[slot + 2] as number) +
        LINE_OVERHEAD_BYTES;
      this.bytes.copy(larger, to, at, at + length);
      this.entries[slot] = to;
      to += length;
    }
    this.bytes = larger;
    this.view = viewOf(larger);
    this.#capacity = capacity;
    this.#at = to;
  }

  #growEntries(): void {
    const capacity = Math.max(ENTRIES_MIN, (this.entries.length / STRIDE) * 2);
    const larger = new Int32Array(capacity * STRIDE);
    const stamps = this.#hasStamps ? new Float64Array(capacity) : NO_STAMPS;
    for (let entry = this.first; entry < this.next; entry++) {
      const slot = this.slotOf(entry);
      const to = (entry & (capacity - 1)) * STRIDE;
      if (this.#hasStamps) stamps[entry & (capacity - 1)] = this.stampOf(entry);
      for (let i = 0; i < STRIDE; i++) larger[to + i] = this.entries[slot + i] as number;
    }
    this.entries = larger;
    this.stamps = stamps;
    this.#mask = capacity - 1;
  }
}

/** Writes what stands between name and value, and what stands behind. */
export function writeSeparator(out: Buffer, at: number): void {
  out[at] = COLON;
  out[at + 1] = SPACE;
}
