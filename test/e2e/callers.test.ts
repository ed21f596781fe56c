/** Who is called and who calls: by the dialled address and port, by the source address. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { skipWithoutPrograms } from '../support/programs.ts';
import { call, seen } from './support/call.ts';
import { EndpointServer } from './support/endpoint.ts';
import { endpoints, Folder, pod, service } from './support/manifests.ts';
import { maesh, Mesh } from './support/mesh.ts';
import { ownRange } from '../support/ranges.ts';

const folder = new Folder();
const servers: EndpointServer[] = [];
let mesh: Mesh;

before(async () => {
  const serve = async (name: string, address: string): Promise<EndpointServer> => {
    const server = await EndpointServer.start(name, address);
    servers.push(server);
    return server;
  };
  const a = await serve('a', '127.1.81.1');
  const b = await serve('b', '127.1.81.2');
  const near = await serve('near', '127.1.81.3');
  const far = await serve('far', '127.1.81.4');
  const port = (server: EndpointServer) => ({
    labels: { app: 'local' },
    ports: [{ name: 'web', containerPort: server.port }],
  });
  const selector = { app: 'local' };
  const ports = [{ name: 'http', port: 20_003, targetPort: 'web' }];
  folder.put(
    'all.yaml',
    service('s/a', 20_001),
    endpoints('s/a', [a]),
    service('s/b', 20_001),
    endpoints('s/b', [b]),
    service('s/two-ports', 20_001, {
      spec: {
        ports: [
          { name: 'first', port: 20_001 },
          { name: 'second', port: 20_002 },
        ],
      },
    }),
    {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { namespace: 's', name: 'two-ports' },
      subsets: [
        { addresses: [{ ip: a.address }], ports: [{ name: 'first', port: a.port }] },
        { addresses: [{ ip: b.address }], ports: [{ name: 'second', port: b.port }] },
      ],
    },
    service('s/limited', 20_004, {
      annotations: {
        'maesh.dev/ratelimit-average': '1',
        'maesh.dev/ratelimit-period': '1h',
        'maesh.dev/ratelimit-burst': '2',
        'maesh.dev/ratelimit-per': 'caller',
      },
    }),
    endpoints('s/limited', [a]),
    service('s/local', 20_003, { spec: { selector, ports } }),
    pod('s/near', near.address, { ...port(near), node: 'n1' }),
    pod('s/far', far.address, { ...port(far), node: 'n2' }),
    pod('s/client', '127.1.0.5', { node: 'n1' }),
    pod('s/stranger', '127.1.0.6', { node: 'n3' }),
  );
  mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr });
});

after(async () => {
  await mesh.stop();
  for (const server of servers) server.stop();
  folder.remove();
});

test('the Service is the one whose address and port were dialled, and Host is free', async () => {
  assert.deepEqual(await mesh.problems(), []);
  const a = await mesh.addressOf('s/a');
  const b = await mesh.addressOf('s/b');
  const both = await mesh.addressOf('s/two-ports');
  const headers = { host: 'anything.example:99' };
  for (const [address, port, name] of [
    [a, 20_001, 'a'],
    [b, 20_001, 'b'],
    [both, 20_001, 'a'],
    [both, 20_002, 'b'],
  ] as const) {
    const got = await seen({ address, port, headers });
    assert.equal(got.name, name);
    assert.equal(got.host, 'anything.example:99');
  }
  const wrong = { address: a, port: 20_001, headers: { host: 'b.s.maesh:20001' } };
  assert.equal((await seen(wrong)).name, 'a');
  await assert.rejects(call({ address: a, port: 20_002 }), { code: 'ECONNREFUSED' });
});

test('callers are told apart by source address: each has a rate limit of its own', async () => {
  const address = await mesh.addressOf('s/limited');
  const statuses = async (from: string): Promise<number[]> => {
    const got: number[] = [];
    for (let i = 0; i < 3; i++) got.push((await call({ address, port: 20_004, from })).status);
    return got;
  };
  assert.deepEqual(await statuses('127.1.0.5'), [200, 200, 429]);
  assert.deepEqual(await statuses('127.1.0.6'), [200, 200, 429]);
  const refused = await call({ address, port: 20_004, from: '127.1.0.5' });
  assert.ok(Number(refused.headers['retry-after']) > 0);
  assert.match(refused.body, /rate_limited/);
});

test('a caller that is a Pod gets the endpoints of its own node', async () => {
  const address = await mesh.addressOf('s/local');
  const names = async (from: string): Promise<string[]> => {
    const got = new Set<string>();
    for (let i = 0; i < 20; i++) got.add((await seen({ address, port: 20_003, from })).name);
    return [...got].toSorted();
  };
  assert.deepEqual(await names('127.1.0.5'), ['near']);
  assert.deepEqual(await names('127.1.0.6'), ['far', 'near']);
});

test('the endpoint is told the source address of the caller', async () => {
  const address = await mesh.addressOf('s/a');
  const got = await seen({ address, port: 20_001, from: '127.1.0.5' });
  assert.equal(got.from, '127.1.0.5');
});

const withCurl = { skip: skipWithoutPrograms('curl') };

test('maesh curl reaches the running mesh by name, as a Pod with --from', withCurl, async () => {
  const flags = ['curl', '--admin', mesh.admin];
  const url = 'http://a.s.maesh:20001/cart';
  const plain = await maesh([...flags, '-s', url]);
  assert.equal(plain.code, 0, plain.stderr);
  assert.deepEqual(JSON.parse(plain.stdout), {
    name: 'a',
    method: 'GET',
    path: '/cart',
    host: 'a.s.maesh:20001',
    from: '127.0.0.1',
  });
  const asPod = await maesh([...flags, '--from', 's/client', '-s', url]);
  assert.equal((JSON.parse(asPod.stdout) as { from: string }).from, '127.1.0.5');
  const unknown = await maesh([...flags, '-s', 'http://aa.s.maesh:20001/']);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /^maesh: Cannot find "aa\.s\.maesh".*a\.s\.maesh/);
});

test('maesh hosts prints the addresses that the mesh listens on', async () => {
  const { stdout, code } = await maesh(['hosts', '--admin', mesh.admin]);
  assert.equal(code, 0);
  const address = await mesh.addressOf('s/a');
  assert.ok(stdout.split('\n').includes(`${address} a.s.maesh a.s.traefik.mesh`), stdout);
  assert.equal(stdout.trim().split('\n').length, 5);
});
