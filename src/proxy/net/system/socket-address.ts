/** Addresses of sockets as the kernel has them, at ADDRESS_AT of the region, and as text. */

import { ipAt, ipv4At, putIpv4, putIpv6 } from '../ip-bytes.ts';
import { ADDRESS_AT, type Kernel } from './kernel-interface.ts';

export const AF_INET = 2;
export const AF_INET6 = 10;
export const IPV4_BYTES = 16;
export const IPV6_BYTES = 28;
const HOST_AT = 4;
const HOST6_AT = 8;

export function familyOf(address: string): number {
  return isV6(address) ? AF_INET6 : AF_INET;
}

/** Of an address that is no name. The runtime would try a pattern on it. */
function isV6(address: string): boolean {
  return address.includes(':');
}

/** Writes an address that is no name and returns how long it is. */
export function putAddress(memory: Buffer, address: string, port: number): number {
  const long = isV6(address);
  const length = long ? IPV6_BYTES : IPV4_BYTES;
  memory.fill(0, ADDRESS_AT, ADDRESS_AT + length);
  // In the byte order of the machine; all machines that we run on have this one.
  memory.writeUInt16LE(long ? AF_INET6 : AF_INET, ADDRESS_AT);
  memory.writeUInt16BE(port, ADDRESS_AT + 2);
  if (!long) putIpv4(memory, address, ADDRESS_AT + HOST_AT);
  else {
    putIpv6(memory, address, ADDRESS_AT + HOST6_AT);
    // Index of an interface, for an address that is no address without it.
    const [, zone = ''] = address.split('%');
    if (/^\d+$/.test(zone)) memory.writeUInt32LE(Number(zone), ADDRESS_AT + HOST6_AT + 16);
  }
  return length;
}

export function portIn(memory: Buffer): number {
  return ((memory[ADDRESS_AT + 2] as number) << 8) | (memory[ADDRESS_AT + 3] as number);
}

/** As text; an IPv4 address that was mapped into IPv6 as what it is. */
export function addressIn(memory: Buffer): string {
  if (memory[ADDRESS_AT] === AF_INET) return ipv4At(memory, ADDRESS_AT + HOST_AT);
  return ipAt(memory, ADDRESS_AT + HOST6_AT);
}

/** Where a connection ends here; not known of one that is closed (below 0). */
export function localEnd(
  kernel: Kernel,
  descriptor: number,
): { readonly localAddress: string; readonly localPort: number } {
  if (descriptor < 0 || kernel.localAddress(descriptor) < 0)
    return { localAddress: '', localPort: 0 };
  const { memory } = kernel;
  return { localAddress: addressIn(memory), localPort: portIn(memory) };
}
