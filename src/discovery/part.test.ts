import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../model/defaults.ts';
import { PLAIN_PORT, type Service } from '../model/service.ts';
import { FRAME_TYPE, FrameReader, type Frame } from './frame.ts';
import { encodeParts, readPart, SERVICE_LENGTH_MAX } from './part.ts';
import type { PartFrame } from './part-frame.ts';
import { PAYLOAD_BYTES_MAX, readPayload, textFrame } from './payload.ts';
import { Pool } from './pool.ts';
import { ENDPOINT_COLUMNS, IDENTITY_COLUMNS } from './rows.ts';
import { delta, identity, partOf, sent, service } from './stream.fixture.ts';

function framesOf(parts: Iterable<Pick<PartFrame, 'bytes'>>): Frame[] {
  const frames: Frame[] = [];
  const reader = new FrameReader(PAYLOAD_BYTES_MAX, (frame) => frames.push(frame));
  for (const { bytes } of parts) assert.equal(reader.push(bytes), null);
  return frames;
}

const never = (): never => assert.fail('a Service is too long');

/** A part as some other version might send it. */
function foreign(content: unknown): Frame {
  const head = { type: FRAME_TYPE.part, flags: 0, version: 1 };
  return framesOf([{ bytes: textFrame(head, JSON.stringify(content)) }])[0]!;
}

function readService(value: unknown): Service {
  return readPart(foreign({ services: [value] }), new Pool()).services[0]!;
}

test('parts carry a change as it is', () => {
  const limits = { ...DEFAULT_POLICIES.limits, requestsPerEndpoint: 7 };
  const retry = { ...DEFAULT_POLICIES, retry: DEFAULT_RETRY, limits };
  const change = delta(3, {
    services: [
      service('shop/web', ['10.1.0.1', 'fd00::1']),
      { ...service('shop/api'), policies: retry },
      { ...service('shop/cart'), policies: retry },
    ],
    removedServices: ['shop/old'],
    identities: [identity('10.2.0.1')],
    removedIdentities: ['10.2.0.2'],
  });
  const frames = framesOf(encodeParts(change, 3, { onTooLong: never }));
  assert.equal(frames.length, 1);
  assert.equal(frames[0]!.version, 3);
  const part = readPart(frames[0]!, new Pool());
  assert.deepEqual(part, partOf(change));
  assert.equal(part.services[1]!.policies, part.services[2]!.policies, 'one copy');
  assert.equal(part.services[0]!.policies, DEFAULT_POLICIES, 'the copy that is there anyway');
});

test('a long change is cut into parts that can be read one by one', () => {
  const addresses = Array.from({ length: 40 }, (_, i) => `10.1.0.${i}`);
  const services = Array.from({ length: 200 }, (_, i) => service(`shop/web-${i}`, addresses));
  const removedServices = Array.from({ length: 30_000 }, (_, i) => `shop/removed-${i}`);
  const frames = framesOf(
    encodeParts(delta(1, { services, removedServices }), 1, { onTooLong: never }),
  );
  assert.ok(frames.length >= 4);
  const pool = new Pool();
  const parts = frames.map((frame) => readPart(frame, pool));
  for (const frame of frames) {
    assert.ok(JSON.stringify(readPayload(frame)).length < 280_000);
  }
  assert.deepEqual(
    parts.flatMap((part) => part.services),
    services,
  );
  assert.deepEqual(
    parts.flatMap((part) => part.removedServices),
    removedServices,
  );
});

test('a Service that fits into no frame is told and left out, the others go', () => {
  const long = { ...service('shop/long'), name: 'x'.repeat(SERVICE_LENGTH_MAX) };
  const told: string[] = [];
  const change = delta(1, { services: [long, service('shop/web')] });
  const frames = framesOf(encodeParts(change, 1, { onTooLong: (key) => told.push(key) }));
  assert.deepEqual(told, ['shop/long']);
  assert.deepEqual(
    readPart(frames[0]!, new Pool()).services.map(({ key }) => key),
    ['shop/web'],
  );
});

test('what an older controller leaves out gets its default', () => {
  const read = readService({
    key: 'shop/web',
    ports: [
      { port: 80, backend: { id: 'shop/web:80', endpoints: [{ address: '10.0.0.1', port: 1 }] } },
    ],
  });
  assert.deepEqual(read, {
    key: 'shop/web',
    namespace: 'shop',
    name: 'web',
    address: '',
    secondAddress: '',
    headless: false,
    sources: {},
    policies: DEFAULT_POLICIES,
    ports: [
      {
        name: '',
        port: 80,
        proxyPort: 0,
        protocol: 'http',
        ...PLAIN_PORT,
        backend: {
          id: 'shop/web:80',
          service: 'shop/web',
          protocol: 'http/1.1',
          tls: null,
          endpoints: [{ address: '10.0.0.1', port: 1, weight: 100, pod: '', node: '', zone: '' }],
        },
        routes: [
          {
            name: 'default',
            backends: [{ backend: 'shop/web:80', weight: 1, invalid: '', filters: null }],
            source: { object: '', field: '' },
            matches: [],
            policies: {},
            filters: null,
            mirrors: [],
          },
        ],
      },
    ],
  });
});

