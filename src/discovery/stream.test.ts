import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  delta,
  identity,
  service,
  startAgent,
  startServer,
  untilServer,
} from './stream.fixture.ts';

test('an agent gets a snapshot, then deltas, and says what it serves', async (t) => {
  const started = await startServer(t);
  const { server } = started;
  const web = service('shop/web', ['10.1.0.1']);
  server.publish(delta(1, { services: [web], identities: [identity('10.2.0.1')] }));
  const agent = await startAgent(t, started);
  await agent.until(() => agent.deltas.length === 1);
  assert.deepEqual([...agent.services.values()], [web]);
  assert.deepEqual([...agent.identities.values()], [identity('10.2.0.1')]);
  assert.equal(server.minServedVersion(), 0);

  agent.client.acknowledge(1, ['port 80 for shop/web: EACCES']);
  await untilServer(server, () => server.minServedVersion() === 1);
  const [status] = server.agents();
  assert.ok(status);
  assert.deepEqual(status.listenFailures, ['port 80 for shop/web: EACCES']);
  assert.deepEqual(
    [status.agent, status.node, status.build, status.protocol, status.sentVersion, status.lagMs],
    ['maesh/agent-1', 'node-1', 'test', 1, 1, 0],
  );

  const moved = service('shop/web', ['10.1.0.2']);
  server.publish(delta(2, { services: [moved], removedIdentities: ['10.2.0.1'] }));
  await agent.until(() => agent.deltas.length === 2);
  assert.deepEqual(agent.deltas[1], {
    ...delta(2),
    services: [moved],
    removedIdentities: ['10.2.0.1'],
  });
  assert.equal(agent.client.status().version, 2);
});
