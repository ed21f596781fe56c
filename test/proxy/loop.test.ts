/** Requests that come back to the mesh, of one proxy and of two. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { Service } from '../../src/model/service.ts';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { exampleEndpoint } from '../support/model.ts';
import { freshAddress, GET, OK, proxyFor, TestProxy } from '../support/proxy.ts';
import { RawEndpoint } from '../support/wire.ts';

/** The mesh is its own caller here: no connection is kept, so that none is left in the end. */
const once = {
  policies: { limits: { ...DEFAULT_POLICIES.limits, idleConnectionsPerEndpoint: 0 } },
};

/** The address and port of a Service, as an endpoint of another one. */
function leadsTo(service: Service) {
  return exampleEndpoint(service.address, { port: service.ports[0]?.port ?? 0 });
}

function requestsOf(proxy: TestProxy, service: Service): number {
  let sum = 0;
  for (let i = 0; i < 6; i++) sum += proxy.figure(service, SERVICE_OWN.requests + i);
  return sum;
}

test('a Service whose endpoint is its own address answers 508 after one turn', async (t) => {
  const proxy = new TestProxy(t);
  const service = proxy.service();
  await proxy.apply([service]);
  await proxy.apply([proxy.service({ ...once, key: service.key, endpoints: [leadsTo(service)] })]);
  const caller = await proxy.call(service);
  for (let turn = 1; turn <= 3; turn++) {
    caller.write(GET);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.match(
      await caller.until('back to the mesh'),
      /^[^]*HTTP\/1\.1 508 Loop Detected\r\n[^]*maesh: loop: /,
    );
    assert.equal(requestsOf(proxy, service), turn * 2, 'one of the caller, one of the mesh');
    assert.equal(proxy.failures(service, 'loop'), turn);
  }
});

test('a loop over several Services of one proxy ends at the first that the mesh calls', async (t) => {
  const proxy = new TestProxy(t);
  const [a, b] = [proxy.service({ key: 'test/a' }), proxy.service({ key: 'test/b' })];
  await proxy.apply([a, b]);
  await proxy.apply([
    proxy.service({ ...once, key: 'test/a', endpoints: [leadsTo(b)] }),
    proxy.service({ ...once, key: 'test/b', endpoints: [leadsTo(a)] }),
  ]);
  const caller = await proxy.call(a);
  caller.write(GET);
  assert.match(await caller.until('maesh: loop: '), /^HTTP\/1\.1 508 /);
  assert.deepEqual([requestsOf(proxy, a), requestsOf(proxy, b)], [1, 1]);
});

test('a loop over two proxies ends where the first one is called by a proxy', async (t) => {
  const settings = { meshAccount: 'mesh/maesh-agent' };
  // Each has a memory of its own, as on two nodes; what it knows of the other is the account of its Pod.
  const [here, there] = [new TestProxy(t, { settings }), new TestProxy(t, { settings })];
  const [a, b] = [here.service({ key: 'test/a' }), there.service({ key: 'test/b' })];
  await here.apply([a]);
  await there.apply([b]);
  const agent = {
    address: '127.0.0.1',
    namespace: 'mesh',
    pod: 'maesh-agent-x',
    serviceAccount: 'maesh-agent',
    node: '',
    zone: '',
    doubt: '' as const,
    labels: {},
  };
  await here.apply([here.service({ ...once, key: 'test/a', endpoints: [leadsTo(b)] })], {
    identities: [agent],
  });
  await there.apply([there.service({ ...once, key: 'test/b', endpoints: [leadsTo(a)] })], {
    identities: [agent],
  });
  const caller = await here.call(a, '127.6.0.1');
  caller.write(GET);
  assert.match(await caller.until('maesh: loop: '), /^HTTP\/1\.1 508 /);
  assert.deepEqual([requestsOf(here, a), requestsOf(there, b)], [1, 1]);
  assert.equal(there.failures(b, 'loop'), 1);
});

test('a caller of another account, or with a field that looks like ours, is no loop', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint], {
    settings: { meshAccount: 'mesh/maesh-agent' },
  });
  const identity = {
    pod: 'p',
    node: '',
    zone: '',
    doubt: '',
    labels: {},
    address: '127.6.0.2',
  } as const;
  await proxy.apply([], {
    identities: [{ ...identity, namespace: 'shop', serviceAccount: 'maesh-agent' }],
  });
  for (const from of ['127.6.0.2', '127.6.0.3']) {
    // oxlint-disable no-await-in-loop -- one after the other
    const caller = await proxy.call(service, from);
    caller.write('GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 maesh\r\n\r\n');
    assert.match(await caller.until('ok'), /^HTTP\/1\.1 200 /);
    // oxlint-enable no-await-in-loop
  }
});
