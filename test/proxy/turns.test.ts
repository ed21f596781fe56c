/** A change of any size is applied in short turns of the event loop, so that requests run meanwhile. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../src/base/clock.ts';
import type { Service } from '../../src/model/service.ts';
import { exampleEndpoint, exampleService } from '../support/model.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';

/** Time passes with each look at it, so turns are counted in looks, on a machine of any speed. */
class LookedAtClock extends ManualClock {
  override nowMs(): number {
    this.advance(0.5);
    return super.nowMs();
  }
}

const PORTS = 900;
/** What a turn of 5 ms has time for: 10 looks, with 8 listeners opened between two. */
const LISTENERS_PER_TURN = 10 * 8;
const PORTS_PER_TURN = 10;

function serviceOf(key: string, count: number): Service {
  const ports = Array.from({ length: count }, (_, i) => 22_000 + i);
  const endpoints = [exampleEndpoint('127.1.2.3')];
  return { ...exampleService(key, { ports, endpoints }), address: freshAddress() };
}

/** Turns of the event loop that went by during the work, and by how many listeners each changed their number at most. */
async function turnsOf(
  proxy: TestProxy,
  work: () => Promise<void>,
): Promise<{ turns: number; step: number }> {
  const seen = { turns: 0, step: 0, isOver: false };
  let listeners = proxy.server.listeners;
  const look = (): void => {
    seen.turns++;
    seen.step = Math.max(seen.step, Math.abs(proxy.server.listeners - listeners));
    listeners = proxy.server.listeners;
    if (!seen.isOver) setImmediate(look);
  };
  setImmediate(look);
  await work();
  seen.isOver = true;
  return seen;
}

test('many ports of one Service, and many Services, are served, changed and removed in short turns', async (t) => {
  const proxy = new TestProxy(t, { clock: new LookedAtClock() });
  const all = [
    serviceOf('a/one', 500),
    ...['b', 'c', 'd', 'e'].map((n) => serviceOf(`s/${n}`, 100)),
  ];
  const opened = await turnsOf(proxy, () => proxy.apply(all));
  assert.equal(proxy.server.listeners, PORTS);
  assert.ok(opened.turns >= PORTS / PORTS_PER_TURN, `${opened.turns} turns`);
  assert.ok(opened.step <= LISTENERS_PER_TURN, `${opened.step} listeners in a turn`);
  const changed = await turnsOf(proxy, () => proxy.apply(all.map((each) => ({ ...each }))));
  assert.ok(changed.turns >= PORTS / PORTS_PER_TURN, `${changed.turns} turns`);
  const removed = await turnsOf(proxy, () =>
    proxy.apply([], { removed: all.map(({ key }) => key) }),
  );
  assert.equal(proxy.server.listeners, 0);
  assert.ok(removed.turns >= PORTS / PORTS_PER_TURN, `${removed.turns} turns`);
  assert.ok(removed.step <= PORTS_PER_TURN, `${removed.step} listeners in a turn`);
});
