/** Addresses of sockets as the kernel has them, at ADDRESS_AT of the region, and as text. */

import { isIPv6 } from 'node:net';
import { ADDRESS_AT } from './kernel-interface.ts';

export const AF_INET = 2;
export const AF_INET6 = 10;
const IPV4_BYTES = 16;
const IPV6_BYTES = 28;
const HOST_AT = 4;
const HOST6_AT = 8;

export function familyOf(address: string): number {
  return isIPv6(address) ? AF_INET6 : AF_INET;
}

/** Writes an address that is no name and returns how long it is. */
export function putAddress(memory: Buffer, address: string, port: number): number {
  const isV6 = isIPv6(address);
  const length = isV6 ? IPV6_BYTES : IPV4_BYTES;
  memory.fill(0, ADDRESS_AT, ADDRESS_AT + length);
  // In the byte order of the machine; all machines that we run on have this one.
  memory.writeUInt16LE(isV6 ? AF_INET6 : AF_INET, ADDRESS_AT);
  memory.writeUInt16BE(port, ADDRESS_AT + 2);
  if (isV6) putIpv6(memory, address);
  else putIpv4(memory, address, ADDRESS_AT + HOST_AT);
  return length;
}

export function portIn(memory: Buffer): number {
  return ((memory[ADDRESS_AT + 2] as number) << 8) | (memory[ADDRESS_AT + 3] as number);
}

/** As text; an IPv4 address that was mapped into IPv6 as what it is. */
export function addressIn(memory: Buffer): string {
  if (memory[ADDRESS_AT] === AF_INET) return ipv4At(memory, ADDRESS_AT + HOST_AT);
  const at = ADDRESS_AT + HOST6_AT;
  const isMapped =
    memory.readUInt32BE(at) === 0 &&
    memory.readUInt32BE(at + 4) === 0 &&
    memory.readUInt32BE(at + 8) === 0xffff;
  return isMapped ? ipv4At(memory, at + 12) : ipv6At(memory, at);
}

function ipv4At(memory: Buffer, at: number): string {
  return `${memory[at]}.${memory[at + 1]}.${memory[at + 2]}.${memory[at + 3]}`;
}

/** RFC 5952: the longest run of zeros, of at least two, is left out; of equal ones the first. */
function ipv6At(memory: Buffer, at: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => memory.readUInt16BE(at + 2 * i));
  let [start, length] = [-1, 1];
  for (let i = 0; i < groups.length; i++) {
    let end = i;
    while (groups[end] === 0) end++;
    if (end - i > length) [start, length] = [i, end - i];
    i = Math.max(i, end);
  }
  const text = groups.map((group) => group.toString(16));
  if (start < 0) return text.join(':');
  return `${text.slice(0, start).join(':')}::${text.slice(start + length).join(':')}`;
}

function putIpv4(memory: Buffer, address: string, at: number): void {
  let [value, place] = [0, at];
  for (let i = 0; i < address.length; i++) {
    const code = address.charCodeAt(i);
    if (code === 46) {
      memory[place++] = value;
      value = 0;
    } else value = value * 10 + code - 48;
  }
  memory[place] = value;
}

function putIpv6(memory: Buffer, address: string): void {
  const at = ADDRESS_AT + HOST6_AT;
  const [whole = '', zone = ''] = address.split('%');
  const [front, back] = whole.split('::') as [string, string?];
  const head = groupsOf(front);
  const tail = back === undefined ? [] : groupsOf(back);
  head.forEach((group, i) => memory.writeUInt16BE(group, at + 2 * i));
  tail.forEach((group, i) => memory.writeUInt16BE(group, at + 16 - 2 * tail.length + 2 * i));
  // Index of an interface, for an address that is no address without it.
  if (/^\d+$/.test(zone)) memory.writeUInt32LE(Number(zone), at + 16);
}

function groupsOf(part: string): number[] {
  if (part === '') return [];
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}
