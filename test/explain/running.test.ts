/** `maesh explain --admin` against a mesh that runs: what it says of health and breakers is what callers meet. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import type { Explanation } from '../../src/explain/explanation.ts';
import { type Answer, call } from '../e2e/support/call.ts';
import { EndpointServer } from '../e2e/support/endpoint.ts';
import { endpoints, Folder, pod, service } from '../e2e/support/manifests.ts';
import { maesh, Mesh } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { ownRange } from '../support/ranges.ts';

const PORT = 20_001;
const CIDR = ownRange().cidr;
const CALLER = '127.1.85.5';
const folder = new Folder();
let alive: EndpointServer;
let mesh: Mesh;

before(async () => {
  alive = await EndpointServer.start('alive', '127.1.85.1');
  const dead = { address: '127.1.85.2', port: alive.port };
  const ejecting = {
    'maesh.dev/balance': 'round-robin',
    'maesh.dev/eject-consecutive-failures': '1',
    'maesh.dev/eject-base': '1h',
    'maesh.dev/eject-max': '1h',
    'maesh.dev/retry-attempts': '2',
  };
  const breaking = {
    'maesh.dev/circuit-breaker-expression': 'NetworkErrorRatio() > 0.1',
    'maesh.dev/breaker-open': '1h',
  };
  folder.put(
    'all.yaml',
    service('s/half', PORT, { annotations: ejecting }),
    endpoints('s/half', [alive, dead]),
    service('s/broken', PORT, { annotations: breaking }),
    endpoints('s/broken', [dead]),
    pod('s/client', CALLER),
  );
  mesh = await Mesh.start({ paths: [folder.path], cidr: CIDR });
});

after(async () => {
  await mesh.stop();
  alive.stop();
  folder.remove();
});

async function ask(url: string): Promise<{ code: number | null; said: Explanation }> {
  const source = ['--admin', mesh.admin, '--from', 's/client', '-o', 'json'];
  const { code, stdout, stderr } = await maesh(['explain', url, ...source]);
  assert.equal(stderr, '');
  return { code, said: JSON.parse(stdout) as Explanation };
}

async function callFrom(name: string): Promise<Answer> {
  const address = await mesh.addressOf(name);
  return call({ address, port: PORT, from: CALLER });
}

const statusFrom = async (name: string): Promise<number> => (await callFrom(name)).status;

test('an endpoint that failed is explained as ejected, and takes nothing', async () => {
  const url = `http://half.s.maesh:${PORT}/`;
  const before = (await ask(url)).said.backends[0]?.endpoints;
  assert.deepEqual(
    before?.map(({ health, odds }) => [health, odds]),
    [
      ['healthy', 0.5],
      ['healthy', 0.5],
    ],
  );
  for (let i = 0; i < 4; i++) assert.equal(await statusFrom('s/half'), 200);
  const { code, said } = await ask(url);
  assert.equal(code, 0);
  assert.deepEqual(
    said.backends[0]?.endpoints.map(({ address, health, odds, reason }) => [
      address,
      health,
      odds,
      reason,
    ]),
    [
      [alive.address, 'healthy', 1, 'in rotation'],
      ['127.1.85.2', 'ejected', 0, 'ejected'],
    ],
  );
  assert.ok(said.assumptions.some((text) => text.includes('retry budget')));
});

test('an open breaker is explained as the answer that callers get', async () => {
  const url = `http://broken.s.maesh:${PORT}/`;
  assert.equal((await ask(url)).code, 0);
  assert.equal(await statusFrom('s/broken'), 502);
  // An endpoint that failed often enough is ejected before the breaker opens: that is 503 too.
  await until('the breaker is open', async () =>
    (await callFrom('s/broken')).body.includes('breaker_open'),
  );
  const { code, said } = await ask(url);
  assert.equal(code, 1);
  const [outcome] = said.outcomes;
  assert.ok(outcome?.kind === 'answered');
  assert.deepEqual(
    [outcome.reason, outcome.status, outcome.share, outcome.retryAfterSeconds],
    ['breaker_open', 503, 1, 3_600],
  );
  assert.equal(said.backends[0]?.breaker?.state, 'open');
  assert.deepEqual(said.assumptions, [
    'the breaker is assumed to have just opened, so Retry-After is the longest',
  ]);
});

test('manifests and the mesh that runs them are explained alike, but for what is known of the present', async () => {
  const url = `http://half.s.maesh:${PORT}/x`;
  const { said } = await ask(url);
  const flags = ['-f', folder.path, '--service-cidr', CIDR, '--from', 's/client'];
  const { stdout } = await maesh(['explain', url, ...flags, '-o', 'json']);
  const still = JSON.parse(stdout) as Explanation;
  for (const part of ['request', 'caller', 'service', 'routes', 'policies'] as const) {
    assert.deepEqual(said[part], still[part], part);
  }
  assert.deepEqual(
    still.backends[0]?.endpoints.map(({ health, inFlight }) => [health, inFlight]),
    [
      [null, null],
      [null, null],
    ],
  );
});
