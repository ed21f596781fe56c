/**
 * The main thread's part of the policies: every 100 ms it sums what the threads counted and sets what they go by, breaker
 * states, retry tokens, ejections by error rate. Only Services with such a policy cost anything, and a tick ends after a set
 * time; the next one goes on where it stopped.
 */

import type { Clock, Timer } from '../../base/clock.ts';
import { endpointKey } from '../../model/endpoint.ts';
import type { RetryPolicy } from '../../model/policy.ts';
import { type Backend, type PolicyScope, scopesOf, type Service } from '../../model/service.ts';
import { type Cells, LedgerView } from '../ledger/cells.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { endpointSlotKey } from '../ledger/placement.ts';
import { BREAKER_CLOSED, BREAKER_OPEN } from './breaker.ts';
import { type BreakerState, BreakerWatch } from './breaker-watch.ts';
import { type OnHealthChange, OutlierWatch, type WatchedEndpoint } from './outlier-watch.ts';
import { RetryBudget } from './retry-budget.ts';

/** What the governor changed or saw change; `service` is `namespace/name`, with `:port` for a port that says otherwise than its Service. */
export type GovernorEvent =
  | {
      readonly kind: 'breaker';
      readonly service: string;
      readonly state: 'closed' | 'open' | 'recovering';
    }
  | {
      /** Only of Services that eject by error rate; `by` says what did it this time. */
      readonly kind: 'ejected';
      readonly service: string;
      readonly backend: string;
      readonly endpoint: string;
      readonly by: 'failures-in-row' | 'error-rate';
    }
  | {
      readonly kind: 'restored';
      readonly service: string;
      readonly backend: string;
      readonly endpoint: string;
    };

interface Watch {
  readonly key: string;
  readonly slot: number;
  budget: RetryBudget | null;
  breaker: BreakerWatch | null;
  outliers: OutlierWatch | null;
  readonly onHealthChange: OnHealthChange;
}

const PERIOD_MS = 100;
const TICK_MS_MAX = 10;

export class Governor {
  /** Set it before `start`. */
  onEvent: ((event: GovernorEvent) => void) | undefined;
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #view = new LedgerView();
  #endpointChunks = 0;
  readonly #watches = new Map<string, Watch>();
  /** Watches of ports, by the key of their Service. */
  readonly #ofPorts = new Map<string, readonly string[]>();
  /** The watches in the order of their turns; null after a change. */
  #turns: readonly Watch[] | null = null;
  #cursor = 0;
  #timer: Timer | null = null;

  constructor(ledger: Ledger, clock: Clock) {
    this.#ledger = ledger;
    this.#clock = clock;
  }

