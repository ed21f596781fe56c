/** How many connections of TCP one caller may have. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { Service, ServicePort } from '../../src/model/service.ts';
import { SERVICE_WORD } from '../../src/proxy/ledger/layout.ts';
import { freshAddress } from '../support/proxy.ts';
import { tcpFor } from '../support/tcp.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';

const most = (connectionsPerCaller: number) => ({
  limits: { ...DEFAULT_POLICIES.limits, connectionsPerCaller },
});

test('a caller with as many connections as it may have gets no more, until one of them is over', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await tcpFor(t, [endpoint], { policies: most(2) });
  const first = await proxy.call(service, '127.90.0.1');
  await endpoint.next();
  await proxy.call(service, '127.90.0.1');
  await endpoint.next();
  await proxy.callRefused(service, '127.90.0.1');
  assert.equal(proxy.failures(service, 'caller_connections'), 1);
  assert.equal(proxy.requests(service, 4), 1);
  await proxy.call(service, '127.90.0.2');
  await endpoint.next();
  first.reset();
  await eventually(() => proxy.word(service, SERVICE_WORD.inFlight) === 2, 'its end');
  await proxy.call(service, '127.90.0.1');
  await endpoint.next();
  await proxy.callRefused(service, '127.90.0.1');
});

test('what is refused for another reason takes no seat for longer than it lasts', async (t) => {
  const { proxy, service } = await tcpFor(t, [], { policies: most(1) });
  for (let i = 0; i < 3; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await proxy.callRefused(service);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await eventually(() => proxy.context.callerConnections === 0, 'its end');
  }
  assert.equal(proxy.failures(service, 'no_endpoint'), 3);
});

test('each Service counts for itself, and a limit that is lifted is none', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await tcpFor(t, [endpoint], { policies: most(1) });
  const other = proxy.service({
    key: 'test/o',
    tcp: true,
    endpoints: [endpoint],
    policies: most(1),
  });
  await proxy.apply([other]);
  for (const each of [service, other]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await proxy.call(each);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await endpoint.next();
  }
  await proxy.callRefused(service);
  await proxy.apply([{ ...service, policies: { ...service.policies, ...most(0) } }]);
  for (let i = 0; i < 3; i++) {
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await proxy.call(service);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await endpoint.next();
  }
});

test('a port that says it itself counts for itself; one that says something else counts with its Service', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await tcpFor(t, [endpoint], { policies: most(1) });
  const source = { object: 'Service test/s0', field: 'metadata.annotations' };
  const says = async (path: string): Promise<Service> => {
    const ports = service.ports.map((port) => ({
      ...port,
      policies: { ...service.policies, ...most(path === 'limits.connectionsPerCaller' ? 2 : 1) },
      sources: { [path]: source },
    })) as ServicePort[];
    const changed = { ...service, ports };
    await proxy.apply([changed]);
    return changed;
  };
  const plain = await says('timeouts.idleMs');
  await proxy.call(plain);
  await endpoint.next();
  await proxy.callRefused(plain);
  const own = await says('limits.connectionsPerCaller');
  for (let i = 0; i < 2; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await proxy.call(own);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await endpoint.next();
  }
  await proxy.callRefused(own);
});
