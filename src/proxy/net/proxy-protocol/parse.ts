/**
 * Reads a header of the PROXY protocol, version 1 or 2, off the front of a connection. Strict: what is not exactly a header is none,
 * since what follows it would be taken for something else.
 */

import { isIPv4, isIPv6 } from 'node:net';
import { addressText, IPV4_BYTES, IPV6_BYTES } from './address-bytes.ts';
import { crc32c } from './crc32c.ts';
import {
  COMMAND_LOCAL,
  COMMAND_PROXY,
  type Said,
  SIGNATURE,
  TCP_OVER_IPV4,
  TCP_OVER_IPV6,
  UNKNOWN,
  V2_START_BYTES,
} from './header.ts';

/** With all that TLVs say. The longest one of version 1 has 107. */
export const PROXY_HEADER_BYTES_MAX = 16_384;
const V1_BYTES = 107;
const V1_START = Buffer.from('PROXY ');
const V1_LINE =
  /^PROXY (?:UNKNOWN(?: [^\r\n]*)?|(TCP[46]) (\S+) (\S+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4}))$/;
const CR = 13;
const LF = 10;
const LAST_PORT = 65_535;

/** Two names of sockets on a disk. */
const UNIX_BYTES = 216;

const TLV_START_BYTES = 3;
const TLV_CRC32C = 0x03;
const CRC_BYTES = 4;

export interface ProxyHeader {
  /** What of the connection it is. */
  readonly bytes: number;
  /** UNKNOWN where it is of something else than TCP, too. */
  readonly origin: Said;
}

/** `more`: it may become one, once more of it is there; null: it is none. */
export function parseProxyHeader(data: Buffer, length: number): ProxyHeader | 'more' | null {
  if (startsLike(data, length, SIGNATURE)) return parseV2(data, length);
  return startsLike(data, length, V1_START) ? parseV1(data, length) : null;
}

function startsLike(data: Buffer, length: number, start: Uint8Array): boolean {
  const known = Math.min(length, start.length);
  for (let i = 0; i < known; i++) if (data[i] !== start[i]) return false;
  return true;
}

function parseV1(data: Buffer, length: number): ProxyHeader | 'more' | null {
  const known = Math.min(length, V1_BYTES);
  const at = data.subarray(0, known).indexOf(LF);
  if (at < 0) return length < V1_BYTES ? 'more' : null;
  if (data[at - 1] !== CR) return null;
  const said = V1_LINE.exec(data.toString('latin1', 0, at - 1));
  return said === null ? null : headerIn(said, at + 1);
}

function headerIn(
  [, family, address = '', toAddress = '', port, toPort]: readonly string[],
  bytes: number,
): ProxyHeader | null {
  if (family === undefined) return { bytes, origin: UNKNOWN };
  const isAddress = family === 'TCP4' ? isIPv4 : isPlainIpv6;
  if (!isAddress(address) || !isAddress(toAddress)) return null;
  const origin = { address, port: Number(port), toAddress, toPort: Number(toPort) };
  return origin.port > LAST_PORT || origin.toPort > LAST_PORT ? null : { bytes, origin };
}

/** One with an interface means nothing elsewhere. */
function isPlainIpv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

function parseV2(data: Buffer, length: number): ProxyHeader | 'more' | null {
  if (length < V2_START_BYTES) return isHopeless(data, length) ? null : 'more';
  const command = data[SIGNATURE.length] as number;
  const family = data[SIGNATURE.length + 1] as number;
  const bytes = V2_START_BYTES + data.readUInt16BE(V2_START_BYTES - 2);
  if (isHopeless(data, length) || bytes > PROXY_HEADER_BYTES_MAX) return null;
  const addresses = addressesOf(family);
  // What the block of a sender that speaks for itself, or of no family, says is for nobody.
  const unread = (origin: Said) => (length < bytes ? 'more' : { bytes, origin });
  if (command === COMMAND_LOCAL) return unread(null);
  if (family >> 4 === 0) return unread(UNKNOWN);
  if (addresses < 0 || bytes < V2_START_BYTES + addresses) return null;
  if (length < bytes) return 'more';
  const header = data.subarray(0, bytes);
  if (!areTlvsWhole(header, V2_START_BYTES + addresses)) return null;
  return { bytes, origin: originIn(header, family) };
}

/** What is there of the version and the command is not known. */
function isHopeless(data: Buffer, length: number): boolean {
  if (length <= SIGNATURE.length) return false;
  const command = data[SIGNATURE.length];
  return command !== COMMAND_LOCAL && command !== COMMAND_PROXY;
}

/** Bytes of the addresses of a family and a transport, in their two halves; -1 for what there is not. */
function addressesOf(family: number): number {
  if ((family & 15) > 2) return -1;
  return [0, 2 * IPV4_BYTES + 4, 2 * IPV6_BYTES + 4, UNIX_BYTES][family >> 4] ?? -1;
}

function originIn(header: Buffer, family: number): Said {
  if (family !== TCP_OVER_IPV4 && family !== TCP_OVER_IPV6) return UNKNOWN;
  const size = family === TCP_OVER_IPV4 ? IPV4_BYTES : IPV6_BYTES;
  const to = V2_START_BYTES + size;
  const ports = to + size;
  return {
    address: addressText(header.subarray(V2_START_BYTES, to)),
    port: header.readUInt16BE(ports),
    toAddress: addressText(header.subarray(to, ports)),
    toPort: header.readUInt16BE(ports + 2),
  };
}

/** Each ends where the next one begins, the last one with the header; and a checksum, where there is one, is right. */
function areTlvsWhole(header: Buffer, from: number): boolean {
  let at = from;
  while (at < header.length) {
    if (at + TLV_START_BYTES > header.length) return false;
    const start = at + TLV_START_BYTES;
    const length = header.readUInt16BE(at + 1);
    if (start + length > header.length) return false;
    if (header[at] === TLV_CRC32C && !isChecked(header, start, length)) return false;
    at = start + length;
  }
  return true;
}

/** The sum is that of the header with zeros in its place. */
function isChecked(header: Buffer, at: number, length: number): boolean {
  if (length !== CRC_BYTES) return false;
  const copy = Buffer.from(header);
  copy.fill(0, at, at + CRC_BYTES);
  return crc32c(copy) === header.readUInt32BE(at);
}
