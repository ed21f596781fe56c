/**
 * Memory of the datagrams of one thread, in its region: places where those of callers come to, and one after the other where answers
 * stand until they leave. The kernel's forms of addresses and control data are known here.
 */

import { constants } from 'node:os';
import type { SocketError } from '../ends.ts';
import { MAPPED, Peer } from '../peer.ts';
import { systemError, toldBy } from './errno.ts';
import {
  DATAGRAM_CONTROL,
  DATAGRAM_DATA,
  DATAGRAM_ROOM,
  DATAGRAM_STRIDE,
  DATAGRAMS_MAX,
  IP_PKTINFO,
  IP_RECVERR,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_PKTINFO,
  IPV6_RECVERR,
  type Kernel,
} from './kernel-interface.ts';
import type { Region } from './region.ts';
import { AF_INET, AF_INET6, IPV4_BYTES, IPV6_BYTES } from './socket-address.ts';

/** Of the answers of one turn; more leave at once. */
const ANSWERS_BYTES = 262_144;
/** Control data begins with its length, level and type. */
const LEVEL = 2;
const TYPE = 3;
const CONTENT = 4;
const CONTENT_BYTES = 16;
/** `struct in_pktinfo` and `struct in6_pktinfo`. */
const PKTINFO_BYTES = 12;
const PKTINFO6_BYTES = 20;
/** In `struct sock_extended_err`, behind the number: who found the error. The address of whoever has sent it stands behind the whole. */
const ORIGIN_BYTE = 4;
const ORIGIN_ICMP = 2;
const ORIGIN_ICMP6 = 3;
const OFFENDER = 4;
const OFFENDER_BYTES = 16 + IPV4_BYTES;
const OFFENDER6_BYTES = 16 + IPV6_BYTES;

export interface ReservedSpace {
  readonly places: number;
  readonly answers: number;
}

/** Before others fill the region: it is used by few threads, and costs nothing until then. */
export function reserveSpace(region: Region): ReservedSpace {
  const places = region.reserve(DATAGRAMS_MAX * DATAGRAM_STRIDE);
  return { places, answers: region.reserve(ANSWERS_BYTES) };
}

export class DatagramSpace {
  /** Who sent the datagram of which a listener tells. */
  readonly peer = new Peer();
  /** The datagrams that came, each in memory of its own. */
  readonly data: readonly Buffer[];
  /** Where answers stand, up to `answersEnd`. */
  readonly answersAt: number;
  readonly answersEnd: number;
  readonly memory: Buffer<ArrayBuffer>;
  readonly #words: Int32Array;
  /** Scratch. */
  readonly #blamed = new Peer();
  readonly #at: number;

  /** @throws when nothing was reserved */
  constructor(kernel: Kernel, { places, answers }: ReservedSpace) {
    const { memory } = kernel;
    if (places < 0 || answers < 0) throw systemError(constants.errno.ENOMEM, 'recvmmsg');
    this.answersAt = answers;
    this.answersEnd = this.answersAt + ANSWERS_BYTES;
    this.memory = memory;
    this.#words = new Int32Array(memory.buffer, memory.byteOffset, memory.length >> 2);
    this.#at = places;
    this.data = Array.from({ length: DATAGRAMS_MAX }, (_, i) => {
      const start = places + i * DATAGRAM_STRIDE + DATAGRAM_DATA;
      return memory.subarray(start, start + DATAGRAM_ROOM);
    });
    kernel.datagrams.receiveAt(places);
  }

