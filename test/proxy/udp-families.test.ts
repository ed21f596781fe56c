/** Both families of addresses, and all addresses of a machine at once, as in a cluster. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { TestProxy } from '../support/proxy.ts';
import { ask, caller, Datagrams, echo } from '../support/udp.ts';

/** A Service as a cluster has it: on a port of its own, on all addresses. */
function shared(proxy: TestProxy, endpoints: readonly Datagrams[], proxyPort: number) {
  const made = proxy.service({ udp: true, endpoints });
  return { ...made, ports: made.ports.map((port) => ({ ...port, proxyPort })) } as typeof made;
}

const PROXY_PORT = 26_053;

test('on all addresses, callers of both families get their answers from the address that they called', async (t) => {
  const [v4, v6] = [await echo(t), await echo(t, '::1')];
  const proxy = new TestProxy(t);
  const service = shared(proxy, [v4, v6], PROXY_PORT);
  await proxy.apply([service]);
  const ways = [
    ['127.0.0.1', '127.0.0.1'],
    ['127.0.0.9', '127.0.0.1'],
    ['::1', '::1'],
  ] as const;
  const seen = new Set<string>();
  for (let i = 0; i < 4; i++) {
    for (const [from, address] of ways) {
      // oxlint-disable no-await-in-loop -- one after the other
      const socket = await caller(t, from);
      const answer = await ask(socket, { address, port: PROXY_PORT }, 'x');
      // oxlint-enable no-await-in-loop
      seen.add(answer);
      assert.equal(socket.came[0]?.from.address, address);
      assert.equal(socket.came[0]?.from.port, PROXY_PORT);
    }
  }
  assert.deepEqual(
    [...seen].toSorted(),
    [`${v4.address} x`, '::1 x'].toSorted(),
    'to both families',
  );
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsOpened), 12);
});

test('one port of a caller has a session with each of our addresses', async (t) => {
  const endpoint = await Datagrams.bind(t, '127.0.0.1');
  endpoint.onDatagram = (data, from) => endpoint.socket.send(data, from.port, from.address);
  const proxy = new TestProxy(t);
  const [one, two] = [1, 2].map((i) =>
    proxy.service({ key: `test/s${i}`, udp: true, endpoints: [endpoint] }),
  );
  assert(one !== undefined && two !== undefined);
  await proxy.apply([one, two]);
  const from = await caller(t);
  for (const service of [one, two, one]) {
    const at = { address: service.address, port: service.ports[0]?.port ?? 0 };
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await ask(from, at, service.key), service.key);
    assert.equal(from.came.at(-1)?.from.address, at.address);
  }
  assert.equal(proxy.figure(one, SERVICE_OWN.sessionsOpened), 1);
  assert.equal(proxy.figure(two, SERVICE_OWN.sessionsOpened), 1);
});

test('callers are told apart by family: IPv4 has one name, however the socket spells it', async (t) => {
  const endpoint = await echo(t);
  const identity = {
    namespace: 'mesh',
    pod: 'agent',
    serviceAccount: 'maesh-agent',
    node: '',
    zone: '',
    doubt: '' as const,
    labels: {},
  };
  const settings = { meshAccount: 'mesh/maesh-agent' };
  const proxy = new TestProxy(t, { settings });
  const service = shared(proxy, [endpoint], PROXY_PORT + 1);
  await proxy.apply([service], { identities: [{ ...identity, address: '127.0.0.7' }] });
  (await caller(t, '127.0.0.7')).send('x', { address: '127.0.0.1', port: PROXY_PORT + 1 });
  const answer = await ask(await caller(t), { address: '127.0.0.1', port: PROXY_PORT + 1 }, 'y');
  assert.equal(answer, `${endpoint.address} y`);
  assert.equal(proxy.failures(service, 'loop'), 1, 'its address is known on the socket of both');
});
