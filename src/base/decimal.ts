/**
 * Writes a whole number in decimal digits and returns the new end. No string is made, and the runtime is not called. Below 0 and
 * for what is no number it is 0, above 2^53 - 1 it is that.
 */
export function writeDecimal(value: number, out: Uint8Array, at: number): number {
  let rest = value > 0 ? Math.min(Math.floor(value), Number.MAX_SAFE_INTEGER) : 0;
  let digits = 1;
  for (let bound = 10; bound <= rest; bound *= 10) digits += 1;
  for (let to = at + digits - 1; to >= at; to--) {
    const next = Math.floor(rest / 10);
    out[to] = 0x30 + (rest - next * 10);
    rest = next;
  }
  return at + digits;
}
