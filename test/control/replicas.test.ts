/** Several controllers: one leads, any of them serves, and whoever goes is followed by another. */

import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { type Agent, Cluster, type Controller } from './support/cluster.ts';

/** After this time the leader waits for nobody. */
const ANNOUNCE_TIMEOUT_MS = 10_000;

let cluster: Cluster;
let first: Controller;
let second: Controller;
let agent: Agent;

before(async () => {
  cluster = await Cluster.start();
  first = await cluster.controller('c1');
  await cluster.until('the first one leads', () => cluster.leader === 'c1');
  [second, agent] = await Promise.all([cluster.controller('c2'), cluster.agent('a1')]);
  await Promise.all([second.part.ready(), agent.part.ready()]);
  await cluster.settled();
});

after(() => cluster.stop());

/** Until a Service that was deployed can be called. */
async function named(host: string): Promise<void> {
  await cluster.until(`${host} has a name`, async () => (await agent.lookup(host)).length > 0);
}

/** Calls until `stop()`, which tells what went wrong, or the end of the test. */
function calling(t: TestContext): { stop(): Promise<readonly string[]> } {
  const failures: string[] = [];
  const end = new AbortController();
  t.after(() => end.abort());
  const done = (async () => {
    while (!end.signal.aborted) {
      const answer = await cluster.call(agent, 'web.shop.maesh').catch(String);
      if (typeof answer === 'string') failures.push(answer);
      else if (answer.status !== 200) failures.push(`${answer.status} ${answer.body}`);
    }
  })();
  return {
    async stop() {
      end.abort();
      await done;
      return failures;
    },
  };
}

async function agentsOf(controller: Controller): Promise<readonly string[]> {
  return (await controller.agents()).map(({ agent }) => agent);
}

test('a Service has a name as soon as all replicas say that their agents listen', async () => {
  const beginMs = cluster.clock.nowMs();
  await cluster.deploy('shop/web');
  await named('web.shop.maesh');
  const tookMs = cluster.clock.nowMs() - beginMs;
  assert.ok(tookMs < ANNOUNCE_TIMEOUT_MS, `it took ${tookMs} ms`);
});

test('the leader ends: another leads at once, has the agent, and publishes what is new', async (t) => {
  assert.deepEqual(await agentsOf(first), ['maesh/a1']);
  assert.deepEqual(await agentsOf(second), []);
  const calls = calling(t);
  assert.equal(await first.end(), 0);
  // It gave its Lease back: nobody waits for it to run out.
  assert.notEqual(cluster.leader, 'c1');
  await cluster.hurry('the other one leads', () => cluster.leader === 'c2');
  await cluster.hurry('nobody waits for its agents', () => {
    return !Object.values(cluster.holders()).includes('c1');
  });
  await cluster.until('it has the agent', async () => (await agentsOf(second)).length === 1);
  await cluster.deploy('shop/late');
  await named('late.shop.maesh');
  assert.equal((await cluster.call(agent, 'late.shop.maesh')).status, 200);
  assert.deepEqual(await calls.stop(), []);
});

test('the leader vanishes: another leads when its Lease has run out, and meanwhile nobody notices', async (t) => {
  const third = await cluster.controller('c3');
  await third.part.ready();
  const calls = calling(t);
  second.vanish(cluster.discovery);
  await cluster.until('the agent comes to the other', async () => {
    return (await agentsOf(third)).length === 1;
  });
  assert.equal(cluster.leader, 'c2');
  // Endpoints and policies need no leader.
  cluster.annotate('shop/late', { 'maesh.dev/ratelimit-average': '1' });
  await cluster.until('an update arrives', async () => {
    return (await cluster.call(agent, 'late.shop.maesh')).status === 429;
  });
  await cluster.deploy('shop/later');
  await cluster.hurry('the other one leads', () => cluster.leader === 'c3');
  await cluster.hurry('what is new is named', async () => {
    return (await agent.lookup('later.shop.maesh')).length > 0;
  });
  assert.equal((await cluster.call(agent, 'later.shop.maesh')).status, 200);
  assert.deepEqual(await calls.stop(), []);
  await cluster.until('the one that vanished knows', () =>
    second.part.lines.some(({ message }) =>
      message.startsWith('This replica is no longer the leader'),
    ),
  );
});
