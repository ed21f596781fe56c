/** IPv4 and IPv6 addresses as headers have them: nothing of one family is taken for the other. */

import { isIPv4, isIPv6 } from 'node:net';
import { ipAt, ipv4At, putIpv4, putIpv6 } from '../ip-bytes.ts';

export const IPV4_BYTES = 4;
export const IPV6_BYTES = 16;

/** Where it is no address, or one that only means something together with an interface, null. */
export function addressBytes(text: string): Buffer | null {
  if (isIPv4(text)) {
    const bytes = Buffer.alloc(IPV4_BYTES);
    putIpv4(bytes, text, 0);
    return bytes;
  }
  if (!isIPv6(text) || text.includes('%')) return null;
  const bytes = Buffer.alloc(IPV6_BYTES);
  putIpv6(bytes, text, 0);
  return bytes;
}

/** Of `IPV4_BYTES` or `IPV6_BYTES`. */
export function addressText(bytes: Buffer): string {
  if (bytes.length === IPV4_BYTES) return ipv4At(bytes, 0);
  const text = ipAt(bytes, 0);
  return text.includes(':') ? text : `::ffff:${text}`;
}
