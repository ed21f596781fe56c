/**
 * Encodes fields: RFC 7541. A field gets into the table when it comes the second time in a while, so that values which never repeat
 * neither cost an entry nor drive out others. Strings are sent plain: inside a cluster, bytes are cheaper than the work of packing
 * and unpacking them (docs/decisions/hpack.md).
 */

import { copy, wholeUpTo } from '../../net/copy-whole.ts';
import { NO_STAMP, STAMP_FIRST } from '../../head/stamp.ts';
import { CR, COLON, TAB, writeLineEnd } from '../../head/characters.ts';
import {
  ENTRY_OVERHEAD_BYTES,
  HpackTable,
  TABLE_BYTES_MAX,
  writeSeparator,
} from './hpack-table.ts';
import { byName, knownName, NAME_OTHER, NAME_STATUS } from './name.ts';
import { StampMemo } from './stamp-memo.ts';
import {
  STATIC_AT,
  STATIC_BYTES,
  STATIC_COUNT,
  STATIC_ENTRIES,
  STATIC_INDEX,
  STATIC_NAME_LENGTH,
} from './static-table.ts';

/** What one field takes at most beyond its name and value. */
const FIELD_OVERHEAD_BYTES = 16;
/** An entry may take this part of the table. */
const SHARE = 4;
/** A cookie shorter than this could be guessed by who sees the sizes of messages: RFC 7541 §7.1.3. */
const COOKIE_GUESSED_BYTES = 20;

/** By NAME_*; without one, a field may get into the table. */
const WITHOUT = 1;
const NEVER = 2;
const COOKIES = 3;
const POLICY = byName({
  authorization: NEVER,
  'proxy-authorization': NEVER,
  cookie: COOKIES,
  'set-cookie': COOKIES,
  // These differ from message to message.
  age: WITHOUT,
  'content-range': WITHOUT,
  date: WITHOUT,
  etag: WITHOUT,
  expires: WITHOUT,
  'if-modified-since': WITHOUT,
  'if-none-match': WITHOUT,
  'last-modified': WITHOUT,
  traceparent: WITHOUT,
  'x-request-id': WITHOUT,
});

const INDEXED = 0x80;
const INDEXING = 0x40;
const SIZE_UPDATE = 0x20;
const NEVER_INDEXED = 0x10;

const CELLS = 256;

const NOTHING = Buffer.alloc(0);

/** By status: the entry of the static table that has it, or 0. */
const STATUS_INDEX = new Uint8Array(1000);
for (const [i, entry] of STATIC_ENTRIES.entries())
  if (entry.startsWith(':status: ')) STATUS_INDEX[Number(entry.slice(-3))] = i + 1;

/** An upper bound of a block with so many fields, whose names and values have so many bytes together. */
export function blockBound(bytes: number, fields: number): number {
  return bytes + fields * FIELD_OVERHEAD_BYTES + 2 * FIELD_OVERHEAD_BYTES;
}

