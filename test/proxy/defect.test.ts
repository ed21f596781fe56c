/** Defects inside the proxy, made on purpose: each costs its own connection, with a reset, and nothing else of the thread. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_RETRY } from '../../src/model/defaults.ts';
import { Listener } from '../../src/proxy/net/listener.ts';
import { freshAddress, GET, OK, proxyFor } from '../support/proxy.ts';
import { eventually, RawEndpoint, type Wire } from '../support/wire.ts';

/** Makes reading a property of the thread fail while the returned switch is on. */
function breakable(context: object, name: string): { isBroken: boolean } {
  const fault = { isBroken: false };
  const value: unknown = Reflect.get(context, name);
  Object.defineProperty(context, name, {
    get() {
      if (fault.isBroken) throw new TypeError(`a defect at ${name}`);
      return value;
    },
  });
  return fault;
}

for (const [where, property] of [
  ['a connection is admitted', 'room'],
  ['a connection is taken in', 'isTrusted'],
  ['a request is read', 'requestHead'],
  ['a response is read', 'responseHead'],
] as const) {
  test(`a defect where ${where} costs one connection`, async (t) => {
    const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
    const { proxy, service } = await proxyFor(t, [endpoint], { defects: true });
    const bystander = await proxy.call(service);
    bystander.write(GET);
    await bystander.until('ok');
    const fault = breakable(proxy.context, property);
    fault.isBroken = true;
    const victim = await proxy.call(service);
    victim.write(GET);
    if (property === 'responseHead') assert.match(await victim.head(), /^HTTP\/1\.1 500 /);
    else await victim.gone();
    fault.isBroken = false;
    bystander.write(GET);
    assert.match(await bystander.until('ok'), /^HTTP\/1\.1 200 /);
    assert.equal(proxy.guard.counts.get('proxy'), 1);
  });
}

test('a defect where the request behind a response is begun costs its caller', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], { defects: true });
  const victim = await proxy.call(service);
  victim.write(GET + GET);
  const wire = await endpoint.next();
  await wire.head();
  const fault = breakable(proxy.context, 'requestHead');
  fault.isBroken = true;
  wire.write(OK);
  await victim.gone();
  fault.isBroken = false;
  assert.equal(proxy.guard.counts.get('proxy'), 1);
});

for (const [how, fail] of [
  ['by its status', (wire: Wire) => wire.write('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n')],
  ['after a close', (wire: Wire) => wire.end()],
  ['after a reset', (wire: Wire) => wire.reset()],
] as const) {
  test(`a defect where a request is tried again ${how} is answered`, async (t) => {
    const endpoint = await RawEndpoint.listen(t, freshAddress());
    const { proxy, service } = await proxyFor(t, [endpoint], {
      defects: true,
      policies: { retry: { ...DEFAULT_RETRY, on: ['reset', 'status'], backoffMs: 0 } },
    });
    const victim = await proxy.call(service);
    victim.write(GET);
    const wire = await endpoint.next();
    await wire.head();
    const fault = breakable(proxy.context, 'requestHead');
    fault.isBroken = true;
    fail(wire);
    assert.match(await victim.head(), /^HTTP\/1\.1 500 /);
    fault.isBroken = false;
    assert.equal(proxy.guard.counts.get('proxy'), 1);
  });
}

test('a defect where a request is sent again on a fresh connection is answered', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], { defects: true });
  const victim = await proxy.call(service);
  victim.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  wire.write(OK);
  await victim.until('ok');
  victim.write(GET);
  await wire.head();
  const fault = breakable(proxy.context, 'requestHead');
  fault.isBroken = true;
  wire.reset();
  assert.match(await victim.head(), /^HTTP\/1\.1 500 /);
  fault.isBroken = false;
});

test('a defect while a Service is applied costs that Service, which is told, and is served when it changes', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint], { defects: true });
  const fault = { isBroken: false };
  const broken = {
    ...service,
    get policies() {
      if (fault.isBroken) throw new TypeError('a defect in a policy');
      return service.policies;
    },
  };
  const apply = proxy.server.apply.bind(proxy.server);
  proxy.server.apply = async (delta) => {
    fault.isBroken = true;
    await apply(delta);
    fault.isBroken = false;
  };
  // Many, so that some are in a later part of the same change.
  const others = Array.from({ length: 70 }, (_, i) =>
    proxy.service({ key: `test/z${i}`, endpoints: [endpoint] }),
  );
  await assert.rejects(proxy.apply([broken, ...others]), /test.s0:/);
  const [port] = service.ports;
  assert.deepEqual(proxy.server.failures, [
    { service: service.key, address: service.address, port: port?.port, code: 'DEFECT' },
  ]);
  assert.equal(proxy.guard.counts.get('proxy'), 1);
  assert.equal(proxy.server.listeners, others.length, 'nothing serves what is half applied');
  for (const other of [others[0], others.at(-1)]) {
    assert.ok(other !== undefined);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const caller = await proxy.call(other);
    caller.write(GET);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.match(await caller.until('ok'), /^HTTP\/1\.1 200 /);
  }
  await proxy.apply([service]);
  assert.deepEqual(proxy.server.failures, []);
  const caller = await proxy.call(service);
  caller.write(GET);
  assert.match(await caller.until('ok'), /^HTTP\/1\.1 200 /);
});

test('a defect while a port is opened is a failure of its Service, tried again until it is gone', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy } = await proxyFor(t, [endpoint], { defects: true });
  const fault = breakable(Listener.prototype, 'listen');
  t.after(() => (fault.isBroken = false));
  const late = proxy.service({ key: 'test/late', endpoints: [endpoint] });
  fault.isBroken = true;
  await assert.rejects(proxy.apply([late]), /test.late:/);
  assert.deepEqual(
    proxy.server.failures.map(({ service, code }) => [service, code]),
    [['test/late', 'DEFECT']],
  );
  fault.isBroken = false;
  await eventually(() => proxy.server.failures.length === 0, 'it is served');
  const caller = await proxy.call(late);
  caller.write(GET);
  assert.match(await caller.until('ok'), /^HTTP\/1\.1 200 /);
});
