import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../model/defaults.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { BreakerPolicy, Policies } from '../../model/policy.ts';
import { onlyRoute } from '../../model/route.ts';
import { type Service, PLAIN_PORT } from '../../model/service.ts';
import {
  ENDPOINT_FLOAT,
  ENDPOINT_OWN,
  ENDPOINT_WORD,
  SERVICE_WORD,
  STATUS_NETWORK_ERRORS,
} from '../ledger/layout.ts';
import { Ledger } from '../ledger/ledger.ts';
import { endpointSlotKey, Placement } from '../ledger/placement.ts';
import { BREAKER_CLOSED, BREAKER_OPEN } from './breaker.ts';
import { Governor, type GovernorEvent } from './governor.ts';

const KEY = 'shop/web';
const BACKEND = 'shop/web:80';

const BREAKER: BreakerPolicy = {
  text: 'NetworkErrorRatio() > 0.30',
  expression: { kind: 'compare', metric: { kind: 'network-error-ratio' }, op: '>', value: 0.3 },
  checkPeriodMs: 100,
  openMs: 10_000,
  recoveryMs: 10_000,
};

function endpoint(index: number, weight = 100): Endpoint {
  return { address: `127.1.0.${index}`, port: 80, weight, pod: '', node: '', zone: '' };
}

function service(policies: Partial<Policies>, endpoints: readonly Endpoint[] = []): Service {
  const source = { object: `Service ${KEY}`, field: 'spec' };
  const backend = {
    id: BACKEND,
    service: KEY,
    protocol: 'http/1.1',
    tls: null,
    endpoints,
  } as const;
  return {
    key: KEY,
    namespace: 'shop',
    name: 'web',
    address: '127.77.0.1',
    secondAddress: '',
    headless: false,
    ports: [
      {
        name: '',
        port: 80,
        proxyPort: 0,
        protocol: 'http',
        ...PLAIN_PORT,
        routes: [onlyRoute(BACKEND, source)],
        backend,
      },
    ],
    policies: { ...DEFAULT_POLICIES, ...policies },
    sources: {},
  };
}

class Bed {
  readonly clock = new ManualClock();
  readonly ledger = new Ledger(2);
  readonly placement = new Placement(this.ledger, this.clock);
  readonly governor = new Governor(this.ledger, this.clock);
  readonly events: GovernorEvent[] = [];
  #version = 0;

  constructor() {
    this.governor.onEvent = (event) => this.events.push(event);
    this.governor.start();
    this.governor.start();
  }

