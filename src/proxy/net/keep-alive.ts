/**
 * How a connection is noticed whose peer is gone without a word: its node lost power, or the network between the two broke. While
 * nothing is under way the kernel asks the peer now and then; what was sent it repeats by itself, for some 15 minutes.
 */

import type { ProxySettings } from '../../model/settings.ts';

export interface KeepAlive {
  /** Seconds of silence before the first question; 0: none is asked. */
  readonly idleSeconds: number;
  readonly intervalSeconds: number;
  /** So many in a row without an answer are the end. */
  readonly probes: number;
  /** Bytes that the peer does not take for this long are the end; 0 leaves it to the kernel. */
  readonly unacknowledgedMs: number;
}

/** Nothing but what the kernel does by itself. */
export const NO_KEEP_ALIVE: KeepAlive = {
  idleSeconds: 0,
  intervalSeconds: 0,
  probes: 0,
  unacknowledgedMs: 0,
};

type PeerTimes = Pick<ProxySettings, 'peerTimeoutMs' | 'unacknowledgedTimeoutMs'>;

/** What a Service says otherwise; null is nothing. */
interface Said {
  readonly peerMs: number | null;
  readonly unacknowledgedMs: number | null;
}

/** As the proxy has it for all, but for what a Service says. */
export function keepAliveFor(settings: PeerTimes, { peerMs, unacknowledgedMs }: Said): KeepAlive {
  return keepAliveOf({
    peerTimeoutMs: peerMs ?? settings.peerTimeoutMs,
    unacknowledgedTimeoutMs: unacknowledgedMs ?? settings.unacknowledgedTimeoutMs,
  });
}

const PROBES = 4;
/** The first half of the time is silence, the other one are questions. */
const INTERVAL_PART = 2 * PROBES;

export function keepAliveOf({ peerTimeoutMs, unacknowledgedTimeoutMs }: PeerTimes): KeepAlive {
  const seconds = Math.floor(peerTimeoutMs / 1_000);
  const intervalSeconds = Math.max(Math.floor(seconds / INTERVAL_PART), 1);
  // At least a second is left for the silence.
  const probes = Math.max(Math.min(PROBES, seconds - 1), 1);
  return {
    idleSeconds: seconds === 0 ? 0 : Math.max(seconds - probes * intervalSeconds, 1),
    intervalSeconds,
    probes,
    unacknowledgedMs: unacknowledgedTimeoutMs,
  };
}
