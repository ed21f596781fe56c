/**
 * Old neighbours: the first version of the stream, recorded in `testdata/first`, against this one, and what a later one may say
 * against it.
 */

import assert from 'node:assert/strict';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { DEFAULT_POLICIES } from '../model/defaults.ts';
import type { BackendFilters } from '../model/filter.ts';
import { type HttpRoute, onlyRoute, type Route } from '../model/route.ts';
import {
  carriageOf,
  type Delta,
  type Service,
  type ServicePort,
  PLAIN_PORT,
} from '../model/service.ts';
import { copyPath, readCopy, writeCopy } from './copy.ts';
import { FLAG, FRAME_TYPE, FrameReader, type Frame } from './frame.ts';
import { FIRST_CAPABILITIES, readHello } from './hello.ts';
import { encodeParts, readPart, type Part } from './part.ts';
import { PAYLOAD_BYTES_MAX, readPayload, textFrame } from './payload.ts';
import type { SentBackend } from './scheme.ts';
import { Pool } from './pool.ts';
import { MeshState } from './mesh-state.ts';
import {
  delta,
  HELLO,
  identity,
  partOf,
  rawAgent,
  rawController,
  recordingLog,
  sent,
  service,
  startAgent,
  startServer,
  tempFolder,
  untilServer,
  type LogLine,
  type RawPeer,
} from './stream.fixture.ts';
import { ObjectTerms } from './object-terms.ts';
import { IGNORABLE, needsOf } from './vocabulary.ts';

type Sent = ReturnType<typeof sent>;

const FIRST = join(import.meta.dirname, 'testdata/first');
const MUST = FLAG.mustUnderstand;

function framesOf(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  assert.equal(new FrameReader(PAYLOAD_BYTES_MAX, (frame) => frames.push(frame)).push(bytes), null);
  return frames;
}

function recorded(name: string): Buffer {
  return readFileSync(join(FIRST, name));
}

/** A part as a later version might send it. */
function later(content: unknown): Part {
  const head = { type: FRAME_TYPE.part, flags: MUST, version: 1 };
  return readPart(framesOf(textFrame(head, JSON.stringify(content)))[0]!, new Pool());
}

test('the parts that the first version sent are read as it meant them', () => {
  const content = JSON.parse(recorded('content.json').toString()) as Delta;
  const part = readPart(framesOf(recorded('part.frame'))[0]!, new Pool());
  const services = content.services.map(completed);
  const identities = content.identities.map((each) => ({
    ...each,
    doubt: '' as const,
    labels: {},
  }));
  assert.deepEqual(part, partOf({ ...content, services, identities }));
});

/** What came later is not used by what the first version sent. */
function completed(service: Service): Service {
  const ports = service.ports.map((port): ServicePort => {
    const { source } = port.routes[0] as Route;
    const { scheme, ...rest } = port.backend as unknown as SentBackend;
    assert.equal(scheme, 'http');
    const backend = { ...rest, protocol: 'http/1.1' as const, tls: null };
    return { ...port, ...PLAIN_PORT, routes: [onlyRoute(backend.id, source)], backend };
  });
  const limits = { ...DEFAULT_POLICIES.limits, ...service.policies.limits };
  const timeouts = { ...DEFAULT_POLICIES.timeouts, ...service.policies.timeouts };
  const policies = { ...DEFAULT_POLICIES, ...service.policies, limits, timeouts };
  return { ...service, ports, policies };
}

test('the copy of the first version on disk is read', async () => {
  const dir = tempFolder();
  copyFileSync(join(FIRST, 'last-good.copy'), copyPath(dir));
  const copy = await readCopy(dir, new Pool(), { clock: systemClock, log: silentLog });
  assert.deepEqual(copy?.position, { epoch: 'epoch-1', version: 7 });
  assert.deepEqual(
    copy.parts.flatMap(({ services }) => services.map(({ key }) => key)),
    ['shop/web', 'shop/api'],
  );
});

test('the first version, which knows copies of format 1 only, does not get at one of this version', async () => {
  const dir = tempFolder();
  await writeCopy(dir, { epoch: 'e', version: 1 }, []);
  assert.equal(recorded('last-good.copy').readUInt32BE(8), 1);
  assert.equal(readFileSync(copyPath(dir)).readUInt32BE(8), 2);
});

test('an agent that does not say what it can do is one of the first version', () => {
  const hello = readHello(framesOf(recorded('hello.frame'))[0]!);
  assert.deepEqual([hello.carries, hello.understands], [['http'], []]);
});

