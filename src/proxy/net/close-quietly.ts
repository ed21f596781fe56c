/**
 * Closes listening sockets at a moment when nobody waits in their queues.
 *
 * The kernel resets the connections that it has accepted for a listening socket and that the process has not taken yet
 * when the socket closes, although another socket of the port (`SO_REUSEPORT`) would have served them. So each socket is
 * closed right after a turn of the event loop that looked for connections and found none; sockets of the system look once
 * more themselves (net/system/system-listener.ts). A connection that arrives between the last look and the close is still
 * lost. Only Linux itself can save it, by moving it to another socket of the port: `sysctl net.ipv4.tcp_migrate_req=1`
 * (Linux 5.14). Price and figures: docs/decisions/drain.md.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, delay } from '../../base/clock.ts';

/** What this needs to know of a listener. */
interface Accepting {
  readonly accepted: number;
  readonly acceptedAtMs: number;
  /** Accepts no more. */
  stop(): void;
}

/** A socket that accepted nobody for this long is closed without looking. */
const UNUSED_MS = 5_000;
const LATE_LOOK_MS = 100;
/** A turn of at most this length counts as quiet at first; under load the limit doubles every `PATIENCE_TURNS`. */
const QUIET_TURN_MS = 0.02;
/** Counted in turns, since a thread that the system does not let run learns nothing as time goes by. */
const PATIENCE_TURNS = 200;
/** By then a listener is closed as it is. */
const TURNS_MAX = 2_000;
const UNUSED_PER_TURN = 64;
/** Who accepted somebody within this time is still led to. */
const LED_TO_MS = 500;

/**
 * Stops each listener once; resolves after the last. As long as callers still come, nothing is stopped for up to `lateMs`:
 * whatever leads them here has not heard that they should be led elsewhere.
 */
export async function closeQuietly(
  listeners: ReadonlyMap<unknown, Accepting>,
  clock: Clock,
  lateMs = 0,
): Promise<void> {
  if (lateMs > 0) await untilNobodyComes(listeners, clock, lateMs);
  const startMs = clock.nowMs();
  const busy: Accepting[] = [];
  let closed = 0;
  for (const listener of listeners.values()) {
    if (startMs - listener.acceptedAtMs < UNUSED_MS) busy.push(listener);
    else {
      listener.stop();
      // oxlint-disable-next-line no-await-in-loop -- in parts on purpose: requests run in between
      if (++closed % UNUSED_PER_TURN === 0) await nextTurn();
    }
  }
  for (const listener of busy) {
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      const { accepted } = listener;
      const turnStartMs = clock.nowMs();
      // oxlint-disable-next-line no-await-in-loop -- one turn of the event loop is what is asked for
      await nextTurn();
      const limitMs = QUIET_TURN_MS * 2 ** Math.floor(turn / PATIENCE_TURNS);
      const isQuiet = listener.accepted === accepted;
      if (isQuiet && clock.nowMs() - turnStartMs <= limitMs) break;
    }
    listener.stop();
  }
}

/** At least for as long as those take who were told to go: if they come back, they are led here. */
async function untilNobodyComes(
  listeners: ReadonlyMap<unknown, Accepting>,
  clock: Clock,
  lateMs: number,
): Promise<void> {
  const endMs = clock.nowMs() + lateMs;
  const isLedTo = ({ acceptedAtMs }: Accepting): boolean =>
    clock.nowMs() - acceptedAtMs < LED_TO_MS;
  do {
    // oxlint-disable-next-line no-await-in-loop -- looked at again and again on purpose
    await delay(clock, LATE_LOOK_MS);
  } while (clock.nowMs() < endMs && [...listeners.values()].some(isLedTo));
}
