/** Looks at the figures of this node for Services whose callers are failed, so that somebody can be told. */

import type { Clock, Timer } from '../../base/clock.ts';
import { endpointKey } from '../../model/endpoint.ts';
import { FAILURE_REASONS, FAILURES } from '../../model/failure.ts';
import {
  isCarried,
  portText,
  scopesOf,
  type Service,
  type ServicePort,
} from '../../model/service.ts';
import { type Trouble, TROUBLE_KINDS } from '../../model/trouble.ts';
import { SERVICE_OWN } from '../../proxy/ledger/layout.ts';
import type { Ledger } from '../../proxy/ledger/ledger.ts';
import { endpointSlotKey } from '../../proxy/ledger/placement.ts';
import { breakerOf, healthOf } from '../../proxy/telemetry/service-stats.ts';
import { Window } from '../../proxy/telemetry/window.ts';

export interface TroubleWatchOptions {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly services: () => Iterable<Service>;
  /** Called with all of them when they are others than before, the worst first. */
  readonly onChange: (troubles: readonly Trouble[]) => void;
}

const PERIOD_MS = 5_000;
/** What is judged: the calls of this time. */
const WINDOW_MS = 30_000;
/** A trouble is over when it was not seen for this long: a breaker that tries again has not recovered. */
const HOLD_MS = 20_000;
/** An ejection of this age is one that stays. */
const EJECTED_MS = 60_000;
/** Calls from which on "every call fails" and "half of the calls fail" say something. */
const CALLS_MIN = 3;
const CALLS_MIN_HALF = 20;
/** Troubles that are told. */
const TROUBLES_MAX = 100;
/** Services whose figures are looked at without anybody asking. */
const WATCHED_MAX = 20_000;
const CLASSES = 6;
const NO_RESPONSE = 0;
const SERVER_ERRORS = 5;

interface Held {
  readonly trouble: Trouble;
  seenMs: number;
}

export class TroubleWatch {
  readonly #options: TroubleWatchOptions;
  readonly #window: Window;
  readonly #cells = new Float64Array(SERVICE_OWN.buckets);
  readonly #portCells = new Float64Array(SERVICE_OWN.buckets);
  readonly #held = new Map<string, Held>();
  /** Since when an endpoint has been ejected, by the key of its slot. */
  #ejected = new Map<string, number>();
  /** Services that have an ejected endpoint, called or not. */
  #ejecting = new Set<string>();
  /** The same of the look before. */
  #ejectingBefore: ReadonlySet<string> = new Set();
  #timer: Timer | null = null;
  #told = '[]';