  /** Takes over a new or changed Service once it is placed. State that exists is kept; a new retry budget is full at once. */
  setService(service: Service): void {
    const scopes = scopesOf(service);
    const ports = scopes.flatMap(({ key, port }) => (port === null ? [] : [key]));
    for (const key of this.#ofPorts.get(service.key) ?? [])
      if (!ports.includes(key)) this.#remove(key);
    if (ports.length === 0) this.#ofPorts.delete(service.key);
    else this.#ofPorts.set(service.key, ports);
    for (const scope of scopes) this.#set(scope);
  }

  removeService(key: string): void {
    for (const port of this.#ofPorts.get(key) ?? []) this.#remove(port);
    this.#ofPorts.delete(key);
    this.#remove(key);
  }

  #set(scope: PolicyScope): void {
    const { key } = scope;
    const slot = this.#ledger.find('service', key);
    if (slot === undefined) return this.#remove(key);
    const known = this.#watches.get(key);
    const watch = known?.slot === slot ? known : this.#newWatch(key, slot);
    const nowMs = this.#clock.nowMs();
    this.#setBudget(watch, scope, nowMs);
    this.#setBreaker(watch, scope, nowMs);
    this.#setOutliers(watch, scope, nowMs);
    const isIdle = watch.budget === null && watch.breaker === null && watch.outliers === null;
    if (isIdle) return this.#remove(key);
    if (known === watch) return;
    this.#watches.set(key, watch);
    this.#turns = null;
  }

  #remove(key: string): void {
    if (this.#watches.delete(key)) this.#turns = null;
  }

  /** Ticks from now on. Does nothing when it runs already. */
  start(): void {
    this.#timer ??= this.#clock.every(PERIOD_MS, () => this.tick());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  tick(): void {
    this.#turns ??= [...this.#watches.values()];
    const nowMs = this.#clock.nowMs();
    for (const _ of this.#turns) {
      if (this.#cursor >= this.#turns.length) this.#cursor = 0;
      const watch = this.#turns[this.#cursor++];
      if (watch !== undefined) this.#visit(watch, nowMs);
      if (this.#clock.nowMs() - nowMs > TICK_MS_MAX) break;
    }
  }

  #visit(watch: Watch, nowMs: number): void {
    watch.budget?.refill(nowMs);
    const state = watch.breaker?.tick(nowMs) ?? null;
    if (state !== null) {
      this.onEvent?.({ kind: 'breaker', service: watch.key, state: nameOf(state) });
    }
    watch.outliers?.tick(nowMs, watch.onHealthChange);
  }

  #newWatch(key: string, slot: number): Watch {
    const onHealthChange: OnHealthChange = ({ backend, endpoint }, change) => {
      this.onEvent?.({ ...change, service: key, backend, endpoint });
    };
    return { key, slot, budget: null, breaker: null, outliers: null, onHealthChange };
  }

  #setBudget(watch: Watch, scope: PolicyScope, nowMs: number): void {
    const retry = retryOf(scope);
    if (retry === null) watch.budget = null;
    else if (watch.budget !== null) watch.budget.setPolicy(retry, nowMs);
    else watch.budget = new RetryBudget(this.#ledger, watch.slot, retry, nowMs);
  }

  #setBreaker(watch: Watch, { key, policies }: PolicyScope, nowMs: number): void {
    const status = this.#ledger.find('status', key);
    if (policies.breaker === null || status === undefined) {
      watch.breaker?.close();
      watch.breaker = null;
      return;
    }
    if (watch.breaker !== null) return watch.breaker.setPolicy(policies.breaker, nowMs);
    const slots = { service: watch.slot, status };
    watch.breaker = new BreakerWatch(this.#ledger, slots, policies.breaker, nowMs);
  }

  #setOutliers(watch: Watch, { policies, ports }: PolicyScope, nowMs: number): void {
    if (policies.ejection.errorRate <= 0) {
      watch.outliers = null;
      return;
    }
    watch.outliers ??= new OutlierWatch(this.#ledger, policies.ejection);
    const endpoints = ports.flatMap(({ backend }) => this.#watched(backend));
    watch.outliers.set(policies.ejection, endpoints, nowMs);
  }

  #watched(backend: Backend): WatchedEndpoint[] {
    const weighted = backend.endpoints.filter(({ weight }) => weight > 0);
    const members = weighted.length > 0 ? weighted : backend.endpoints;
    const peers: Cells[] = [];
    const watched: WatchedEndpoint[] = [];
    for (const member of members) {
      const slot = this.#ledger.find('endpoint', endpointSlotKey(backend.id, member));
      if (slot === undefined) continue;
      const cells = this.#endpointCells(slot);
      peers.push(cells);
      watched.push({ backend: backend.id, endpoint: endpointKey(member), cells, peers });
    }
    return watched;
  }

  #endpointCells(slot: number): Cells {
    while (this.#endpointChunks < this.#ledger.chunkCount('endpoint')) {
      this.#view.add(this.#ledger.chunk('endpoint', this.#endpointChunks++, 0));
    }
    return this.#view.cells('endpoint', slot);
  }
}

function nameOf(state: BreakerState): 'closed' | 'open' | 'recovering' {
  if (state === BREAKER_CLOSED) return 'closed';
  return state === BREAKER_OPEN ? 'open' : 'recovering';
}

/** One budget for all that callers of the Service have tried again: as its own policy says, or else the first of its routes. */
function retryOf({ policies, ports }: PolicyScope): RetryPolicy | null {
  if (policies.retry !== null) return policies.retry;
  for (const port of ports) {
    for (const { policies: own } of port.routes) {
      if (own.retry !== undefined && own.retry !== null) return own.retry;
    }
  }
  return null;
}
