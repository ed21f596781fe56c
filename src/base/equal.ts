/** Deep equality of the plain data that typed objects are made of: records, arrays, strings, numbers, booleans, null. */

import { isRecord } from './record.ts';

/** True when both are the same data; the order of keys in a record does not matter. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && isEqualArray(a, b);
  return isRecord(a) && isRecord(b) && isEqualRecord(a, b);
}

function isEqualArray(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (!isEqual(a[i], b[i])) return false;
  }
  return true;
}

function isEqualRecord(
  a: Readonly<Record<string, unknown>>,
  b: Readonly<Record<string, unknown>>,
): boolean {
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  for (const key of keys) {
    if (!Object.hasOwn(b, key) || !isEqual(a[key], b[key])) return false;
  }
  return true;
}
