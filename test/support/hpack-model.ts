/** RFC 7541 word by word, with objects and texts: what the decoder is compared with. Strings in Huffman code are left to it. */

import { decodeHuffman } from '../../src/proxy/http2/codec/huffman.ts';
import { STATIC_ENTRIES } from '../../src/proxy/http2/codec/static-table.ts';

export interface ModelField {
  readonly name: string;
  readonly value: string;
  readonly isSensitive: boolean;
}

class Wrong extends Error {}

const STATIC: readonly ModelField[] = STATIC_ENTRIES.map((entry) => {
  const [name = '', value = ''] = entry.split(': ');
  return { name, value, isSensitive: false };
});

function sizeOf({ name, value }: ModelField): number {
  return name.length + value.length + 32;
}

export class HpackModel {
  table: ModelField[] = [];
  #max: number;
  #limit: number;
  #block: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(limit: number) {
    this.#max = limit;
    this.#limit = limit;
  }

  get tableBytes(): number {
    return this.table.reduce((sum, entry) => sum + sizeOf(entry), 0);
  }

  /** The fields, or null when the block breaks a rule. */
  decode(block: Buffer): ModelField[] | null {
    this.#block = block;
    this.#at = 0;
    const fields: ModelField[] = [];
    try {
      for (let updates = 0; this.#peek() >> 5 === 1; updates++) {
        if (updates === 2) throw new Wrong();
        const size = this.#integer(5);
        if (size > this.#limit) throw new Wrong();
        this.#max = size;
        this.#evict();
      }
      while (this.#at < block.length) fields.push(this.#field());
    } catch (error) {
      if (error instanceof Wrong) return null;
      throw error;
    }
    return fields;
  }

  #field(): ModelField {
    const first = this.#peek();
    if (first >= 128) return this.#entry(this.#integer(7));
    if (first >= 64) {
      const field = this.#literal(6, false);
      this.table.unshift(field);
      this.#evict();
      return field;
    }
    if (first >= 32) throw new Wrong();
    return this.#literal(4, first >= 16);
  }

  #literal(bits: number, isSensitive: boolean): ModelField {
    const index = this.#integer(bits);
    const name = index === 0 ? this.#string() : this.#entry(index).name;
    return { name, value: this.#string(), isSensitive };
  }

  #entry(index: number): ModelField {
    const entry = [...STATIC, ...this.table][index - 1];
    if (entry === undefined) throw new Wrong();
    return entry;
  }

  #evict(): void {
    while (this.tableBytes > this.#max) this.table.pop();
  }

  /** -1 at the end. */
  #peek(): number {
    return this.#block[this.#at] ?? -1;
  }

  #byte(): number {
    const byte = this.#block[this.#at++];
    if (byte === undefined) throw new Wrong();
    return byte;
  }

  #integer(bits: number): number {
    const mask = 2 ** bits - 1;
    let value = this.#byte() & mask;
    if (value < mask) return value;
    for (let i = 0; ; i++) {
      const byte = this.#byte();
      value += (byte % 128) * 128 ** i;
      if (byte < 128) break;
      if (i === 4) throw new Wrong();
    }
    if (value >= 2 ** 32) throw new Wrong();
    return value;
  }

  #string(): string {
    const isCoded = this.#peek() >= 128;
    const length = this.#integer(7);
    if (this.#at + length > this.#block.length) throw new Wrong();
    const bytes = this.#block.subarray(this.#at, this.#at + length);
    this.#at += length;
    if (!isCoded) return bytes.toString('latin1');
    const out = Buffer.alloc(2 * length);
    const end = decodeHuffman(bytes, 0, length, out, 0, out.length);
    if (end < 0) throw new Wrong();
    return out.toString('latin1', 0, end);
  }
}