  set(one: Service): void {
    const empty = { removedServices: [], identities: [], removedIdentities: [] };
    this.placement.place({ version: ++this.#version, services: [one], ...empty });
    this.governor.setService(one);
  }

  word(cell: number): number {
    return this.ledger.word('service', this.ledger.allocate('service', KEY), cell);
  }

  endpointSlot(index: number): number {
    return this.ledger.allocate('endpoint', endpointSlotKey(BACKEND, endpoint(index)));
  }

  health(index: number): number {
    return this.ledger.word('endpoint', this.endpointSlot(index), ENDPOINT_WORD.health);
  }

  count(index: number, requests: number, failed: number): void {
    const slot = this.endpointSlot(index);
    this.#add('endpoint', slot, ENDPOINT_OWN.requests + 2, requests);
    this.#add('endpoint', slot, ENDPOINT_OWN.failed, failed);
  }

  networkErrors(count: number): void {
    this.#add('status', this.ledger.allocate('status', KEY), STATUS_NETWORK_ERRORS, count);
  }

  #add(kind: 'endpoint' | 'status', slot: number, cell: number, count: number): void {
    this.ledger.setOwnCell(kind, slot, cell, 1, this.ledger.ownCell(kind, slot, cell, 1) + count);
  }
}

test('the governor fills the retry budget of a new Service at once', () => {
  const bed = new Bed();
  bed.set(service({ retry: DEFAULT_RETRY }));
  assert.equal(bed.word(SERVICE_WORD.retryTokens), 100);
  bed.set(service({ retry: { ...DEFAULT_RETRY, budgetMinPerSecond: 2 } }));
  assert.equal(bed.word(SERVICE_WORD.retryTokens), 20);
});

test('the governor moves breakers and tells', () => {
  const bed = new Bed();
  bed.set(service({ breaker: BREAKER }));
  bed.networkErrors(3);
  bed.clock.advance(100);
  assert.equal(bed.word(SERVICE_WORD.breakerState), BREAKER_OPEN);
  bed.set(service({ breaker: BREAKER, retry: DEFAULT_RETRY }));
  assert.equal(bed.word(SERVICE_WORD.breakerState), BREAKER_OPEN, 'an update changes nothing');
  bed.clock.advance(20_100);
  assert.deepEqual(
    bed.events.map((event) => event.kind === 'breaker' && event.state),
    ['open', 'recovering', 'closed'],
  );
});

test('a breaker that is taken away closes', () => {
  const bed = new Bed();
  bed.set(service({ breaker: BREAKER }));
  bed.networkErrors(3);
  bed.clock.advance(100);
  bed.set(service({}));
  assert.equal(bed.word(SERVICE_WORD.breakerState), BREAKER_CLOSED);
});

const EJECTION = { ...DEFAULT_POLICIES.ejection, errorRate: 0.5, errorRateMinRequests: 20 };
const THREE = [endpoint(1), endpoint(2), endpoint(3), endpoint(4, 0)];

test('the governor ejects an endpoint whose error rate is too high, once it saw enough', () => {
  const bed = new Bed();
  bed.set(service({ ejection: EJECTION }, THREE));
  bed.count(1, 19, 19);
  bed.clock.advance(100);
  assert.equal(bed.health(1), 0);
  bed.count(1, 1, 0);
  bed.count(2, 100, 49);
  bed.clock.advance(100);
  assert.deepEqual(
    [1, 2, 3].map((index) => bed.health(index)),
    [1, 0, 0],
  );
  assert.deepEqual(bed.events, [
    { kind: 'ejected', by: 'error-rate', service: KEY, backend: BACKEND, endpoint: '127.1.0.1:80' },
  ]);
  const until = bed.ledger.float('endpoint', bed.endpointSlot(1), ENDPOINT_FLOAT.ejectedUntilMs);
  assert.equal(until, bed.clock.nowMs() + EJECTION.baseMs);
});

test('the governor never ejects more than the policy allows', () => {
  const bed = new Bed();
  bed.set(service({ ejection: EJECTION }, THREE));
  for (const index of [1, 2, 3]) bed.count(index, 50, 50);
  bed.clock.advance(1_000);
  assert.equal([1, 2, 3].filter((index) => bed.health(index) !== 0).length, 1);
});

test('an endpoint that comes back has a clean slate', () => {
  const bed = new Bed();
  bed.set(service({ ejection: EJECTION }, THREE));
  bed.count(1, 50, 50);
  bed.clock.advance(100);
  assert.equal(bed.health(1), 1);
  bed.set(service({ ejection: EJECTION }, THREE));
  bed.clock.advance(100);
  bed.ledger.setWord('endpoint', bed.endpointSlot(1), ENDPOINT_WORD.health, 0);
  bed.count(1, 1, 0);
  bed.clock.advance(100);
  assert.equal(bed.health(1), 0);
  assert.equal(bed.events.at(-1)?.kind, 'restored');
  bed.ledger.setWord('endpoint', bed.endpointSlot(1), ENDPOINT_WORD.health, 1);
  bed.clock.advance(100);
  const last = bed.events.at(-1);
  assert.ok(last?.kind === 'ejected' && last.by === 'failures-in-row');
});

test('a removed Service costs nothing more, and a stopped governor does nothing', () => {
  const bed = new Bed();
  bed.set(service({ breaker: BREAKER }));
  bed.governor.removeService(KEY);
  bed.networkErrors(3);
  bed.clock.advance(100);
  assert.equal(bed.word(SERVICE_WORD.breakerState), BREAKER_CLOSED);
  bed.set(service({ breaker: BREAKER }));
  bed.governor.stop();
  bed.networkErrors(3);
  bed.clock.advance(1_000);
  assert.equal(bed.word(SERVICE_WORD.breakerState), BREAKER_CLOSED);
  bed.governor.tick();
  assert.equal(bed.word(SERVICE_WORD.breakerState), BREAKER_OPEN);
  bed.governor.setService({ ...service({ breaker: BREAKER }), key: 'shop/unplaced' });
});

/** Every look at it takes 4 ms: three visits are over the limit of a tick. */
class SlowClock extends ManualClock {
  override nowMs(): number {
    this.advance(4);
    return super.nowMs();
  }
}

test('a tick ends after its time and the next one goes on where it stopped', () => {
  const slow = new SlowClock();
  const ledger = new Ledger(1);
  const governor = new Governor(ledger, slow);
  const keys = Array.from({ length: 9 }, (_, i) => `shop/s${i}`);
  for (const key of keys) {
    ledger.allocate('status', key);
    ledger.allocate('service', key);
    governor.setService({ ...service({ breaker: BREAKER }), key });
  }
  const opened = new Set<string>();
  governor.onEvent = (event) => opened.add(event.service);
  for (const key of keys) {
    ledger.setOwnCell('status', ledger.allocate('status', key), STATUS_NETWORK_ERRORS, 0, 1);
  }
  governor.tick();
  assert.equal(opened.size, 3);
  governor.tick();
  governor.tick();
  assert.equal(opened.size, 9);
});
