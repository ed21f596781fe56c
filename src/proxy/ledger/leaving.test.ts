import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { ENDPOINT_WORD, SERVICE_OWN, SERVICE_WORD, type SlotKind } from './layout.ts';
import { Leaving } from './leaving.ts';
import { Ledger } from './ledger.ts';

const QUARANTINE_MS = 600_000;
const WEB = 'shop/web';
const PORT = 'shop/web:80';
const ENDPOINT = 'shop/web:80 127.1.0.1:8080';

/** A Service that left, with all that it may have. */
function left(): {
  readonly ledger: Ledger;
  /** Lets a quarantine pass, and names what is still kept. */
  readonly pass: () => readonly string[];
  readonly slot: (kind: SlotKind, key: string) => number;
} {
  const clock = new ManualClock();
  const ledger = new Ledger(2);
  const leaving = new Leaving(ledger, clock);
  for (const [kind, key] of [
    ['endpoint', ENDPOINT],
    ['route', `${PORT} blue`],
    ['service', PORT],
    ['status', PORT],
    ['service', WEB],
    ['status', WEB],
  ] as const) {
    ledger.allocate(kind, key);
    leaving.add(kind, key, WEB);
  }
  return {
    ledger,
    pass() {
      clock.advance(QUARANTINE_MS);
      leaving.sweep();
      const kinds = ['endpoint', 'route', 'service', 'status'] as const;
      return kinds.flatMap((kind) =>
        [...ledger.entries(kind).keys()].map((key) => `${kind} ${key}`),
      );
    },
    slot: (kind, key) => ledger.find(kind, key) ?? assert.fail(`no ${kind} ${key}`),
  };
}

const OF_SERVICES = [`service ${PORT}`, `service ${WEB}`, `status ${PORT}`, `status ${WEB}`];
const ALL = [`endpoint ${ENDPOINT}`, ...OF_SERVICES];

test('what nobody counts on is freed after a quarantine', () => {
  assert.deepEqual(left().pass(), []);
});

test('an endpoint is kept while it has requests or connections, and with it what they end by', () => {
  for (const word of [ENDPOINT_WORD.inFlight, ENDPOINT_WORD.connections]) {
    const { ledger, pass, slot } = left();
    ledger.setWord('endpoint', slot('endpoint', ENDPOINT), word, 1);
    for (let i = 0; i < 3; i++) assert.deepEqual(pass(), ALL);
    ledger.setWord('endpoint', slot('endpoint', ENDPOINT), word, 0);
    assert.deepEqual(pass(), []);
  }
});

test('a Service is kept while it has requests, callers or tunnels, with its ports and breakers', () => {
  const { callerConnectionsActive, upgradesActive } = SERVICE_OWN;
  for (const cell of [callerConnectionsActive, upgradesActive]) {
    const { ledger, pass, slot } = left();
    // Of the second thread.
    ledger.setOwnCell('service', slot('service', WEB), cell, 1, 1);
    for (let i = 0; i < 3; i++) assert.deepEqual(pass(), OF_SERVICES);
    ledger.setOwnCell('service', slot('service', WEB), cell, 1, 0);
    assert.deepEqual(pass(), []);
  }
  const { ledger, pass, slot } = left();
  ledger.setWord('service', slot('service', PORT), SERVICE_WORD.inFlight, 1);
  assert.deepEqual(pass(), OF_SERVICES, 'a port counts for its Service');
  ledger.setWord('service', slot('service', PORT), SERVICE_WORD.inFlight, 0);
  assert.deepEqual(pass(), []);
});

test('what ends by an endpoint that left before is kept with it', () => {
  const clock = new ManualClock();
  const ledger = new Ledger(1);
  const leaving = new Leaving(ledger, clock);
  const at = ledger.allocate('endpoint', ENDPOINT);
  leaving.add('endpoint', ENDPOINT, WEB);
  ledger.setWord('endpoint', at, ENDPOINT_WORD.connections, 1);
  clock.advance(60_000);
  ledger.allocate('status', WEB);
  leaving.add('status', WEB, WEB);
  clock.advance(QUARANTINE_MS - 60_000);
  leaving.sweep();
  clock.advance(60_000);
  leaving.sweep();
  assert.ok(ledger.find('status', WEB) !== undefined);
});

test('what is kept holds up nothing else, and one that leaves again waits anew', () => {
  const clock = new ManualClock();
  const ledger = new Ledger(1);
  const leaving = new Leaving(ledger, clock);
  const keys = ['a', 'b', 'c'].map((name) => `shop/${name}:80 127.1.0.1:1`);
  for (const key of keys) {
    ledger.allocate('endpoint', key);
    leaving.add('endpoint', key, 'shop/x');
  }
  const [first = '', second = ''] = keys;
  ledger.setWord('endpoint', ledger.find('endpoint', first) ?? 0, ENDPOINT_WORD.connections, 1);
  clock.advance(1);
  leaving.add('endpoint', second, 'shop/x');
  clock.advance(QUARANTINE_MS - 1);
  leaving.sweep();
  assert.deepEqual([...ledger.entries('endpoint').keys()], [first, second]);
  clock.advance(1);
  leaving.sweep();
  assert.deepEqual([...ledger.entries('endpoint').keys()], [first]);
});
