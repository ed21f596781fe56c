/** A new controller with an agent of the first version beside a new one: nothing is published that the old one would serve wrongly. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test, type TestContext } from 'node:test';
import { FLAG, FRAME_TYPE, FrameReader } from '../../src/discovery/frame.ts';
import { readPart } from '../../src/discovery/part.ts';
import { PAYLOAD_BYTES_MAX, readPayload } from '../../src/discovery/payload.ts';
import { Pool } from '../../src/discovery/pool.ts';
import { rawAgent, type RawPeer } from '../../src/discovery/stream.fixture.ts';
import type { Problem } from '../../src/model/service.ts';
import { type Agent, Cluster, type Controller, reviewOf } from './support/cluster.ts';

const OLD_TOKEN = 'agent.of.the-past';
const RECORDED = '../../src/discovery/testdata/first/hello.frame';

let cluster: Cluster;
let controller: Controller;
let agent: Agent;

before(async () => {
  cluster = await Cluster.start();
  [controller, agent] = await Promise.all([cluster.controller('c1'), cluster.agent('a1')]);
  await Promise.all([controller.part.ready(), agent.part.ready()]);
  await cluster.until('it leads', () => cluster.leader === 'c1');
});

after(() => cluster.stop());

/** An agent that says the recorded hello and acknowledges what it is sent. */
async function oldAgent(t: TestContext): Promise<RawPeer> {
  cluster.api.reviews.set(OLD_TOKEN, reviewOf('old'));
  const found = cluster.api
    .objects('v1/configmaps')
    .find(({ metadata }) => metadata.name === 'maesh-ca');
  const { data } = found as unknown as { readonly data: Readonly<Record<string, string>> };
  const peer = await rawAgent(t, { port: controller.port, ca: data['ca.crt'] ?? '' });
  let hello: object = {};
  const reader = new FrameReader(PAYLOAD_BYTES_MAX, (frame) => {
    hello = readPayload(frame) as object;
  });
  reader.push(readFileSync(new URL(RECORDED, import.meta.url)));
  let answered = 0;
  const serve = (): void => {
    const commits = peer.frames.filter(({ type }) => type === FRAME_TYPE.commit);
    const last = commits.at(-1);
    if (commits.length > answered && last !== undefined) {
      peer.send({ type: FRAME_TYPE.acknowledge, version: last.version }, { failures: [] });
    }
    answered = commits.length;
    peer.send({ type: FRAME_TYPE.heartbeat });
  };
  const serving = cluster.clock.every(50, serve);
  t.after(() => serving.cancel());
  peer.send({ type: FRAME_TYPE.hello, flags: FLAG.mustUnderstand }, { ...hello, token: OLD_TOKEN });
  await peer.until(() => peer.values(FRAME_TYPE.commit).length > 0);
  return peer;
}

/** A Service that is only for callers of the same node, which the first version does not know. */
const NEAR = { internalTrafficPolicy: 'Local' };

function keysSent(peer: RawPeer): ReadonlySet<string> {
  const parts = peer.frames.filter(({ type }) => type === FRAME_TYPE.part);
  return new Set(
    parts.flatMap((part) => readPart(part, new Pool()).services.map(({ key }) => key)),
  );
}

async function problemsOf(object: string): Promise<readonly Problem[]> {
  const { problems } = await controller.part.json<{ problems: Problem[] }>('/api/problems');
  return problems.filter((problem) => problem.object === object);
}

test('a Service that an old agent would serve more widely waits for it, and says so; others do not', async (t) => {
  const peer = await oldAgent(t);
  await Promise.all([cluster.deploy('shop/near', {}, NEAR), cluster.deploy('shop/web')]);
  await cluster.until('what the old agent knows has a name', async () => {
    return (await agent.lookup('web.shop.maesh')).length > 0;
  });
  const [problem] = await cluster.until('the other waits', async () => {
    const found = await problemsOf('Service shop/near');
    return found.some(({ field }) => field === 'spec.ports') ? found : null;
  });
  assert.match(
    problem?.message ?? '',
    /^Port 80 is not published yet: this needs balance.locality=require-node, .* maesh\/old on node-1 \(0.1.0\)$/,
  );
  assert.equal(cluster.shadow('shop/near'), null);
  assert.deepEqual([...keysSent(peer)], ['shop/web']);

  peer.socket.destroy();
  await cluster.hurry('it has a name without that agent', async () => {
    return (await agent.lookup('near.shop.maesh')).length > 0;
  });
  assert.equal((await cluster.call(agent, 'near.shop.maesh')).status, 200);
  assert.deepEqual(await problemsOf('Service shop/near'), []);
});

test('an old agent that comes is not sent it, which the controller tells, and the name stays', async (t) => {
  const peer = await oldAgent(t);
  assert.deepEqual([...keysSent(peer)], ['shop/web']);
  const agents = await controller.part.json<{ agents: { agent: string; notServed: unknown }[] }>(
    '/api/agents',
  );
  const unknown = ['balance.locality=require-node'];
  assert.deepEqual(agents.agents.find((each) => each.agent === 'maesh/old')?.notServed, [
    { service: 'shop/near', unknown },
  ]);
  const problems = await problemsOf('Cluster');
  assert.deepEqual(
    problems.map(({ severity, value }) => [severity, value]),
    [['error', unknown[0]]],
  );
  assert.equal((await cluster.call(agent, 'near.shop.maesh')).status, 200);
});
