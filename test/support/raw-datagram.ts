/** UDP datagrams as no socket API makes them: through a raw socket, which takes root (CAP_NET_RAW). */

import type * as Ffi from 'node:ffi';
import type { Dialled } from './wire.ts';

const AF_INET = 2;
const SOCK_RAW = 3;
const IPPROTO_ICMP = 1;
const IPPROTO_UDP = 17;
const ICMP_HEADER_BYTES = 8;
const IPV4_HEADER_BYTES = 20;
const UNREACHABLE = 3;
const UDP_HEADER_BYTES = 8;

export interface RawUdp {
  /** Sends one datagram to 127.0.0.1, or another address, from any port, 0 included. */
  send(payload: Uint8Array, fromPort: number, toPort: number, to?: string): void;
  readonly close: () => void;
}

/** A raw socket that sends from an address of ours, or why there is none here, as a sentence. */
export function openRawUdp(from = '127.0.0.1'): RawUdp | string {
  const raw = openRaw(from, IPPROTO_UDP);
  if (typeof raw === 'string') return raw;
  return {
    send(payload, fromPort, toPort, to = '127.0.0.1') {
      raw.send(udpOf(payload, fromPort, toPort), to);
    },
    close: raw.close,
  };
}

/** Of a datagram that is said to have met an error. */
export interface Quoted {
  readonly from: Dialled;
  readonly to: Dialled;
}

export interface RawIcmp {
  /** Tells the sender of a datagram that it is unreachable; `code` 3 is that nobody listens at the port. */
  send(code: number, quoted: Quoted): void;
  readonly close: () => void;
}

/** ICMP messages from an address of ours, as `openRawUdp`. */
export function openRawIcmp(from: string): RawIcmp | string {
  const raw = openRaw(from, IPPROTO_ICMP);
  if (typeof raw === 'string') return raw;
  return {
    send(code, { from: sender, to }) {
      const ip = Buffer.alloc(IPV4_HEADER_BYTES);
      const udp = udpOf(Buffer.from('x'), sender.port, to.port).subarray(0, UDP_HEADER_BYTES);
      ip.set([0x45, 0, 0, IPV4_HEADER_BYTES + UDP_HEADER_BYTES + 1, 0, 0, 0, 0, 64, IPPROTO_UDP]);
      ip.set(sender.address.split('.').map(Number), 12);
      ip.set(to.address.split('.').map(Number), 16);
      ip.writeUInt16BE(checksum(ip), 10);
      const message = Buffer.concat([Buffer.alloc(ICMP_HEADER_BYTES), ip, udp]);
      message[0] = UNREACHABLE;
      message[1] = code;
      message.writeUInt16BE(checksum(message), 2);
      raw.send(message, sender.address);
    },
    close: raw.close,
  };
}

function udpOf(payload: Uint8Array, fromPort: number, toPort: number): Buffer {
  const datagram = Buffer.alloc(UDP_HEADER_BYTES + payload.length);
  datagram.writeUInt16BE(fromPort, 0);
  datagram.writeUInt16BE(toPort, 2);
  datagram.writeUInt16BE(datagram.length, 4);
  // A checksum of 0 is none (RFC 768).
  datagram.set(payload, UDP_HEADER_BYTES);
  return datagram;
}

/** RFC 1071; of an even number of bytes. */
function checksum(data: Buffer): number {
  let sum = 0;
  for (let at = 0; at < data.length; at += 2) sum += data.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

interface Raw {
  send(packet: Uint8Array, to: string): void;
  readonly close: () => void;
}

function openRaw(from: string, protocol: number): Raw | string {
  const ffi = process.getBuiltinModule('node:ffi') as typeof Ffi | undefined;
  if (ffi === undefined) return 'this Node cannot call the C library (node:ffi)';
  const { functions } = ffi.dlopen(null, {
    socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
    sendto: {
      arguments: ['int32', 'buffer', 'uint64', 'int32', 'buffer', 'uint32'],
      return: 'int64',
    },
    bind: { arguments: ['int32', 'buffer', 'uint32'], return: 'int32' },
    close: { arguments: ['int32'], return: 'int32' },
  });
  const descriptor = functions.socket(AF_INET, SOCK_RAW, protocol);
  if (descriptor < 0) return 'a raw socket needs root (CAP_NET_RAW)';
  const own = addressOf(from);
  functions.bind(descriptor, own, own.length);
  return {
    send(packet, to) {
      const target = addressOf(to);
      functions.sendto(descriptor, packet, BigInt(packet.length), 0, target, target.length);
    },
    close: () => void functions.close(descriptor),
  };
}

/** `sockaddr_in` of an IPv4 address; raw sockets have no port. */
function addressOf(address: string): Buffer {
  const socket = Buffer.alloc(16);
  socket.writeUInt16LE(AF_INET, 0);
  socket.set(address.split('.').map(Number), 4);
  return socket;
}
