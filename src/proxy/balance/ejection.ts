/**
 * Health of one endpoint in shared memory: every thread moves it with the same atomic steps. Where endpoints are checked actively
 * (`check-standing.ts`), an ejection ends by `readmit`, and no request is spent as a probe.
 *
 *                 eject                    claimProbe (once per ejection, when due)
 *   in rotation ─────────► ejected ◄──────────────────────────────► probing
 *        ▲                    ▲        probeLost (no answer in time)   │  │
 *        │                    └───────────────── ejectAgain ───────────┘  │
 *        ├──────────────────────────── restore ───────────────────────────┘
 *        └──────── readmit, from both
 *
 * Invariants: 1. only the thread that moved `health` writes the time that goes with it; 2. that time is written before
 * `ejections` grows; 3. a probe needs `probed !== ejections` and ends that by compare-and-exchange, so each ejection gets
 * one probe and nobody reads a time that is not written yet.
 */

import type { EjectionPolicy } from '../../model/policy.ts';
import type { Cells } from '../ledger/cells.ts';
import { ENDPOINT_FLOAT, ENDPOINT_WORD } from '../ledger/layout.ts';

/** Values of ENDPOINT_WORD.health. */
export const IN_ROTATION = 0;
export const EJECTED = 1;
export const PROBING = 2;

/** Values of ENDPOINT_WORD.ejectedBy. */
const BY_REQUESTS = 0;
const BY_CHECKS = 1;

/** A probe without an answer counts as lost after this time, and the next request is a probe. */
export const PROBE_LEASE_MS = 10_000;

export function healthOf(cells: Cells): number {
  return Atomics.load(cells.words, cells.w + ENDPOINT_WORD.health);
}

/** By the two words of an endpoint. */
export function isEjectedByChecks(health: number, ejectedBy: number): boolean {
  return health !== IN_ROTATION && ejectedBy === BY_CHECKS;
}

/** How many of `count` endpoints may be ejected at a time: the policy's share, and never all. */
export function ejectedMax(policy: EjectionPolicy, count: number): number {
  return Math.max(0, Math.min(Math.floor(policy.maxEjectedRatio * count), count - 1));
}

/** How many of these endpoints are out of rotation. */
export function countEjected(endpoints: readonly Cells[]): number {
  let ejected = 0;
  for (const cells of endpoints) {
    if (healthOf(cells) !== IN_ROTATION) ejected++;
  }
  return ejected;
}

/**
 * Takes an endpoint out of rotation, unless it is out already or too many of its backend (`peers`, itself included) are.
 * Threads that eject at the same time see each other: the one that would be too many takes it back.
 */
export function eject(
  cells: Cells,
  peers: readonly Cells[],
  policy: EjectionPolicy,
  nowMs: number,
): boolean {
  if (!takeOut(cells, peers, policy, BY_REQUESTS)) return false;
  schedule(cells, policy, nowMs);
  return true;
}

/** The same for what its checks say. It has no time of its own: it comes back when they pass, or by a probe once there are none. */
export function ejectByChecks(
  cells: Cells,
  peers: readonly Cells[],
  policy: EjectionPolicy,
  nowMs: number,
): boolean {
  if (!takeOut(cells, peers, policy, BY_CHECKS)) return false;
  const { words, w, floats, f } = cells;
  floats[f + ENDPOINT_FLOAT.ejectedUntilMs] = nowMs;
  Atomics.add(words, w + ENDPOINT_WORD.ejections, 1);
  return true;
}

function takeOut(
  cells: Cells,
  peers: readonly Cells[],
  policy: EjectionPolicy,
  by: number,
): boolean {
  const { words, w } = cells;
  const health = w + ENDPOINT_WORD.health;
  const max = ejectedMax(policy, peers.length);
  if (countEjected(peers) >= max) return false;
  if (Atomics.compareExchange(words, health, IN_ROTATION, EJECTED) !== IN_ROTATION) return false;
  if (countEjected(peers) > max) {
    Atomics.store(words, health, IN_ROTATION);
    return false;
  }
  Atomics.store(words, w + ENDPOINT_WORD.ejectedBy, by);
  return true;
}

/**
 * Its checks passed: back in rotation, once the time of its ejection is over; a probe that is under way comes first. How often it was
 * ejected in a row is kept until a request succeeds: checks that pass while requests fail must not shorten the next ejection.
 */
