/** The fields that a Connection field names beyond its own options: they stay behind, in trailers too (RFC 9110 §7.6.1). */

import { FIELD_CONNECTION, FIELD_STRIDE, type Head } from '../../head/head.ts';

/** Lower-case names for the trailers of a chunked message; null, as nearly always, when there are none. */
export function namedByConnection(data: Buffer, head: Head): ReadonlySet<string> | null {
  if (head.connectionNames === 0 || !head.chunked) return null;
  const names = new Set<string>();
  const last = head.count * FIELD_STRIDE;
  for (let i = 0; i < last; i += FIELD_STRIDE) {
    if (head.fields[i] !== FIELD_CONNECTION) continue;
    const value = data.toString('latin1', head.fields[i + 3], head.fields[i + 4]);
    for (const name of value.split(',')) names.add(name.trim().toLowerCase());
  }
  return names;
}
