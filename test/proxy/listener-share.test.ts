/** A namespace with more ports than there are file descriptors takes them from nobody else. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Service } from '../../src/model/service.ts';
import { portsWithin } from '../../src/proxy/table/listener-share.ts';
import { PortState, type ServiceState } from '../../src/proxy/table/table.ts';
import { exampleService } from '../support/model.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';

/** Half of them may be listeners. */
const DESCRIPTORS = 20;

function serviceOf(key: string, count: number, first = 21_000): Service {
  const ports = Array.from({ length: count }, (_, i) => first + i);
  return { ...exampleService(key, { ports }), address: freshAddress() };
}

function portsOf(key: string, ...ports: readonly number[]): readonly string[] {
  return ports.map((port) => `${key}:${port}`);
}

test('who comes later gets its listener from the namespace that has most, and gives it back', async (t) => {
  const proxy = new TestProxy(t, { descriptors: DESCRIPTORS });
  const [many, more] = [serviceOf('a/many', 9), serviceOf('a/more', 9)];
  await proxy.apply([many], {});
  assert.equal(proxy.server.listeners, 9);
  const beyond = [
    ...portsOf('a/many', 21_005, 21_006, 21_007, 21_008),
    ...portsOf('a/more', 21_005, 21_006, 21_007, 21_008),
  ];
  await proxy.apply([more], { failures: beyond });
  const one = serviceOf('b/one', 1);
  const withOne = [...beyond, ...portsOf('a/more', 21_004)].sort();
  await proxy.apply([one], { failures: withOne });
  assert.equal(proxy.server.listeners, 10);
  for (const service of [many, more, one]) await proxy.call(service);
  await proxy.apply([], { removed: ['b/one'], failures: beyond });
  await proxy.apply([], { removed: ['a/many'] });
  assert.equal(proxy.server.listeners, 9);
});

test('the order in which Services come makes no difference', async (t) => {
  const services = [serviceOf('a/x', 8), serviceOf('a/y', 8), serviceOf('b/z', 2)];
  const seen: string[] = [];
  for (const order of [services, services.toReversed()]) {
    const proxy = new TestProxy(t, { descriptors: DESCRIPTORS });
    const failures = [
      ...portsOf('a/x', 21_004, 21_005, 21_006, 21_007),
      ...portsOf('a/y', 21_004, 21_005, 21_006, 21_007),
    ];
    await proxy.apply(order, { failures });
    seen.push(String(proxy.server.listeners));
    await proxy.server.drain(0);
  }
  assert.deepEqual(seen, ['10', '10']);
});

test('no namespace goes short while another has more than one port more than it', () => {
  const service = fc.record({
    namespace: fc.constantFrom('a', 'b', 'c'),
    name: fc.constantFrom('x', 'y', 'z'),
    count: fc.integer({ min: 1, max: 12 }),
  });
  const selector = ({ namespace, name }: { namespace: string; name: string }): string =>
    `${namespace}/${name}`;
  fc.assert(
    fc.property(
      fc.uniqueArray(service, { selector }),
      fc.integer({ min: 0, max: 60 }),
      (services, max) => {
        const wanted = services.flatMap(({ namespace, name, count }) => {
          const made = exampleService(`${namespace}/${name}`, {
            ports: Array.from({ length: count }, (_, i) => i + 1),
          });
          return made.ports.map((port) => new PortState({ service: made } as ServiceState, port));
        });
        const allowed = portsWithin(wanted, max);
        assert.equal(allowed.size, Math.min(max, wanted.length));
        const denied = wanted.filter((port) => !allowed.has(port));
        const held = (of: string): number =>
          [...allowed].filter((port) => port.service.service.namespace === of).length;
        for (const { service: of } of denied) {
          const own = held(of.service.namespace);
          for (const other of ['a', 'b', 'c']) assert.ok(held(other) <= own + 1);
        }
      },
    ),
  );
});