const WEB = service('shop/web', ['10.1.0.1']);
/** As it is on the wire. */
const SENT = sent(WEB);
const [PORT] = SENT.ports;
const [ROUTE] = PORT!.routes;

const RATE_LIMIT = {
  average: 1,
  periodMs: 1_000,
  burst: 2,
  per: 'caller',
  callersMax: 8,
} as const;

const MATCH = { path: { kind: 'exact', value: '/a' }, method: '', headers: [], query: [] } as const;

function withRoute(more: object): unknown {
  return { ...SENT, ports: [{ ...PORT, routes: [{ ...ROUTE, ...more }] }] };
}

function withMatch(match: object): unknown {
  return withRoute({ matches: [match] });
}

const SET = { action: 'set', name: 'x-a', value: 'b' } as const;
const REDIRECT = { scheme: '', host: '', port: 0, path: null, status: 302 } as const;
const FILTERS: BackendFilters = {
  request: [SET],
  response: [{ action: 'remove', name: 'server', value: '' }],
  rewrite: { host: 'a.example', path: { kind: 'prefix', value: '/b' } },
};

function withFilters(more: object): unknown {
  return withRoute({ filters: { ...FILTERS, redirect: null, ...more } });
}

function withBackendFilters(more: object): unknown {
  const filters = { ...FILTERS, ...more };
  return withRoute({ backends: [{ backend: 'x', weight: 1, filters }] });
}

/** What a later version may say of a Service, and what of it is not known here. */
const TLS = { serverName: 'web.shop.svc', trust: 'given', ca: 'PEM', client: null } as const;

function withTls(tls: unknown): unknown {
  const backend = { ...PORT!.backend, scheme: 'https', tls };
  return { ...SENT, ports: [{ ...PORT, backend }] };
}

const LATER: readonly (readonly [term: string, service: unknown])[] = [
  ['service.access', { ...SENT, access: { allow: [] } }],
  ['port.tls', { ...SENT, ports: [{ ...PORT, tls: { mode: 'strict' } }] }],
  ['route.match', { ...SENT, ports: [{ ...PORT, routes: [{ ...ROUTE, match: { path: '/a' } }] }] }],
  ['httpMatch.cookies', withMatch({ ...MATCH, cookies: [] })],
  ['pathMatch.ignoreCase', withMatch({ ...MATCH, path: { ...MATCH.path, ignoreCase: true } })],
  ['pathMatch.kind=regex', withMatch({ ...MATCH, path: { kind: 'regex', value: '^/a' } })],
  ['namedMatch.kind', withMatch({ ...MATCH, headers: [{ name: 'a', value: 'b', kind: 'regex' }] })],
  ['namedMatch.not', withMatch({ ...MATCH, query: [{ name: 'a', value: 'b', not: true }] })],
  ['routePolicies.breaker', withRoute({ policies: { breaker: null } })],
  ['routeFilters.fault', withFilters({ fault: null })],
  ['backendFilters.redirect', withBackendFilters({ redirect: null })],
  ['fieldChange.when', withFilters({ request: [{ ...SET, when: 'missing' }] })],
  ['fieldChange.action=append', withFilters({ response: [{ ...SET, action: 'append' }] })],
  ['rewrite.query', withFilters({ rewrite: { host: '', path: null, query: '' } })],
  [
    'pathChange.kind=regex',
    withBackendFilters({ rewrite: { host: '', path: { kind: 'regex', value: '' } } }),
  ],
  ['redirect.scheme=ws', withFilters({ redirect: { ...REDIRECT, scheme: 'ws' } })],
  ['redirect.query', withFilters({ redirect: { ...REDIRECT, query: '' } })],
  [
    'pathChange.case',
    withFilters({ redirect: { ...REDIRECT, path: { kind: 'full', value: '/', case: 'low' } } }),
  ],
  ['timeouts.streamMs', withRoute({ policies: { timeouts: { streamMs: 1 } } })],
  ['rateLimit.cost', withRoute({ policies: { rateLimit: { ...RATE_LIMIT, cost: 2 } } })],
  [
    'rateLimit.per=header',
    withRoute({ policies: { rateLimit: { ...RATE_LIMIT, per: 'header' } } }),
  ],
  [
    'routeBackend.priority',
    {
      ...SENT,
      ports: [
        { ...PORT, routes: [{ ...ROUTE, backends: [{ backend: 'x', weight: 1, priority: 1 }] }] },
      ],
    },
  ],
  [
    'routeMirror.compare',
    withRoute({
      mirrors: [{ backend: 'x', numerator: 1, denominator: 1, invalid: '', compare: [] }],
    }),
  ],
  ['backend.pool', { ...SENT, ports: [{ ...PORT, backend: { ...PORT!.backend, pool: {} } }] }],
  ['endpointTls.pins', withTls({ ...TLS, pins: [] })],
  [
    'endpoint.sni',
    {
      ...SENT,
      ports: [
        {
          ...PORT,
          backend: { ...PORT!.backend, endpoints: [{ address: '10.0.0.1', port: 1, sni: 'a' }] },
        },
      ],
    },
  ],
  ['policies.access', { ...SENT, policies: { ...SENT.policies, access: {} } }],
  [
    'limits.perSource',
    { ...SENT, policies: { ...SENT.policies, limits: { ...SENT.policies.limits, perSource: 1 } } },
  ],
  [
    'balance.locality=node-only',
    {
      ...SENT,
      policies: { ...SENT.policies, balance: { ...SENT.policies.balance, locality: 'node-only' } },
    },
  ],
  [
    'balance.locality={"zone":"a"}',
    {
      ...SENT,
      policies: {
        ...SENT.policies,
        balance: { ...SENT.policies.balance, locality: { zone: 'a' } },
      },
    },
  ],
  ['service.__proto__', JSON.parse(`{"__proto__":{},${JSON.stringify(SENT).slice(1)}`)],
];

