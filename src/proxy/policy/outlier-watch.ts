/**
 * Ejects endpoints of one Service whose share of failed requests in the last 10 s is too high: the governor's part of
 * passive health; failures in a row are counted by the workers. An endpoint that is out starts with a clean slate when it
 * comes back.
 */

import type { EjectionPolicy } from '../../model/policy.ts';
import type { Cells } from '../ledger/cells.ts';
import { ENDPOINT_OWN } from '../ledger/layout.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { eject, healthOf, IN_ROTATION } from '../balance/ejection.ts';
import { RollingWindow } from './rolling-window.ts';

/** An endpoint to watch; `peers` are the cells of all of its backend that take traffic, its own included. */
export interface WatchedEndpoint {
  readonly backend: string;
  /** `address:port`. */
  readonly endpoint: string;
  readonly cells: Cells;
  readonly peers: readonly Cells[];
}

type HealthChange =
  | { readonly kind: 'ejected'; readonly by: 'failures-in-row' | 'error-rate' }
  | { readonly kind: 'restored' };

export type OnHealthChange = (watched: WatchedEndpoint, change: HealthChange) => void;

interface EndpointHistory {
  watched: WatchedEndpoint;
  readonly window: RollingWindow;
  wasOut: boolean;
}

/** Endpoints looked at per tick: a Service with more gets its turn over several. */
const VISITS_MAX = 1_000;
const REQUESTS = 0;
const FAILED = 1;

export class OutlierWatch {
  readonly #ledger: Ledger;
  #policy: EjectionPolicy;
  #histories: EndpointHistory[] = [];
  #cursor = 0;
  readonly #counts = new Float64Array(2);
  readonly #classes = new Float64Array(6);

  constructor(ledger: Ledger, policy: EjectionPolicy) {
    this.#ledger = ledger;
    this.#policy = policy;
  }

  /** Watches these endpoints from now on; those that were watched before keep their figures. */
  set(policy: EjectionPolicy, endpoints: readonly WatchedEndpoint[], nowMs: number): void {
    this.#policy = policy;
    const known = new Map(this.#histories.map((history) => [history.watched.cells.slot, history]));
    this.#histories = endpoints.map((watched) => {
      const history = known.get(watched.cells.slot);
      if (history === undefined) return this.#newHistory(watched, nowMs);
      history.watched = watched;
      return history;
    });
  }

  tick(nowMs: number, onChange: OnHealthChange): void {
    const count = Math.min(this.#histories.length, VISITS_MAX);
    for (let i = 0; i < count; i++) {
      if (this.#cursor >= this.#histories.length) this.#cursor = 0;
      const history = this.#histories[this.#cursor++];
      if (history !== undefined) this.#visit(history, nowMs, onChange);
    }
  }

  #visit(history: EndpointHistory, nowMs: number, onChange: OnHealthChange): void {
    const { watched, window } = history;
    const isOut = healthOf(watched.cells) !== IN_ROTATION;
    this.#count(watched.cells.slot);
    if (isOut) window.reset(this.#counts);
    else window.advance(nowMs, this.#counts);
    if (isOut !== history.wasOut) {
      history.wasOut = isOut;
      onChange(watched, isOut ? { kind: 'ejected', by: 'failures-in-row' } : { kind: 'restored' });
    }
    if (isOut || !this.#isOutlier(window)) return;
    if (!eject(watched.cells, watched.peers, this.#policy, nowMs)) return;
    history.wasOut = true;
    onChange(watched, { kind: 'ejected', by: 'error-rate' });
  }

  #isOutlier(window: RollingWindow): boolean {
    const requests = window.difference(REQUESTS);
    if (requests === 0 || requests < this.#policy.errorRateMinRequests) return false;
    return window.difference(FAILED) / requests >= this.#policy.errorRate;
  }

  #newHistory(watched: WatchedEndpoint, nowMs: number): EndpointHistory {
    this.#count(watched.cells.slot);
    const wasOut = healthOf(watched.cells) !== IN_ROTATION;
    return { watched, window: new RollingWindow(this.#counts, nowMs), wasOut };
  }

  #count(slot: number): void {
    this.#ledger.sumInto('endpoint', slot, ENDPOINT_OWN.requests, this.#classes);
    let requests = 0;
    for (const count of this.#classes) requests += count;
    this.#counts[REQUESTS] = requests;
    this.#counts[FAILED] = this.#ledger.sum('endpoint', slot, ENDPOINT_OWN.failed);
  }
}
