/**
 * Copying that refuses. `Buffer.copy`, `subarray` and a store behind the end cut silently what has no room; a message that
 * is cut so, with a length that says otherwise, makes the next message on the connection a part of its body. Every writer
 * of the data plane therefore checks its room, and what fails here costs the connections concerned.
 */

/** A failed assertion of the data plane: caught per connection, logged, and never the end of the thread. */
export class Defect extends Error {
  override readonly name = 'Defect';
}

/** Copies `data[start, end)` to `out` from `at` and returns the new end. @throws Defect when it does not fit */
// oxlint-disable-next-line max-params -- those of Buffer.copy
export function copyWhole(
  data: Buffer,
  start: number,
  end: number,
  out: Buffer,
  at: number,
): number {
  const to = at + end - start;
  if (to > out.length || end > data.length) throw noRoom(to, out.length);
  return copy(data, start, end, out, at);
}

/** Below this a loop beats the call into the runtime. */
const SHORT_BYTES = 24;

/** As `copyWhole`, but what has no room is left out: for writers that check their end by `wholeUpTo`. */
// oxlint-disable-next-line max-params -- those of Buffer.copy
export function copy(data: Buffer, start: number, end: number, out: Buffer, at: number): number {
  if (end - start > SHORT_BYTES) {
    data.copy(out, at, start, end);
    return at + end - start;
  }
  let to = at;
  for (let i = start; i < end; i++) out[to++] = data[i] as number;
  return to;
}

/**
 * Returns `end`, where a writer came to. Only for writers whose every message ends with bytes stored one by one: whatever
 * was cut before leaves their end beyond that of the buffer. @throws Defect when it is
 */
export function wholeUpTo(end: number, out: Buffer): number {
  if (end > out.length) throw noRoom(end, out.length);
  return end;
}

function noRoom(wanted: number, size: number): Defect {
  return new Defect(`a message of ${wanted} bytes does not fit into a buffer of ${size}`);
}