test('a Service that says what is not known here is refused with what that is, and the others are served', () => {
  for (const [term, value] of LATER) {
    const part = later({ services: [value, sent(service('shop/api'))] });
    assert.deepEqual(part.refused, [{ key: 'shop/web', unknown: [term] }]);
    assert.deepEqual(
      part.services.map(({ key }) => key),
      ['shop/api'],
    );
    const { services, refused } = later({ services: [value], ignorable: [term] });
    assert.deepEqual([services.length, refused.length], [1, 0], `${term} may be ignored`);
  }
});

test('a match, a policy, a filter of a route and an invalid backend come as they were sent, and only who knows them gets them', () => {
  const more = {
    matches: [MATCH, { ...MATCH, path: null, headers: [{ name: 'x', value: '' }] }],
    policies: { retry: null, timeouts: { ...DEFAULT_POLICIES.timeouts, requestMs: 7 } },
    backends: [
      { backend: '', weight: 3, invalid: 'there is no Service shop/gone', filters: FILTERS },
    ],
    filters: { ...FILTERS, redirect: { ...REDIRECT, path: { kind: 'full', value: '' } } },
  };
  const value = withRoute(more) as Service;
  assert.deepEqual(needsOf(value), [
    'route.filters',
    'route.matches',
    'route.policies',
    'routeBackend.filters',
    'routeBackend.invalid',
  ]);
  assert.deepEqual(partOf(delta(1, { services: [value] })).services, [value]);
});

test('a rate limit of a route goes only to who knows it, and one that is not used to all', () => {
  const limited = { retry: null, rateLimit: RATE_LIMIT };
  const none = { retry: null, rateLimit: null };
  const [port] = WEB.ports;
  const [read, readNone] = [limited, none].map((policies) => {
    const routes = [{ ...(port!.routes[0] as HttpRoute), policies }];
    const value = { ...WEB, ports: [{ ...port, routes } as ServicePort] };
    const change = delta(1, { services: [value] });
    const [part] = [...encodeParts(change, 1, { onTooLong: () => assert.fail() })];
    const [service] = readPart(framesOf(part!.bytes)[0]!, new Pool()).services;
    return { needs: needsOf(value), policies: service?.ports[0]?.routes[0]?.policies };
  });
  const needs = ['route.policies', 'routePolicies.rateLimit'];
  assert.deepEqual(read, { needs, policies: limited });
  assert.deepEqual(readNone, { needs: ['route.policies'], policies: { retry: null } });
});

