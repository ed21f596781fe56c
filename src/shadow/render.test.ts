import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { child } from './api.fixture.ts';
import { labelsOf, portId, shadowName } from './names.ts';
import { read } from './read.ts';
import {
  differences,
  digestOf,
  familiesFor,
  isRendered,
  render,
  trafficDistributionOf,
} from './render.ts';
import type { Desired } from './render.ts';
import { familiesOf } from './shadow.ts';
import type { RetiredPort, ShadowPort } from './shadow.ts';

const OPTIONS = { namespace: 'maesh', trafficDistribution: 'PreferSameNode' };

const port: fc.Arbitrary<ShadowPort> = fc.record({
  name: fc.constantFrom(
    '',
    'http',
    'a-very-long-name-of-a-port-that-is-allowed-for-services-1234567',
  ),
  port: fc.integer({ min: 1, max: 65_535 }),
  protocol: fc.constantFrom('TCP', 'UDP'),
  proxyPort: fc.integer({ min: 1, max: 65_535 }),
});
const time = fc.constantFrom('2026-01-02T03:04:05.678Z', '2026-01-02T03:04:05Z');
const retired: fc.Arbitrary<RetiredPort> = fc
  .record({ port, retiredAt: time })
  .map(({ port, retiredAt }) => ({ ...port, retiredAt }));
const list = <T>(item: fc.Arbitrary<T>, minLength = 0): fc.Arbitrary<T[]> =>
  fc.array(item, { minLength, maxLength: 5 });

const desired: fc.Arbitrary<Desired> = fc
  .record({
    service: fc.constantFrom('shop/web', `${'n'.repeat(63)}/${'s'.repeat(63)}`),
    state: fc.constantFrom('announced', 'published', 'retired'),
    retiredAt: time,
    ports: list(port, 1),
    announcedPorts: list(port),
    retiredPorts: list(retired),
    families: fc.constantFrom<Desired['families']>([], ['IPv4'], ['IPv6', 'IPv4']),
  })
  .map(({ families, ...fields }) => ({
    name: shadowName(fields.service),
    allocation: { ...fields, retiredAt: fields.state === 'retired' ? fields.retiredAt : '' },
    families,
    clusterIPs: [],
  }));

test('what is rendered is read back, and is what it should be', () => {
  fc.assert(
    fc.property(desired, (wanted) => {
      const shadow = read(render(wanted, OPTIONS));
      assert.ok(shadow?.kind === 'shadow', JSON.stringify(shadow));
      const { allocation } = wanted;
      assert.equal(shadow.service, allocation.service);
      assert.equal(shadow.state, allocation.state);
      assert.equal(shadow.retiredAt, allocation.retiredAt);
      const sorted = (ports: readonly ShadowPort[]): string[] =>
        ports.map((item) => JSON.stringify([portId(item), item.name, item.proxyPort])).sort();
      for (const field of ['ports', 'announcedPorts', 'retiredPorts'] as const)
        assert.deepEqual(sorted(shadow[field]), sorted(allocation[field]));
      assert.ok(isRendered({ ...wanted, families: [] }, shadow, OPTIONS));
      assert.ok(shadow.name.length <= 63);
    }),
  );
});

test('the same allocation in another order is the same object', () => {
  fc.assert(
    fc.property(desired, (wanted) => {
      const { allocation } = wanted;
      const turned = {
        ...allocation,
        ports: allocation.ports.toReversed(),
        announcedPorts: allocation.announcedPorts.toReversed(),
        retiredPorts: allocation.retiredPorts.toReversed(),
      };
      const other = render({ ...wanted, allocation: turned }, OPTIONS);
      assert.deepEqual(differences(render(wanted, OPTIONS), other), []);
    }),
  );
});