  /** Takes over from whom a datagram came, and our own address: unknown where that is not told with it. */
  readPeer(index: number, controlBytes: number): void {
    const [words, { peer }] = [this.#words, this];
    const at = (this.#at + index * DATAGRAM_STRIDE) >> 2;
    const first = words[at] as number;
    // The port stands in the upper half, in the other byte order.
    peer.port = ((first >>> 8) & 0xff00) | (first >>> 24);
    if ((first & 0xffff) === AF_INET6) {
      peer.address0 = words[at + 2] as number;
      peer.address1 = words[at + 3] as number;
      peer.address2 = words[at + 4] as number;
      peer.address3 = words[at + 5] as number;
      peer.scope = words[at + 6] as number;
    } else {
      peer.address0 = 0;
      peer.address1 = 0;
      peer.address2 = MAPPED;
      peer.address3 = words[at + 1] as number;
      peer.scope = 0;
    }
    this.#readLocal(at + (DATAGRAM_CONTROL >> 2), controlBytes);
  }

  #readLocal(at: number, controlBytes: number): void {
    const [words, { peer }] = [this.#words, this];
    const found = this.#find(at, controlBytes, IPV6_PKTINFO);
    if (found >= 0) {
      peer.local0 = words[found] as number;
      peer.local1 = words[found + 1] as number;
      peer.local2 = words[found + 2] as number;
      peer.local3 = words[found + 3] as number;
      if (isLinkLocal(peer.local0)) peer.scope = words[found + 4] as number;
      return;
    }
    const found4 = this.#find(at, controlBytes, IP_PKTINFO);
    peer.local0 = 0;
    peer.local1 = 0;
    peer.local2 = found4 < 0 ? 0 : MAPPED;
    // Behind the index of the interface.
    peer.local3 = found4 < 0 ? 0 : (words[found4 + 1] as number);
  }

  /**
   * Error that the network has sent for what went to `address`; null when it was found here, where the call that failed has told it.
   * The kernel asks no more of an ICMP message than that it quotes a datagram of this socket, so whoever knows both ports can send one.
   */
  errorAt(index: number, controlBytes: number, address: string): SocketError | null {
    const at = (this.#at + index * DATAGRAM_STRIDE + DATAGRAM_CONTROL) >> 2;
    let found = this.#find(at, controlBytes, IP_RECVERR);
    if (found < 0) found = this.#find(at, controlBytes, IPV6_RECVERR);
    if (found < 0) return null;
    const origin = this.memory[found * 4 + ORIGIN_BYTE] as number;
    if (origin !== ORIGIN_ICMP && origin !== ORIGIN_ICMP6) return null;
    const by = this.#isOffender(found, address) ? 'peer' : 'way';
    return toldBy(by, this.#words[found] as number);
  }

  #isOffender(content: number, address: string): boolean {
    const [words, blamed] = [this.#words, this.#blamed];
    const at = content + OFFENDER;
    const bytes = (words[content - CONTENT] as number) - CONTENT_BYTES;
    blamed.setAddress(address);
    const { address0, address1, address2, address3 } = blamed;
    const family = (words[at] as number) & 0xffff;
    if (family === AF_INET && bytes >= OFFENDER_BYTES)
      return (address0 | address1) === 0 && address2 === MAPPED && words[at + 1] === address3;
    return (
      family === AF_INET6 &&
      bytes >= OFFENDER6_BYTES &&
      words[at + 2] === address0 &&
      words[at + 3] === address1 &&
      words[at + 4] === address2 &&
      words[at + 5] === address3
    );
  }

  /** Word where the content of this type begins; -1 without one. */
  #find(at: number, controlBytes: number, type: number): number {
    const words = this.#words;
    const level = type === IP_PKTINFO || type === IP_RECVERR ? IPPROTO_IP : IPPROTO_IPV6;
    const end = at + (Math.min(controlBytes, DATAGRAM_DATA - DATAGRAM_CONTROL) >> 2);
    for (let word = at; word + CONTENT < end;) {
      const length = words[word] as number;
      if (words[word + LEVEL] === level && words[word + TYPE] === type) return word + CONTENT;
      // The next one begins at a multiple of 8.
      word += Math.max(((length + 7) >> 3) * 2, CONTENT);
    }
    return -1;
  }

  /** Writes the address of `peer` for a socket of this family, and returns how long it is. */
  putAddress(at: number, peer: Peer, family: number): number {
    const words = this.#words;
    const word = at >> 2;
    const { port } = peer;
    words[word] = family | ((port & 0xff) << 24) | ((port & 0xff00) << 8);
    if (family === AF_INET) {
      words[word + 1] = peer.address3;
      words[word + 2] = 0;
      words[word + 3] = 0;
      return IPV4_BYTES;
    }
    words[word + 1] = 0;
    words[word + 2] = peer.address0;
    words[word + 3] = peer.address1;
    words[word + 4] = peer.address2;
    words[word + 5] = peer.address3;
    words[word + 6] = peer.scope;
    return IPV6_BYTES;
  }

  /** Writes from which address of ours it is to leave, and returns how long that is; 0 when the kernel may choose. */
  putLocal(at: number, peer: Peer, family: number): number {
    if (!peer.isLocalKnown) return 0;
    const words = this.#words;
    const word = (at + DATAGRAM_CONTROL) >> 2;
    const content = word + CONTENT;
    words[word + 1] = 0;
    if (family === AF_INET) {
      words[word] = CONTENT_BYTES + PKTINFO_BYTES;
      words[word + LEVEL] = IPPROTO_IP;
      words[word + TYPE] = IP_PKTINFO;
      words[content] = 0;
      words[content + 1] = peer.local3;
      words[content + 2] = 0;
      words[content + 3] = 0;
      return CONTENT_BYTES + 16;
    }
    words[word] = CONTENT_BYTES + PKTINFO6_BYTES;
    words[word + LEVEL] = IPPROTO_IPV6;
    words[word + TYPE] = IPV6_PKTINFO;
    words[content] = peer.local0;
    words[content + 1] = peer.local1;
    words[content + 2] = peer.local2;
    words[content + 3] = peer.local3;
    // Where it can, routing chooses the interface.
    words[content + 4] = isLinkLocal(peer.local0) ? peer.scope : 0;
    words[content + 5] = 0;
    return CONTENT_BYTES + 24;
  }
}

/** Of the first word of an address: fe80::/10. */
function isLinkLocal(word: number): boolean {
  return (word & 0xc0ff) === 0x80fe;
}
