/**
 * Who sent a datagram, and to which of our addresses: in numbers, so that nothing is made per datagram. Addresses are four words
 * of 32 bits as the kernel has them; IPv4 addresses stand as the IPv6 addresses that they are mapped into.
 */

import { ipAt, putIp } from './ip-bytes.ts';

/** Third word of an IPv4 address that was mapped into IPv6; the first two are 0. */
export const MAPPED = 0xffff0000 | 0;

export class Peer {
  /** Address of the caller. */
  address0 = 0;
  address1 = 0;
  address2 = 0;
  address3 = 0;
  port = 0;
  /** Index of an interface, for an address that is no address without it; 0 for all others. */
  scope = 0;
  /** Our address that it has sent to; all 0 when not known. */
  local0 = 0;
  local1 = 0;
  local2 = 0;
  local3 = 0;

  /** One that nobody writes to any more. */
  keep(): Peer {
    const kept = new Peer();
    kept.address0 = this.address0;
    kept.address1 = this.address1;
    kept.address2 = this.address2;
    kept.address3 = this.address3;
    kept.port = this.port;
    kept.scope = this.scope;
    kept.local0 = this.local0;
    kept.local1 = this.local1;
    kept.local2 = this.local2;
    kept.local3 = this.local3;
    return kept;
  }

  /** Same caller, same address of ours. */
  equals(other: Peer): boolean {
    return (
      this.address3 === other.address3 &&
      this.port === other.port &&
      this.local3 === other.local3 &&
      this.address0 === other.address0 &&
      this.address1 === other.address1 &&
      this.address2 === other.address2 &&
      this.scope === other.scope &&
      this.local0 === other.local0 &&
      this.local1 === other.local1 &&
      this.local2 === other.local2
    );
  }

  /** Of the caller, as text without a zone; made anew each time. */
  get address(): string {
    return textOf(this.address0, this.address1, this.address2, this.address3);
  }

  /** As text; '' when not known. */
  get localAddress(): string {
    if (!this.isLocalKnown) return '';
    return textOf(this.local0, this.local1, this.local2, this.local3);
  }

  get isLocalKnown(): boolean {
    return (this.local0 | this.local1 | this.local2 | this.local3) !== 0;
  }

  setLocalOf(other: Peer): void {
    this.local0 = other.local0;
    this.local1 = other.local1;
    this.local2 = other.local2;
    this.local3 = other.local3;
  }

  setAddress(address: string): void {
    putIp(scratch, address, 0);
    this.address0 = words[0] as number;
    this.address1 = words[1] as number;
    this.address2 = words[2] as number;
    this.address3 = words[3] as number;
  }

  setLocal(address: string): void {
    putIp(scratch, address, 0);
    this.local0 = words[0] as number;
    this.local1 = words[1] as number;
    this.local2 = words[2] as number;
    this.local3 = words[3] as number;
  }
}

const scratch = Buffer.alloc(16);
const words = new Int32Array(scratch.buffer, scratch.byteOffset, 4);

function textOf(...parts: readonly [number, number, number, number]): string {
  words.set(parts);
  return ipAt(scratch, 0);
}