test('policies of a port go only to who knows them, with the fields that it says itself', () => {
  const policies = { ...DEFAULT_POLICIES, rateLimit: RATE_LIMIT };
  const limits = { ...DEFAULT_POLICIES.limits, requestsPerEndpoint: 3 };
  const balance = { ...DEFAULT_POLICIES.balance, locality: 'require-node' } as const;
  const sources = { 'rateLimit.average': { object: 'Service shop/web', field: 'x' } };
  const [port] = WEB.ports;
  const told = { because: 'appProtocol: http', passesTls: true };
  const own = { ...port!, ...told, policies: { ...policies, limits, balance }, sources };
  const value: Service = { ...WEB, ports: [own, { ...own, port: 81, policies }, port!] };
  const change = delta(1, { services: [value] });
  const [part] = [...encodeParts(change, 1, { onTooLong: () => assert.fail() })];
  const { services, refused } = readPart(framesOf(part!.bytes)[0]!, new Pool());
  assert.deepEqual({ services, refused }, { services: [value], refused: [] });
  assert.deepEqual(needsOf(value), ['balance.locality=require-node', 'port.policies']);
  assert.deepEqual(needsOf({ ...WEB, ports: [{ ...port!, ...told }] }), []);
});

test('policies of a port that are not known, or are none of the part, cost the Service', () => {
  const withPolicies = (policies: unknown): unknown => ({
    ...SENT,
    ports: [{ ...PORT, policies }],
  });
  const later1 = later({ services: [withPolicies({ ...DEFAULT_POLICIES, access: {} })] });
  assert.deepEqual(later1.refused, [{ key: 'shop/web', unknown: ['policies.access'] }]);
  const table = [{ ...DEFAULT_POLICIES, access: {} }];
  assert.deepEqual(later({ policies: table, services: [withPolicies(0)] }).refused, [
    { key: 'shop/web', unknown: ['policies.access'] },
  ]);
  for (const bad of [1, -1, 'all', [], true]) {
    assert.throws(() => later({ policies: [{}], services: [withPolicies(bad)] }), /policies/);
  }
  assert.throws(
    () => later({ services: [{ ...SENT, ports: [{ ...PORT, sources: 1 }] }] }),
    /sources/,
  );
  assert.throws(
    () => later({ services: [{ ...SENT, ports: [{ ...PORT, because: 1 }] }] }),
    /because/,
  );
  assert.throws(
    () => later({ services: [{ ...SENT, ports: [{ ...PORT, passesTls: 1 }] }] }),
    /passesTls/,
  );
});

const MIRROR = { backend: 'shop/canary:80', numerator: 1, denominator: 8, invalid: '' };

test('mirrors come as they were sent, to every agent; a share that is none is an error', () => {
  const value = withRoute({ mirrors: [MIRROR, { ...MIRROR, invalid: 'not granted' }] }) as Service;
  assert.deepEqual(needsOf(value), []);
  assert.deepEqual(partOf(delta(1, { services: [value] })).services, [value]);
  assert.ok(IGNORABLE.includes('route.mirrors'));
  const wrong = [
    { ...MIRROR, numerator: 9 },
    { ...MIRROR, numerator: 0, denominator: 0 },
    { ...MIRROR, numerator: 0.5 },
    { ...MIRROR, denominator: undefined },
    { ...MIRROR, backend: undefined },
    { ...MIRROR, invalid: undefined },
  ];
  for (const mirror of wrong) {
    const services = [withRoute({ mirrors: [mirror] })];
    assert.throws(() => later({ services }), { code: 'invalid_input' });
  }
  const ports = [{ ...PORT, protocol: 'tcp', routes: [{ ...ROUTE, mirrors: [MIRROR] }] }];
  assert.throws(() => later({ services: [{ ...SENT, ports }] }), /"mirrors".* not HTTP/);
});

test('a match that lacks a part is an error: without it, the route would take more', () => {
  const { path: _, ...pathless } = MATCH;
  for (const match of [pathless, { ...MATCH, method: 1 }, { ...MATCH, headers: undefined }, {}]) {
    assert.throws(() => later({ services: [withMatch(match)] }), { code: 'invalid_input' });
  }
  const udp = {
    ...SENT,
    ports: [{ ...PORT, protocol: 'udp', routes: [{ ...ROUTE, matches: [MATCH] }] }],
  };
  assert.throws(() => later({ services: [udp] }), /not HTTP/);
});

function withRule(rule: unknown): unknown {
  return {
    ...SENT,
    ports: [{ ...PORT, protocol: 'tcp', routes: [{ ...ROUTE, matches: [{ rule }] }] }],
  };
}

const NAMED = { kind: 'sni', name: 'a.example' } as const;

