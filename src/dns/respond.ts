/** One DNS message in, one out or none: parsing, EDNS, truncation and encoding around the zone. No sockets, no state. */

import { encode, type Answer, type Packet } from 'dns-packet';

import { RCODE, readQuery, type Edns, type QueryResult } from './query.ts';
import { answer, type Reply, type ZoneOptions, type ZoneView } from './zone.ts';

export type Transport = 'udp' | 'tcp';

export interface Response {
  readonly bytes: Buffer;
  /** Type that was asked for, by number; 0 when the question could not be read. */
  readonly type: number;
  /** Whole response code, the upper bits of EDNS included. */
  readonly rcode: number;
  readonly truncated: boolean;
  /** What went wrong inside when the code is SERVFAIL, else null. */
  readonly defect: unknown;
}

type Query = Extract<QueryResult, { kind: 'query' }>;

const FLAG_AA = 0x0400;
const FLAG_TC = 0x0200;
/** RFC 1035 §4.2.1: what every caller without EDNS takes. */
const UDP_BYTES_MIN = 512;
/** Fits the smallest IPv6 MTU without fragments (DNS flag day 2020). */
export const UDP_BYTES_MAX = 1_232;
const TCP_BYTES_MAX = 65_535;

/** Answers one message; null when there is nothing to say. Never throws. */
export function respond(
  bytes: Buffer,
  transport: Transport,
  view: ZoneView,
  options: ZoneOptions,
): Response | null {
  const query = readQuery(bytes);
  if (query.kind === 'drop') return null;
  if (query.kind === 'error') {
    return {
      bytes: headerOnly(query.id, query.flags | query.rcode),
      type: 0,
      rcode: query.rcode,
      truncated: false,
      defect: null,
    };
  }
  try {
    const reply =
      query.edns !== null && query.edns.version > 0
        ? BADVERS
        : answer(query.question, view, options);
    return fit(query, reply, transport);
  } catch (thrown) {
    const failed = headerOnly(query.id, query.flags | RCODE.SERVFAIL);
    const { type } = query.question;
    return { bytes: failed, type, rcode: RCODE.SERVFAIL, truncated: false, defect: thrown };
  }
}

/** RFC 6891 §6.1.3: the caller learns the version we have from our OPT record. */
const BADVERS: Reply = {
  rcode: RCODE.BADVERS,
  authoritative: false,
  answers: [],
  authorities: [],
  additionals: [],
};

/** Leaves out the additional records first, then everything with TC set (RFC 2181 §9). */
function fit(query: Query, reply: Reply, transport: Transport): Response {
  const limit = transport === 'tcp' ? TCP_BYTES_MAX : udpLimit(query.edns);
  let bytes = build(query, reply, 0);
  if (bytes.length > limit && reply.additionals.length > 0) {
    bytes = build(query, { ...reply, additionals: [] }, 0);
  }
  const truncated = bytes.length > limit;
  if (truncated) {
    bytes = build(query, { ...reply, answers: [], authorities: [], additionals: [] }, FLAG_TC);
  }
  return { bytes, type: query.question.type, rcode: reply.rcode, truncated, defect: null };
}

function udpLimit(edns: Edns | null): number {
  if (edns === null) return UDP_BYTES_MIN;
  return Math.min(Math.max(edns.payloadBytes, UDP_BYTES_MIN), UDP_BYTES_MAX);
}

/** The question is put in as it came: encoding it again would change names that are not text. */
function build(query: Query, reply: Reply, extraFlags: number): Buffer {
  const flags =
    query.flags | (reply.authoritative ? FLAG_AA : 0) | extraFlags | (reply.rcode & 0xf);
  const packet: Packet = {
    type: 'response',
    id: query.id,
    flags,
    answers: [...reply.answers],
    authorities: [...reply.authorities],
    additionals:
      query.edns === null
        ? [...reply.additionals]
        : [...reply.additionals, optOf(query.edns, reply.rcode)],
  };
  const records = encode(packet);
  const bytes = Buffer.concat([records.subarray(0, 12), query.question.wire, records.subarray(12)]);
  bytes.writeUInt16BE(1, 4);
  return bytes;
}

function optOf(edns: Edns, rcode: number): Answer {
  return {
    type: 'OPT',
    name: '.',
    udpPayloadSize: UDP_BYTES_MAX,
    extendedRcode: rcode >> 4,
    ednsVersion: 0,
    flags: edns.dnssecOk ? 0x8000 : 0,
    flag_do: edns.dnssecOk,
    options: [],
  };
}

function headerOnly(id: number, flags: number): Buffer {
  return encode({ type: 'response', id, flags });
}
