/** The shared memory that holds one bucket per caller of a Service: sets of eight times, eight keys and a lock. */

/** Buckets in a set; the hash of a caller chooses the set. */
export const CALLER_WAYS = 8;
export const CALLERS_MAX = 1 << 22;
/** Per set: eight bucket times, eight keys, one lock. */
export const CALLER_SET_BYTES = CALLER_WAYS * 8 + CALLER_WAYS * 4 + 4;

/** Size of the table for this many callers, rounded up to a power of two; at most that of 4,194,304 callers. */
export function callerTableBytes(callersMax: number): number {
  const wanted = Math.ceil(Math.min(Math.max(callersMax, 1), CALLERS_MAX) / CALLER_WAYS);
  return 2 ** Math.ceil(Math.log2(wanted)) * CALLER_SET_BYTES;
}
