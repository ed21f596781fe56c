/** UDP datagrams as no socket API makes them: through a raw socket, which takes root (CAP_NET_RAW). */

import type * as Ffi from 'node:ffi';

const AF_INET = 2;
const SOCK_RAW = 3;
const IPPROTO_UDP = 17;
const UDP_HEADER_BYTES = 8;

export interface RawUdp {
  /** Sends one datagram to 127.0.0.1, or another address, from any port, 0 included. */
  send(payload: Uint8Array, fromPort: number, toPort: number, to?: string): void;
  close(): void;
}

/** A raw socket that sends from an address of ours, or why there is none here, as a sentence. */
export function openRawUdp(from = '127.0.0.1'): RawUdp | string {
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
  const descriptor = functions.socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
  if (descriptor < 0) return 'a raw socket needs root (CAP_NET_RAW)';
  const own = addressOf(from);
  functions.bind(descriptor, own, own.length);
  return {
    send(payload, fromPort, toPort, to = '127.0.0.1') {
      const target = addressOf(to);
      const datagram = Buffer.alloc(UDP_HEADER_BYTES + payload.length);
      datagram.writeUInt16BE(fromPort, 0);
      datagram.writeUInt16BE(toPort, 2);
      datagram.writeUInt16BE(datagram.length, 4);
      // A checksum of 0 is none (RFC 768).
      datagram.set(payload, UDP_HEADER_BYTES);
      functions.sendto(descriptor, datagram, BigInt(datagram.length), 0, target, target.length);
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