test('ports that differ only in one field have one order', () => {
  const base: ShadowPort = { name: 'a', port: 11, protocol: 'TCP', proxyPort: 1 };
  const date = '2026-01-02T03:04:05Z';
  const others: ShadowPort[] = [
    { ...base, name: 'b' },
    { ...base, protocol: 'UDP' },
    { ...base, proxyPort: 2 },
  ];
  const dated = others.map((port) => ({ ...port, retiredAt: date }));
  const later = { ...base, retiredAt: '2026-01-02T03:04:05.678Z' };
  const retiredPorts = [{ ...base, retiredAt: date }, later, ...dated];
  const of = (ports: readonly ShadowPort[], retired: readonly RetiredPort[]) =>
    render(
      {
        name: 'x',
        allocation: {
          service: 'shop/web',
          state: 'published',
          retiredAt: '',
          ports,
          announcedPorts: ports,
          retiredPorts: retired,
        },
        families: [],
        clusterIPs: [],
      },
      OPTIONS,
    );
  const ports = [base, ...others];
  assert.deepEqual(of(ports, retiredPorts), of(ports.toReversed(), retiredPorts.toReversed()));
});

test('read() takes anything a person may write, and never fails', () => {
  fc.assert(
    fc.property(desired, fc.array(fc.nat()), fc.jsonValue(), (wanted, path, value) => {
      const object = structuredClone(render(wanted, OPTIONS)) as Record<string, unknown>;
      let at: Record<string, unknown> = object;
      for (const step of path) {
        const keys = Object.keys(at);
        const key = keys[step % Math.max(keys.length, 1)] ?? 'x';
        const next = at[key];
        if (typeof next !== 'object' || next === null) {
          at[key] = value;
          break;
        }
        at = next as Record<string, unknown>;
      }
      const found = read(object);
      if (found === null) return;
      const shadow = found.kind === 'damaged' ? found.salvage : found;
      for (const { port, proxyPort } of [...shadow.ports, ...shadow.announcedPorts]) {
        assert.ok(port >= 1 && port <= 65_535);
        assert.ok(proxyPort >= 1 && proxyPort <= 65_535);
      }
    }),
  );
});

test('defaults that a server fills in are no difference, and a foreign label is none either', () => {
  const wanted: Desired = {
    name: shadowName('shop/web'),
    allocation: {
      service: 'shop/web',
      state: 'published',
      retiredAt: '',
      ports: [{ name: '', port: 80, protocol: 'TCP', proxyPort: 10_000 }],
      announcedPorts: [],
      retiredPorts: [],
    },
    families: ['IPv4'],
    clusterIPs: [],
  };
  const object = render(wanted, OPTIONS);
  const answered = structuredClone(object) as Record<string, unknown>;
  Object.assign(child(answered, 'spec'), { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'] });
  Object.assign(child(child(answered, 'metadata'), 'labels'), { team: 'a' });
  assert.equal(digestOf(answered), digestOf(object));
  delete child(answered, 'spec')['internalTrafficPolicy'];
  assert.equal(digestOf(answered), digestOf(object), 'unknown to 1.20');
  Object.assign(child(answered, 'spec'), { sessionAffinity: 'ClientIP' });
  assert.deepEqual(differences(object, answered), ['spec.sessionAffinity']);
});

test('names are the same length for all Services, and labels only what a label may be', () => {
  assert.equal(shadowName('shop/web'), 'shadow-97375646b1deb3d2d5c406cd15750035');
  assert.notEqual(shadowName('a/b-c'), shadowName('a-b/c'));
  const labels = labelsOf(`shop/${'x'.repeat(64)}`);
  assert.equal(labels['maesh.dev/service-namespace'], 'shop');
  assert.equal('maesh.dev/service-name' in labels, false);
});

test('trafficDistributionOf() asks for what the server knows', () => {
  const of = (minor: number): string | null => trafficDistributionOf({ major: 1, minor });
  assert.deepEqual([21, 30, 31, 33, 34, 36].map(of), [
    null,
    null,
    'PreferClose',
    'PreferClose',
    'PreferSameNode',
    'PreferSameNode',
  ]);
});

test('familiesFor() never asks for another first family than the object has', () => {
  assert.deepEqual(familiesFor(['IPv6', 'IPv4'], ['IPv4']), ['IPv4', 'IPv6']);
  assert.deepEqual(familiesFor(['IPv6'], ['IPv4']), ['IPv4', 'IPv6']);
  assert.deepEqual(familiesFor(['IPv4'], ['IPv4', 'IPv6']), ['IPv4']);
  assert.deepEqual(familiesFor([], ['IPv4']), []);
  assert.deepEqual(familiesOf(['None']), []);
  assert.deepEqual(familiesOf(['fd00::1', '10.0.0.1']), ['IPv6', 'IPv4']);
});