  constructor(options: TroubleWatchOptions) {
    this.#options = options;
    this.#window = new Window(options.ledger, {
      kind: 'service',
      cells: SERVICE_OWN.buckets,
      counters: CLASSES,
      watchedMax: WATCHED_MAX,
    });
  }

  /** Looks every 5 s. */
  start(): void {
    this.#timer ??= this.#options.clock.every(PERIOD_MS, () => this.#look());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #look(): void {
    const nowMs = this.#options.clock.nowMs();
    this.#window.sample(nowMs, WINDOW_MS);
    const ejected = new Map<string, number>();
    this.#ejectingBefore = this.#ejecting;
    this.#ejecting = new Set();
    for (const service of this.#options.services()) {
      const slot = this.#options.ledger.find('service', service.key);
      if (slot !== undefined) this.#judge(service, nowMs, ejected);
    }
    this.#ejected = ejected;
    for (const [key, { seenMs }] of this.#held) {
      if (nowMs - seenMs > HOLD_MS) this.#held.delete(key);
    }
    this.#tell();
  }

  #judge(service: Service, nowMs: number, ejected: Map<string, number>): void {
    const { key } = service;
    const { ledger } = this.#options;
    const ofPorts: string[] = [];
    for (const scope of scopesOf(service)) {
      const { port } = scope;
      if (port !== null) ofPorts.push(scope.key);
      const slot = ledger.find('service', scope.key);
      if (scope.policies.breaker === null || slot === undefined) continue;
      if (breakerOf(ledger, slot) === 'closed') continue;
      const detail = port === null ? '' : portText(port);
      this.#see({ service: key, kind: 'breaker-open', detail }, nowMs);
    }
    const { calls, trouble } = this.#callsOf(key, ofPorts, nowMs);
    if (trouble !== null) this.#see(trouble, nowMs);
    // Nothing is ejected without a call, and there may be a hundred thousand endpoints that nobody calls.
    if (calls === 0 && !this.#ejectingBefore.has(key)) return;
    for (const port of service.ports) {
      if (isCarried(port)) this.#judgePort(key, port, nowMs, ejected);
    }
  }

  /** What the calls of the window say. */
  #callsOf(
    service: string,
    ofPorts: readonly string[],
    nowMs: number,
  ): { readonly calls: number; readonly trouble: Trouble | null } {
    const cells = this.#cells;
    this.#window.sum(service, nowMs, cells);
    for (const port of ofPorts) {
      this.#window.sum(port, nowMs, this.#portCells);
      for (let i = 0; i < cells.length; i++) cells[i] = (cells[i] ?? 0) + (this.#portCells[i] ?? 0);
    }
    let calls = 0;
    for (let i = 0; i < CLASSES; i++) calls += cells[i] ?? 0;
    const failed = (cells[NO_RESPONSE] ?? 0) + (cells[SERVER_ERRORS] ?? 0);
    const kind = kindOf(calls, failed);
    if (kind === null) return { calls, trouble: null };
    const detail = mainReason(cells, failed);
    // A breaker that opens and closes is one that is open.
    const isBreaker = detail === 'breaker_open';
    const trouble: Trouble = isBreaker
      ? { service, kind: 'breaker-open', detail: '' }
      : { service, kind, detail };
    return { calls, trouble };
  }

  #judgePort(
    service: string,
    port: ServicePort,
    nowMs: number,
    ejected: Map<string, number>,
  ): void {
    const { ledger } = this.#options;
    const { backend } = port;
    let out = 0;
    for (const endpoint of backend.endpoints) {
      const key = endpointSlotKey(backend.id, endpoint);
      const slot = ledger.find('endpoint', key);
      if (slot === undefined || healthOf(ledger, slot) === 'healthy') continue;
      out += 1;
      const sinceMs = this.#ejected.get(key) ?? nowMs;
      ejected.set(key, sinceMs);
      if (nowMs - sinceMs < EJECTED_MS) continue;
      this.#see({ service, kind: 'ejected', detail: endpointKey(endpoint) }, nowMs);
    }
    if (out === 0) return;
    this.#ejecting.add(service);
    if (out === backend.endpoints.length) {
      this.#see({ service, kind: 'all-ejected', detail: portText(port) }, nowMs);
    }
  }

  #see(trouble: Trouble, nowMs: number): void {
    const key = `${trouble.service} ${trouble.kind} ${trouble.detail}`;
    const held = this.#held.get(key);
    if (held === undefined) this.#held.set(key, { trouble, seenMs: nowMs });
    else held.seenMs = nowMs;
  }

  #tell(): void {
    const troubles = [...this.#held.values()]
      .map(({ trouble }) => trouble)
      .sort((a, b) => TROUBLE_KINDS.indexOf(a.kind) - TROUBLE_KINDS.indexOf(b.kind))
      .slice(0, TROUBLES_MAX);
    const text = JSON.stringify(troubles);
    if (text === this.#told) return;
    this.#told = text;
    this.#options.onChange(troubles);
  }
}

function kindOf(calls: number, failed: number): 'failing' | 'failing-often' | null {
  if (calls >= CALLS_MIN && failed === calls) return 'failing';
  return calls >= CALLS_MIN_HALF && failed * 2 >= calls ? 'failing-often' : null;
}

/** The reason of most failed calls; '' when most were answered by endpoints themselves. */
function mainReason(cells: Float64Array, failed: number): string {
  let main = '';
  let most = 0;
  let known = 0;
  for (const [index, reason] of FAILURE_REASONS.entries()) {
    const { status, blames } = FAILURES[reason];
    if (blames === 'caller' || (status !== 0 && status < 500)) continue;
    const count = cells[SERVICE_OWN.failures + index] ?? 0;
    known += count;
    if (count <= most) continue;
    most = count;
    main = reason;
  }
  return known * 2 >= failed ? main : '';
}
