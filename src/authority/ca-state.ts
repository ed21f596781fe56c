/**
 * The life of the CA, as a pure state machine. The state is in the Secret, so any replica can take the next step, and two that try at once
 * exclude each other by the version of the object.
 *
 *   steady ──2/3 of its life, or asked for──► announced ──5 min──► overlap ──25 h──► steady
 *   signer                                    signer + next         signer (was next) + previous
 *
 * Invariants: 1. agents are told a CA (bundle) before anything is signed by it; 2. they are told it as long as anything that it signed is
 * valid; both but for a signer that has expired or is lost, which nobody can believe anyway: it is replaced at once.
 */

import assert from 'node:assert';

import { SERVING_LIFE_MS, type Ca, type CaCertificate } from './certificate.ts';

export interface CaState {
  /** Signs. */
  readonly signer: Ca;
  /** Is in the bundle already, and signs next. */
  readonly next: Ca | null;
  /** Has signed what may still be in use. Its key is gone. */
  readonly previous: CaCertificate | null;
  /** Unix time of the last step in milliseconds; null where it is not written or cannot be read. */
  readonly sinceMs: number | null;
  /** Someone asked for a rotation (annotation `maesh.dev/rotate-ca`). */
  readonly isRotationAsked: boolean;
}

/**
 * `announce`: make a CA, put it into the bundle. `promote`: it signs. `retire`: the old one leaves the bundle. `replace`: the signer has expired;
 * a new one signs at once. `stamp`: nobody knows when the last step was, so the wait begins now.
 */
export type CaStep = 'none' | 'announce' | 'promote' | 'retire' | 'replace' | 'stamp';

/** Agents read the bundle whenever they connect, so this only has to outlast a connect and the writing of the bundle. */
export const DISTRIBUTION_MS = 300_000;
/** Replicas renew what the old CA signed within minutes; one that cannot reach the API server keeps it for its whole life. */
export const OVERLAP_MS = SERVING_LIFE_MS + 3_600_000;
/** Share of a CA's life after which it is replaced. */
const ROTATE_AT = 2 / 3;
/** A step that lies further ahead was stamped by a clock that is wrong. */
const SKEW_MS = 3_600_000;

/** The step that is due at this Unix time. */
export function dueStep(state: CaState, nowMs: number): CaStep {
  const { signer, next, previous } = state;
  if (nowMs >= signer.notAfterMs) return isValid(next, nowMs) ? 'promote' : 'replace';
  if (next === null && previous === null) {
    const isDue = state.isRotationAsked || nowMs >= rotationDueMs(signer);
    return isDue ? 'announce' : 'none';
  }
  if (state.sinceMs === null || state.sinceMs > nowMs + SKEW_MS) return 'stamp';
  const elapsedMs = nowMs - state.sinceMs;
  if (next !== null) return elapsedMs >= DISTRIBUTION_MS ? 'promote' : 'none';
  return elapsedMs >= OVERLAP_MS ? 'retire' : 'none';
}

/** The state after a step; `fresh` is the CA made for it (`announce`, `replace`). */
export function afterStep(state: CaState, step: CaStep, nowMs: number, fresh: Ca | null): CaState {
  const { signer, next } = state;
  switch (step) {
    case 'announce':
      return { ...state, next: fresh, sinceMs: nowMs, isRotationAsked: false };
    case 'promote':
      assert(next !== null);
      return { ...state, signer: next, next: null, previous: signer, sinceMs: nowMs };
    case 'retire':
      return { ...state, previous: null, sinceMs: null };
    case 'replace':
      assert(fresh !== null);
      return newState(fresh);
    case 'stamp':
      return { ...state, sinceMs: nowMs };
    case 'none':
    default:
      return state;
  }
}

/** Whether the step needs a CA that is made for it. */
export function needsFresh(step: CaStep): boolean {
  return step === 'announce' || step === 'replace';
}

export function newState(signer: Ca): CaState {
  return { signer, next: null, previous: null, sinceMs: null, isRotationAsked: false };
}

/** What agents trust: PEM, the signer first. What has expired is left out but for the signer. */
export function bundleOf(state: CaState, nowMs: number): string {
  const valid = [state.next, state.previous].filter((ca) => isValid(ca, nowMs));
  return [state.signer, ...valid].map((ca) => ca.certPem).join('');
}

/** When a rotation begins by itself. */
function rotationDueMs(ca: CaCertificate): number {
  return ca.notBeforeMs + (ca.notAfterMs - ca.notBeforeMs) * ROTATE_AT;
}

function isValid(ca: CaCertificate | null, nowMs: number): ca is CaCertificate {
  return ca !== null && nowMs < ca.notAfterMs;
}
