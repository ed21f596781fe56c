/**
 * When the endpoints of a backend are too few, and how many of its requests they take then. All that it depends on is in shared
 * memory, so threads agree, and `maesh explain` knows. Where there is no endpoint that could remember it, those that come are told
 * by whoever gives them their memory.
 */

import { CHECK_FAILING } from './check-standing.ts';
import { healthOf, IN_ROTATION } from './ejection.ts';
import type { FailoverPolicy } from '../../model/policy.ts';
import type { Cells } from '../ledger/cells.ts';
import { ENDPOINT_FLOAT, ENDPOINT_WORD } from '../ledger/layout.ts';

/** Of the requests that come back, this share does at once: else nobody would find out whether they can. */
const RETURN_FLOOR = 0.1;

/** Ready, not ejected, and not failing its checks. */
export function isUsable(cells: Cells): boolean {
  const state = Atomics.load(cells.words, cells.w + ENDPOINT_WORD.checkState);
  return healthOf(cells) === IN_ROTATION && state !== CHECK_FAILING;
}

/** Fewer of them are usable than the policy asks for. */
export function isShort(peers: readonly Cells[], { below }: FailoverPolicy): boolean {
  let usable = 0;
  for (const cells of peers) if (isUsable(cells)) usable++;
  return usable === 0 || usable < below * peers.length;
}

/** They are short now: until then nothing comes back. */
export function noteShort(peers: readonly Cells[], nowMs: number): void {
  for (const { floats, f } of peers) floats[f + ENDPOINT_FLOAT.shortAtMs] = nowMs;
}

/** Share of the requests that they take, 0 to 1; the other Service takes the rest. Changes nothing. */
export function ownShare(peers: readonly Cells[], policy: FailoverPolicy, nowMs: number): number {
  if (isShort(peers, policy)) return 0;
  const sinceMs = backSince(peers);
  if (sinceMs === 0 || policy.returnMs === 0) return 1;
  const share = (nowMs - sinceMs) / policy.returnMs;
  return share >= 1 ? 1 : Math.max(share, RETURN_FLOOR);
}

/** Since when they take requests again; 0 when they always did. */
function backSince(peers: readonly Cells[]): number {
  let shortAtMs = 0;
  for (const { floats, f } of peers)
    shortAtMs = Math.max(shortAtMs, floats[f + ENDPOINT_FLOAT.shortAtMs] ?? 0);
  return shortAtMs;
}
