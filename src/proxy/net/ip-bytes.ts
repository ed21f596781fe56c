/** IP addresses as bytes in the order of the network, and as text. */

import { isIPv6 } from 'node:net';

export function ipv4At(memory: Buffer, at: number): string {
  return `${memory[at]}.${memory[at + 1]}.${memory[at + 2]}.${memory[at + 3]}`;
}

/** An IPv4 address that was mapped into IPv6 as what it is. */
export function ipAt(memory: Buffer, at: number): string {
  const isMapped =
    memory.readUInt32BE(at) === 0 &&
    memory.readUInt32BE(at + 4) === 0 &&
    memory.readUInt32BE(at + 8) === 0xffff;
  return isMapped ? ipv4At(memory, at + 12) : ipv6At(memory, at);
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

/** Four bytes. */
export function putIpv4(memory: Buffer, address: string, at: number): void {
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

/** Sixteen bytes, which are 0 before; a zone is left out. */
export function putIpv6(memory: Buffer, address: string, at: number): void {
  const [whole = ''] = address.split('%');
  const [front, back] = whole.split('::') as [string, string?];
  const head = groupsOf(front);
  const tail = back === undefined ? [] : groupsOf(back);
  head.forEach((group, i) => memory.writeUInt16BE(group, at + 2 * i));
  tail.forEach((group, i) => memory.writeUInt16BE(group, at + 16 - 2 * tail.length + 2 * i));
}

/** Sixteen bytes: IPv4 mapped into IPv6. */
export function putIp(memory: Buffer, address: string, at: number): void {
  memory.fill(0, at, at + 16);
  if (isIPv6(address)) return putIpv6(memory, address, at);
  memory.writeUInt16BE(0xffff, at + 10);
  putIpv4(memory, address, at + 12);
}

function groupsOf(part: string): number[] {
  if (part === '') return [];
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}