test('rules of TLS go only to who knows them, and come as they were sent', () => {
  const rule = {
    kind: 'any',
    of: [
      { kind: 'not', of: NAMED },
      { kind: 'all', of: [{ kind: 'alpn', protocol: 'h2' }] },
    ],
  } as const;
  const [port] = WEB.ports;
  const route = { ...onlyRoute('shop/web:80', { object: '', field: '' }), matches: [{ rule }] };
  const backend = { ...port!.backend, protocol: 'tcp' } as const;
  const own: ServicePort = { ...port!, protocol: 'tcp', backend, routes: [route] };
  const value: Service = { ...WEB, ports: [own] };
  assert.deepEqual(partOf(delta(1, { services: [value] })).services, [value]);
  assert.deepEqual(needsOf(value), ['route.matches', 'tlsMatch.rule']);
  const [part] = [
    ...encodeParts(delta(1, { services: [value] }), 1, { onTooLong: () => assert.fail() }),
  ];
  // Who knows matches of HTTP alone gets a Service less.
  assert.deepEqual(part!.needs?.terms, ['route.matches', 'tlsMatch.rule']);
});

test('a rule of TLS with a part that is not known costs the Service; one that lacks a part is an error', () => {
  const unknown = (rule: unknown): unknown => later({ services: [withRule(rule)] }).refused;
  const cost = (term: string): unknown => [{ key: 'shop/web', unknown: [term] }];
  assert.deepEqual(unknown({ kind: 'ja4', of: [] }), cost('tlsMatch.rule=ja4'));
  assert.deepEqual(unknown({ kind: 'not', of: { kind: 'ja4' } }), cost('tlsMatch.rule=ja4'));
  assert.deepEqual(unknown({ ...NAMED, port: 1 }), cost('tlsMatch.rule.port'));
  let deep: unknown = NAMED;
  for (let i = 0; i < 300; i++) deep = { kind: 'not', of: deep };
  const wrong = [
    null,
    undefined,
    [],
    { kind: 'sni' },
    { kind: 'sni', name: 1 },
    { kind: 'alpn' },
    { kind: 'not' },
    { kind: 'all' },
    { kind: 'any', of: NAMED },
    { kind: 'any', of: [1] },
    {},
    deep,
  ];
  for (const rule of wrong)
    assert.throws(() => later({ services: [withRule(rule)] }), { code: 'invalid_input' });
});

test('a filter that lacks a part is an error: without it, the route would change less', () => {
  const { request: _, ...requestless } = FILTERS;
  const { name: _name, ...nameless } = SET;
  const { path: _path, ...pathless } = REDIRECT;
  const { host: _host, ...hostless } = FILTERS.rewrite!;
  const wrong = [
    withRoute({ filters: { ...requestless, redirect: null } }),
    withRoute({ filters: FILTERS }),
    withRoute({ filters: [] }),
    withFilters({ request: [nameless] }),
    withFilters({ response: [{ ...SET, value: 1 }] }),
    withFilters({ rewrite: hostless }),
    withFilters({ rewrite: { host: '', path: { kind: 'full' } } }),
    withFilters({ redirect: pathless }),
    withFilters({ redirect: { ...REDIRECT, status: '301' } }),
    withFilters({ redirect: { ...REDIRECT, port: -1 } }),
    withBackendFilters({ response: undefined }),
    withBackendFilters({ rewrite: 'x' }),
  ];
  for (const service of wrong) {
    assert.throws(() => later({ services: [service] }), { code: 'invalid_input' });
  }
  for (const more of [
    { filters: { ...FILTERS, redirect: null } },
    { backends: [{ backend: 'x', filters: FILTERS }] },
  ]) {
    const ports = [{ ...PORT, protocol: 'tcp', routes: [{ ...ROUTE, ...more }] }];
    assert.throws(() => later({ services: [{ ...WEB, ports }] }), /not HTTP/);
  }
});

test('what is not known in the table of policies costs the Services that refer to it', () => {
  const part = later({
    policies: [{}, { access: 7, limits: 'not even a record' }],
    services: [
      { ...SENT, policies: 0 },
      { ...sent(service('shop/api')), policies: 1 },
    ],
  });
  assert.deepEqual(
    part.services.map(({ key }) => key),
    ['shop/web'],
  );
  assert.deepEqual(part.refused, [{ key: 'shop/api', unknown: ['policies.access'] }]);
});

test('a column of endpoints that is not known costs the Services of its part that have some', () => {
  const backend = { id: 'x', service: 'shop/web', scheme: 'http' };
  const part = later({
    endpointColumns: ['address', 'port', 'sni'],
    services: [
      { ...SENT, ports: [{ ...PORT, backend: { ...backend, endpoints: [['10.0.0.1', 1, 'a']] } }] },
      sent(service('shop/api')),
    ],
  });
  assert.deepEqual(part.refused, [{ key: 'shop/web', unknown: ['endpoint.sni'] }]);
  assert.equal(part.services.length, 1);
});

