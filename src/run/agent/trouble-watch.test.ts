import assert from 'node:assert/strict';
import { test } from 'node:test';

import { exampleBreaker, exampleEndpoint, exampleService } from '../../../test/support/model.ts';
import { ManualClock } from '../../base/clock.ts';
import { FAILURE_REASONS, type FailureReason } from '../../model/failure.ts';
import type { Service } from '../../model/service.ts';
import type { Trouble } from '../../model/trouble.ts';
import { ENDPOINT_WORD, SERVICE_OWN, SERVICE_WORD } from '../../proxy/ledger/layout.ts';
import { Ledger } from '../../proxy/ledger/ledger.ts';
import { endpointSlotKey } from '../../proxy/ledger/placement.ts';
import { TroubleWatch } from './trouble-watch.ts';

const ENDPOINTS = [exampleEndpoint('10.1.0.1'), exampleEndpoint('10.1.0.2')];

function setUp(more: Partial<Service> = {}) {
  const ledger = new Ledger(2);
  const clock = new ManualClock();
  const base = exampleService('shop/web', {
    endpoints: ENDPOINTS,
    policies: { breaker: exampleBreaker({ openMs: 10_000, recoveryMs: 10_000 }) },
  });
  const service = { ...base, ...more };
  const slot = ledger.allocate('service', service.key);
  const [port] = service.ports;
  assert.ok(port);
  const endpoints = ENDPOINTS.map((endpoint) =>
    ledger.allocate('endpoint', endpointSlotKey(port.backend.id, endpoint)),
  );
  const told: (readonly Trouble[])[] = [];
  const watch = new TroubleWatch({
    ledger,
    clock,
    services: () => [service],
    onChange: (troubles) => told.push(troubles),
  });
  const bump = (cell: number, by: number, thread: number): void =>
    ledger.setOwnCell(
      'service',
      slot,
      cell,
      thread,
      ledger.ownCell('service', slot, cell, thread) + by,
    );
  /** So many calls that end with this status, for a reason of the proxy's own if there is one. */
  const calls = (count: number, status: number, reason: FailureReason | '' = ''): void => {
    bump(SERVICE_OWN.requests + Math.floor(status / 100), count, 0);
    if (reason !== '') bump(SERVICE_OWN.failures + FAILURE_REASONS.indexOf(reason), count, 1);
  };
  watch.start();
  clock.advance(5_000);
  return {
    clock,
    calls,
    told,
    now: () => (told.at(-1) ?? []).map(({ kind, detail }) => `${kind} ${detail}`.trim()),
    setBreaker: (state: number) =>
      ledger.setWord('service', slot, SERVICE_WORD.breakerState, state),
    setHealth: (index: number, health: number) =>
      ledger.setWord('endpoint', endpoints[index] ?? -1, ENDPOINT_WORD.health, health),
  };
}

test('TroubleWatch tells that every call fails, with the reason of most, until calls succeed', () => {
  const { clock, calls, now, told } = setUp();
  clock.advance(60_000);
  assert.deepEqual(told, [], 'a Service that nobody calls fails nobody');
  calls(2, 502, 'connect_failed');
  clock.advance(5_000);
  assert.deepEqual(now(), [], 'two calls say nothing');
  calls(1, 504, 'connect_timeout');
  clock.advance(5_000);
  assert.deepEqual(now(), ['failing connect_failed']);
  calls(100, 200);
  clock.advance(15_000);
  assert.deepEqual(now(), ['failing connect_failed'], 'a moment of success is no repair');
  clock.advance(10_000);
  assert.deepEqual(now(), []);
  assert.equal(told.length, 2);
});

test('TroubleWatch says when half of the calls fail, and blames endpoints that answer with 5xx', () => {
  const { clock, calls, now } = setUp();
  calls(10, 500);
  calls(10, 200);
  clock.advance(5_000);
  assert.deepEqual(now(), ['failing-often']);
});

test('TroubleWatch takes no fault of a caller, and no limit that did its work, for a failure', () => {
  const { clock, calls, told } = setUp();
  calls(50, 400, 'bad_request');
  calls(50, 429, 'rate_limited');
  calls(50, 404, 'no_route');
  clock.advance(30_000);
  assert.deepEqual(told, []);
});

test('TroubleWatch tells of an open breaker once, through its tries to recover', () => {
  const { clock, calls, now, told, setBreaker } = setUp();
  setBreaker(1);
  calls(30, 503, 'breaker_open');
  clock.advance(5_000);
  assert.deepEqual(now(), ['breaker-open'], 'that calls fail is the same thing');
  for (let round = 0; round < 5; round++) {
    setBreaker(2);
    clock.advance(10_000);
    setBreaker(0);
    clock.advance(10_000);
    setBreaker(1);
    clock.advance(10_000);
  }
  assert.equal(told.length, 1);
  setBreaker(0);
  clock.advance(25_000);
  assert.deepEqual(now(), []);
});

test('TroubleWatch tells of an ejection that stays, and at once when all endpoints of a port are out', () => {
  const { clock, calls, now, setHealth } = setUp();
  calls(1, 200);
  setHealth(0, 1);
  clock.advance(55_000);
  assert.deepEqual(now(), []);
  // A probe is under way: it is not back.
  setHealth(0, 2);
  clock.advance(10_000);
  assert.deepEqual(now(), ['ejected 10.1.0.1:8080']);
  setHealth(1, 1);
  clock.advance(5_000);
  assert.deepEqual(now(), ['all-ejected 80', 'ejected 10.1.0.1:8080']);
  setHealth(0, 0);
  setHealth(1, 0);
  clock.advance(25_000);
  assert.deepEqual(now(), []);
});
