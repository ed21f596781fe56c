import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import type { Delta } from '../model/service.ts';
import { exampleService } from '../../test/support/model.ts';
import { shadowName } from './names.ts';
import { Placer } from './placer.ts';
import type { Shadow } from './shadow.ts';

const NONE = { services: [], removedServices: [], identities: [], removedIdentities: [] };

function shadow(service: string, proxyPort: number, more: Partial<Shadow> = {}): Shadow {
  return {
    kind: 'shadow',
    name: shadowName(service),
    uid: 'u1',
    resourceVersion: '10',
    createdAt: '2026-01-01T00:00:00Z',
    service,
    state: 'published',
    retiredAt: '',
    ports: [{ name: '', port: 80, protocol: 'TCP', proxyPort }],
    announcedPorts: [],
    retiredPorts: [],
    clusterIPs: ['10.96.0.1', 'fd00::1'],
    families: ['IPv4', 'IPv6'],
    digest: '',
    ...more,
  };
}

class Bed {
  readonly clock = new ManualClock();
  readonly deltas: Delta[] = [];
  readonly placer = new Placer({
    clock: this.clock,
    onDelta: (delta) => this.deltas.push(delta),
    onDue: () => this.placer.flush(),
  });

  get last(): Delta {
    return this.deltas.at(-1) ?? assert.fail('no delta');
  }

  compile(change: Partial<Delta>): void {
    this.placer.compiled({ ...NONE, version: 1, ...change });
  }

  see(...shadows: readonly Shadow[]): void {
    for (const item of shadows) this.placer.shadow(item.name, item);
  }
}

const web = exampleService('shop/web', { ports: [80, 81] });

test('nothing is told before both the compiler and the first list are in, then version 1 of nothing', () => {
  const bed = new Bed();
  assert.equal(bed.placer.flush(), 0);
  bed.compile({});
  assert.equal(bed.placer.flush(), 0);
  assert.ok(!bed.placer.ready);
  bed.placer.listed();
  assert.equal(bed.placer.flush(), 1);
  assert.deepEqual(bed.deltas, [{ version: 1, ...NONE }]);
  assert.equal(bed.placer.flush(), 1);
  assert.equal(bed.deltas.length, 1);
});

test('a Service has the address of its shadow and the ports that have a proxy port', () => {
  const bed = new Bed();
  bed.compile({ services: [web, exampleService('shop/none')] });
  bed.see(shadow('shop/web', 10_000));
  bed.placer.listed();
  bed.placer.flush();
  const [placed, ...others] = bed.last.services;
  assert.deepEqual(others, [], 'held back without a shadow');
  assert.equal(placed?.address, '10.96.0.1');
  assert.equal(placed.secondAddress, 'fd00::1');
  assert.deepEqual(
    placed.ports.map(({ port, proxyPort }) => [port, proxyPort]),
    [[80, 10_000]],
  );
});

test('a shadow that changes nothing for agents tells them nothing', () => {
  const bed = new Bed();
  bed.compile({ services: [web] });
  bed.see(shadow('shop/web', 10_000));
  bed.placer.listed();
  bed.placer.flush();
  bed.see(shadow('shop/web', 10_000, { resourceVersion: '11' }));
  assert.equal(bed.placer.flush(), 1);
});

test('identities pass through, the last word of each', () => {
  const bed = new Bed();
  const identity = {
    address: '10.0.0.1',
    namespace: 'a',
    pod: 'p',
    serviceAccount: 's',
    node: '',
    zone: '',
    doubt: '',
    labels: {},
  } as const;
  bed.compile({ identities: [identity, { ...identity, address: '10.0.0.2' }] });
  bed.compile({ removedIdentities: ['10.0.0.2'] });
  bed.placer.listed();
  bed.placer.flush();
  assert.deepEqual(bed.last.identities, [identity]);
  assert.deepEqual(bed.last.removedIdentities, ['10.0.0.2']);
});

test('a port that moves is listened on at both places for a while', () => {
  const bed = new Bed();
  bed.compile({ services: [web] });
  bed.see(shadow('shop/web', 10_000));
  bed.placer.listed();
  bed.placer.flush();
  const proxyPorts = (): readonly number[] =>
    bed.last.services[0]?.ports.map((port) => port.proxyPort) ?? [];
  bed.see(shadow('shop/web', 10_001, { resourceVersion: '11' }));
  bed.placer.flush();
  assert.deepEqual(proxyPorts(), [10_001, 10_000]);
  const changed = { ...web, headless: true };
  bed.compile({ services: [changed] });
  bed.placer.flush();
  assert.equal(bed.last.services[0]?.headless, true);
  bed.clock.advance(15_000);
  assert.deepEqual(proxyPorts(), [10_001]);
});

test('no proxy port is ever told for two Services', () => {
  const bed = new Bed();
  bed.compile({ services: [exampleService('shop/a'), exampleService('shop/b')] });
  bed.see(
    shadow('shop/a', 10_000, { createdAt: '2026-02-01T00:00:00Z' }),
    shadow('shop/b', 10_000),
  );
  bed.placer.listed();
  bed.placer.flush();
  assert.deepEqual(
    bed.last.services.map(({ key }) => key),
    ['shop/b'],
    'the older keeps it',
  );
  bed.see(shadow('shop/b', 10_001, { resourceVersion: '11' }));
  bed.placer.flush();
  const told = bed.last.services.map(
    ({ key, ports }) => `${key} ${ports.map((port) => port.proxyPort).join()}`,
  );
  assert.deepEqual(told.sort(), ['shop/a 10000', 'shop/b 10001']);
});

test('heldBack() is the oldest shadow that asks for listeners of a Service not seen yet', () => {
  const bed = new Bed();
  bed.compile({});
  bed.placer.listed();
  bed.see(shadow('shop/web', 10_000, { state: 'announced', resourceVersion: '9' }));
  bed.see(shadow('shop/b', 10_001, { state: 'announced', resourceVersion: '10' }));
  bed.see(shadow('shop/c', 10_002, { state: 'retired', resourceVersion: '3' }));
  bed.placer.flush();
  assert.equal(bed.placer.heldBack(), '9');
  bed.compile({ services: [web] });
  bed.placer.flush();
  assert.equal(bed.placer.heldBack(), '10');
  bed.placer.shadow(shadowName('shop/b'), null);
  bed.placer.flush();
  assert.equal(bed.placer.heldBack(), null);
});

test('a shadow that stays away takes the Service with it', () => {
  const bed = new Bed();
  bed.compile({ services: [web] });
  bed.see(shadow('shop/web', 10_000));
  bed.placer.listed();
  bed.placer.flush();
  bed.placer.shadow(shadowName('shop/web'), null);
  assert.equal(bed.placer.flush(), 1);
  bed.clock.advance(15_000);
  assert.equal(bed.last.services[0]?.address, '');
  bed.clock.advance(15_000);
  assert.deepEqual(bed.last.removedServices, ['shop/web']);
  bed.see(shadow('shop/web', 10_000, { uid: 'u2' }));
  bed.placer.flush();
  assert.equal(bed.last.services[0]?.address, '10.96.0.1');
});