test('a Service that was served and says now what is not known is served no more', () => {
  const meshState = new MeshState();
  meshState.add(partOf(delta(1, { services: [WEB] })));
  meshState.commit(1);
  meshState.add(later({ services: [{ ...SENT, access: {} }] }));
  assert.deepEqual(meshState.commit(1), delta(2, { removedServices: ['shop/web'] }));
  assert.deepEqual(
    [...meshState.refused.values()],
    [{ key: 'shop/web', unknown: ['service.access'] }],
  );
  meshState.add(later({ services: [{ ...SENT, access: {}, more: 1 }] }));
  assert.equal(meshState.commit(1), null, 'nothing changes for the proxies');
  assert.deepEqual(meshState.refused.get('shop/web')?.unknown, ['service.access', 'service.more']);
  meshState.add(partOf(delta(2, { services: [WEB] })));
  assert.deepEqual(meshState.commit(1), delta(3, { services: [WEB] }));
  assert.equal(meshState.refused.size, 0);
});

test('a snapshot without a refused Service forgets it, and one with it is not empty', () => {
  const meshState = new MeshState();
  meshState.beginSnapshot();
  meshState.add(later({ services: [{ ...SENT, access: {} }] }));
  assert.ok(!meshState.isEmptySnapshot);
  meshState.commit(1);
  assert.equal(meshState.refused.size, 1);
  meshState.beginSnapshot();
  meshState.add(partOf(delta(1, { services: [service('shop/api')] })));
  meshState.commit(1);
  assert.equal(meshState.refused.size, 0);
});

