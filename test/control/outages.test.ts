/** What agents go on with while the API server or all controllers are away. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { type Agent, Cluster, type Controller } from './support/cluster.ts';

let cluster: Cluster;
let controller: Controller;

beforeEach(async () => {
  cluster = await Cluster.start();
  controller = await cluster.controller('c1');
});

afterEach(() => cluster.stop());

async function served(agent: Agent, host: string): Promise<void> {
  await cluster.until(`${host} is served`, async () => {
    return (
      (await agent.lookup(host)).length > 0 && (await cluster.call(agent, host)).status === 200
    );
  });
}

test('the API server is away: the agent serves, and what changed meanwhile arrives', async () => {
  const agent = await cluster.agent('a1');
  await cluster.deploy('shop/web');
  await agent.part.ready();
  await served(agent, 'web.shop.maesh');
  await cluster.api.down();
  await cluster.hurry('the controller says so', () =>
    controller.part.lines.find(({ message }) => message.startsWith('Cannot renew the Lease')),
  );
  await cluster.hurry('it leads no more', () =>
    controller.part.lines.find(({ message }) =>
      message.startsWith('This replica is no longer the leader'),
    ),
  );
  await served(agent, 'web.shop.maesh');
  assert.equal(await agent.part.status('/readyz'), 200);
  cluster.annotate('shop/web', { 'maesh.dev/ratelimit-average': '1' });
  await cluster.deploy('shop/new');
  await cluster.api.up();
  await cluster.hurry('the change arrives', async () => {
    return (await cluster.call(agent, 'web.shop.maesh')).status === 429;
  });
  await cluster.hurry('it leads again', () => cluster.leader === 'c1');
  await served(agent, 'new.shop.maesh');
});

test('an agent that starts anew without a controller serves its last good copy', async () => {
  const before = await cluster.agent('a1');
  await cluster.deploy('shop/web');
  await before.part.ready();
  await served(before, 'web.shop.maesh');
  const [address] = await before.lookup('web.shop.maesh');
  assert.equal(await before.part.end(), 0);
  assert.equal(await controller.end(), 0);
  const agent = await cluster.agent('a2', { state: 'a1' });
  await agent.part.ready();
  assert.deepEqual(await agent.lookup('web.shop.maesh'), [address]);
  assert.equal((await cluster.call(agent, 'web.shop.maesh')).status, 200);
  // A controller that comes back tells it what is new.
  const back = await cluster.controller('c2');
  await cluster.deploy('shop/new');
  await cluster.hurry(
    'it is led to the controller',
    async () => (await back.agents()).length === 1,
  );
  await served(agent, 'new.shop.maesh');
});

test('an agent without a controller and without a copy is not ready and answers no names', async () => {
  assert.equal(await controller.end(), 0);
  const agent = await cluster.agent('a1');
  for (const said of ['No controller', 'Agent started']) {
    await cluster.until(`it says "${said}"`, () =>
      agent.part.lines.some(({ message }) => message.startsWith(said)),
    );
  }
  assert.deepEqual(await agent.part.pending(), [
    'DNS is not ready yet',
    'no configuration was read yet',
  ]);
  assert.equal(agent.dnsPort, 0);
  assert.equal(await agent.part.end(), 0);
});
