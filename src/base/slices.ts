/** Long text made in short turns, so that a large answer never holds up the event loop. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from './clock.ts';

export interface SliceOptions {
  /** A turn ends after this time; default 5. The part in hand is finished first. */
  readonly turnMs?: number;
  /** A slice is handed out when it has at least this many characters; default 65,536. */
  readonly sliceChars?: number;
}

/** How many parts go by between two looks at the clock. */
const PARTS_PER_LOOK = 16;

/** Joins the parts into slices. Between turns other work runs; parts may be '' to offer a pause. Never yields ''. */
export async function* slices(
  parts: Iterable<string>,
  clock: Clock,
  options: SliceOptions = {},
): AsyncGenerator<string, void, undefined> {
  const turnMs = options.turnMs ?? 5;
  const sliceChars = options.sliceChars ?? 65_536;
  let slice = '';
  let count = 0;
  let turnEnd = clock.nowMs() + turnMs;
  for (const part of parts) {
    slice += part;
    count += 1;
    if (slice.length < sliceChars && (count % PARTS_PER_LOOK !== 0 || clock.nowMs() < turnEnd))
      continue;
    if (slice !== '') yield slice;
    slice = '';
    if (clock.nowMs() < turnEnd) continue;
    await nextTurn();
    turnEnd = clock.nowMs() + turnMs;
  }
  if (slice !== '') yield slice;
}
