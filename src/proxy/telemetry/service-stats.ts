/** Rates and quantiles of the last seconds, for the terminal view and the admin API. */

import type { Clock } from '../../base/clock.ts';
import { FAILURE_REASONS } from '../../model/failure.ts';
import { CHECK_STATES, type CheckFacts, checkReason } from '../../model/health-check.ts';
import { quantileMs } from '../../model/quantile.ts';
import type {
  BreakerState,
  EndpointHealth,
  EndpointStats,
  ServiceStats,
  WindowCounts,
} from '../../model/stats.ts';
import { unpackCheck } from '../balance/check-standing.ts';
import { isEjectedByChecks } from '../balance/ejection.ts';
import { faded } from '../balance/penalty.ts';
import {
  ENDPOINT_BUCKETS,
  ENDPOINT_FLOAT,
  ENDPOINT_OWN,
  ENDPOINT_WORD,
  SERVICE_BUCKETS,
  SERVICE_OWN,
  SERVICE_WORD,
} from '../ledger/layout.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { type HistogramShape, latencyBuckets } from '../ledger/latency-buckets.ts';
import { Window } from './window.ts';

export interface StatsOptions {
  /** Default 5,000. */
  readonly windowMs?: number;
  /** Services, and endpoints, that are watched unasked; default 5,000 each. */
  readonly watchedMax?: number;
}

/** More than this many samples a window would only cost memory. */
const SAMPLES_PER_WINDOW_MAX = 50;
const RATE_LIMITED = (['rate_limited', 'route_rate_limited'] as const).map(
  (reason) => SERVICE_OWN.failures + FAILURE_REASONS.indexOf(reason),
);
const SERVICE_CELLS = SERVICE_OWN.buckets + SERVICE_BUCKETS;
const ENDPOINT_CELLS = ENDPOINT_OWN.buckets + ENDPOINT_BUCKETS;
const SERVICE_HISTOGRAM = { from: SERVICE_OWN.buckets, buckets: SERVICE_BUCKETS, subBits: 2 };
const ENDPOINT_HISTOGRAM = { from: ENDPOINT_OWN.buckets, buckets: ENDPOINT_BUCKETS, subBits: 0 };
/** The six code classes come first in both kinds of slot, and only ever grow. */
const CLASSES = 6;
const SERVER_ERRORS = 5;

export class StatsSampler {
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #services: Window;
  readonly #endpoints: Window;
  readonly #serviceCells = new Float64Array(SERVICE_CELLS);
  readonly #portCells = new Float64Array(SERVICE_CELLS);
  readonly #endpointCells = new Float64Array(ENDPOINT_CELLS);
  #readAtMs = -Infinity;
  #lastMs = -Infinity;

