/** Compares the names of fields. */

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
