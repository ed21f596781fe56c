import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ManualClock } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import { podNamed } from './facts.fixture.ts';
import { MeshPods } from './mesh-pods.ts';
import type { Api } from './names.ts';

const AGENTS = Array.from({ length: 200 }, (_, i) => podNamed(`maesh-agent-${i}`, `n${i}`));

test('askAgents() asks 16 at a time, each for 5 s, all within 20 s, and says of which it did not ask', async () => {
  const clock = new ManualClock();
  let open = 0;
  let most = 0;
  let asked = 0;
  const waiting: (() => void)[] = [];
  const api = {
    server: 'https://x',
    request: async ({ timeoutMs = 0 }) => {
      asked += 1;
      open += 1;
      most = Math.max(most, open);
      await new Promise<void>((resolve) => waiting.push(resolve));
      open -= 1;
      assert.ok(timeoutMs > 0 && timeoutMs <= 5_000, String(timeoutMs));
      throw new MeshError('connect_timeout', `no answer in ${timeoutMs} ms`);
    },
  } as unknown as Api;
  const pods = new MeshPods({ api, clock, namespace: 'maesh' }, AGENTS);
  const answers = pods.askAgents('/api/stats');
  // All that are under way run into their time limit at once, as often as there is time for all.
  for (let round = 0; round < 4; round++) {
    clock.advance(5_000);
    for (const end of waiting.splice(0)) end();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const all = await answers;
  assert.equal(all.length, 200);
  assert.equal(most, 16);
  assert.equal(asked, 4 * 16);
  assert.ok(all.every(({ ok }) => !ok));
  const whys = new Set(all.map((answer) => (answer.ok ? '' : `${answer.kind}: ${answer.why}`)));
  assert.deepEqual(
    [...whys],
    [
      'unreachable: no answer in 5000 ms',
      'failed: not queried: the agents before it took all of 20 s',
    ],
  );
});
