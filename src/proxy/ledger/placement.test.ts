import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { DEFAULT_POLICIES } from '../../model/defaults.ts';
import type { Policies, RateLimitPolicy } from '../../model/policy.ts';
import { onlyRoute } from '../../model/route.ts';
import { type Delta, type Service, PLAIN_PORT } from '../../model/service.ts';
import { ENDPOINT_FLOAT, ENDPOINT_WORD, ROUTE_FLOAT } from './layout.ts';
import { Ledger } from './ledger.ts';
import { endpointSlotKey, Placement, routeSlotKey } from './placement.ts';

function service(
  name: string,
  ports: readonly number[],
  policies: Partial<Policies> = {},
): Service {
  const backend = {
    id: `shop/${name}:80`,
    service: `shop/${name}`,
    protocol: 'http/1.1' as const,
    tls: null,
    endpoints: ports.map((port) => ({
      address: '127.1.0.1',
      port,
      weight: 100,
      pod: '',
      node: '',
      zone: '',
    })),
  };
  return {
    key: `shop/${name}`,
    namespace: 'shop',
    name,
    address: '127.77.0.1',
    secondAddress: '',
    headless: false,
    ports: [
      { name: '', port: 80, proxyPort: 0, protocol: 'http', ...PLAIN_PORT, routes: [], backend },
    ],
    policies: { ...DEFAULT_POLICIES, ...policies },
    sources: {},
  };
}

function delta(services: readonly Service[], removedServices: readonly string[] = []): Delta {
  return { version: 1, services, removedServices, identities: [], removedIdentities: [] };
}

function setup(): { clock: ManualClock; ledger: Ledger; placement: Placement } {
  const clock = new ManualClock();
  const ledger = new Ledger(1);
  return { clock, ledger, placement: new Placement(ledger, clock) };
}

const PER_CALLER = {
  average: 1,
  periodMs: 1_000,
  burst: 1,
  per: 'caller',
  callersMax: 64,
} as const;

test('place() keeps the slots of what stays through an update', () => {
  const { ledger, placement } = setup();
  const first = placement.place(delta([service('web', [1, 2])])).services[0];
  ledger.setWord('endpoint', first?.endpointSlots[0]?.[1] ?? 0, ENDPOINT_WORD.ejections, 5);
  const second = placement.place(delta([service('web', [3, 2])])).services[0];
  assert.equal(second?.slot, first?.slot);
  assert.equal(second?.endpointSlots[0]?.[1], first?.endpointSlots[0]?.[1]);
  assert.equal(
    ledger.word('endpoint', second?.endpointSlots[0]?.[1] ?? 0, ENDPOINT_WORD.ejections),
    5,
  );
});

test('place() frees the slot of what left only after its quarantine, and not if it came back', () => {
  const { clock, ledger, placement } = setup();
  placement.place(delta([service('web', [1, 2, 3])]));
  placement.place(delta([service('web', [1])]));
  clock.advance(599_000);
  placement.place(delta([service('web', [1, 3])]));
  clock.advance(2_000);
  placement.place(delta([]));
  const key = (port: number): string =>
    endpointSlotKey('shop/web:80', { address: '127.1.0.1', port });
  assert.equal(ledger.find('endpoint', key(2)), undefined, 'left long ago');
  assert.notEqual(ledger.find('endpoint', key(3)), undefined, 'came back');
});

test('place() frees everything of a removed Service after the quarantine', () => {
  const { clock, ledger, placement } = setup();
  placement.place(delta([service('web', [1, 2])]));
  placement.place(delta([], ['shop/web']));
  assert.equal(ledger.entries('endpoint').size, 2);
  clock.advance(600_000);
  placement.place(delta([]));
  assert.equal(ledger.entries('endpoint').size, 0);
  assert.equal(ledger.entries('service').size, 0);
});

test('place() marks endpoints that join later for slow start, not those of the beginning', () => {
  const { clock, ledger, placement } = setup();
  placement.place(delta([service('web', [1])]));
  clock.advance(5);
  const placed = placement.place(delta([service('web', [1, 2])])).services[0];
  const [old, joined] = placed?.endpointSlots[0] ?? [];
  assert.equal(ledger.float('endpoint', old ?? 0, ENDPOINT_FLOAT.addedAtMs), 0);
  assert.equal(ledger.float('endpoint', joined ?? 0, ENDPOINT_FLOAT.addedAtMs), clock.nowMs());
});

