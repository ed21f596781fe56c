/**
 * Blocks of fields that were decoded in the present read, so that one that comes again is not decoded again: of the same bytes on
 * the same table the same list comes. Responses often have equal heads, and those of gRPC equal trailers between them.
 */

import { NO_ERROR } from './error-code.ts';
import { FieldList, type ListLimits } from './field-list.ts';
import type { HpackDecoder } from './hpack-decoder.ts';

/** So many were given; no number stands for two blocks. */
let serials = 0;

/** One block, and the list that was made of it. */
class DecodedBlock {
  readonly list: FieldList;
  #decoder: HpackDecoder | null = null;
  /** Of the decoder: what its table was. */
  #changes = 0;
  #data: Buffer = NOTHING;
  #start = 0;
  #length = 0;

  constructor(limits: ListLimits) {
    this.list = new FieldList(limits);
  }

  forget(): void {
    this.#decoder = null;
    this.#data = NOTHING;
  }

  /** Whether it stands in `data[start, end)` again, and nobody has changed its list. */
  comesAgain(decoder: HpackDecoder, data: Buffer, start: number, end: number): boolean {
    const length = this.#length;
    if (this.#decoder !== decoder || end - start !== length || !this.list.isAsDecoded) return false;
    if (this.#changes !== decoder.changes) return false;
    const before = this.#data;
    const from = this.#start;
    for (let i = 0; i < length; i++) if (before[from + i] !== data[start + i]) return false;
    if (this.list.serial === 0) this.list.serial = ++serials;
    return true;
  }

  decode(decoder: HpackDecoder, data: Buffer, start: number, end: number): number {
    const { list } = this;
    const { changes } = decoder;
    this.forget();
    const code = decoder.decode(data, start, end, list);
    list.isAsDecoded = true;
    if (code !== NO_ERROR) return code;
    this.#decoder = decoder;
    // One that changes the table is not the same a second time.
    this.#changes = changes;
    this.#data = data;
    this.#start = start;
    this.#length = end - start;
    return code;
  }
}

export class RecentBlocks {
  #last: DecodedBlock;
  #other: DecodedBlock;

  constructor(limits: ListLimits) {
    this.#last = new DecodedBlock(limits);
    this.#other = new DecodedBlock(limits);
  }

  /** Of the block that was decoded last. */
  get list(): FieldList {
    return this.#last.list;
  }

  /** As that of the decoder, to `list`. The bytes stay as they are until `forget`. */
  decode(decoder: HpackDecoder, data: Buffer, start: number, end: number): number {
    if (this.#last.comesAgain(decoder, data, start, end)) return NO_ERROR;
    const block = this.#other;
    this.#other = this.#last;
    this.#last = block;
    if (block.comesAgain(decoder, data, start, end)) return NO_ERROR;
    return block.decode(decoder, data, start, end);
  }

  /** Other bytes will stand where those of the blocks do. */
  forget(): void {
    this.#last.forget();
    this.#other.forget();
  }
}

const NOTHING = Buffer.alloc(0);
