/** Headers of HAProxy's PROXY protocol, versions 1 and 2, as they are sent. */

import { addressBytes, IPV4_BYTES } from './address-bytes.ts';

export type ProxyVersion = 'v1' | 'v2';

/** The ends of the connection that a header speaks of, as its caller sees them. */
export interface Origin {
  readonly address: string;
  readonly port: number;
  /** What the caller dialled. */
  readonly toAddress: string;
  readonly toPort: number;
}

/** Who sends it is there for somebody, and does not say for whom. */
export const UNKNOWN = 'unknown';
/** What a header says of whose connection it is; null where who sends it speaks for itself. */
export type Said = Origin | typeof UNKNOWN | null;

/** Of version 2. */
export const SIGNATURE: Uint8Array = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
export const V2_START_BYTES = 16;
export const COMMAND_LOCAL = 0x20;
export const COMMAND_PROXY = 0x21;
export const TCP_OVER_IPV4 = 0x11;
export const TCP_OVER_IPV6 = 0x21;
const NO_FAMILY = 0;

/** Version 1 does not tell the proxy itself from somebody of whom nothing is said. */
const UNKNOWN_LINE = Buffer.from('PROXY UNKNOWN\r\n');

/** For nobody: the proxy asks for itself. */
export function ownHeader(version: ProxyVersion): Uint8Array {
  return version === 'v1' ? UNKNOWN_LINE : v2(COMMAND_LOCAL, NO_FAMILY, []);
}

/** For somebody of whom nothing is said. */
export function unknownHeader(version: ProxyVersion): Uint8Array {
  return version === 'v1' ? UNKNOWN_LINE : v2(COMMAND_PROXY, NO_FAMILY, []);
}

/** Addresses of two families have none in common: such an origin is not told. */
export function headerOf(version: ProxyVersion, origin: Origin): Uint8Array {
  const from = addressBytes(origin.address);
  const to = addressBytes(origin.toAddress);
  if (from === null || to === null || from.length !== to.length) return unknownHeader(version);
  const isIpv4 = from.length === IPV4_BYTES;
  const { port, toPort } = origin;
  if (version === 'v2') {
    const block = [...from, ...to, port >> 8, port & 255, toPort >> 8, toPort & 255];
    return v2(COMMAND_PROXY, isIpv4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6, block);
  }
  const { address, toAddress } = origin;
  return Buffer.from(
    `PROXY ${isIpv4 ? 'TCP4' : 'TCP6'} ${address} ${toAddress} ${port} ${toPort}\r\n`,
  );
}

function v2(command: number, family: number, block: readonly number[]): Uint8Array {
  const { length } = block;
  return Uint8Array.from([...SIGNATURE, command, family, length >> 8, length & 255, ...block]);
}