export class HpackEncoder {
  /** Of the table: as long as they are as many, the same head makes the same block. */
  changes = 0;
  readonly #table = new HpackTable(TABLE_BYTES_MAX);
  /** By hash: the entry that came last, plus one. They are counted as long as the connection lives. */
  #entries: Float64Array | null = null;
  /** By hash: what came last. */
  #seen: Int32Array | null = null;
  readonly #memo = new StampMemo();
  /** That of the field which comes next. */
  #stamp = NO_STAMP;
  /** The smallest and the last size that the peer must be told of; -1 for none. */
  #least = -1;
  #size = -1;
  /** Where the name of the present field stands. */
  #names: Buffer = NOTHING;
  #out: Buffer = NOTHING;
  #at = 0;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. Call it for each value, in their order. */
  setMax(bytes: number): void {
    const size = Math.min(bytes, TABLE_BYTES_MAX);
    if (size === this.#table.maxBytes && this.#least < 0) return;
    this.#table.setMax(size);
    this.changes++;
    this.#size = size;
    this.#least = this.#least < 0 ? size : Math.min(this.#least, size);
  }

  /** Starts a block in `out` at `at`. */
  begin(out: Buffer, at: number): void {
    this.#out = out;
    this.#at = at;
    this.#stamp = NO_STAMP;
    if (this.#least < 0) return;
    if (this.#least < this.#size) this.#integer(SIZE_UPDATE, 0x1f, this.#least);
    this.#integer(SIZE_UPDATE, 0x1f, this.#size);
    this.#least = -1;
    this.#size = -1;
    // The block says it, and is to be sent only once.
    this.changes++;
  }

  /** Where the block ends. @throws Defect when it did not fit */
  end(): number {
    const end = wholeUpTo(this.#at, this.#out);
    this.#out = NOTHING;
    this.#names = NOTHING;
    return end;
  }

  /** An entry of the static table, name and value. */
  entry(index: number): void {
    this.#out[this.#at++] = INDEXED | index;
  }

  /**
   * Puts the field with this stamp, if it is in the table. If not, it returns false, and the field must be put by its name and
   * value at once.
   */
  known(stamp: number): boolean {
    if (stamp < STAMP_FIRST) {
      if (stamp === NO_STAMP) return false;
      this.entry(stamp);
      return true;
    }
    const entry = this.#memo.entryOf(stamp);
    if (entry >= this.#table.first) {
      this.#index(entry);
      return true;
    }
    this.#stamp = stamp;
    return false;
  }

  /** The field that was put last has a stamp: the next time it is found by that. */
  #note(entry: number): void {
    if (this.#stamp !== NO_STAMP) this.#memo.note(this.#stamp, entry);
  }

  #index(entry: number): void {
    this.#integer(INDEXED, 0x7f, STATIC_COUNT + this.#table.next - entry);
  }

  status(status: number): void {
    const index = STATUS_INDEX[status] as number;
    if (index > 0) {
      this.entry(index);
      return;
    }
    const out = this.#out;
    let at = this.#at;
    out[at++] = STATIC_INDEX[NAME_STATUS] as number;
    out[at++] = 3;
    out[at++] = 48 + ((status / 100) | 0);
    out[at++] = 48 + (((status / 10) | 0) % 10);
    out[at++] = 48 + (status % 10);
    this.#at = at;
  }

  /** A field of the static table, by its NAME_*, with the value `data[start, end)`. */
  named(name: number, data: Buffer, start: number, end: number): void {
    const index = STATIC_INDEX[name] as number;
    const at = STATIC_AT[index] as number;
    this.#names = STATIC_BYTES;
    this.#put(name, at, at + (STATIC_NAME_LENGTH[index] as number), data, start, end);
  }

  /** Any other field. The name is a token, in whatever letters; they leave as small ones. */
  // oxlint-disable-next-line max-params -- once per field: an options object would be an allocation
  field(
    data: Buffer,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
  ): void {
    const name = knownName(data, nameStart, nameEnd - nameStart, 0x20);
    this.#names = data;
    this.#put(name, nameStart, nameEnd, data, valueStart, valueEnd);
  }

  /** A field whose name, a known one in small letters, stands elsewhere. */
  // oxlint-disable-next-line max-params -- once per field: an options object would be an allocation
  pair(name: number, names: Buffer, data: Buffer, start: number, end: number): void {
    this.#names = names;
    this.#put(name, 0, names.length, data, start, end);
  }

  /** All fields of `data[start, end)`, which are lines: `name: value` with a line end. */
  lines(data: Buffer, start: number, end: number): void {
    let line = start;
    while (line < end) line = this.line(data, line, end);
  }

  /** The field of the line that begins at `line`. @returns where the next one does */
  line(data: Buffer, line: number, end: number): number {
    let nameEnd = line + 1;
    while (nameEnd < end && data[nameEnd] !== COLON) nameEnd++;
    let valueEnd = nameEnd + 2;
    while (valueEnd < end && data[valueEnd] !== CR) valueEnd++;
    this.field(data, line, nameEnd, nameEnd + 2, valueEnd);
    return valueEnd + 2;
  }

  /** The name stands in `#names`. A tab before the value says that the field came so: RFC 7541 §6.2.3. */
  // oxlint-disable-next-line max-params -- once per field: an options object would be an allocation
  #put(
    name: number,
    nameStart: number,
    nameEnd: number,
    data: Buffer,
    start: number,
    end: number,
  ): void {
    const size = nameEnd - nameStart + end - start + ENTRY_OVERHEAD_BYTES;
    const policy = POLICY[name] as number;
    let first = 0;
    let mask = 0x0f;
    let hash = 0;
    if (
      (start > 0 && data[start - 1] === TAB) ||
      policy === NEVER ||
      (policy === COOKIES && end - start < COOKIE_GUESSED_BYTES)
    )
      first = NEVER_INDEXED;
    else if (this.#mayIndex(policy) && size * SHARE <= this.#table.maxBytes) {
      hash = hashOf(name, this.#names, nameStart, nameEnd, data, start, end);
      const entry = this.#find(hash, nameStart, nameEnd, data, start, end);
      if (entry >= 0) {
        this.#index(entry);
        this.#note(entry);
        this.#stamp = NO_STAMP;
        return;
      }
      if (this.#isSecond(hash)) {
        first = INDEXING;
        mask = 0x3f;
      }
    }
    const index = STATIC_INDEX[name] as number;
    if (index > 0) this.#integer(first, mask, index);
    else {
      this.#out[this.#at++] = first;
      this.#integer(0, 0x7f, nameEnd - nameStart);
      this.#at = copyLower(this.#names, nameStart, nameEnd, this.#out, this.#at);
    }
    this.#integer(0, 0x7f, end - start);
    this.#at = copy(data, start, end, this.#out, this.#at);
    if (first === INDEXING) this.#insert(hash, nameStart, nameEnd, data, start, end);
    this.#stamp = NO_STAMP;
  }

  /** What a peer keeps in its table is worth a place in ours, too. */
  #mayIndex(policy: number): boolean {
    return policy === 0 || (policy === WITHOUT && this.#stamp !== NO_STAMP);
  }

  /** The entry with this name and value, or -1. */
  // oxlint-disable-next-line max-params -- once per field: an options object would be an allocation
  #find(
    hash: number,
    nameStart: number,
    nameEnd: number,
    data: Buffer,
    start: number,
    end: number,
  ): number {
    if (this.#entries === null) return -1;
    const table = this.#table;
    const entry = (this.#entries[hash & (CELLS - 1)] as number) - 1;
    if (entry < table.first) return -1;
    const slot = table.slotOf(entry);
    const { entries, bytes } = table;
    const nameLength = nameEnd - nameStart;
    if (entries[slot + 3] !== hash || entries[slot + 1] !== nameLength) return -1;
    if (entries[slot + 2] !== end - start) return -1;
    const names = this.#names;
    let at = entries[slot] as number;
    for (let i = nameStart; i < nameEnd; i++)
      if (lower(names[i] as number) !== bytes[at++]) return -1;
    at += 2;
    for (let i = start; i < end; i++) if (data[i] !== bytes[at++]) return -1;
    return entry;
  }

  /** Notes that a field came. True when it came not long ago. */
  #isSecond(hash: number): boolean {
    this.#seen ??= new Int32Array(CELLS);
    const cell = hash & (CELLS - 1);
    if (this.#seen[cell] === hash) return true;
    this.#seen[cell] = hash;
    return false;
  }

  // oxlint-disable-next-line max-params -- once per entry: an options object would be an allocation
  #insert(
    hash: number,
    nameStart: number,
    nameEnd: number,
    data: Buffer,
    start: number,
    end: number,
  ): void {
    const table = this.#table;
    this.changes++;
    const at = table.reserve(nameEnd - nameStart, end - start, hash);
    if (at < 0) return;
    const { bytes } = table;
    const value = copyLower(this.#names, nameStart, nameEnd, bytes, at) + 2;
    writeSeparator(bytes, value - 2);
    writeLineEnd(bytes, copy(data, start, end, bytes, value));
    this.#entries ??= new Float64Array(CELLS);
    this.#entries[hash & (CELLS - 1)] = table.next;
    this.#note(table.next - 1);
  }

  #integer(first: number, mask: number, value: number): void {
    const out = this.#out;
    if (value < mask) {
      out[this.#at++] = first | value;
      return;
    }
    out[this.#at++] = first | mask;
    let rest = value - mask;
    while (rest >= 0x80) {
      out[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    out[this.#at++] = rest;
  }
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

// oxlint-disable-next-line max-params -- those of Buffer.copy
function copyLower(data: Buffer, start: number, end: number, out: Buffer, at: number): number {
  let to = at;
  for (let i = start; i < end; i++) out[to++] = lower(data[i] as number);
  return to;
}

/** Bytes of a value that its hash looks at, at its beginning and at its end. */
const HASHED_FIRST = 4;
const HASHED_LAST = 8;

/** Of some bytes of name and value, in small letters as to the name; never 0. */
// oxlint-disable-next-line max-params -- once per field: an options object would be an allocation
function hashOf(
  name: number,
  names: Buffer,
  nameStart: number,
  nameEnd: number,
  data: Buffer,
  start: number,
  end: number,
): number {
  let hash = name;
  if (name === NAME_OTHER) {
    hash = nameEnd - nameStart;
    hash = Math.imul(hash, 31) + ((names[nameStart] as number) | 0x20);
    hash = Math.imul(hash, 31) + ((names[(nameStart + nameEnd) >> 1] as number) | 0x20);
    hash = Math.imul(hash, 31) + ((names[nameEnd - 1] as number) | 0x20);
  }
  hash = Math.imul(hash, 31) + end - start;
  const firstEnd = Math.min(end, start + HASHED_FIRST);
  let i = start;
  for (; i < firstEnd; i++) hash = Math.imul(hash, 31) + (data[i] as number);
  for (i = Math.max(i, end - HASHED_LAST); i < end; i++)
    hash = Math.imul(hash, 31) + (data[i] as number);
  hash ^= hash >>> 15;
  return hash === 0 ? 1 : hash;
}
