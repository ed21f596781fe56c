/** `explain`, `hosts` and `curl` of a cluster by a kubeconfig alone: what they say is what callers of that node meet. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Explanation } from '../../src/explain/explanation.ts';
import { maesh } from '../../src/cli/maesh.fixture.ts';
import { type Agent, Cluster, type Controller } from './support/cluster.ts';
import { Front } from './support/front.ts';
import { pod, service } from './support/objects.ts';
import type { EndpointServer } from '../e2e/support/endpoint.ts';

const URL_OF_WEB = 'http://web.shop.maesh/';
let cluster: Cluster;
let controller: Controller;
let agent: Agent;
let web: EndpointServer;
let front: Front;

before(async () => {
  cluster = await Cluster.start();
  [controller, agent] = await Promise.all([cluster.controller('c1'), cluster.agent('a1')]);
  cluster.api.set('v1/pods', pod('caller/client-1', '127.1.91.1', 'node-1'));
  cluster.api.set('v1/pods', pod('caller/client-2', '127.1.91.2', 'node-2'));
  front = await Front.start(cluster);
  front.addPod('controller node-1/c1', controller.part);
  // One agent listens on this machine; under two names it is that of two nodes.
  front.addPod('agent node-1/near', agent.part);
  front.addPod('agent node-2/far', agent.part);
  web = await cluster.deploy('shop/web', {
    'maesh.dev/circuit-breaker-expression': 'NetworkErrorRatio() > 0.1',
    'maesh.dev/breaker-open': '1h',
  });
  await cluster.until('it has a name', async () => (await agent.lookup('web.shop.maesh'))[0]);
});

after(async () => {
  await front.stop();
  await cluster.stop();
});

/** Nothing of this machine may answer in place of the cluster. */
async function run(...args: readonly string[]) {
  return maesh(args, { KUBECONFIG: front.kubeconfig, MAESH_KUBECTL_PLUGIN: '1' });
}

async function explain(...args: readonly string[]): Promise<Explanation> {
  const { out, err } = await run('explain', ...args, '-o', 'json');
  assert.equal(err, '');
  return JSON.parse(out) as Explanation;
}

test('a call that works is explained as forwarded, by the agent on the node of the caller', async () => {
  for (const [from, name, node] of [
    ['caller/client-1', 'near', 'node-1'],
    ['caller/client-2', 'far', 'node-2'],
    ['127.1.91.2', 'far', 'node-2'],
  ] as const) {
    front.asked.length = 0;
    const said = await explain(URL_OF_WEB, '--from', from);
    assert.equal(said.forwarded, true, said.phases[0]?.text ?? '');
    assert.equal(said.asked, `agent maesh/${name} on node ${node} of ${front.url}`);
    assert.equal(said.caller.identity?.node, node);
    assert.equal(said.service?.port, 80);
    assert.deepEqual(
      said.backends[0]?.endpoints.map(({ health, inFlight }) => [health, inFlight]),
      [['healthy', 0]],
    );
    const others = front.asked.filter(
      (line) => /^(near|far) /.test(line) && !line.startsWith(name),
    );
    assert.deepEqual(others, []);
    assert.ok(front.asked.every((line) => from.startsWith('127') || line.includes('namespace=')));
  }
});

test('text begins with whose state it is; without --from that is an assumption', async () => {
  const { code, out, err } = await run('explain', URL_OF_WEB);
  assert.deepEqual([code, err], [0, '']);
  assert.match(out, /^GET .+\n {2}according to agent maesh\/near on node node-1 of http:.+\n/);
  assert.match(out, /no caller is given \(--from\)/);
});

