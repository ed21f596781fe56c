/** Asks a DNS server on 127.0.0.1 over UDP or TCP, as dig does, with nothing but the protocol library. */

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import {
  decode,
  type DecodedPacket,
  encode,
  type Packet,
  type RecordType,
  streamEncode,
} from 'dns-packet';

const TIMEOUT_MS = 5_000;

export interface DnsQuestion {
  readonly port: number;
  readonly name: string;
  readonly type?: RecordType;
  readonly isTcp?: boolean;
}

/** Rejects when no answer comes within five seconds. */
export async function queryDns(question: DnsQuestion): Promise<DecodedPacket> {
  const { port, name, type = 'A', isTcp = false } = question;
  const query: Packet = { type: 'query', id: 7, questions: [{ name, type }] };
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  if (!isTcp) {
    const socket = createSocket('udp4');
    try {
      socket.send(encode(query), port, '127.0.0.1');
      const [datagram] = (await once(socket, 'message', { signal })) as [Buffer];
      return decode(datagram);
    } finally {
      socket.close();
    }
  }
  const socket = connect(port, '127.0.0.1');
  try {
    socket.write(streamEncode(query));
    let bytes: Buffer = Buffer.alloc(0);
    while (bytes.length < 2 || bytes.length < bytes.readUInt16BE(0) + 2) {
      // oxlint-disable-next-line no-await-in-loop -- the parts of one message
      const [chunk] = (await once(socket, 'data', { signal })) as [Buffer];
      bytes = Buffer.concat([bytes, chunk]);
    }
    return decode(bytes.subarray(2));
  } finally {
    socket.destroy();
  }
}

/** What dig prints with +short: the data of each answer, in the order in which they came. */
export async function answersOf(question: DnsQuestion): Promise<unknown[]> {
  const { answers = [] } = await queryDns(question);
  return answers.map((answer) => ('data' in answer ? answer.data : null));
}

/** NOERROR, NXDOMAIN, REFUSED …: dns-packet keeps it beside the type, untyped. */
export function codeOf(packet: DecodedPacket): unknown {
  return Reflect.get(packet, 'rcode');
}
