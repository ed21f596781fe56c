/** Finds fields by their names. */

import { FIELD_DROP, FIELD_STRIDE, type Head } from './head.ts';

/** Whether a field name in `data[start, end)`, a token, is this lower-case one. */
export function isNamed(data: Buffer, start: number, end: number, lower: string): boolean {
  if (end - start !== lower.length) return false;
  for (let i = 0; i < lower.length; i++) {
    const byte = data[start + i] as number;
    const folded = byte >= 65 && byte <= 90 ? byte | 0x20 : byte;
    if (folded !== lower.charCodeAt(i)) return false;
  }
  return true;
}

/** Where the first field of this lower-case name stands in `head.fields`, from `from` on, that is passed on; or -1. */
export function findNamed(data: Buffer, head: Head, lower: string, from = 0): number {
  const { fields } = head;
  const size = head.count * FIELD_STRIDE;
  for (let at = from; at < size; at += FIELD_STRIDE) {
    if (fields[at] === FIELD_DROP) continue;
    if (isNamed(data, fields[at + 1] as number, fields[at + 2] as number, lower)) return at;
  }
  return -1;
}

/** Leaves out all fields of this lower-case name. False when there is none. */
export function dropNamed(data: Buffer, head: Head, lower: string): boolean {
  const first = findNamed(data, head, lower);
  head.serial = 0;
  for (let at = first; at >= 0; at = findNamed(data, head, lower, at)) head.fields[at] = FIELD_DROP;
  return first >= 0;
}
