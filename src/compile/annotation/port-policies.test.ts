import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { KubeObject } from '../../kube/object.ts';
import { ANNOTATION_PREFIX } from '../../model/names.ts';
import type { Problem, Service } from '../../model/service.ts';
import { CompiledStore, TEST_OPTIONS } from '../compiled-store.fixture.ts';
import * as make from '../objects.fixture.ts';
import { nearPortKey, portKeyOf, printPortKey } from './port-key.ts';
import { TCP_NAMES } from '../service/idle-annotations.ts';
import { ROWS } from './table.ts';
import { NONE } from './value.ts';

/** The ports are of HTTP. */
const PORT_ROWS = [...ROWS.values()].filter(({ perPort, name }) => perPort && !TCP_NAMES.has(name));

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
  scheme: ['http', 'h2c', 'https'],
  'upstream-ca': ['configmap/web-ca'],
  'upstream-server-name': ['a.example', 'b.example'],
  'upstream-verify': ['true', 'false'],
  'traffic-type': ['http'],
};

/** Where `none` is not a value, it is a bad one. */
const OR_NONE = PORT_ROWS.filter(({ type }) => type.read(NONE).ok).map(({ name }) => name);

const annotations = fc
  .uniqueArray(fc.constantFrom(...PORT_ROWS), { maxLength: 8, selector: ({ name }) => name })
  .chain((rows) =>
    fc.tuple(
      ...rows.map(({ name, example }) =>
        fc
          .constantFrom(
            ...(ofProtocol(name) ? [] : [example]),
            ...(OTHERS[name] ?? []),
            ...(OR_NONE.includes(name) ? [NONE] : []),
          )
          .map((text) => [name, text] as const),
      ),
    ),
  )
  .map((pairs) => new Map(pairs));

/** Without these others of their policy are errors. */
const NEEDED = [
  'affinity-cookie',
  'circuit-breaker-expression',
  'health-check',
  'ratelimit-average',
];

/** With what the others need. */
function completed(
  said: ReadonlyMap<string, string>,
  beside: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const policies = new Set(
    [...said.keys(), ...beside.keys()].map((name) => ROWS.get(name)?.policy),
  );
  const needed = NEEDED.flatMap((name): [string, string][] => {
    const row = ROWS.get(name);
    return row !== undefined && policies.has(row.policy) ? [[name, row.example]] : [];
  });
  return new Map([...needed, ...said]);
}

function objectOf(said: ReadonlyMap<string, string>): KubeObject {
  const given = Object.fromEntries(
    [...said].map(([name, text]) => [ANNOTATION_PREFIX + name, text]),
  );
  const ports = [make.portOf({ name: 'a', port: 80 }), make.portOf({ name: 'b', port: 81 })];
  const meta = make.metaOf('web', 'shop', { annotations: given });
  return { ...make.serviceOf('web'), ports, meta };
}

interface Compiled {
  readonly service: Service;
  readonly problems: readonly Problem[];
  readonly errors: number;
}

function compiled(said: ReadonlyMap<string, string>): Compiled {
  const store = new CompiledStore(TEST_OPTIONS);
  store.set(objectOf(said));
  store.update();
  const service = store.compiler.snapshot().services.get('shop/web');
  assert.ok(service !== undefined);
  const problems = store.compiler
    .problems()
    .filter(({ field }) => field.startsWith('metadata.annotations'));
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  return { service, problems, errors };
}

