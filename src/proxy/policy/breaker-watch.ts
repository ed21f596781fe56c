/**
 * The governor's side of one circuit breaker: Traefik's semantics (`cbreaker` of vulcand/oxy). Picture in breaker.ts.
 *
 * As there: figures of the last 10 s; the expression is decided only after a response, at most once per check period, in the
 * closed and the recovering state; opening forgets the figures. Different here, on purpose:
 * - states change by the governor's tick, so up to 100 ms late, and not only when a request comes by;
 * - recovery lets a share pass that grows from 0 to 1 by chance, there it grows from 0 to 0.5 by counting;
 * - the figures are forgotten at the start of the recovery too, because requests from before the opening that end badly
 *   while it is open say nothing about now;
 * - quantiles come from a histogram with buckets a quarter apart, there 1 % apart;
 * - latency is the time for which endpoints kept the request waiting, there the time until the caller has the whole response:
 *   callers that send or read slowly would open the breaker for everybody.
 */

import type { BreakerPolicy } from '../../model/policy.ts';
import { SERVICE_FLOAT, SERVICE_WORD } from '../ledger/layout.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_RECOVERING } from './breaker.ts';
import { BreakerFigures, type BreakerSlots } from './breaker-figures.ts';
import { evaluate } from './evaluate.ts';

export type BreakerState = typeof BREAKER_CLOSED | typeof BREAKER_OPEN | typeof BREAKER_RECOVERING;

/** The state that follows: `isTripped` when the expression is true of fresh figures, `isDue` when the state's time is over. */
export function nextBreakerState(
  state: BreakerState,
  isTripped: boolean,
  isDue: boolean,
): BreakerState {
  switch (state) {
    case BREAKER_CLOSED:
      return isTripped ? BREAKER_OPEN : BREAKER_CLOSED;
    case BREAKER_OPEN:
      return isDue ? BREAKER_RECOVERING : BREAKER_OPEN;
    case BREAKER_RECOVERING:
      if (isTripped) return BREAKER_OPEN;
      return isDue ? BREAKER_CLOSED : BREAKER_RECOVERING;
    default:
      return state satisfies never;
  }
}

export class BreakerWatch {
  readonly #ledger: Ledger;
  readonly #slots: BreakerSlots;
  #policy: BreakerPolicy;
  #figures: BreakerFigures;
  #nextCheckMs = -Infinity;

  constructor(ledger: Ledger, slots: BreakerSlots, policy: BreakerPolicy, nowMs: number) {
    this.#ledger = ledger;
    this.#slots = slots;
    this.#policy = policy;
    this.#figures = new BreakerFigures(ledger, slots, policy.expression, nowMs);
  }

  get state(): BreakerState {
    const word = this.#ledger.word('service', this.#slots.service, SERVICE_WORD.breakerState);
    return word === BREAKER_OPEN || word === BREAKER_RECOVERING ? word : BREAKER_CLOSED;
  }

  /** The state stays as it is; figures start anew when the expression is another one. */
  setPolicy(policy: BreakerPolicy, nowMs: number): void {
    if (policy.text !== this.#policy.text) {
      this.#figures = new BreakerFigures(this.#ledger, this.#slots, policy.expression, nowMs);
    }
    this.#policy = policy;
  }

  /** Moves on; the new state when it changed, else null. */
  tick(nowMs: number): BreakerState | null {
    const { state } = this;
    const untilMs = this.#float(SERVICE_FLOAT.breakerUntilMs);
    const next = nextBreakerState(state, this.#isTripped(state, nowMs), nowMs >= untilMs);
    if (next === state) return null;
    this.#enter(next, nowMs);
    return next;
  }

  /** For a Service whose breaker was taken away. */
  close(): void {
    this.#setState(BREAKER_CLOSED);
  }

  #isTripped(state: BreakerState, nowMs: number): boolean {
    if (state === BREAKER_OPEN || nowMs < this.#nextCheckMs) return false;
    this.#nextCheckMs = nowMs + this.#policy.checkPeriodMs;
    return this.#figures.sample(nowMs) && evaluate(this.#policy.expression, this.#figures);
  }

  #enter(state: BreakerState, nowMs: number): void {
    const { openMs, recoveryMs } = this.#policy;
    const lengthMs = state === BREAKER_CLOSED ? 0 : state === BREAKER_OPEN ? openMs : recoveryMs;
    this.#setFloat(SERVICE_FLOAT.breakerSinceMs, nowMs);
    this.#setFloat(SERVICE_FLOAT.breakerUntilMs, nowMs + lengthMs);
    // The times first: a worker that sees the new state sees its times.
    this.#setState(state);
    if (state !== BREAKER_CLOSED) this.#figures.reset();
  }

  #setState(state: BreakerState): void {
    this.#ledger.setWord('service', this.#slots.service, SERVICE_WORD.breakerState, state);
  }

  #float(cell: number): number {
    return this.#ledger.float('service', this.#slots.service, cell);
  }

  #setFloat(cell: number, value: number): void {
    this.#ledger.setFloat('service', this.#slots.service, cell, value);
  }
}
