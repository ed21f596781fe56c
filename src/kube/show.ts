/** Values in messages: short, whatever they are. */

import { isRecord } from '../base/record.ts';

const LENGTH_MAX = 200;
const PRIVATE_KEY = /PRIVATE KEY/;

/** The value as a person wrote it, at most 200 characters; '' for none. Safe for data that contains itself. */
export function show(value: unknown): string {
  if (value === undefined) return '';
  const text = typeof value === 'string' ? value : write(value, 0);
  // Where nobody expects it: a file of keys that is given as a manifest, a key in an annotation.
  if (PRIVATE_KEY.test(text)) return 'a private key, which is not shown';
  return text.length <= LENGTH_MAX ? text : `${text.slice(0, LENGTH_MAX - 1)}…`;
}

function write(value: unknown, depth: number): string {
  if (Array.isArray(value)) {
    if (depth > 3) return '[…]';
    return `[${value
      .slice(0, 20)
      .map((item) => write(item, depth + 1))
      .join(', ')}]`;
  }
  if (isRecord(value)) {
    if (depth > 3) return '{…}';
    const members = Object.entries(value).slice(0, 20);
    return `{${members.map(([key, item]) => `${key}: ${write(item, depth + 1)}`).join(', ')}}`;
  }
  return typeof value === 'string' ? value.slice(0, LENGTH_MAX) : String(value);
}
