/**
 * The rolling figures of one breaker: only what its expression asks for, summed over all threads, kept for 10 s. A network
 * error counts as status 502 among the responses, which is what its caller saw, and a 502 or 504 of an endpoint counts as a
 * network error, both as in vulcand/oxy.
 */

import type { Expression } from '../../model/expression.ts';
import { quantileMs } from '../../model/quantile.ts';
import { latencyBuckets } from '../ledger/latency-buckets.ts';
import {
  SERVICE_BUCKETS,
  STATUS_BUCKETS,
  STATUS_COUNT,
  STATUS_MIN,
  STATUS_NETWORK_ERRORS,
} from '../ledger/layout.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { type BreakerMetrics, metricsIn } from './evaluate.ts';
import { RollingWindow } from './rolling-window.ts';

export interface BreakerSlots {
  readonly service: number;
  readonly status: number;
}

const ALL = 0;
const NETWORK_ERRORS = 1;
const RANGES = 2;
const BAD_GATEWAY = 502;
const GATEWAY_TIMEOUT = 504;
const HISTOGRAM = { from: 0, buckets: SERVICE_BUCKETS, subBits: 2 };

export class BreakerFigures implements BreakerMetrics {
  readonly #ledger: Ledger;
  readonly #slots: BreakerSlots;
  readonly #statuses = new Float64Array(STATUS_COUNT + 1);
  readonly #buckets: Float64Array;
  /** Status ranges that are asked for, by `from * 1000 + to`; the value is their place in the counters. */
  readonly #ranges = new Map<number, number>();
  readonly #counters: Float64Array;
  readonly #window: RollingWindow;

  constructor(ledger: Ledger, slots: BreakerSlots, expression: Expression, nowMs: number) {
    this.#ledger = ledger;
    this.#slots = slots;
    let hasLatency = false;
    for (const metric of metricsIn(expression)) {
      if (metric.kind === 'latency-at-quantile') hasLatency = true;
      if (metric.kind !== 'response-code-ratio') continue;
      this.#addRange(metric.from, metric.to);
      this.#addRange(metric.dividedByFrom, metric.dividedByTo);
    }
    this.#buckets = new Float64Array(hasLatency ? SERVICE_BUCKETS : 0);
    this.#counters = new Float64Array(RANGES + this.#ranges.size + this.#buckets.length);
    this.#count();
    this.#window = new RollingWindow(this.#counters, nowMs);
  }

  /** Takes in what the threads counted since; false when nothing ended. */
  sample(nowMs: number): boolean {
    const before = this.#counters[ALL];
    this.#count();
    this.#window.advance(nowMs, this.#counters);
    return this.#counters[ALL] !== before;
  }

  /** Forgets all that was counted until now. */
  reset(): void {
    this.#count();
    this.#window.reset(this.#counters);
  }

  networkErrorRatio(): number {
    const all = this.#window.difference(ALL);
    return all === 0 ? 0 : this.#window.difference(NETWORK_ERRORS) / all;
  }

  responses(from: number, to: number): number {
    const place = this.#ranges.get(rangeKey(from, to));
    return place === undefined ? 0 : this.#window.difference(place);
  }

  latencyAtQuantileMs(quantile: number): number {
    if (this.#buckets.length === 0) return 0;
    const first = RANGES + this.#ranges.size;
    const counts = this.#buckets.map((_, bucket) => this.#window.difference(first + bucket));
    return quantileMs(latencyBuckets(counts, HISTOGRAM), quantile / 100) ?? 0;
  }

  #addRange(from: number, to: number): void {
    const key = rangeKey(from, to);
    if (!this.#ranges.has(key)) this.#ranges.set(key, RANGES + this.#ranges.size);
  }

  #count(): void {
    const statuses = this.#statuses;
    const counters = this.#counters;
    this.#ledger.sumInto('status', this.#slots.status, 0, statuses);
    const errors = statuses[STATUS_NETWORK_ERRORS] ?? 0;
    counters[ALL] = sum(statuses);
    counters[NETWORK_ERRORS] =
      errors +
      (statuses[BAD_GATEWAY - STATUS_MIN] ?? 0) +
      (statuses[GATEWAY_TIMEOUT - STATUS_MIN] ?? 0);
    for (const [key, place] of this.#ranges) {
      const from = Math.floor(key / RANGE_SPAN);
      const to = key % RANGE_SPAN;
      const first = Math.max(from - STATUS_MIN, 0);
      const end = Math.min(Math.max(to - STATUS_MIN, first), STATUS_COUNT);
      const isBadGateway = from <= BAD_GATEWAY && BAD_GATEWAY < to;
      counters[place] = sum(statuses.subarray(first, end)) + (isBadGateway ? errors : 0);
    }
    if (this.#buckets.length === 0) return;
    this.#ledger.sumInto('status', this.#slots.status, STATUS_BUCKETS, this.#buckets);
    counters.set(this.#buckets, RANGES + this.#ranges.size);
  }
}

/** Statuses are below 1,000; whatever an expression says beyond means the same. */
const RANGE_SPAN = 1_024;

function rangeKey(from: number, to: number): number {
  return clampStatus(from) * RANGE_SPAN + clampStatus(to);
}

function clampStatus(status: number): number {
  return Math.min(Math.max(Math.ceil(status), 0), RANGE_SPAN - 1);
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
