/**
 * What a block of fields was decoded to. Each field is a line, `name: value` and a line end, as HTTP/1.1 would have it, so that
 * what passes from HTTP/2 to HTTP/1.1 is copied in long runs. A field that must never be in a table of anybody (RFC 7541 §6.2.3) has a
 * tab for the space.
 * The lines of pseudo-header fields come first, and are not in `fields`. One list serves a whole thread.
 */

import { CR, COLON } from '../../head/characters.ts';
import { isGrpcType } from '../../head/grpc-field.ts';
import { FIELD_STRIDE } from '../../head/head.ts';
import type { Rule } from '../../head/rule.ts';
import { NO_STAMP } from '../../head/stamp.ts';
import { ENTRY_OVERHEAD_BYTES, TABLE_BYTES_MAX } from './hpack-table.ts';
import { viewOf } from './words.ts';
import { nameOf, NAME_PATH, NAME_PSEUDO_LAST, NAME_PSEUDO_OTHER, numberOf } from './name.ts';

/** In `words`: the NAME_* of a field, and these. */
export const WORD_NAME = 0xff;
/** The value has a byte that no value may have. */
export const WORD_VALUE_BAD = 0x100;
/** It begins or ends with white space. */
export const WORD_VALUE_SPACE = 0x200;

/** Beyond so many times the limit, a list is an attack. */
const OVERFLOW_FACTOR = 4;
const NAME_COOKIE = numberOf('cookie');
const NAME_CONTENT_TYPE = numberOf('content-type');

export interface ListLimits {
  /** As RFC 9113 §6.5.2 counts: name, value and 32 for each field. */
  readonly bytesMax: number;
  /** Cookies count as one. */
  readonly fieldsMax: number;
}

export class FieldList {
  /** Where the lines stand. Has room for one line more than the limit allows, up to the size of the largest entry of a table. */
  data: Buffer;
  /** Our own `data`, for `copyWords`. */
  readonly view: DataView;
  /** Behind the last line. */
  end = 0;
  /** FIELD_STRIDE numbers per field, as in a head; the kinds are up to its reader. */
  fields: Int32Array;
  /** By field: what it is. */
  words: Uint16Array;
  count = 0;
  /** By field: the stamp of the entry of a table that it came by, or NO_STAMP. */
  stamps: Float64Array;
  /** As the RFC counts it, of all fields that came. */
  size = 0;
  /** Why the list is refused: it has more than the limits allow, and is not kept. */
  tooLarge: Rule | '' = '';
  /** It has grown too large with its path. */
  isPathTooLong = false;
  /** Of a list that is too large: a field behind the last one that is kept says that it is a call of gRPC. */
  isGrpc = false;
  /** What is wrong with the pseudo-header fields. */
  broken: Rule | '' = '';
  /** By NAME_* of a pseudo-header field: where its value begins and ends; the first is -1 without one. */
  readonly pseudo = new Int32Array(2 * (NAME_PSEUDO_LAST + 1)).fill(-1);
  /** Their stamps. */
  readonly pseudoStamps = new Float64Array(NAME_PSEUDO_LAST + 1);
  /** Of the last authority that was found to be one. */
  goodAuthority = NO_STAMP;
  /** Nobody has changed lines or fields, but for the kinds. */
  isAsDecoded = false;
  /** Other than 0 the block has come at least twice, and this stands for it. */
  serial = 0;
  #cookies = 0;
  readonly #own: Buffer;
  readonly #bytesMax: number;
  readonly #fieldsMax: number;

