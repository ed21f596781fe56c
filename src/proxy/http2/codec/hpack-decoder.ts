/**
 * Decodes blocks of fields: RFC 7541. What breaks its rules is an error of the connection, because the tables of both ends would
 * differ from there on. A list that is too large is decoded to its end for the same reason, but only counted.
 */

import { COMPRESSION_ERROR, ENHANCE_YOUR_CALM, NO_ERROR } from './error-code.ts';
import { type FieldList, WORD_NAME, WORD_VALUE_BAD, WORD_VALUE_SPACE } from './field-list.ts';
import { copy } from '../../net/copy-whole.ts';
import { isBlank, VALUE } from '../../head/grammar.ts';
import { NO_STAMP } from '../../head/stamp.ts';
import { CR, COLON, LF, SPACE, TAB } from '../../head/characters.ts';
import { HpackTable, LINE_OVERHEAD_BYTES, TABLE_BYTES_MAX } from './hpack-table.ts';
import { decodeHuffman, HUFFMAN_BAD, HUFFMAN_NO_ROOM } from './huffman.ts';
import { nameOf } from './name.ts';
import { copyWords, WORDS_BYTES } from './words.ts';
import {
  STATIC_AT,
  STATIC_BYTES,
  STATIC_COUNT,
  STATIC_NAME,
  STATIC_NAME_LENGTH,
  STATIC_VALUE_LENGTH,
  STATIC_VIEW,
} from './static-table.ts';

const INDEXED = 0x80;
const INDEXING = 0x40;
const SIZE_UPDATE = 0x20;
const NEVER_INDEXED = 0x10;
const HUFFMAN = 0x80;

/** One change of the size while no block was sent, and one back: RFC 7541 §4.2. */
const SIZE_UPDATES_MAX = 2;
/** Bytes of an integer behind its first one: enough for 32 bits. What has a few more is larger than all that it may be. */
const INTEGER_BYTES_MAX = 5;

const BAD = -1;

export class HpackDecoder {
  readonly table: HpackTable;
  /** Of the table, and of what it must be: as long as they are as many, the same block is decoded to the same list. */
  changes = 0;
  /** What we allow the peer: its size updates go up to it. */
  #limit: number;
  /** The next block must begin with a size update, because we allow less than before: RFC 7541 §4.2. */
  #mustShrink = false;
  /** Behind what was read last. */
  #pos = 0;
  /** Of the string that was read last; of one that is too long, at least of what it has on the wire. */
  #length = 0;
  #isTooLong = false;
  /** What an entry was found to be: its NAME_* and flags, where its line begins, and the lengths of name and value. */
  #word = 0;
  #bytes: Buffer = STATIC_BYTES;
  #view: DataView = STATIC_VIEW;
  #at = 0;
  #nameLength = 0;
  #valueLength = 0;
  /** A stamp for name and value. */
  #stamp = NO_STAMP;

  /** @param tableBytesMax our SETTINGS_HEADER_TABLE_SIZE, up to TABLE_BYTES_MAX */
  constructor(tableBytesMax = TABLE_BYTES_MAX) {
    this.#limit = tableBytesMax;
    this.table = new HpackTable(tableBytesMax, true);
  }

  /** The peer acknowledged another SETTINGS_HEADER_TABLE_SIZE, up to TABLE_BYTES_MAX. */
  setLimit(bytes: number): void {
    this.#limit = bytes;
    this.changes++;
    if (bytes < this.table.maxBytes) this.#mustShrink = true;
  }

  /**
   * Decodes `block[start, end)`, the whole of a header block, into `list`.
   * @returns NO_ERROR, or the code of an error of the connection
   */
  decode(block: Buffer, start: number, end: number, list: FieldList): number {
    list.reset();
    let i = this.#readSizeUpdates(block, start, end);
    while (i < end) {
      if (i < 0) return COMPRESSION_ERROR;
      if (list.isFlood) return ENHANCE_YOUR_CALM;
      const first = block[i] as number;
      if (first >= INDEXED) i = this.#readIndexed(block, i, end, list);
      // A size update stands before the first field: RFC 7541 §4.2.
      else if (first >= SIZE_UPDATE && first < INDEXING) return COMPRESSION_ERROR;
      else i = this.#readLiteral(block, i, end, list);
    }
    return i < 0 ? COMPRESSION_ERROR : NO_ERROR;
  }

