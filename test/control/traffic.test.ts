/** A Service that fails its callers: from the counters of an agent to a problem of the controller and an Event on the Service. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Agent, Cluster, type Controller } from './support/cluster.ts';
import { service, slice } from './support/objects.ts';

const SLICES = 'discovery.k8s.io/v1/endpointslices';

interface Problem {
  readonly severity: string;
  readonly object: string;
  readonly field: string;
  readonly value: string;
  readonly message: string;
}

interface Event {
  readonly type: string;
  readonly reason: string;
  readonly note: string;
  readonly regarding: { readonly kind: string; readonly name: string };
}

let cluster: Cluster;
let controller: Controller;
let agent: Agent;

before(async () => {
  cluster = await Cluster.start();
  [controller, agent] = await Promise.all([cluster.controller('c1'), cluster.agent('a1')]);
  await Promise.all([controller.part.ready(), agent.part.ready()]);
});

after(() => cluster.stop());

async function problems(): Promise<readonly Problem[]> {
  return (await controller.part.json<{ problems: readonly Problem[] }>('/api/problems')).problems;
}

function events(): readonly Event[] {
  return cluster.api.objects('events.k8s.io/v1/events') as unknown as readonly Event[];
}

test('an endpoint that refuses every call is a problem and an Event, until calls succeed', async () => {
  const web = await cluster.deploy('shop/web');
  await cluster.until('it is called', async () => {
    return (await cluster.call(agent, 'web.shop.maesh').catch(() => null))?.status === 200;
  });
  assert.deepEqual(await problems(), []);
  web.stop();
  const problem = await cluster.hurry('the problem', async () => {
    const { status } = await cluster.call(agent, 'web.shop.maesh');
    assert.equal(status, 502);
    return (await problems()).find(
      ({ field, severity }) => field === 'responses' && severity === 'error',
    );
  });
  assert.deepEqual([problem.object, problem.value], ['Service shop/web', 'connect_failed']);
  assert.match(problem.message, /^every call fails with 502: the endpoint refused the connection/);
  const event = await cluster.hurry('the Event', () =>
    events().find(({ reason, type }) => reason === 'CallsFail' && type === 'Warning'),
  );
  assert.deepEqual([event.regarding.kind, event.regarding.name], ['Service', 'web']);
  assert.match(event.note, /"connect_failed".+compare targetPort/);
  await web.listen(web.port);
  await cluster.hurry('all is well again', async () => {
    await cluster.call(agent, 'web.shop.maesh');
    return (await problems()).length === 0;
  });
});

test('an endpoint that is ejected and stays so is a warning and an Event, although every call succeeds', async () => {
  const api = await cluster.deploy('shop/api', {
    'maesh.dev/eject-consecutive-failures': '1',
    'maesh.dev/eject-base': '10m',
  });
  // Nobody listens on the second one.
  const both = [api, { address: '127.1.90.250', port: api.port }];
  cluster.api.set(SLICES, slice('shop/api', both, ''));
  await cluster.until('it is called', async () => {
    return (await cluster.call(agent, 'api.shop.maesh').catch(() => null))?.status === 200;
  });
  const isOurs = ({ object, field }: Problem): boolean =>
    object === 'Service shop/api' && field === 'ejection';
  const problem = await cluster.hurry('the problem', async () => {
    const { status } = await cluster.call(agent, 'api.shop.maesh');
    assert.equal(status, 200);
    return (await problems()).find(isOurs);
  });
  assert.deepEqual([problem.severity, problem.value], ['warning', `127.1.90.250:${api.port}`]);
  assert.match(problem.message, /^this endpoint stays ejected/);
  const event = await cluster.hurry('the Event', () =>
    events().find(({ note, type }) => type === 'Warning' && note.includes('stays ejected')),
  );
  assert.deepEqual([event.regarding.kind, event.regarding.name], ['Service', 'api']);
  cluster.api.set(SLICES, slice('shop/api', [api], ''));
  await cluster.hurry('the endpoint is gone, and the problem with it', async () => {
    return !(await problems()).some(isOurs);
  });
});

test('an endpoint that is the cluster IP of a mesh name is left out, and told', async () => {
  const address = cluster.shadow('shop/web')?.clusterIP ?? '';
  cluster.api.set('v1/services', service('shop/loop', '10.97.1.1'));
  cluster.api.set(SLICES, slice('shop/loop', [{ address, port: 80 }], ''));
  const problem = await cluster.until('the problem', async () => {
    return (await problems()).find(({ object }) => object === 'Service shop/loop');
  });
  assert.deepEqual([problem.field, problem.value], ['endpoints', address]);
  cluster.api.remove('v1/services', 'shop', 'loop');
  cluster.api.remove(SLICES, 'shop', 'loop-1');
});

test('a Service that loses its endpoints is a warning after a while', async () => {
  cluster.api.remove(SLICES, 'shop', 'web-1');
  const problem = await cluster.hurry('the problem', async () => {
    return (await problems()).find(
      ({ object, field }) => object === 'Service shop/web' && field === 'ready endpoints',
    );
  });
  assert.deepEqual(
    [problem.severity, problem.object, problem.value],
    ['warning', 'Service shop/web', '0'],
  );
  await cluster.hurry('the Event', () => events().find(({ reason }) => reason === 'NoEndpoint'));
});