test('policies of an older controller are filled up field by field', () => {
  const { policies } = readService({
    ...sent(service('shop/web')),
    policies: { timeouts: { connectMs: 5 }, retry: { attempts: 4 }, breaker: null },
  });
  assert.deepEqual(policies, {
    ...DEFAULT_POLICIES,
    timeouts: { ...DEFAULT_POLICIES.timeouts, connectMs: 5 },
    retry: { ...DEFAULT_RETRY, attempts: 4 },
  });
  assert.equal(DEFAULT_POLICIES.timeouts.connectMs, 2_000, 'the defaults themselves stay');
});

test('fields that a newer controller adds and lets readers ignore pass through', () => {
  const value = { ...sent(service('shop/web')), color: { shade: 'red' } };
  const { services } = readPart(
    foreign({ services: [value], ignorable: ['service.color'] }),
    new Pool(),
  );
  assert.deepEqual(services, [{ ...service('shop/web'), color: { shade: 'red' } }]);
});

test('values that only a newer version knows cost their policy', () => {
  const compare = { kind: 'compare', metric: { kind: 'constructor' }, op: '>', value: 1 };
  const { policies } = readService({
    ...sent(service('shop/web')),
    policies: {
      ...DEFAULT_POLICIES,
      balance: { ...DEFAULT_POLICIES.balance, algorithm: 'maglev', hashKey: { kind: 'query' } },
      retry: { ...DEFAULT_RETRY, on: ['reset', 'moon-phase'] },
      breaker: {
        text: 'New() > 1',
        expression: compare,
        checkPeriodMs: 1,
        openMs: 1,
        recoveryMs: 1,
      },
    },
  });
  assert.deepEqual(policies, {
    ...DEFAULT_POLICIES,
    retry: { ...DEFAULT_RETRY, on: ['reset'] },
  });
});

test('what nothing works without is told with its place', () => {
  const cases: readonly (readonly [value: unknown, message: RegExp])[] = [
    [7, /"services" is not an object/],
    [{}, /"key" is not a text/],
    [{ key: 'a/b', ports: {} }, /Service a\/b: "ports" is not a list/],
    [{ key: 'a/b', ports: [{ port: 0 }] }, /Service a\/b: "port" is not a port/],
    [{ key: 'a/b', policies: 3 }, /Service a\/b: "policies" is not one of the 0/],
    [
      { key: 'a/b', policies: { limits: { requestsInFlight: 'x' } } },
      /"requestsInFlight" is not a number/,
    ],
  ];
  for (const [value, message] of cases) assert.throws(() => readService(value), message);
  assert.throws(() => readPart(foreign([]), new Pool()), /"part" is not an object/);
});

test('endpoints and identities are rows, and a version with other columns is understood', () => {
  const endpoints = [['rack-7', 3, '10.0.0.1', 8080]];
  const part = readPart(
    foreign({
      texts: ['', 'shop', 'a', 'node-1'],
      sharedColumns: ['node', 'namespace', 'mood'],
      ignorable: ['endpoint.rack'],
      endpointColumns: ['rack', 'node', 'address', 'port'],
      identityColumns: ['address', 'namespace', 'mood'],
      services: [{ key: 'shop/web', ports: [{ port: 80, backend: { id: 'x', endpoints } }] }],
      identities: [['10.2.0.1', 1, 2]],
    }),
    new Pool(),
  );
  const address = { address: '10.0.0.1', port: 8080, weight: 100, pod: '', node: 'node-1' };
  assert.deepEqual(part.services[0]!.ports[0]!.backend.endpoints, [
    { ...address, zone: '', rack: 'rack-7' },
  ]);
  assert.deepEqual(part.identities, [
    {
      address: '10.2.0.1',
      namespace: 'shop',
      pod: '',
      serviceAccount: '',
      node: '',
      zone: '',
      doubt: '',
      labels: {},
      mood: 'a',
    },
  ]);
  const bad = { identityColumns: ['address', 'node'], sharedColumns: ['node'], texts: ['a'] };
  for (const place of [1, -1, 'x', null]) {
    const frame = foreign({ ...bad, identities: [['10.2.0.1', place]] });
    assert.throws(() => readPart(frame, new Pool()), /no text/);
  }
});

test('rows have every field of what they stand for', () => {
  const { endpoints } = service('shop/web', ['10.1.0.1']).ports[0]!.backend;
  assert.deepEqual(Object.keys(endpoints[0]!).toSorted(), [...ENDPOINT_COLUMNS].toSorted());
  assert.deepEqual(Object.keys(identity('x')).toSorted(), [...IDENTITY_COLUMNS].toSorted());
});
