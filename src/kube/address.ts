/** IP addresses of endpoints and pods, in one spelling each. */

import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Fields } from './fields.ts';
import { isWildcard } from '../base/wildcard.ts';

/** The one spelling of an IP address (RFC 5952 for IPv6), or null when `text` is none. */
export function canonicalIp(text: string): string | null {
  if (isIPv4(text)) return text;
  if (!isIPv6(text) || text.includes('%')) return null;
  return ipaddr.IPv6.parse(text).toRFC5952String();
}

/** The address at `key` that somebody can be dialled at; null with a finding when it is missing or cannot be. */
export function readAddress(fields: Fields, key: string): string | null {
  const text = fields.raw(key);
  const reason = typeof text === 'string' ? unusable(text) : 'Address is missing or not a string';
  if (typeof text === 'string' && reason === null) return canonicalIp(text);
  fields.error(key, reason ?? '', 'write an IPv4 or IPv6 address such as 127.1.0.5');
  return null;
}

/** Why nobody can be dialled at `text`, or null when somebody can. */
export function unusable(text: string): string | null {
  const address = canonicalIp(text);
  if (address === null) return 'Address is not an IP address';
  if (isWildcard(address)) return 'Address is the unspecified one';
  const isMulticast = isIPv4(address)
    ? Number.parseInt(address, 10) >= 224
    : address.startsWith('ff');
  return isMulticast ? 'Address is a multicast or broadcast one' : null;
}
