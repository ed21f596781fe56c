/** SIGTERM: controllers and agents end by themselves, at any time, and leave nothing open. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Agent, Cluster } from './support/cluster.ts';

let cluster: Cluster;

before(async () => {
  cluster = await Cluster.start();
  await cluster.deploy('shop/web');
});

after(() => cluster.stop());

/** What keeps a process alive, by kind; the test has its own. */
function open(): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) {
    if (/TCP|UDP|Port|Worker|Timeout|TLS/.test(kind)) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

/** Of what is open, what listens and what computes: connections of a controller that runs come and go. */
function lasting(): Readonly<Record<string, number>> {
  const kinds = Object.entries(open()).filter(([kind]) => /Server|UDP|Port|Worker/.test(kind));
  return Object.fromEntries(kinds);
}

/** Lets everything go on until the API server was asked so many times more. */
async function requests(count: number): Promise<void> {
  const goal = cluster.api.requests.length + count;
  while (cluster.api.requests.length < goal) await nextTurn();
}

test('a controller that is ended while it starts leaves nothing open', async () => {
  // It leads after 20.
  for (let count = 0; count < 24; count++) {
    const before = open();
    const { waiting } = cluster.clock;
    const controller = await cluster.controller(`c-${count}`);
    await requests(count);
    assert.equal(await controller.end(), 0, controller.part.log);
    await controller.api.stop();
    await cluster.until(`after ${count} requests nothing is open`, () => {
      assert.deepEqual(open(), before);
      assert.equal(cluster.api.watchers, 0);
      assert.equal(cluster.clock.waiting, waiting);
      return true;
    });
  }
});

test('a controller that is ended while it may not write its Lease leaves nothing open', async () => {
  const leases = 'coordination.k8s.io/v1/leases';
  const before = open();
  const { waiting } = cluster.clock;
  cluster.api.forbidden.add(leases);
  const from = cluster.api.requests.length;
  const controller = await cluster.controller('no-lease');
  await cluster.until('it asks for Leases', () =>
    cluster.api.requests.slice(from).some(({ path }) => path.endsWith('/leases')),
  );
  assert.equal(await controller.end(), 0, controller.part.log);
  await controller.api.stop();
  cluster.api.forbidden.delete(leases);
  await cluster.until('nothing is open', () => {
    assert.deepEqual(open(), before);
    return true;
  });
  assert.equal(cluster.clock.waiting, waiting);
});

test('an agent that is ended leaves nothing open, whether it was told something or not', async () => {
  await agentLeavesNothing(async () => undefined);
  const controller = await cluster.controller('c1');
  await controller.part.ready();
  await agentLeavesNothing((agent) => agent.part.ready());
  assert.equal(await controller.end(), 0);
});

async function agentLeavesNothing(settle: (agent: Agent) => Promise<void>): Promise<void> {
  const before = lasting();
  const agent = await cluster.agent('a1');
  await settle(agent);
  assert.equal(await agent.part.end(), 0, agent.part.log);
  await agent.api.stop();
  await cluster.until('nothing of the agent is open', () => {
    assert.deepEqual(lasting(), before);
    return true;
  });
}

test('as processes both serve, and exit with 0 on SIGTERM', async (t) => {
  const real = await Cluster.start({ areProcesses: true });
  t.after(() => real.stop());
  await real.deploy('shop/web');
  const controller = await real.controller('c1');
  const agent = await real.agent('a1');
  await agent.part.ready();
  await real.until('it has a name', async () => (await agent.lookup('web.shop.maesh')).length > 0);
  assert.equal((await real.call(agent, 'web.shop.maesh')).status, 200);
  assert.equal(await agent.part.end(), 0, agent.part.log);
  await real.until('the agent has left', async () => (await controller.agents()).length === 0);
  assert.equal(await controller.end(), 0, controller.part.log);
  assert.deepEqual(real.holders(), { 'maesh-controller': '' });
  assert.equal(agent.part.complaints + controller.part.complaints, '');
});
