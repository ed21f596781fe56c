/** Random callers, endpoints, updates and pauses: every answer is one of that caller's questions, and nothing is left behind. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../src/base/random.ts';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { SERVICE_OWN, SERVICE_WORD } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';
import { caller, Datagrams, deafUdp, placeOf } from '../support/udp.ts';

const SEEDS = [1, 2, 3];
const STEPS = 250;

for (const seed of SEEDS) {
  test(`random sessions, seed ${seed}`, async (t) => {
    const random = seededRandom(seed);
    const below = (count: number): number => Math.floor(random.next() * count);
    const proxy = new TestProxy(t, { manual: true, random: seededRandom(seed) });
    const alive = await Promise.all(
      Array.from({ length: 3 }, () => Datagrams.bind(t, freshAddress())),
    );
    for (const endpoint of alive) {
      endpoint.onDatagram = (data, from) => {
        // Some are silent, some say more than they were asked.
        for (let i = below(3); i > 0; i--) endpoint.socket.send(data, from.port, from.address);
      };
    }
    const all = [...alive, await deafUdp(t), await deafUdp(t)];
    const policies = {
      limits: { ...DEFAULT_POLICIES.limits, requestsInFlight: 12, connectionsPerEndpoint: 4 },
    };
    const service = () =>
      proxy.service({
        key: 'test/web',
        udp: true,
        endpoints: all.filter(() => random.next() < 0.6),
        policies,
      });
    let now = service();
    await proxy.apply([now]);
    const callers = await Promise.all(
      Array.from({ length: 24 }, (_, i) => caller(t, `127.0.0.${1 + (i % 5)}`)),
    );
    const asked = callers.map(() => new Set<string>());
    for (let step = 0; step < STEPS; step++) {
      const kind = random.next();
      const i = below(callers.length);
      // oxlint-disable no-await-in-loop -- one after the other
      if (kind < 0.8) {
        const text = `${i} ${step} ${'x'.repeat(below(2_000))}`;
        asked[i]?.add(text);
        callers[i]?.send(text, placeOf(now));
      } else if (kind < 0.9) proxy.advance(below(2) === 0 ? 500 : 70_000);
      else if (kind < 0.97) {
        now = service();
        await proxy.apply([now]);
      } else {
        await proxy.apply([], { removed: [now.key] });
        now = { ...service(), address: now.address };
        await proxy.apply([now]);
      }
      await new Promise((resolve) => setImmediate(resolve));
      // oxlint-enable no-await-in-loop
      const active = proxy.figure(now, SERVICE_OWN.sessionsActive);
      assert.equal(proxy.word(now, SERVICE_WORD.inFlight), active);
      assert.ok(active <= 11, `${active} sessions`);
      assert.equal(proxy.context.room.sessions, proxy.context.room.size);
    }
    let answers = 0;
    for (const [i, { came }] of callers.entries()) {
      answers += came.length;
      for (const { text, from } of came) {
        assert.ok(asked[i]?.has(text), 'an answer to a question of its own');
        assert.equal(from.address, now.address);
      }
    }
    assert.ok(answers > 20, `${answers} answers`);
  });
}

test('a defect ends one session, and leaves nothing of it behind', async (t) => {
  const proxy = new TestProxy(t, { defects: true, manual: true });
  const endpoint = await Datagrams.bind(t, freshAddress());
  endpoint.onDatagram = (data, from) => endpoint.socket.send(data, from.port, from.address);
  const service = proxy.service({ udp: true, endpoints: [endpoint] });
  await proxy.apply([service]);
  const [one, two] = [await caller(t), await caller(t)];
  for (const from of [one, two]) {
    from.send('a', placeOf(service));
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await from.next();
  }
  const log = {
    writeConnection() {
      throw new Error('full');
    },
  };
  proxy.context.accessLog = log as unknown as typeof proxy.context.accessLog;
  proxy.advance(61_000);
  proxy.context.accessLog = null;
  assert.equal(proxy.guard.counts.get('proxy'), 2);
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsActive), 0);
  one.send('b', placeOf(service));
  assert.equal(await one.text(), 'b', 'a new one');
});