test('place() marks for slow start what comes back, too: another Pod may have its address', () => {
  const { clock, ledger, placement } = setup();
  placement.place(delta([service('web', [1, 2])]));
  placement.place(delta([service('web', [1])]));
  clock.advance(5_000);
  const [, back] =
    placement.place(delta([service('web', [1, 2])])).services[0]?.endpointSlots[0] ?? [];
  assert.equal(ledger.float('endpoint', back ?? 0, ENDPOINT_FLOAT.addedAtMs), clock.nowMs());
});

/** When each of the endpoints says that its backend was short, after these sets of them, a second apart. */
function shortAt(
  sets: readonly (readonly number[] | null)[],
  during: (ledger: Ledger, slots: readonly number[]) => void = () => undefined,
): { readonly nowMs: number; readonly shortAtMs: readonly number[] } {
  const { clock, ledger, placement } = setup();
  placement.place(delta([]));
  let slots: readonly number[] = [];
  for (const set of sets) {
    clock.advance(1_000);
    const placed = placement.place(
      set === null ? delta([], ['shop/web']) : delta([service('web', set)]),
    );
    slots = placed.services[0]?.endpointSlots[0] ?? [];
    if (set !== sets.at(-1)) during(ledger, slots);
  }
  return {
    nowMs: clock.nowMs(),
    shortAtMs: slots.map((slot) => ledger.float('endpoint', slot, ENDPOINT_FLOAT.shortAtMs)),
  };
}

test('place() tells endpoints that join where nobody was that their backend was short until now', () => {
  for (const sets of [
    [[], [1, 2]],
    [[1], [], [1, 2]],
    [[1, 2], [], [], [2, 1]],
    [null, [], [1, 2]],
  ]) {
    const { nowMs, shortAtMs } = shortAt(sets);
    assert.deepEqual(shortAtMs, [nowMs, nowMs], JSON.stringify(sets));
  }
});

test('place() does not take an update, or a Service that is new, for a backend that was short', () => {
  for (const sets of [
    [[1]],
    [[1], [2]],
    [[1], [1, 2], [2]],
    [
      [1, 2],
      [2, 3],
      [3, 4],
      [4, 1],
    ],
    [[1], null, [1]],
    [[1], null, [2]],
  ]) {
    const { shortAtMs } = shortAt(sets);
    assert.deepEqual(new Set(shortAtMs), new Set([0]), JSON.stringify(sets));
  }
});

test('place() tells endpoints that join when the others were short', () => {
  for (const [sets, wanted] of [
    [[[1, 2], [3]], [500]],
    [
      [
        [1, 2],
        [2, 3, 1],
      ],
      [0, 500, 500],
    ],
  ] as const) {
    const { shortAtMs } = shortAt(sets, (ledger, [first]) =>
      ledger.setFloat('endpoint', first ?? 0, ENDPOINT_FLOAT.shortAtMs, 500),
    );
    assert.deepEqual(shortAtMs, wanted);
  }
});

test('place() knows by backend who was short: a port that is new never was', () => {
  const { clock, ledger, placement } = setup();
  const web = service('web', [1]);
  const [port] = web.ports;
  assert(port?.protocol === 'http');
  const second = { ...port, port: 81, backend: { ...port.backend, id: 'shop/web:81' } };
  placement.place(delta([service('web', [])]));
  clock.advance(1_000);
  const placed = placement.place(delta([{ ...web, ports: [port, second] }])).services[0];
  const shortAtMs = placed?.endpointSlots.map(([slot]) =>
    ledger.float('endpoint', slot ?? 0, ENDPOINT_FLOAT.shortAtMs),
  );
  assert.deepEqual(shortAtMs, [clock.nowMs(), 0]);
});

test('place() keeps the callers of a rate limit until their number changes', () => {
  const { placement } = setup();
  const place = (policies: Partial<Policies>): SharedArrayBuffer | null | undefined =>
    placement.place(delta([service('web', [1], policies)])).services[0]?.callers;
  const first = place({ rateLimit: PER_CALLER });
  assert.notEqual(first, null);
  assert.equal(place({ rateLimit: { ...PER_CALLER, average: 5 } }), first);
  assert.notEqual(place({ rateLimit: { ...PER_CALLER, callersMax: 4_096 } }), first);
  assert.equal(place({ rateLimit: { ...PER_CALLER, per: 'service' } }), null);
});