  constructor({ bytesMax, fieldsMax }: ListLimits) {
    this.#bytesMax = bytesMax;
    this.#fieldsMax = fieldsMax;
    // Cookies are joined behind the last line, before they move to where they belong.
    this.#own = Buffer.allocUnsafeSlow(2 * bytesMax + 2 * TABLE_BYTES_MAX);
    this.view = viewOf(this.#own);
    this.data = this.#own;
    this.fields = new Int32Array(64 * FIELD_STRIDE);
    this.words = new Uint16Array(64);
    this.stamps = new Float64Array(64);
  }

  /** There came so much that nobody means it as a list. */
  get isFlood(): boolean {
    return this.size > OVERFLOW_FACTOR * this.#bytesMax;
  }

  reset(): void {
    this.data = this.#own;
    this.isAsDecoded = false;
    this.serial = 0;
    this.end = 0;
    this.count = 0;
    this.size = 0;
    this.tooLarge = '';
    this.isPathTooLong = false;
    this.isGrpc = false;
    this.broken = '';
    this.#cookies = 0;
    const { pseudo } = this;
    // A loop: a call into the runtime costs more.
    for (let i = 0; i < pseudo.length; i++) pseudo[i] = -1;
  }

  /** The next field, whose line begins at `end`. */
  add(word: number, nameLength: number, valueLength: number, stamp: number): void {
    this.size += nameLength + valueLength + ENTRY_OVERHEAD_BYTES;
    if (this.tooLarge !== '') return;
    const start = this.end;
    const value = start + nameLength + 2;
    if (this.size > this.#bytesMax) {
      this.#overflow(word);
      return this.pass(word, this.data, value, value + valueLength);
    }
    this.end = value + valueLength + 2;
    const name = word & WORD_NAME;
    if (name > 0 && name <= NAME_PSEUDO_LAST) {
      this.#addPseudo(name, value, value + valueLength, stamp);
      return;
    }
    if (name === NAME_COOKIE) this.#cookies++;
    if (this.count - this.#cookies >= this.#fieldsMax) {
      this.tooLarge = 'head_fields';
      return this.pass(word, this.data, value, value + valueLength);
    }
    const at = this.count * FIELD_STRIDE;
    if (at >= this.fields.length) this.#grow();
    this.words[this.count] = word;
    this.stamps[this.count++] = stamp;
    const { fields } = this;
    fields[at + 1] = start;
    fields[at + 2] = start + nameLength;
    fields[at + 3] = value;
    fields[at + 4] = value + valueLength;
  }

  /** Counts a field that is not kept, with so many bytes of name and value; `word` is 0 where its name is not known either. */
  skip(word: number, bytes: number): void {
    this.size += bytes + ENTRY_OVERHEAD_BYTES;
    this.#overflow(word);
  }

  /** A field of a list that is too large, whose value stands in `data[start, end)`. Some callers say last that they speak gRPC. */
  // oxlint-disable-next-line max-params -- for each field, without an object
  pass(word: number, data: Buffer, start: number, end: number): void {
    if ((word & WORD_NAME) === NAME_CONTENT_TYPE) this.isGrpc = isGrpcType(data, start, end);
  }

  #overflow(word: number): void {
    if (this.tooLarge !== '') return;
    this.tooLarge = 'head_bytes';
    this.isPathTooLong = (word & WORD_NAME) === NAME_PATH;
  }

  /** Reads the lines of a list that was kept, `buf[start, end)`, once more. Then `data` is `buf`. */
  again(buf: Buffer, start: number, end: number): void {
    this.reset();
    this.data = buf;
    this.end = start;
    while (this.end < end) {
      const line = this.end;
      let i = line + 1;
      while (i < end && buf[i] !== COLON) i++;
      const nameLength = i - line;
      i += 2;
      while (i < end && buf[i] !== CR) i++;
      this.add(nameOf(buf, line, nameLength), nameLength, i - line - nameLength - 2, NO_STAMP);
      if (this.tooLarge !== '') return;
    }
  }

  #addPseudo(name: number, start: number, end: number, stamp: number): void {
    if (name === NAME_PSEUDO_OTHER) this.broken ||= 'pseudo_unknown';
    else if ((this.pseudo[2 * name] as number) >= 0) this.broken ||= 'pseudo_repeated';
    else if (this.count > 0) this.broken ||= 'pseudo_late';
    this.pseudo[2 * name] = start;
    this.pseudo[2 * name + 1] = end;
    this.pseudoStamps[name] = stamp;
  }

  #grow(): void {
    const larger = new Int32Array(this.fields.length * 2);
    larger.set(this.fields);
    this.fields = larger;
    const words = new Uint16Array(this.words.length * 2);
    words.set(this.words);
    this.words = words;
    const stamps = new Float64Array(this.stamps.length * 2);
    stamps.set(this.stamps);
    this.stamps = stamps;
  }
}
