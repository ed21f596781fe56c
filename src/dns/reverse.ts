/** Reverse names (in-addr.arpa) of the addresses that Services get. IPv4 only, as the service CIDR is. */

import ipaddr from 'ipaddr.js';

import { MeshError } from '../base/error.ts';

/** A CIDR as two numbers: `address & mask` is the same for all its addresses. */
export interface ReverseZone {
  readonly network: number;
  readonly prefix: number;
}

export type ReverseName =
  /** Not a reverse name, or one of somebody else's addresses. */
  | { readonly kind: 'outside' }
  /** In the zone but no address: too deep or not a number. */
  | { readonly kind: 'none'; readonly apex: string }
  /** Above addresses: it exists, without records but for the apex. */
  | { readonly kind: 'above'; readonly apex: string; readonly isApex: boolean }
  | { readonly kind: 'address'; readonly apex: string; readonly address: string };

/**
 * The zone for an IPv4 CIDR such as `127.77.0.0/16`.
 * @throws MeshError `invalid_setting` when it is not one.
 */
export function reverseZone(cidr: string): ReverseZone {
  const prefix = ipaddr.IPv4.isValidCIDRFourPartDecimal(cidr) ? ipaddr.parseCIDR(cidr)[1] : -1;
  if (prefix < 0) {
    throw new MeshError(
      'invalid_setting',
      `Cannot serve reverse names of "${cidr}": not an IPv4 CIDR, write for example "127.77.0.0/16"`,
    );
  }
  const bytes = ipaddr.IPv4.networkAddressFromCIDR(cidr).octets;
  return { network: numberOf(bytes), prefix };
}

/**
 * Classifies lower-case labels. Reverse zones end at octets (RFC 1035 §3.5), so a CIDR that does not is served as several
 * zones, each with its apex at the next octet: 127.77.0.0/20 has the sixteen zones 0.77.127 to 15.77.127.
 */
export function readReverse(labels: readonly string[], zone: ReverseZone): ReverseName {
  const count = labels.length - 2;
  if (count < 0 || labels[count] !== 'in-addr' || labels[count + 1] !== 'arpa') return OUTSIDE;
  const apexOctets = Math.ceil(zone.prefix / 8);
  if (count < apexOctets) return OUTSIDE;
  const octets = octetsOf(labels.slice(0, count));
  if (octets.length < apexOctets || !covers(zone, octets)) return OUTSIDE;
  const apex = [...octets.slice(0, apexOctets).toReversed(), 'in-addr', 'arpa'].join('.');
  if (octets.length < count) return { kind: 'none', apex };
  if (count < 4) return { kind: 'above', apex, isApex: count === apexOctets };
  return { kind: 'address', apex, address: octets.join('.') };
}

const OUTSIDE: ReverseName = { kind: 'outside' };

/** Up to four octets from the right, as far as they are numbers. */
function octetsOf(labels: readonly string[]): readonly number[] {
  const octets: number[] = [];
  for (let i = labels.length - 1; i >= 0 && octets.length < 4; i--) {
    const octet = octetOf(labels[i] ?? '');
    if (octet < 0) break;
    octets.push(octet);
  }
  return octets;
}

function covers(zone: ReverseZone, octets: readonly number[]): boolean {
  const mask = zone.prefix === 0 ? 0 : -1 << (32 - zone.prefix);
  return ((numberOf(octets) ^ zone.network) & mask) === 0;
}

function numberOf(octets: readonly number[]): number {
  let value = 0;
  for (let i = 0; i < 4; i++) value = (value << 8) | (octets[i] ?? 0);
  return value;
}

/** 0 to 255 written without leading zeros, else -1. */
function octetOf(label: string): number {
  if (!/^(?:0|[1-9]\d{0,2})$/.test(label)) return -1;
  const value = Number(label);
  return value <= 255 ? value : -1;
}
