/** Defects inside the proxy, made on purpose: each costs its own connection, with a reset, and nothing else of the thread. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freshAddress, GET, OK, proxyFor } from '../support/proxy.ts';
import { RawEndpoint } from '../support/wire.ts';

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
