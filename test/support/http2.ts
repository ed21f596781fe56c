/** HTTP/2 for tests: blocks of fields from text, and lists as text. */

import { FIELD_STRIDE, type Head } from '../../src/proxy/head/head.ts';
import type { FieldList } from '../../src/proxy/http2/codec/field-list.ts';

export type Pair = readonly [name: string, value: string];

export const LIST_LIMITS = { bytesMax: 16_384, fieldsMax: 100 };

/** A block of literals that no table gets, with plain strings: whatever the fields are. */
export function block(pairs: readonly Pair[], first = 0): Buffer {
  const pieces: Buffer[] = [];
  for (const [name, value] of pairs) pieces.push(Buffer.from([first]), string(name), string(value));
  return Buffer.concat(pieces);
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([integer(0, 0x7f, bytes.length), bytes]);
}

/** RFC 7541 §5.1. */
export function integer(first: number, mask: number, value: number): Buffer {
  if (value < mask) return Buffer.from([first | value]);
  const bytes = [first | mask];
  let rest = value - mask;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

/** All lines of a list whose values have no line ends. */
export function pairsOf(list: FieldList): Pair[] {
  const text = list.data.toString('latin1', 0, list.end);
  return text
    .split('\r\n')
    .slice(0, -1)
    .map((line) => {
      const at = line.indexOf(':', 1);
      return [line.slice(0, at), line.slice(at + 2)];
    });
}

/** The fields of a head that are kept, with their kinds. */
export function fieldsOf(data: Buffer, head: Head): (readonly [kind: number, ...Pair])[] {
  return Array.from({ length: head.count }, (_, i) => {
    const at = i * FIELD_STRIDE;
    const text = (from: number): string =>
      data.toString('latin1', head.fields[at + from], head.fields[at + from + 1]);
    return [head.fields[at]!, text(1), text(3)] as const;
  });
}

export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

/** The same field so many times. */
export function times(count: number, pair: Pair): Pair[] {
  return Array.from({ length: count }, () => pair);
}
