/** One controller and one agent, wired as in a cluster: from an object of the API server to an answer of a server. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Agent, Cluster, type Controller } from './support/cluster.ts';

let cluster: Cluster;
let controller: Controller;
let agent: Agent;

before(async () => {
  cluster = await Cluster.start();
  [controller, agent] = await Promise.all([cluster.controller('c1'), cluster.agent('a1')]);
  await cluster.until('both are ready', async () => {
    return (await controller.part.status('/readyz')) + (await agent.part.status('/readyz')) === 400;
  });
});

after(() => cluster.stop());

test('a Service gets its name once the agent says that it listens, and is called by it', async () => {
  cluster.discovery.hold();
  const web = await cluster.deploy('shop/web');
  const { proxyPort } = await cluster.until('its shadow asks for a listener', () =>
    cluster.shadow('shop/web'),
  );
  await cluster.until('the agent listens', () => cluster.dial(proxyPort, 'web.shop.maesh'));
  assert.equal(cluster.shadow('shop/web')?.state, 'announced');
  assert.deepEqual(await agent.lookup('web.shop.maesh'), []);
  cluster.discovery.release();
  const address = await cluster.until('it has a name', async () => {
    return (await agent.lookup('web.shop.maesh'))[0];
  });
  assert.equal(cluster.shadow('shop/web')?.state, 'published');
  assert.equal(cluster.shadow('shop/web')?.clusterIP, address);
  const { status, body } = await cluster.call(agent, 'web.shop.maesh');
  assert.deepEqual([status, JSON.parse(body).name, web.requests], [200, 'web', 2]);
});

test('a changed annotation takes effect, and its removal too', async () => {
  cluster.annotate('shop/web', { 'maesh.dev/ratelimit-average': '1' });
  await cluster.until('a request is refused', async () => {
    return (await cluster.call(agent, 'web.shop.maesh')).status === 429;
  });
  cluster.annotate('shop/web', {});
  await cluster.until('no request is refused', async () => {
    const all = await Promise.all([1, 2, 3].map(() => cluster.call(agent, 'web.shop.maesh')));
    return all.every(({ status }) => status === 200);
  });
});

test('a bad annotation is a problem and an Event, until it is mended', async () => {
  cluster.annotate('shop/web', { 'maesh.dev/retry-attempts': 'many' });
  const problem = await cluster.until('there is a problem', async () => (await problems())[0]);
  assert.equal(problem.field, 'metadata.annotations["maesh.dev/retry-attempts"]');
  assert.equal(problem.value, 'many');
  const event = await cluster.hurry('it is told', () => events()[0]);
  assert.equal(event.type, 'Warning');
  assert.equal(event.reason, 'InvalidAnnotation');
  assert.deepEqual([event.regarding.kind, event.regarding.name], ['Service', 'web']);
  assert.match(event.note, /retry-attempts.*"many"/);
  assert.equal((await cluster.call(agent, 'web.shop.maesh')).status, 200);
  cluster.annotate('shop/web', {});
  await cluster.hurry('its end is told', () => events().find(({ type }) => type === 'Normal'));
  assert.deepEqual(await problems(), []);
});

test('an agent whose token is refused gets nothing, and both logs say so', async () => {
  const intruder = await cluster.agent('a2', { token: 'token.of.nobody' });
  const line = await cluster.until('it says why', () =>
    intruder.part.lines.find(({ message }) => message.startsWith('No controller')),
  );
  assert.match(String(line.error), /does not accept the token of this agent/);
  await cluster.until('the controller says so', () => controller.part.log.includes('rejected'));
  assert.equal(intruder.part.log.includes('token.of.nobody'), false);
  assert.equal(controller.part.log.includes('token.of.nobody'), false);
  assert.deepEqual((await intruder.part.json<{ services: [] }>('/api/services')).services, []);
  assert.deepEqual(
    (await controller.agents()).map(({ agent }) => agent),
    ['maesh/a1'],
  );
  assert.equal(await intruder.part.status('/readyz'), 503);
  assert.equal(await intruder.part.end(), 0);
});

test('a removed Service loses its name first and its listener later', async () => {
  const { proxyPort } = cluster.shadow('shop/web') ?? assert.fail();
  cluster.api.remove('v1/services', 'shop', 'web');
  await cluster.until('it has no name', async () => {
    return (await agent.lookup('web.shop.maesh')).length === 0;
  });
  // Who knows the address from before is still served.
  assert.equal((await cluster.dial(proxyPort, 'web.shop.maesh')).status, 200);
  assert.equal(cluster.shadow('shop/web')?.state, 'retired');
  await cluster.hurry('nobody listens', () =>
    cluster.dial(proxyPort, 'web.shop.maesh').then(
      () => false,
      ({ code }: NodeJS.ErrnoException) => code === 'ECONNREFUSED',
    ),
  );
  // The address stays nobody else's.
  assert.equal(cluster.shadow('shop/web')?.state, 'retired');
});

interface Problem {
  readonly object: string;
  readonly field: string;
  readonly value: string;
}

/** Of the only Service. */
async function problems(): Promise<readonly Problem[]> {
  const all = await controller.part.json<{ problems: readonly Problem[] }>('/api/problems');
  return all.problems.filter(({ object }) => object === 'Service shop/web');
}

interface Event {
  readonly type: string;
  readonly reason: string;
  readonly note: string;
  readonly regarding: { readonly kind: string; readonly name: string };
}

function events(): readonly Event[] {
  return cluster.api.objects('events.k8s.io/v1/events') as unknown as readonly Event[];
}