  #readSizeUpdates(block: Buffer, start: number, end: number): number {
    let i = start;
    for (let updates = 0; i < end && ((block[i] as number) & 0xe0) === SIZE_UPDATE; updates++) {
      const bytes = this.#readInteger(block, i, end, 0x1f);
      if (bytes < 0 || bytes > this.#limit || updates === SIZE_UPDATES_MAX) return BAD;
      this.table.setMax(bytes);
      this.changes++;
      this.#mustShrink = false;
      i = this.#pos;
    }
    return this.#mustShrink ? BAD : i;
  }

  #readIndexed(block: Buffer, start: number, end: number, list: FieldList): number {
    let index = (block[start] as number) & 0x7f;
    let i = start + 1;
    if (index === 0x7f) {
      index = this.#readInteger(block, start, end, 0x7f);
      i = this.#pos;
    }
    if (!this.#find(index)) return BAD;
    const nameLength = this.#nameLength;
    const valueLength = this.#valueLength;
    // What is not kept is not copied either: a byte may stand for thousands.
    if (list.tooLarge === '') {
      const length = nameLength + valueLength + LINE_OVERHEAD_BYTES;
      const from = this.#at;
      if (length > WORDS_BYTES) this.#bytes.copy(list.data, list.end, from, from + length);
      else copyWords(this.#view, from, from + length, list.view, list.end);
    } else {
      const value = this.#at + nameLength + 2;
      list.pass(this.#word, this.#bytes, value, value + valueLength);
    }
    list.add(this.#word, nameLength, valueLength, this.#stamp);
    return i;
  }

  // oxlint-disable-next-line complexity -- every field that is not in a table passes here
  #readLiteral(block: Buffer, start: number, end: number, list: FieldList): number {
    const first = block[start] as number;
    const isIndexing = first >= INDEXING;
    const mask = isIndexing ? 0x3f : 0x0f;
    const { data, end: line } = list;
    const limit = data.length - LINE_OVERHEAD_BYTES;
    let index = first & mask;
    let i = start + 1;
    if (index === mask) {
      index = this.#readInteger(block, start, end, mask);
      i = this.#pos;
    }
    let word = 0;
    let nameLength = 0;
    let skipped = 0;
    if (index === 0) {
      if (!this.#readString(block, i, end, data, line, limit)) return BAD;
      i = this.#pos;
      nameLength = this.#length;
      if (this.#isTooLong) skipped = nameLength;
      else word = nameOf(data, line, nameLength);
    } else {
      if (!this.#find(index)) return BAD;
      nameLength = this.#nameLength;
      word = this.#word & WORD_NAME;
      copy(this.#bytes, this.#at, this.#at + nameLength, data, line);
    }
    const value = line + nameLength + 2;
    const from = skipped > 0 ? line : value;
    if (!this.#readString(block, i, end, data, from, limit)) return BAD;
    const valueLength = this.#length;
    if (skipped > 0 || this.#isTooLong) {
      // It is larger than the table, because there is room for all that is not.
      list.skip(word, nameLength + valueLength);
      if (isIndexing) this.#clear();
      return this.#pos;
    }
    word |= judge(data, value, value + valueLength);
    data[value - 2] = COLON;
    data[value - 1] = SPACE;
    data[value + valueLength] = CR;
    data[value + valueLength + 1] = LF;
    let stamp = NO_STAMP;
    if (isIndexing) stamp = this.#insert(data, line, nameLength, valueLength, word);
    else if ((first & NEVER_INDEXED) !== 0) data[value - 1] = TAB;
    if (list.tooLarge !== '') list.pass(word, data, value, value + valueLength);
    list.add(word, nameLength, valueLength, stamp);
    return this.#pos;
  }

  // oxlint-disable-next-line max-params -- those of the table
  #insert(
    data: Buffer,
    line: number,
    nameLength: number,
    valueLength: number,
    word: number,
  ): number {
    this.changes++;
    return this.table.insert(data, line, nameLength, valueLength, word);
  }

  #clear(): void {
    this.changes++;
    this.table.clear();
  }

  /** Finds the entry of an index. False when there is none. */
  #find(index: number): boolean {
    if (index <= STATIC_COUNT) {
      if (index <= 0) return false;
      this.#bytes = STATIC_BYTES;
      this.#view = STATIC_VIEW;
      this.#at = STATIC_AT[index] as number;
      this.#nameLength = STATIC_NAME_LENGTH[index] as number;
      this.#valueLength = STATIC_VALUE_LENGTH[index] as number;
      this.#word = STATIC_NAME[index] as number;
      this.#stamp = index;
      return true;
    }
    const { table } = this;
    const entry = table.next - (index - STATIC_COUNT);
    if (entry < table.first) return false;
    const slot = table.slotOf(entry);
    const { entries } = table;
    this.#bytes = table.bytes;
    this.#view = table.view;
    this.#at = entries[slot] as number;
    this.#nameLength = entries[slot + 1] as number;
    this.#valueLength = entries[slot + 2] as number;
    this.#word = entries[slot + 3] as number;
    this.#stamp = table.stampOf(entry);
    return true;
  }

  /** Reads the integer whose first byte is at `start`: RFC 7541 §5.1. BAD when it does not end. */
  #readInteger(block: Buffer, start: number, end: number, mask: number): number {
    let i = start;
    let value = (block[i++] as number) & mask;
    if (value === mask) {
      let factor = 1;
      let byte = 0;
      do {
        if (i >= end || i - start > INTEGER_BYTES_MAX) return BAD;
        byte = block[i++] as number;
        value += (byte & 0x7f) * factor;
        factor *= 128;
      } while (byte >= 0x80);
    }
    this.#pos = i;
    return value;
  }

  /**
   * Reads the string at `start` to `out`, from `at` up to `limit`: RFC 7541 §5.2. False when it is none. One for which there is no
   * room is skipped.
   */
  // oxlint-disable-next-line max-params -- once per string: an options object would be an allocation
  #readString(
    block: Buffer,
    start: number,
    end: number,
    out: Buffer,
    at: number,
    limit: number,
  ): boolean {
    if (start >= end) return false;
    const first = block[start] as number;
    let length = first & 0x7f;
    let from = start + 1;
    if (length === 0x7f) {
      length = this.#readInteger(block, start, end, 0x7f);
      if (length < 0) return false;
      from = this.#pos;
    }
    const to = from + length;
    if (to > end) return false;
    this.#pos = to;
    this.#isTooLong = false;
    if (first >= HUFFMAN) {
      const written = decodeHuffman(block, from, to, out, at, limit);
      if (written === HUFFMAN_BAD) return false;
      this.#isTooLong = written === HUFFMAN_NO_ROOM;
      this.#length = this.#isTooLong ? length : written - at;
      return true;
    }
    this.#length = length;
    this.#isTooLong = at + length > limit;
    if (!this.#isTooLong) copy(block, from, to, out, at);
    return true;
  }
}

/** What is wrong with a value: RFC 9113 §8.2.1. All control characters are, as in HTTP/1.1. */
function judge(data: Buffer, start: number, end: number): number {
  if (start === end) return 0;
  let word = 0;
  if (isBlank(data[start] as number) || isBlank(data[end - 1] as number)) word = WORD_VALUE_SPACE;
  for (let i = start; i < end; i++)
    if (VALUE[data[i] as number] !== 1) return word | WORD_VALUE_BAD;
  return word;
}