  constructor(ledger: Ledger, clock: Clock, options: StatsOptions = {}) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#windowMs = options.windowMs ?? 5_000;
    const watchedMax = options.watchedMax ?? 5_000;
    this.#services = new Window(ledger, {
      kind: 'service',
      cells: SERVICE_CELLS,
      counters: CLASSES,
      watchedMax,
    });
    this.#endpoints = new Window(ledger, {
      kind: 'endpoint',
      cells: ENDPOINT_CELLS,
      counters: CLASSES,
      watchedMax,
    });
  }

  /** When figures were last asked for; -Infinity before. */
  get readAtMs(): number {
    return this.#readAtMs;
  }

  /** To be called every 250 ms to 1 s while somebody looks. Calls that come much faster are ignored. */
  sample(): void {
    const now = this.#clock.nowMs();
    if (now - this.#lastMs < this.#windowMs / SAMPLES_PER_WINDOW_MAX) return;
    this.#lastMs = now;
    this.#services.sample(now, this.#windowMs);
    this.#endpoints.sample(now, this.#windowMs);
  }

  /**
   * Figures of the Service `namespace/name`, with those of its ports that are counted by themselves; all 0, null and closed for one
   * that is not known. The breaker is that of the Service.
   */
  of(serviceKey: string, portKeys: readonly string[] = []): ServiceStats {
    this.#readAtMs = this.#clock.nowMs();
    const cells = this.#serviceCells;
    const windowMs = this.#services.sum(serviceKey, this.#clock.nowMs(), cells);
    const slot = this.#ledger.find('service', serviceKey);
    let inFlight = this.inFlight(serviceKey);
    for (const key of portKeys) {
      this.#services.sum(key, this.#clock.nowMs(), this.#portCells);
      for (let i = 0; i < cells.length; i++) cells[i] = (cells[i] ?? 0) + (this.#portCells[i] ?? 0);
      inFlight += this.inFlight(key);
    }
    const counts = countsOf(cells, windowMs, SERVICE_HISTOGRAM);
    return {
      ...counts,
      requestsPerSecond: perSecond(counts.requests, windowMs),
      successRatio: successRatioOf(counts),
      p50Ms: quantileMs(counts.latency, 0.5),
      p95Ms: quantileMs(counts.latency, 0.95),
      p99Ms: quantileMs(counts.latency, 0.99),
      retriesPerSecond: perSecond(cells[SERVICE_OWN.retries] ?? 0, windowMs),
      rateLimitedPerSecond: perSecond(
        RATE_LIMITED.reduce((sum, cell) => sum + (cells[cell] ?? 0), 0),
        windowMs,
      ),
      failedOverPerSecond: perSecond(cells[SERVICE_OWN.failedOver] ?? 0, windowMs),
      breaker: slot === undefined ? 'closed' : breakerOf(this.#ledger, slot),
      inFlight,
    };
  }

  /** Requests in flight that are counted for a Service, or a port of it, alone. */
  inFlight(key: string): number {
    const slot = this.#ledger.find('service', key);
    return slot === undefined
      ? 0
      : countOf(this.#ledger.word('service', slot, SERVICE_WORD.inFlight));
  }

  /** Figures of an endpoint by its `endpointSlotKey`; all 0, null and healthy for one that is not known. */
  endpoint(slotKey: string): EndpointStats {
    this.#readAtMs = this.#clock.nowMs();
    const cells = this.#endpointCells;
    const windowMs = this.#endpoints.sum(slotKey, this.#clock.nowMs(), cells);
    const slot = this.#ledger.find('endpoint', slotKey);
    const counts = countsOf(cells, windowMs, ENDPOINT_HISTOGRAM);
    return {
      ...counts,
      requestsPerSecond: perSecond(counts.requests, windowMs),
      successRatio: successRatioOf(counts),
      p50Ms: quantileMs(counts.latency, 0.5),
      health: slot === undefined ? 'healthy' : healthOf(this.#ledger, slot),
      inFlight: this.#word(slot, ENDPOINT_WORD.inFlight),
      connections: this.#word(slot, ENDPOINT_WORD.connections),
      recentFailures: slot === undefined ? 0 : this.#recentFailures(slot),
      check: slot === undefined ? null : checkOf(this.#ledger, slot, this.#clock.nowMs()),
    };
  }

  #word(slot: number | undefined, cell: number): number {
    return slot === undefined ? 0 : countOf(this.#ledger.word('endpoint', slot, cell));
  }

  #recentFailures(slot: number): number {
    const penalty = this.#ledger.float('endpoint', slot, ENDPOINT_FLOAT.penalty);
    const atMs = this.#ledger.float('endpoint', slot, ENDPOINT_FLOAT.penaltyAtMs);
    return faded(penalty, atMs, this.#clock.nowMs());
  }
}

export function breakerOf(ledger: Ledger, slot: number): BreakerState {
  const state = ledger.word('service', slot, SERVICE_WORD.breakerState);
  if (state === 0) return 'closed';
  return state === 1 ? 'open' : 'recovering';
}

export function healthOf(ledger: Ledger, slot: number): EndpointHealth {
  const state = ledger.word('endpoint', slot, ENDPOINT_WORD.health);
  if (state === 0) return 'healthy';
  return state === 1 ? 'ejected' : 'probing';
}

function checkOf(ledger: Ledger, slot: number, nowMs: number): CheckFacts | null {
  const atMs = ledger.float('endpoint', slot, ENDPOINT_FLOAT.checkedAtMs);
  if (atMs === 0) return null;
  const word = (cell: number): number => ledger.word('endpoint', slot, cell);
  const outcome = unpackCheck(word(ENDPOINT_WORD.checkResult));
  return {
    ...outcome,
    state: CHECK_STATES[word(ENDPOINT_WORD.checkState)] ?? 'unknown',
    reason: checkReason(outcome),
    ejected: isEjectedByChecks(word(ENDPOINT_WORD.health), word(ENDPOINT_WORD.ejectedBy)),
    ageMs: Math.max(nowMs - atMs, 0),
  };
}

/** What ended without a response or with 5xx failed. */
function countsOf(cells: Float64Array, windowMs: number, shape: HistogramShape): WindowCounts {
  let requests = 0;
  for (let i = 0; i < CLASSES; i++) requests += cells[i] ?? 0;
  const failed = (cells[0] ?? 0) + (cells[SERVER_ERRORS] ?? 0);
  return { windowMs, requests, failed, latency: latencyBuckets(cells, shape) };
}

function successRatioOf({ requests, failed }: WindowCounts): number | null {
  return requests <= 0 ? null : 1 - failed / requests;
}

function perSecond(count: number, windowMs: number): number {
  return windowMs <= 0 ? 0 : (count * 1000) / windowMs;
}

/** A count that several threads change in turn is never shown below nothing. */
export function countOf(value: number): number {
  return Math.max(value, 0);
}
