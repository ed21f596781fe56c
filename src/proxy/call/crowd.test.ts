import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleService } from '../../../test/support/model.ts';
import { hash32 } from '../../base/hash.ts';
import { DEFAULT_POLICIES } from '../../model/defaults.ts';
import { LedgerView } from '../ledger/cells.ts';
import { Ledger } from '../ledger/ledger.ts';
import { BUSY, type Guest, IDLE } from '../net/caller-room.ts';
import { ServiceState } from '../table/table.ts';
import { keptOf, staysInCrowd } from './crowd.ts';

const GREEDY = '10.0.0.1';
const OTHER = '10.0.0.2';
const LIMIT = 80;

function guest(address: string, standing: Guest['standing']): Guest {
  return {
    address,
    service: 's',
    standing,
    heldBytes: 0,
    asleep: false,
    place: null,
    shed: () => undefined,
  };
}

function stateOf(ledger: Ledger, slot: number, thread: number): ServiceState {
  const limits = { ...DEFAULT_POLICIES.limits, requestsInFlight: LIMIT };
  const view = new LedgerView();
  view.add(ledger.chunk('service', 0, thread));
  const service = exampleService('a/s', { policies: { limits } });
  return new ServiceState(service, view.cells('service', slot));
}

/** Threads of one node that serve one Service; each knows its own connections. */
class Node {
  nowMs = 1_000;
  inFlight = 0;
  readonly #threads: { readonly state: ServiceState; readonly guests: Set<Guest> }[];

  constructor(threads: number) {
    const ledger = new Ledger(threads);
    const slot = ledger.allocate('service', 's');
    this.#threads = Array.from({ length: threads }, (_, thread) => ({
      state: stateOf(ledger, slot, thread),
      guests: new Set(),
    }));
  }

  /** A request on a thread: whether it stays, and what ends it. */
  ask(thread: number, address: string): (() => void) | null {
    const found = this.#threads[thread];
    assert.ok(found !== undefined);
    const { state, guests } = found;
    const asking = guest(address, BUSY);
    guests.add(asking);
    const end = (): void => {
      guests.delete(asking);
      this.inFlight--;
    };
    this.inFlight++;
    const room = { threads: this.#threads.length, guestsOf: () => guests };
    const isCrowded = this.inFlight > LIMIT - keptOf(LIMIT);
    const hash = hash32(address);
    if (!isCrowded || staysInCrowd(state, this.inFlight, hash, this.nowMs, { room })) return end;
    end();
    return null;
  }

  /** So many requests, thread by thread; those that stay. */
  fill(count: number, address: string, threads: readonly number[]): (() => void)[] {
    const asked = Array.from({ length: count }, (_, i) =>
      this.ask(threads[i % threads.length] ?? 0, address),
    );
    return asked.filter((end) => end !== null);
  }
}

test('an eighth of the limit is kept, rounded up, and nothing of a limit of 1', () => {
  assert.deepEqual([1, 2, 8, 9, 10, 80, 10_000].map(keptOf), [0, 1, 1, 1, 2, 10, 1_250]);
});

test('one source alone may have all of it, however its connections lie on the threads', () => {
  for (const threads of [[0], [0, 1], [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]]) {
    const node = new Node(2);
    const mine = node.fill(100, GREEDY, threads);
    assert.equal(mine.length, LIMIT, `threads ${threads.join(' ')}`);
    for (let i = 0; i < 40; i++) {
      mine.pop()?.();
      mine.push(...node.fill(1, GREEDY, [i % 2]));
    }
    assert.equal(mine.length, LIMIT, 'and again');
  }
});

test('a source that comes when another one has all gets its share of it, on any thread', () => {
  for (const thread of [0, 1]) {
    const node = new Node(2);
    const mine = node.fill(LIMIT, GREEDY, [0, 1]);
    assert.equal(node.ask(thread, OTHER), null, 'the limit is never passed');
    const others: (() => void)[] = [];
    // Requests end one after the other, and each time the greedy one asks first.
    for (let i = 0; i < 200; i++) {
      (mine.shift() ?? others.shift())?.();
      mine.push(...node.fill(2, GREEDY, [i % 2]));
      others.push(...node.fill(1, OTHER, [thread]));
    }
    assert.ok(node.inFlight <= LIMIT && node.inFlight >= LIMIT - keptOf(LIMIT));
    assert.ok(others.length >= keptOf(LIMIT), `${others.length} requests of the other one`);
    assert.ok(others.length <= LIMIT / 2 + 1, `${others.length} requests of the other one`);
    // Nobody else has come for more than a minute.
    for (const end of others.splice(0)) end();
    node.nowMs += 60_001;
    mine.push(...node.fill(LIMIT, GREEDY, [0, 1]));
    assert.equal(mine.length, LIMIT);
  }
});

test('many sources with one request each are served as they come', () => {
  const node = new Node(2);
  const served = Array.from({ length: 200 }, (_, i) => node.ask(i % 2, `10.1.0.${i}`));
  assert.equal(served.filter((end) => end !== null).length, LIMIT);
});

test('idle connections are nobody’s requests', () => {
  const ledger = new Ledger(1);
  const state = stateOf(ledger, ledger.allocate('service', 's'), 0);
  const guests = new Set([guest(GREEDY, IDLE), guest(OTHER, BUSY)]);
  const room = { threads: 1, guestsOf: () => guests };
  assert.equal(staysInCrowd(state, LIMIT, hash32(OTHER), 1_000, { room }), true);
  assert.deepEqual([...(state.crowd?.sources ?? [])], [[hash32(OTHER), 1]]);
});

test('all requests of a connection count, where there may be several', () => {
  const ledger = new Ledger(1);
  const state = stateOf(ledger, ledger.allocate('service', 's'), 0);
  const many = { ...guest(GREEDY, BUSY), requests: LIMIT - 1 };
  const guests = new Set<Guest>([many, guest(OTHER, BUSY)]);
  const room = { threads: 1, guestsOf: () => guests };
  const stays = (address: string, inFlight: number): boolean =>
    staysInCrowd(state, inFlight, hash32(address), 1_000, { room });
  assert.equal(stays(GREEDY, LIMIT - 1), true);
  assert.equal(stays(OTHER, LIMIT), true);
  assert.equal(stays(GREEDY, LIMIT), false, 'the rest is for the other one');
});
