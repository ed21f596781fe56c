/** Reads one DNS query from the wire, or says with which code it is refused. Never throws, whatever the bytes. */

import { decode, type DecodedPacket } from 'dns-packet';

/** RFC 1035 §4.1.1, RFC 2136, RFC 6891 §9. BADVERS does not fit the header: its upper bits travel in the OPT record. */
export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;

export type Rcode = (typeof RCODE)[keyof typeof RCODE];

/** Record types (and query types) that the zone tells apart, by number (IANA DNS parameters). */
export const TYPE = {
  A: 1,
  NS: 2,
  SOA: 6,
  PTR: 12,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;

export const CLASS_IN = 1;

export interface Question {
  /** Labels as sent, case included, one character per byte; a dot inside a label stays inside it. */
  readonly labels: readonly string[];
  /** Type and class by number, so that unknown ones are no error. */
  readonly type: number;
  readonly class: number;
  /** The whole question as it arrived, to be echoed byte for byte (0x20 encoding of resolvers relies on it). */
  readonly wire: Buffer;
}

export interface Edns {
  readonly version: number;
  /** Largest UDP response the caller takes, as it says. */
  readonly payloadBytes: number;
  /** DNSSEC OK, to be copied into the response (RFC 3225 §3). */
  readonly dnssecOk: boolean;
}

export type QueryResult =
  /** No answer at all: not a query, or too short to hold an id. */
  | { readonly kind: 'drop' }
  /** An answer without a question: `flags` has what must be copied from the query. */
  | {
      readonly kind: 'error';
      readonly id: number;
      readonly flags: number;
      readonly rcode: typeof RCODE.FORMERR | typeof RCODE.NOTIMP;
    }
  | {
      readonly kind: 'query';
      readonly id: number;
      readonly flags: number;
      readonly question: Question;
      readonly edns: Edns | null;
    };

const HEADER_BYTES = 12;
const FLAG_QR = 0x8000;
/** Opcode, recursion desired and checking disabled are copied into the response. */
const COPIED_FLAGS = 0x7800 | 0x0100 | 0x0010;
/** Room for OPT, TSIG and SIG(0); the decoder allocates what the header counts, so counts are checked first. */
const ADDITIONALS_MAX = 4;
const NAME_BYTES_MAX = 255;

/** Reads one message. Bytes after its end are ignored. */
export function readQuery(bytes: Buffer): QueryResult {
  if (bytes.length < HEADER_BYTES) return { kind: 'drop' };
  const id = bytes.readUInt16BE(0);
  const header = bytes.readUInt16BE(2);
  if ((header & FLAG_QR) !== 0) return { kind: 'drop' };
  const flags = header & COPIED_FLAGS;
  if ((header & 0x7800) !== 0) return { kind: 'error', id, flags, rcode: RCODE.NOTIMP };
  const question = hasPlausibleCounts(bytes) ? readQuestion(bytes) : null;
  const edns = question === null ? undefined : readEdns(bytes);
  if (question === null || edns === undefined) {
    return { kind: 'error', id, flags, rcode: RCODE.FORMERR };
  }
  return { kind: 'query', id, flags, question, edns };
}

/** One question (RFC 9619), no answers, one authority record at most (IXFR has one). */
function hasPlausibleCounts(bytes: Buffer): boolean {
  return (
    bytes.readUInt16BE(4) === 1 &&
    bytes.readUInt16BE(6) === 0 &&
    bytes.readUInt16BE(8) <= 1 &&
    bytes.readUInt16BE(10) <= ADDITIONALS_MAX
  );
}

/** The question as bytes and labels; compression makes no sense in the first name of a message and is refused. */
function readQuestion(bytes: Buffer): Question | null {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (;;) {
    const length = bytes[at];
    if (length === undefined || length > 63) return null;
    at += 1;
    if (length === 0) break;
    labels.push(bytes.toString('latin1', at, at + length));
    at += length;
    if (at - HEADER_BYTES >= NAME_BYTES_MAX) return null;
  }
  if (at + 4 > bytes.length) return null;
  const type = bytes.readUInt16BE(at);
  if (type === TYPE.OPT) return null;
  return {
    labels,
    type,
    class: bytes.readUInt16BE(at + 2),
    wire: bytes.subarray(HEADER_BYTES, at + 4),
  };
}

/** The OPT record if there is one (RFC 6891 §6.1.1); undefined when the message does not decode or the record is wrong. */
function readEdns(bytes: Buffer): Edns | null | undefined {
  const records = decodeOrNull(bytes)?.additionals;
  if (records === undefined) return undefined;
  const options = records.filter((record) => record.type === 'OPT');
  const option = options[0];
  if (option === undefined) return null;
  if (options.length > 1 || option.name !== '.') return undefined;
  return {
    version: option.ednsVersion,
    payloadBytes: option.udpPayloadSize,
    dnssecOk: (option.flags & 0x8000) !== 0,
  };
}

function decodeOrNull(bytes: Buffer): DecodedPacket | null {
  try {
    return decode(bytes);
  } catch {
    // The decoder throws plain errors for every malformed record: the caller of readQuery answers FORMERR.
    return null;
  }
}
