/** IPv4 addresses and ranges as numbers. IPv6 ranges are refused: its loopback is one address, `::1`. */

import { isIPv4 } from 'node:net';
import { MeshError } from '../../base/error.ts';

export interface Cidr {
  /** As written: `127.77.0.0/16`. */
  readonly text: string;
  readonly first: number;
  readonly last: number;
}

const PREFIX_MIN = 8;

/** Reads `127.77.0.0/16`; prefixes from /8 to /32. Throws `invalid_setting`, with the example as the way out. */
export function parseCidr(text: string, example = '127.77.0.0/16'): Cidr {
  const [address = '', prefixText = '', ...rest] = text.split('/');
  const prefix = /^\d{1,2}$/.test(prefixText) ? Number(prefixText) : -1;
  const number = ipv4Number(address);
  if (address.includes(':')) {
    throw invalid(text, 'IPv6 has a single loopback address: give an IPv4 range');
  }
  if (number === null || rest.length > 0 || prefix < PREFIX_MIN || prefix > 32) {
    throw invalid(text, `give an IPv4 range from /${PREFIX_MIN} to /32, as in ${example}`);
  }
  const size = 2 ** (32 - prefix);
  const first = number - (number % size);
  if (first !== number) {
    throw invalid(text, `it has bits beyond /${prefix}: give ${ipv4Text(first)}/${prefix}`);
  }
  return { text, first, last: first + size - 1 };
}

function invalid(text: string, remedy: string): MeshError {
  return new MeshError('invalid_setting', `Cannot use service CIDR "${text}": ${remedy}`);
}

/** The address as an unsigned 32-bit number, or null when the text is no IPv4 address. */
export function ipv4Number(text: string): number | null {
  if (!isIPv4(text)) return null;
  let number = 0;
  for (const part of text.split('.')) number = number * 256 + Number(part);
  return number;
}

export function ipv4Text(number: number): string {
  return `${number >>> 24}.${(number >>> 16) & 255}.${(number >>> 8) & 255}.${number & 255}`;
}

export function contains(cidr: Cidr, address: number): boolean {
  return address >= cidr.first && address <= cidr.last;
}

/**
 * The addresses of a range that are given out, by number from 0: without its network and broadcast address, and without
 * any that ends in .0 or .255, which some software takes for one of those.
 */
export class Pool {
  readonly size: number;
  readonly #first: number;
  readonly #blocks: boolean;

  constructor(cidr: Cidr) {
    const count = cidr.last - cidr.first + 1;
    this.#blocks = count >= 256;
    if (this.#blocks) {
      this.#first = cidr.first;
      this.size = (count / 256) * 254;
      return;
    }
    // RFC 3021: a range of one or two addresses has neither network nor broadcast address.
    const trim = count > 2 ? 1 : 0;
    const last = cidr.last - trim;
    this.#first = cidr.first + trim + ((cidr.first + trim) % 256 === 0 ? 1 : 0);
    this.size = Math.max(0, last - (last % 256 === 255 ? 1 : 0) - this.#first + 1);
  }

  /** The address with this number, 0 to `size` - 1. */
  at(index: number): number {
    if (!this.#blocks) return this.#first + index;
    return this.#first + Math.floor(index / 254) * 256 + 1 + (index % 254);
  }

  has(address: number): boolean {
    const offset = address - this.#first;
    if (!this.#blocks) return offset >= 0 && offset < this.size;
    const ending = address % 256;
    return offset >= 0 && offset < (this.size / 254) * 256 && ending !== 0 && ending !== 255;
  }
}
