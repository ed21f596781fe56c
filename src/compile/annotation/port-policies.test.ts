import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { KubeObject } from '../../kube/object.ts';
import { ANNOTATION_PREFIX } from '../../model/names.ts';
import type { Service } from '../../model/service.ts';
import { CompiledStore, TEST_OPTIONS } from '../compiled-store.fixture.ts';
import * as make from '../objects.fixture.ts';
import { nearPortKey, portKeyOf, printPortKey } from './port-key.ts';
import { ROWS } from './table.ts';

const PORT_ROWS = [...ROWS.values()].filter(({ perPort }) => perPort);

/** Good values of annotations, by name: their examples, and others beside them. */
const OTHERS: Readonly<Record<string, readonly string[]>> = {
  balance: ['consistent-hash', 'round-robin', 'least-request'],
  'hash-key': ['source', 'cookie:a'],
  'retry-attempts': ['1', '5'],
  'retry-backoff': ['1ms', '2s'],
  'retry-backoff-max': ['1ms', '2s'],
  'eject-base': ['1s', '1h'],
  'eject-max': ['1s', '1h'],
  'ratelimit-average': ['7', '3'],
  'ratelimit-per': ['service', 'caller'],
  scheme: ['http', 'h2c'],
  'traffic-type': ['http'],
};

const annotations = fc
  .uniqueArray(fc.constantFrom(...PORT_ROWS), { maxLength: 8, selector: ({ name }) => name })
  .chain((rows) =>
    fc.tuple(
      ...rows.map(({ name, example }) =>
        fc
          .constantFrom(...(ofProtocol(name) ? [] : [example]), ...(OTHERS[name] ?? []))
          .map((text) => [name, text] as const),
      ),
    ),
  )
  .map((pairs) => new Map(pairs));

function objectOf(said: ReadonlyMap<string, string>): KubeObject {
  const given = Object.fromEntries(
    [...said].map(([name, text]) => [ANNOTATION_PREFIX + name, text]),
  );
  const ports = [make.portOf({ name: 'a', port: 80 }), make.portOf({ name: 'b', port: 81 })];
  const meta = make.metaOf('web', 'shop', { annotations: given });
  return { ...make.serviceOf('web'), ports, meta };
}

function compiled(said: ReadonlyMap<string, string>): { service: Service; errors: number } {
  const store = new CompiledStore(TEST_OPTIONS);
  store.set(objectOf(said));
  store.update();
  const service = store.compiler.snapshot().services.get('shop/web');
  assert.ok(service !== undefined);
  const errors = store.compiler.problems().filter(({ severity }) => severity === 'error').length;
  return { service, errors };
}

function ofProtocol(name: string): boolean {
  return name === 'scheme' || name === 'traffic-type';
}

/** Whether an annotation is one that the policies of a Service come from. */
function hasEffect({ sources }: Service, name: string): boolean {
  const row = PORT_ROWS.find((each) => each.name === name);
  assert.ok(row !== undefined);
  return (row.policy === null ? row.field : `${row.policy}.${row.field}`) in sources;
}

test('what is said of a port over what is said of its Service is as a Service that says both', () => {
  let judged = 0;
  fc.assert(
    fc.property(annotations, annotations, (ofService, ofPort) => {
      const keys = [...ofPort].map(([name, text]) => [printPortKey(81, name), text] as const);
      const both = compiled(new Map([...ofService, ...ofPort]));
      const split = compiled(new Map([...ofService, ...keys]));
      const [other, port] = split.service.ports;
      assert.ok(other !== undefined && port !== undefined);
      const plain = compiled(ofService);
      // Nothing that is said of one port is heard by the other.
      assert.deepEqual(other, plain.service.ports[0]);
      assert.deepEqual(split.service.policies, plain.service.policies);
      if (both.errors > 0) return;
      judged++;
      const idle = [...ofPort.keys()].filter((name) => !hasEffect(both.service, name));
      // What has no effect, as callers to keep for a limit of all together, is no policy of the port.
      if (port.policies === null && idle.length > 0)
        assert.deepEqual(
          idle,
          [...ofPort.keys()].filter((name) => !ofProtocol(name)),
        );
      else assert.deepEqual(port.policies ?? split.service.policies, both.service.policies);
      const { because: _, policies: __, sources: ___, ...rest } = port;
      const {
        because: ____,
        policies: _____,
        sources: ______,
        ...expected
      } = both.service.ports[1]!;
      assert.deepEqual(rest, expected);
    }),
    { numRuns: 300 },
  );
  assert.ok(judged > 50, `${judged} were judged`);
});

test('a value of a port that is bad or does not go with the rest leaves what the Service says', () => {
  fc.assert(
    fc.property(annotations, fc.constantFrom(...PORT_ROWS), (ofService, { name, type }) => {
      fc.pre(!type.read('~').ok);
      const plain = compiled(ofService).service;
      const split = compiled(new Map([...ofService, [printPortKey(81, name), '~']]));
      assert.deepEqual(split.service, plain);
      assert.ok(split.errors > 0);
    }),
  );
});

test('a key of a port is read as it is printed, and any text is looked at without failing', () => {
  for (const { name } of PORT_ROWS) {
    assert.deepEqual(portKeyOf(printPortKey(65_535, name)), { port: 65_535, name });
    // A name in Kubernetes has 63 letters at most.
    assert.ok(printPortKey(65_535, name).length <= 63, name);
  }
  for (const bad of [
    'port.0.balance',
    'port.65536.balance',
    'port.01.balance',
    'port.80.',
    'port.x.y',
  ])
    assert.equal(portKeyOf(bad), null, bad);
  assert.deepEqual(nearPortKey('ports_080_balance'), { port: 80, name: 'balance' });
  assert.deepEqual(nearPortKey('Port.web.balance'), { port: null, name: 'balance' });
  assert.equal(nearPortKey('portable-balance'), null);
  fc.assert(
    fc.property(fc.string(), (text) => {
      portKeyOf(text);
      nearPortKey(text);
      nearPortKey(`port.${text}`);
    }),
  );
});
