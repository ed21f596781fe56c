/** When it was known last who callers are, as an agent learns it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { FLAG, FRAME_TYPE } from './frame.ts';
import {
  delta,
  eventually,
  rawController,
  service,
  startAgent,
  startServer,
  type RawPeer,
} from './stream.fixture.ts';

const MUST = FLAG.mustUnderstand;

test('identities are confirmed while the controller lives and hears of Pods, and no longer', async (t) => {
  const clock = new ManualClock();
  let ageMs = 0;
  const started = await startServer(t, { clock, ageMs: () => ageMs });
  started.server.publish(delta(1, { services: [service('shop/web')] }));
  const agent = await startAgent(t, started, { clock });
  const age = (): number => clock.nowMs() - agent.client.status().confirmedAtMs;
  assert.equal(age(), Infinity, 'nothing was told yet');
  await agent.until(() => agent.deltas.length === 1);
  assert.equal(age(), 0);
  clock.advance(4_000);
  assert.equal(age(), 4_000);
  clock.advance(1_000);
  await eventually(() => age() === 0);
  ageMs = 3_000;
  clock.advance(5_000);
  await eventually(() => age() === 3_000);
  ageMs = 60_000;
  clock.advance(5_000);
  // It comes after the heartbeat.
  started.server.publish(delta(2, { services: [service('shop/api')] }));
  await agent.until(() => agent.deltas.length === 2);
  assert.equal(age(), 8_000, 'what was known when it was heard is not forgotten');
});

test('what a controller says that has not heard of Pods for long is as old as that', async (t) => {
  const clock = new ManualClock();
  const started = await startServer(t, { clock, ageMs: () => 70_000 });
  started.server.publish(delta(1, { services: [service('shop/web')] }));
  const agent = await startAgent(t, started, { clock });
  await agent.until(() => agent.deltas.length === 1);
  assert.equal(clock.nowMs() - agent.client.status().confirmedAtMs, 70_000);
  started.server.publish(delta(2, { services: [service('shop/api')] }));
  await agent.until(() => agent.deltas.length === 2);
  assert.equal(clock.nowMs() - agent.client.status().confirmedAtMs, 70_000);
});

test('a controller of the first version, which says no age, is believed', async (t) => {
  const clock = new ManualClock();
  const peers: RawPeer[] = [];
  const controller = await rawController(t, (peer) => {
    peers.push(peer);
    const welcome = { format: 1, epoch: 'raw', build: '0.1.0', synced: true };
    peer.send({ type: FRAME_TYPE.welcome, flags: MUST }, welcome);
    peer.send({ type: FRAME_TYPE.snapshot, flags: MUST }, {});
    peer.send({ type: FRAME_TYPE.commit, flags: MUST, version: 1 }, { from: 0, parts: 0 });
  });
  const agent = await startAgent(t, controller, { clock });
  await agent.until(() => agent.deltas.length === 1);
  const age = (): number => clock.nowMs() - agent.client.status().confirmedAtMs;
  assert.equal(age(), 0);
  clock.advance(3_000);
  peers[0]?.send({ type: FRAME_TYPE.heartbeat });
  await eventually(() => age() === 0);
  peers[0]?.socket.destroy();
  await agent.until(() => agent.client.status().state === 'stale');
  clock.advance(2_000);
  assert.equal(age(), 2_000, 'it stays what it was');
});
