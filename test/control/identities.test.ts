/** Who callers are is believed while a controller that hears of Pods says so, for a time after, and then for access rules no more. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Identity } from '../../src/model/endpoint.ts';
import type { Problem } from '../../src/model/service.ts';
import { type Agent, Cluster, type Controller } from './support/cluster.ts';
import { pod } from './support/objects.ts';

let cluster: Cluster;
let controller: Controller;
let agent: Agent;

before(async () => {
  cluster = await Cluster.start();
  cluster.api.set('v1/pods', pod('shop/client', '127.1.91.1', 'node-1'));
  [controller, agent] = await Promise.all([cluster.controller('c1'), cluster.agent('a1')]);
  await Promise.all([controller.part.ready(), agent.part.ready()]);
});

after(() => cluster.stop());

async function tooOld(): Promise<Problem | undefined> {
  const { problems } = await agent.part.json<{ problems: Problem[] }>('/api/problems');
  return problems.find(({ field }) => field === 'identities');
}

async function metric(name: string): Promise<number> {
  const line = (await agent.part.text('/metrics'))
    .split('\n')
    .find((each) => each.startsWith(name));
  return Number(line?.slice(name.length));
}

async function doubtOf(address: string): Promise<string | undefined> {
  const { identities } = await agent.part.json<{ identities: Identity[] }>('/api/snapshot');
  return identities.find((identity) => identity.address === address)?.doubt;
}

test('a Pod that is being deleted is in doubt at once, and known all the same', async () => {
  await cluster.until('the agent knows the Pod', async () => (await doubtOf('127.1.91.1')) === '');
  const alive = pod('shop/client', '127.1.91.1', 'node-1');
  const deletionTimestamp = new Date(0).toISOString();
  const metadata = { ...alive.metadata, deletionTimestamp };
  cluster.api.set('v1/pods', { ...alive, metadata });
  await cluster.until('it is in doubt', async () => {
    return (await doubtOf('127.1.91.1')) === 'terminating';
  });
  assert.equal(await metric('maesh_identities{state="doubt"} '), 1);
});

test('an agent whose controller hears of no Pods any more stops believing, though it is connected', async () => {
  assert.equal(await tooOld(), undefined);
  controller.api.cut();
  const problem = await cluster.hurry('it is told', tooOld);
  assert.match(problem.message, /for longer than --identity-max-age \(60 s\)/);
  assert.deepEqual(
    (await controller.agents()).map((each) => each.agent),
    ['maesh/a1'],
  );
  assert.ok((await metric('maesh_identities_age_seconds ')) >= 60);
  controller.api.mend();
  await cluster.hurry('it is believed again', async () => (await tooOld()) === undefined);
});

test('an agent without a controller stops believing', async () => {
  await controller.end();
  await cluster.hurry('it is told', tooOld);
});