test('an agent tells its log, its owner and its controller what it refuses, and the copy keeps the rule', async (t) => {
  const controller = await rawController(t, (peer) => {
    peer.send(
      { type: FRAME_TYPE.welcome, flags: MUST },
      { format: 1, epoch: 'raw', build: 'later', synced: true },
    );
    peer.send({ type: FRAME_TYPE.snapshot, flags: MUST }, {});
    const services = [{ ...SENT, access: {} }, sent(service('shop/api'))];
    peer.send({ type: FRAME_TYPE.part, flags: MUST, version: 1 }, { services });
    peer.send({ type: FRAME_TYPE.commit, flags: MUST, version: 1 }, { from: 0, parts: 1 });
    void peer
      .until(() => peer.frames.some(({ type }) => type === FRAME_TYPE.acknowledge))
      .then(() => acknowledged.push(...peer.values(FRAME_TYPE.acknowledge)));
  });
  const acknowledged: unknown[] = [];
  const lines: LogLine[] = [];
  const stateDir = tempFolder();
  let told = 0;
  const agent = await startAgent(t, controller, {
    stateDir,
    log: recordingLog(lines),
    onRefused: () => (told += 1),
  });
  await agent.until(() => agent.deltas.length === 1);
  assert.deepEqual([...agent.services.keys()], ['shop/api']);
  const refused = [{ key: 'shop/web', unknown: ['service.access'] }];
  assert.deepEqual([agent.client.refused(), told], [refused, 1]);
  const line = lines.find(({ level }) => level === 'error');
  assert.match(line?.message ?? '', /^Refused a Service/);
  assert.match(line?.fields ?? '', /service=shop\/web unknown=service.access .*remedy=/);
  agent.client.acknowledge(1, []);
  while (acknowledged.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(acknowledged, [{ failures: [], refused }]);
  await agent.client.stop();

  const back = await startAgent(t, { ...controller, port: 1 }, { stateDir });
  assert.deepEqual([...back.services.keys()], ['shop/api']);
  assert.deepEqual(back.client.refused(), refused);
});

/** As if access were in the vocabulary: Services of this namespace use it. */
const SERVER = {
  needsOf: ({ namespace }: { readonly namespace: string }) =>
    namespace === 'bank' ? ['service.access'] : [],
};

async function firstAgent(peer: RawPeer, resume: unknown = null): Promise<MeshState> {
  const hello = readPayload(framesOf(recorded('hello.frame'))[0]!) as object;
  peer.send({ type: FRAME_TYPE.hello, flags: MUST }, { ...hello, resume });
  await peer.until(() => peer.values(FRAME_TYPE.commit).length > 0);
  return meshStateOf(peer);
}

/** What the agent has after all that it was sent. */
function meshStateOf(peer: RawPeer): MeshState {
  const meshState = new MeshState();
  for (const frame of peer.frames) {
    if (frame.type === FRAME_TYPE.snapshot) meshState.beginSnapshot();
    if (frame.type === FRAME_TYPE.part) meshState.add(readPart(frame, new Pool()));
    if (frame.type !== FRAME_TYPE.commit) continue;
    meshState.commit((readPayload(frame) as { readonly parts: number }).parts);
  }
  return meshState;
}

function textOfParts(peer: RawPeer): string {
  return JSON.stringify(peer.values(FRAME_TYPE.part));
}

test('an agent of the first version is not sent what it would serve more widely', async (t) => {
  const started = await startServer(t, SERVER);
  const { server } = started;
  const identities = [identity('10.2.0.1')];
  server.publish(delta(1, { services: [WEB, service('bank/vault', ['10.9.0.9'])], identities }));
  const peer = await rawAgent(t, started);
  const meshState = await firstAgent(peer);
  assert.deepEqual([...meshState.services.keys()], ['shop/web']);
  assert.equal(meshState.identities.size, 1);
  assert.ok(!textOfParts(peer).includes('10.9.0.9'), 'it does not even hear of it');
  const notServed = [{ key: 'bank/vault', unknown: ['service.access'] }];
  assert.deepEqual(server.agents()[0]?.notServed, notServed);
  assert.deepEqual(server.agents()[0]?.carries, ['http']);

  peer.send({ type: FRAME_TYPE.acknowledge, version: 1 }, { failures: [] });
  await untilServer(server, () => server.minServedVersion() === 1);
});

test('a Service that begins to need what an old agent lacks leaves it, and comes back when it does not', async (t) => {
  const needs = new Set<string>();
  const started = await startServer(t, {
    needsOf: ({ key }) => (needs.has(key) ? ['service.access'] : []),
  });
  const { server } = started;
  server.publish(delta(1, { services: [WEB, service('shop/api')] }));
  const peer = await rawAgent(t, started);
  const commits = (count: number): Promise<void> =>
    peer.until(() => peer.values(FRAME_TYPE.commit).length >= count);
  await firstAgent(peer);
  needs.add('shop/web');
  server.publish(delta(2, { services: [WEB] }));
  await commits(2);
  assert.deepEqual([...meshStateOf(peer).services.keys()], ['shop/api']);
  assert.equal(server.agents()[0]?.notServed.length, 1);
  needs.clear();
  server.publish(delta(3, { services: [WEB] }));
  await commits(3);
  assert.deepEqual([...meshStateOf(peer).services.keys()].toSorted(), ['shop/api', 'shop/web']);
  needs.add('shop/web');
  server.publish(delta(4, { removedServices: ['shop/web'] }));
  await commits(4);
  assert.deepEqual(server.agents()[0]?.notServed, []);
});

test('an agent that understands it is sent it, beside one that does not', async (t) => {
  const started = await startServer(t, SERVER);
  started.server.publish(delta(1, { services: [WEB, service('bank/vault')] }));
  const capabilities = { carries: ['http'], understands: ['service.access'] };
  const agent = await startAgent(t, started, { capabilities });
  await agent.until(() => agent.deltas.length === 1);
  assert.deepEqual([...agent.services.keys()].toSorted(), ['bank/vault', 'shop/web']);
  const peer = await rawAgent(t, started);
  peer.send({ type: FRAME_TYPE.hello, flags: MUST }, { ...HELLO, understands: ['port.tls'] });
  await peer.until(() => peer.values(FRAME_TYPE.commit).length > 0);
  assert.deepEqual([...meshStateOf(peer).services.keys()], ['shop/web']);
});

test('an agent that comes back as a version that understands more gets what was kept from it', async (t) => {
  const started = await startServer(t, SERVER);
  started.server.publish(delta(1, { services: [WEB, service('bank/vault')] }));
  const stateDir = tempFolder();
  const first = { carries: ['http'], understands: [] };
  const old = await startAgent(t, started, { capabilities: first, stateDir });
  await old.until(() => old.deltas.length === 1);
  assert.deepEqual([...old.services.keys()], ['shop/web']);
  await old.client.stop();
  for (const understands of [['service.access'], [], ['service.access']]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const back = await startAgent(t, started, {
      capabilities: { ...first, understands },
      stateDir,
    });
    const keys = understands.length > 0 ? ['bank/vault', 'shop/web'] : ['shop/web'];
    // oxlint-disable-next-line no-await-in-loop
    await back.until(() => back.client.status().state === 'synced');
    assert.deepEqual([...back.services.keys()].toSorted(), keys);
    // oxlint-disable-next-line no-await-in-loop
    await back.client.stop();
  }
});

test('a field that came later is sent only by who uses it, and needed only where it narrows', () => {
  const terms = new ObjectTerms('port', {
    name: 'first',
    tls: { unknown: 'refuse', unused: null },
    note: { unknown: 'ignore', unused: '' },
  });
  const plain = { name: 'a', tls: null, note: '' };
  assert.deepEqual(terms.lean(plain), { name: 'a' });
  const used = { name: 'a', tls: { mode: 'strict' }, note: 'n' };
  assert.deepEqual(terms.lean(used), used);
  const needs = new Set<string>();
  terms.addNeeds(plain, needs);
  assert.deepEqual([...needs], []);
  terms.addNeeds(used, needs);
  assert.deepEqual([...needs], ['port.tls']);
  const read = { name: 'a' };
  terms.complete(read);
  assert.deepEqual(read, plain);
  assert.deepEqual(terms.later('ignore'), ['port.note']);
});

test('of what is spoken to endpoints, the first version serves plain HTTP/1.1 and nothing else', () => {
  const words = (['http/1.1', 'http/2'] as const).flatMap((protocol) =>
    [null, TLS].map((tls) => {
      const [port] = WEB.ports;
      const ports = [{ ...port!, backend: { ...port!.backend, protocol, tls } }];
      const change = delta(1, { services: [{ ...WEB, ports }] });
      const [part] = [...encodeParts(change, 1, { onTooLong: () => assert.fail() })];
      const [frame] = framesOf(part!.bytes);
      assert.deepEqual(readPart(frame!, new Pool()), partOf(change), 'this one reads it as it is');
      const { scheme } = (readPayload(frame!) as { services: Sent[] }).services[0]!.ports[0]!
        .backend;
      // What that version did with the word.
      const carriage = scheme === 'http' ? 'http' : `http+${scheme}`;
      const isServed = FIRST_CAPABILITIES.carries.includes(carriage);
      assert.equal(isServed, FIRST_CAPABILITIES.carries.includes(carriageOf(ports[0]!)));
      return `${scheme} ${isServed}`;
    }),
  );
  assert.deepEqual(words, ['http true', 'https false', 'h2c false', 'h2 false']);
});

test('a word for what is spoken to endpoints that is not known is refused, whatever its sender lets readers ignore', () => {
  for (const scheme of ['h3', 'constructor', '', null, { tls: true }]) {
    const services = [{ ...SENT, ports: [{ ...PORT, backend: { ...PORT!.backend, scheme } }] }];
    const word = typeof scheme === 'string' ? scheme : JSON.stringify(scheme);
    const unknown = [`backend.scheme=${word}`];
    for (const ignorable of [[], unknown]) {
      const part = later({ services, ignorable });
      assert.deepEqual([part.services, part.refused], [[], [{ key: 'shop/web', unknown }]]);
    }
  }
});

test('whom to believe is refused where it is not known, and is what is strictest where a controller does not say it', () => {
  const unknown = ['endpointTls.trust=first-use'];
  for (const ignorable of [[], unknown]) {
    const part = later({ services: [withTls({ ...TLS, trust: 'first-use' })], ignorable });
    assert.deepEqual([part.services, part.refused], [[], [{ key: 'shop/web', unknown }]]);
  }
  const strictest = { serverName: 'web.shop.svc', trust: 'public', ca: '', client: null };
  for (const [sent, tls] of [
    [TLS, TLS],
    [undefined, strictest],
    [null, strictest],
  ]) {
    const part = later({ services: [withTls(sent)] });
    assert.deepEqual(part.services[0]!.ports[0]!.backend.tls, tls);
  }
  for (const wrong of [
    {},
    { ...TLS, ca: 1 },
    { ...TLS, serverName: null },
    { ...TLS, trust: 1 },
    'TLS',
  ])
    assert.throws(() => later({ services: [withTls(wrong)] }), /shop\/web/);
});

test('what every reader knows needs nothing', () => {
  const content = JSON.parse(recorded('content.json').toString()) as Delta;
  for (const each of content.services) assert.deepEqual(needsOf(completed(each)), []);
});