test('place() gives status counters only to a Service with a breaker', () => {
  const { placement } = setup();
  const metric = { kind: 'network-error-ratio' } as const;
  const breaker = {
    text: 'NetworkErrorRatio() > 0.5',
    expression: { kind: 'compare', metric, op: '>', value: 0.5 } as const,
    checkPeriodMs: 100,
    openMs: 1,
    recoveryMs: 1,
  };
  const placed = placement.place(
    delta([service('a', [1]), service('b', [1], { breaker })]),
  ).services;
  assert.equal(placed[0]?.statusSlot, -1);
  assert.ok((placed[1]?.statusSlot ?? -1) >= 0);
});

/** The Service with these routes on its port, by name, with the limit that each has of its own. */
function routed(limits: Readonly<Record<string, RateLimitPolicy | null>>): Service {
  const web = service('web', [1]);
  const [port] = web.ports;
  assert(port?.protocol === 'http');
  const routes = Object.entries(limits).map(([name, rateLimit]) => ({
    ...onlyRoute(port.backend.id, { object: 'Service shop/web', field: 'spec.ports' }),
    name,
    policies: { rateLimit },
  }));
  return { ...web, ports: [{ ...port, routes }] };
}

const FOR_ALL = { ...PER_CALLER, per: 'service' } as const;

test('place() gives a slot to a route with a rate limit of its own, and keeps it by name through updates', () => {
  const { ledger, placement } = setup();
  assert.deepEqual(placement.place(delta([routed({ a: null })])).services[0]?.routes, []);
  const first = placement.place(delta([routed({ a: FOR_ALL, b: null, c: FOR_ALL })])).services[0];
  const [a, b, c] = first?.routes[0] ?? [];
  assert.equal(b, null);
  assert.equal(a?.callers, null);
  assert.notEqual(a?.slot, c?.slot);
  ledger.setFloat('route', c?.slot ?? 0, ROUTE_FLOAT.bucketFullNs, 7);
  const faster = { ...FOR_ALL, average: 9 };
  const second = placement.place(delta([routed({ c: faster, a: FOR_ALL })])).services[0];
  assert.deepEqual(second?.routes[0], [c, a]);
  assert.equal(ledger.float('route', c?.slot ?? 0, ROUTE_FLOAT.bucketFullNs), 7);
});

test('place() frees the slot of a route after its quarantine: it left, its limit left, or its Service', () => {
  const { clock, ledger, placement } = setup();
  const key = (name: string): string => routeSlotKey('shop/web:80', name);
  placement.place(delta([routed({ a: FOR_ALL, b: FOR_ALL, c: FOR_ALL, d: FOR_ALL })]));
  placement.place(delta([routed({ a: FOR_ALL, c: null })]));
  clock.advance(599_000);
  placement.place(delta([routed({ a: FOR_ALL, d: FOR_ALL })]));
  clock.advance(2_000);
  placement.place(delta([]));
  assert.deepEqual([...ledger.entries('route').keys()], [key('a'), key('d')]);
  placement.place(delta([], ['shop/web']));
  clock.advance(600_000);
  placement.place(delta([]));
  assert.equal(ledger.entries('route').size, 0);
});

test('place() keeps the callers of a route until their number changes, apart from those of others', () => {
  const { placement } = setup();
  const place = (limits: Parameters<typeof routed>[0]): (SharedArrayBuffer | null)[] =>
    (placement.place(delta([routed(limits)])).services[0]?.routes[0] ?? []).map(
      (route) => route?.callers ?? null,
    );
  const [first, other] = place({ a: PER_CALLER, b: PER_CALLER });
  assert(first instanceof SharedArrayBuffer);
  assert.notEqual(first, other);
  assert.deepEqual(place({ b: FOR_ALL, a: { ...PER_CALLER, average: 5 } }), [null, first]);
  assert.notEqual(place({ a: { ...PER_CALLER, callersMax: 4_096 } })[0], first);
});