function ofProtocol(name: string): boolean {
  return name === 'scheme' || name === 'traffic-type' || name.startsWith('upstream-');
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
    fc.property(annotations, annotations, fc.boolean(), (given, ofPort, isComplete) => {
      const ofService = isComplete ? completed(given, ofPort) : given;
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
          [...ofPort.keys()].filter((name) => ROWS.get(name)?.policy !== null),
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
  assert.ok(judged > 20, `${judged} were judged`);
});

test('a value of a port that is bad or does not go with the rest leaves what the Service says', () => {
  fc.assert(
    fc.property(annotations, fc.constantFrom(...PORT_ROWS), (ofService, { name, type, strict }) => {
      fc.pre(!type.read('~').ok && strict === null);
      const plain = compiled(ofService).service;
      const split = compiled(new Map([...ofService, [printPortKey(81, name), '~']]));
      assert.deepEqual(split.service, plain);
      assert.ok(split.errors > 0);
    }),
  );
});

test('none lifts on a port what the Service says, all of the policy, and says so', () => {
  const said: Readonly<Record<string, string>> = {
    'retry-attempts': '3',
    'retry-on': 'status',
    'affinity-cookie': 'a',
    'affinity-max-age': '1h',
    'health-check': 'http',
    'health-check-path': '/healthz',
    'circuit-breaker-expression': 'NetworkErrorRatio() > 0.5',
    'breaker-open': '1s',
    'ratelimit-average': '5',
    'ratelimit-burst': '7',
    'timeout-request': '1s',
    'eject-consecutive-failures': '1',
    'eject-error-rate': '0.5',
    'limit-requests-per-endpoint': '3',
    'limit-request-body': '1Ki',
    'connection-age': '1m',
    'slow-start': '1m',
  };
  const lifted = OR_NONE.filter((name) => name in said && name !== 'affinity-max-age');
  const ofPort = lifted.map((name) => [printPortKey(81, name), NONE] as const);
  const { service, problems } = compiled(new Map([...Object.entries(said), ...ofPort]));
  assert.deepEqual(problems, []);
  const [other, port] = service.ports;
  assert.equal(other?.policies, null);
  const policies = port?.policies;
  assert.ok(policies !== null && policies !== undefined);
  const { retry, affinity, healthCheck, breaker, rateLimit } = policies;
  assert.deepEqual([retry, affinity, healthCheck, breaker, rateLimit], Array(5).fill(null));
  const { timeouts, ejection, balance, limits } = policies;
  assert.deepEqual([timeouts.requestMs, balance.slowStartMs], [0, 0]);
  assert.deepEqual([ejection.consecutiveFailures, ejection.errorRate], [0, 0]);
  assert.deepEqual([limits.requestsPerEndpoint, limits.requestBodyBytes], [0, 0]);
  assert.equal(limits.connectionAgeMs, 0);
  const paths = lifted.map((name) => ROWS.get(name)!).map((row) => `${row.policy}.${row.field}`);
  assert.deepEqual(Object.keys(port?.sources ?? {}).sort(), paths.sort());
});

test('what goes with a policy that is lifted has no effect, and other words for none are told', () => {
  const { service, problems } = compiled(
    new Map([
      ['ratelimit-average', 'none'],
      ['ratelimit-burst', '5'],
      ['affinity-cookie', 'none'],
      ['affinity-max-age', '1h'],
      ['health-check', 'Off'],
      ['timeout-try', 'disabled'],
      ['retry-attempts', '0'],
      [printPortKey(81, 'ratelimit-average'), '3'],
      [printPortKey(80, 'circuit-breaker-expression'), ''],
      [printPortKey(80, 'limit-requests-in-flight'), 'none'],
    ]),
  );
  assert.equal(service.policies.rateLimit, null);
  assert.equal(service.ports[1]?.policies?.rateLimit?.burst, 5);
  const told = problems.map(({ field, message, remedy }) =>
    [field.replace(/.*maesh\.dev\/|"\]/g, ''), message.split('\n')[0], remedy.split('?')[0]].join(
      '; ',
    ),
  );
  assert.deepEqual(told.sort(), [
    'affinity-max-age; affinity-max-age has no effect: affinity-cookie is none; remove it, or give affinity-cookie a value',
    'health-check; health-check has no such value; did you mean none',
    'port.80.circuit-breaker-expression; circuit-breaker-expression cannot be read at column 1: expected a function, "!" or "(", found the end; did you mean none',
    'port.80.limit-requests-in-flight; limit-requests-in-flight is not a whole number; write a whole number from 1 to 10,000,000; until then what the Service says holds',
    'retry-attempts; retry-attempts is out of range; did you mean none',
    'timeout-try; timeout-try is not a length of time; did you mean none',
  ]);
});

test('what the Service says for the use of a single port has an effect', () => {
  const ofService: [string, string][] = [
    ['ratelimit-burst', '20'],
    ['hash-key', 'header:x-user'],
    ['retry-statuses', '500'],
    ['retry-on', 'reset'],
  ];
  const fields = (more: readonly [string, string][]) =>
    compiled(new Map([...ofService, ...more])).problems.map(({ field }) => field.slice(32, -2));
  assert.deepEqual(fields([]).sort(), ['hash-key', 'ratelimit-burst', 'retry-statuses']);
  const told = fields([
    [printPortKey(81, 'ratelimit-average'), '5'],
    [printPortKey(80, 'balance'), 'consistent-hash'],
    [printPortKey(81, 'retry-on'), 'status'],
  ]);
  assert.deepEqual(told, []);
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
  assert.deepEqual(nearPortKey('Port.web.balance'), { port: 'web', name: 'balance' });
  assert.deepEqual(nearPortKey('80.balance'), { port: 80, name: 'balance' });
  assert.deepEqual(nearPortKey('balance.080'), { port: 80, name: 'balance' });
  assert.deepEqual(nearPortKey('port..balance'), { port: '', name: 'balance' });
  assert.equal(nearPortKey('portable-balance'), null);
  assert.equal(nearPortKey('balance-80'), null);
  fc.assert(
    fc.property(fc.string(), (text) => {
      portKeyOf(text);
      nearPortKey(text);
      nearPortKey(`port.${text}`);
    }),
  );
});