test('an agent that cannot be asked is replaced by another one, and that is said', async () => {
  front.unreachable.add('near');
  try {
    const said = await explain(URL_OF_WEB, '--from', 'caller/client-1');
    assert.match(said.asked, /agent maesh\/far on node node-2/);
    assert.match(said.assumptions[0] ?? '', /the agent on node node-1 cannot be queried: .*503/);
    front.unreachable.add('far');
    const less = await explain(URL_OF_WEB, '--from', 'caller/client-1');
    assert.match(less.asked, /controller maesh\/c1/);
    assert.ok(less.assumptions.some((text) => text.startsWith('no agent could be queried')));
    assert.equal(less.backends[0]?.endpoints[0]?.health, null);
    front.unreachable.add('c1');
    const { code, err } = await run('explain', URL_OF_WEB, '--from', 'caller/client-1');
    assert.equal(code, 1);
    assert.match(
      err,
      /networkPolicy\.adminFrom .+ port-forward .+ --admin http:\/\/127\.0\.0\.1:9000/,
    );
  } finally {
    front.unreachable.clear();
  }
});

test('a user without the permission is told which ClusterRole has it', async () => {
  front.isForbidden = true;
  try {
    const { code, err } = await run('explain', URL_OF_WEB, '--from', 'caller/client-1');
    assert.equal(code, 1);
    assert.match(err, /pods\/proxy.+bind "maesh-view"/s);
  } finally {
    front.isForbidden = false;
  }
});

test('a name or caller that the cluster does not have gets a proposal', async () => {
  const said = await explain('http://wbe.shop.maesh/');
  assert.match(said.phases[0]?.text ?? '', /did you mean "web\.shop\.maesh"\?/);
  const { code, err } = await run('explain', URL_OF_WEB, '--from', 'caller/client-3');
  assert.equal(code, 2);
  assert.match(err, /did you mean "caller\/client-1" or "caller\/client-2"\?/);
});

test('a Service that is not part of the mesh is explained with why', async () => {
  cluster.api.set(
    'v1/services',
    service('shop/out', '10.97.0.99', { 'maesh.dev/mesh': 'disabled' }),
  );
  await cluster.until('it is read', async () => {
    const said = await explain('http://out.shop.maesh/');
    const wanted = /Service shop\/out is not part of the mesh: maesh\.dev\/mesh is "disabled"/;
    return wanted.test(said.phases[0]?.text ?? '');
  });
});

test('--admin keeps the path of its URL, as that of kubectl proxy', async () => {
  const admin = `${front.url}/api/v1/namespaces/maesh/pods/far:9000/proxy/`;
  const { code, out, err } = await maesh(['explain', URL_OF_WEB, '--admin', admin]);
  assert.deepEqual([code, err], [0, '']);
  assert.match(out, /forwarded/);
});

test('flags of a cluster mean a cluster, whatever variables say', async () => {
  const env = { MAESH_ADMIN: 'http://127.0.0.1:1' };
  for (const flags of [['--kubeconfig', front.kubeconfig], ['--cluster']]) {
    const variables = flags.length === 1 ? { ...env, KUBECONFIG: front.kubeconfig } : env;
    const { code, err } = await maesh(['hosts', ...flags], variables);
    assert.deepEqual([code, err], [0, '']);
  }
});

test('hosts tells the addresses that names have in the cluster', async () => {
  const { code, out, err } = await run('hosts');
  assert.deepEqual([code, err], [0, '']);
  assert.equal(out, `${cluster.shadow('shop/web')?.clusterIP} web.shop.maesh\n`);
});

test('curl sends nothing into a cluster, and prints the command that does', async () => {
  const inPod = await run('curl', '--from', 'caller/client-1', '-d', "it's", URL_OF_WEB);
  assert.equal(inPod.code, 2);
  assert.match(
    inPod.err,
    /kubectl -n caller exec client-1 -- curl -d 'it'\\''s' http:\/\/web\.shop\.maesh\/\n$/,
  );
  const own = await run('curl', URL_OF_WEB);
  assert.match(own.err, /kubectl run maesh-curl .+ -- curl http:\/\/web\.shop\.maesh\/\n$/);
});

test('an open breaker is explained as the answer that callers get', async () => {
  web.stop();
  // With every endpoint ejected, callers get 503 too.
  await cluster.until('the breaker is open', async () => {
    return (await cluster.call(agent, 'web.shop.maesh')).body.includes('breaker_open');
  });
  const { code, out } = await run('explain', URL_OF_WEB, '--from', 'caller/client-1');
  assert.equal(code, 1);
  assert.match(out, /answered by the mesh with 503 breaker_open/);
});