export function readmit(cells: Cells, nowMs: number): boolean {
  const { words, w, floats, f } = cells;
  const at = w + ENDPOINT_WORD.health;
  const health = Atomics.load(words, at);
  if (health === IN_ROTATION) return false;
  const generation = Atomics.load(words, w + ENDPOINT_WORD.ejections);
  const probed = w + ENDPOINT_WORD.probed;
  if (health === EJECTED && Atomics.load(words, probed) === generation) return false;
  if (nowMs < (floats[f + ENDPOINT_FLOAT.ejectedUntilMs] ?? 0)) return false;
  Atomics.store(words, probed, generation);
  if (Atomics.compareExchange(words, at, health, IN_ROTATION) !== health) return false;
  forgive(cells);
  return true;
}

/** The probe failed: out again, for twice as long; false when no probe was under way. */
export function ejectAgain(cells: Cells, policy: EjectionPolicy, nowMs: number): boolean {
  const health = cells.w + ENDPOINT_WORD.health;
  if (Atomics.compareExchange(cells.words, health, PROBING, EJECTED) !== PROBING) return false;
  schedule(cells, policy, nowMs);
  return true;
}

/** The probe succeeded: back in rotation with a clean slate; false when no probe was under way. */
export function restore(cells: Cells): boolean {
  const { words, w } = cells;
  const at = w + ENDPOINT_WORD.health;
  if (Atomics.compareExchange(words, at, PROBING, IN_ROTATION) !== PROBING) return false;
  Atomics.store(words, w + ENDPOINT_WORD.ejectionsInRow, 0);
  forgive(cells);
  return true;
}

function forgive({ words, w, floats, f }: Cells): void {
  Atomics.store(words, w + ENDPOINT_WORD.consecutiveFailures, 0);
  floats[f + ENDPOINT_FLOAT.penalty] = 0;
}

/** True for exactly one caller per ejection, once its time is over: that caller's request is the probe. */
export function claimProbe(cells: Cells, nowMs: number): boolean {
  if (!isProbeDue(cells, nowMs)) return false;
  const { words, w, floats, f } = cells;
  const until = f + ENDPOINT_FLOAT.ejectedUntilMs;
  const health = w + ENDPOINT_WORD.health;
  const ejections = w + ENDPOINT_WORD.ejections;
  if (Atomics.load(words, health) === PROBING) {
    if (nowMs < (floats[until] ?? 0)) return false;
    if (Atomics.compareExchange(words, health, PROBING, EJECTED) !== PROBING) return false;
    Atomics.add(words, ejections, 1);
  }
  if (Atomics.load(words, health) !== EJECTED) return false;
  const generation = Atomics.load(words, ejections);
  const probed = Atomics.load(words, w + ENDPOINT_WORD.probed);
  if (probed === generation || nowMs < (floats[until] ?? 0)) return false;
  const seen = Atomics.compareExchange(words, w + ENDPOINT_WORD.probed, probed, generation);
  if (seen !== probed) return false;
  floats[until] = nowMs + PROBE_LEASE_MS;
  return Atomics.compareExchange(words, health, EJECTED, PROBING) === EJECTED;
}

/** Whether `claimProbe` would make the caller's request a probe. Changes nothing. */
export function isProbeDue(cells: Cells, nowMs: number): boolean {
  const { words, w, floats, f } = cells;
  if (nowMs < (floats[f + ENDPOINT_FLOAT.ejectedUntilMs] ?? 0)) return false;
  const health = Atomics.load(words, w + ENDPOINT_WORD.health);
  // A probe that is under way and overdue is lost, and the next one is due.
  if (health !== EJECTED) return health === PROBING;
  return words[w + ENDPOINT_WORD.probed] !== words[w + ENDPOINT_WORD.ejections];
}

/** Milliseconds of an ejection that follows `inRow` others without a success between them. */
export function ejectionMs(policy: EjectionPolicy, inRow: number): number {
  return Math.min(policy.baseMs * 2 ** Math.min(inRow, 30), policy.maxMs);
}

function schedule(cells: Cells, policy: EjectionPolicy, nowMs: number): void {
  const { words, w, floats, f } = cells;
  const inRow = Atomics.add(words, w + ENDPOINT_WORD.ejectionsInRow, 1);
  floats[f + ENDPOINT_FLOAT.ejectedUntilMs] = nowMs + ejectionMs(policy, inRow);
  Atomics.add(words, w + ENDPOINT_WORD.ejections, 1);
}
