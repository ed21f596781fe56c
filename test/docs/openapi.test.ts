import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { parse } from 'yaml';
import { PATHS } from '../../src/admin/paths.ts';
import { AdminServer, ANSWERS_MAX } from '../../src/admin/server.ts';
import type { BalancePolicy } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import type { BackendFilters, Redirect } from '../../src/model/filter.ts';
import { onlyRoute } from '../../src/model/route.ts';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import { exampleAdminView, type ExampleView } from '../support/admin-view.ts';
import {
  isObject,
  type Json,
  type JsonObject,
  parseJson,
  SchemaChecker,
} from '../support/json-schema.ts';
import { ENDPOINT_TRUSTS, type EndpointTls } from '../../src/model/endpoint-tls.ts';
import { exampleEndpoint, exampleService, withProtocol } from '../support/model.ts';

const DOCUMENT = object(
  parse(readFileSync(new URL('../../docs/openapi.yaml', import.meta.url), 'utf8')),
);

function object(value: unknown): JsonObject {
  assert.ok(isObject(value));
  return value;
}

/** The pointer in a `$ref`, '' without one. */
function refOf(value: unknown): string {
  const ref = object(value)['$ref'];
  return typeof ref === 'string' ? ref : '';
}

function at(...names: readonly string[]): JsonObject {
  let here = DOCUMENT;
  for (const name of names) here = object(here[name]);
  return here;
}

/** Services in which every enumerated value of the model occurs. */
function variants(): Service[] {
  const balance: Partial<BalancePolicy>[] = [
    { algorithm: 'least-request', locality: 'none' },
    { algorithm: 'round-robin', locality: 'prefer-node' },
    { algorithm: 'weighted', locality: 'prefer-zone' },
    { algorithm: 'peak-ewma', locality: 'require-node' },
    { algorithm: 'consistent-hash', hashKey: { kind: 'source' } },
    { algorithm: 'consistent-hash', hashKey: { kind: 'header', name: 'x-user' } },
    { algorithm: 'consistent-hash', hashKey: { kind: 'cookie', name: 'user' } },
  ];
  const services = balance.map((each, i) =>
    exampleService(`variant/v${i}`, {
      endpoints: [exampleEndpoint('127.3.0.1')],
      policies: {
        balance: { ...DEFAULT_POLICIES.balance, ...each },
        rateLimit: { average: 1, periodMs: 60_000, burst: 1, per: 'service', callersMax: 0 },
      },
    }),
  );
  const tlsOf = (trust: EndpointTls['trust']) => ({
    serverName: 'web.shop.svc',
    trust,
    ca: '',
    client: null,
  });
  const kinds = [
    ...ENDPOINT_TRUSTS.map((trust) => ({
      protocol: 'http' as const,
      spoken: { protocol: 'http/2' as const, tls: tlsOf(trust) },
    })),
    { protocol: 'tcp', spoken: { protocol: 'tcp', tls: null } },
    { protocol: 'udp', spoken: { protocol: 'udp', tls: null } },
  ] as const;
  for (const [i, { protocol, spoken }] of kinds.entries()) {
    const service = exampleService(`variant/p${i}`);
    const ports = service.ports.map((port) => ({
      ...withProtocol(port, protocol),
      backend: { ...port.backend, ...spoken },
    }));
    services.push({ ...service, ports });
  }
  const certificate = {
    secret: 'variant/tls',
    digest: 'abc',
    names: ['a.example'],
    notBeforeMs: 1,
    notAfterMs: 2,
  };
  const secured = exampleService('variant/secured');
  services.push({
    ...secured,
    ports: secured.ports.map((port) => ({
      ...port,
      callerTls: { certificates: [certificate] },
      backend: { ...port.backend, tls: { ...tlsOf('public'), client: certificate } },
    })),
  });
  services.push(withRoutes(exampleService('variant/routes')));
  return services;
}

function withRoutes(service: Service): Service {
  const named = [{ name: 'x-user', value: 'ann' }];
  const paths = [{ kind: 'exact', value: '/a' }, { kind: 'prefix', value: '/a' }, null] as const;
  const matches = paths.map((path) => ({ path, method: 'GET', headers: named, query: named }));
  const retry = { ...DEFAULT_RETRY };
  const affinity = { cookie: 'session', maxAgeSeconds: 0 };
  const rateLimit = {
    average: 1,
    periodMs: 60_000,
    burst: 1,
    per: 'caller',
    callersMax: 8,
  } as const;
  const policies = [
    { retry: null, affinity: null },
    { retry, affinity, timeouts: DEFAULT_POLICIES.timeouts, rateLimit },
    { rateLimit: null },
  ];
  const ports = service.ports.map((port) => {
    const route = onlyRoute(port.backend.id, { object: `Service ${service.key}`, field: '' });
    const mirrors = [{ backend: 'shop/b:80', numerator: 1, denominator: 2, invalid: '' }];
    const rewrites = [null, { host: 'a', path: null }, { host: '', path: FULL }];
    const backends = route.backends.flatMap((each) =>
      rewrites.map((rewrite) => ({ ...each, filters: { ...FILTERS, rewrite } })),
    );
    const routes = [
      ...policies.map((own) => ({ ...route, matches, policies: own, mirrors })),
      ...rewrites.map((rewrite) => {
        return { ...route, backends, filters: { ...FILTERS, rewrite, redirect: null } };
      }),
      ...REDIRECTS.map((redirect) => ({ ...route, filters: { ...FILTERS, redirect } })),
    ];
    return { ...port, protocol: 'http' as const, routes, policies: service.policies };
  });
  return { ...service, ports };
}

const FULL = { kind: 'full', value: '/' } as const;
const FILTERS: BackendFilters = {
  request: (['set', 'add', 'remove'] as const).map((action) => ({ action, name: 'a', value: '' })),
  response: [],
  rewrite: null,
};
const REDIRECTS: readonly Redirect[] = [
  { scheme: '', host: '', port: 0, path: null, status: 301 },
  { scheme: 'http', host: 'a', port: 80, path: { ...FULL, kind: 'prefix' }, status: 302 },
  { scheme: 'https', host: 'a', port: 0, path: FULL, status: 303 },
  { scheme: 'https', host: 'a', port: 0, path: FULL, status: 307 },
  { scheme: 'https', host: 'a', port: 0, path: FULL, status: 308 },
];

const compareOperators = ['>', '>=', '<', '<=', '==', '!='] as const;

async function start(t: TestContext): Promise<{ port: number; view: ExampleView }> {
  const view = exampleAdminView();
  const operators = compareOperators.map((op, i) =>
    exampleService(`variant/o${i}`, {
      policies: {
        breaker: {
          text: '',
          expression: { kind: 'compare', metric: { kind: 'network-error-ratio' }, op, value: 1 },
          checkPeriodMs: 1,
          openMs: 1,
          recoveryMs: 1,
        },
      },
    }),
  );
  view.services = [...view.services, ...variants(), ...operators];
  const server = new AdminServer({ address: '127.0.0.1', port: 0, allowRemote: false, view });
  t.after(() => server.stop());
  return { port: (await server.start()).port, view };
}

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

function ask(
  port: number,
  path: string,
  more: { method?: string; host?: string } = {},
): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const headers = { host: more.host ?? 'localhost' };
  const options = {
    host: '127.0.0.1',
    port,
    path,
    headers,
    agent: false,
    method: more.method ?? 'GET',
  };
  const request = httpRequest(options, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part: string) => (text += part));
    response.on('error', reject);
    response.on('end', () => {
      const type = (response.headers['content-type'] ?? '').replace(/;.*/, '');
      resolve({ status: response.statusCode ?? 0, type, text });
    });
  });
  request.on('error', reject);
  request.end();
  return promise;
}

const checker = new SchemaChecker(DOCUMENT);

/** Checks an answer against what the document says for its path, status and content type. */
function check(path: string, { status, type, text }: Reply): void {
  const responses = at('paths', path, 'get', 'responses');
  const name = refOf(responses[String(status)] ?? responses['default']);
  if (name === '') {
    assert.equal(type, 'text/plain');
    return;
  }
  const value = parseJson(text);
  const pointer = `${name}/content/application~1json/schema`;
  assert.equal(type, 'application/json');
  assert.deepEqual(checker.check(value, pointer), [], `${path} ${status}`);
}

test('docs/openapi.yaml has every path and parameter of the admin server, and no other', () => {
  assert.deepEqual(Object.keys(at('paths')).sort(), [...PATHS.keys()].sort());
  for (const [path, { parameters }] of PATHS) {
    const operations = at('paths', path);
    assert.deepEqual(Object.keys(operations), ['get'], path);
    const listed = object(operations['get'])['parameters'] ?? [];
    assert.ok(Array.isArray(listed));
    const names = listed.map((each) => checker.resolve(refOf(each))['name']);
    assert.deepEqual(names, [...parameters], path);
  }
});

test('every answer is as docs/openapi.yaml says, and every field and value it names occurs', async (t) => {
  const { port, view } = await start(t);
  for (const [path, { parameters }] of PATHS) {
    check(path, await ask(port, path));
    check(path, await ask(port, `${path}?unknown=1`));
    check(path, await ask(port, path, { method: 'POST' }));
    check(path, await ask(port, path, { host: 'evil.example' }));
    if (parameters.length > 0) check(path, await ask(port, `${path}?namespace=shop&service=web`));
  }
  check('/api/snapshot', await ask(port, '/nothing'));
  view.pending = ['something is missing'];
  check('/readyz', await ask(port, '/readyz'));
  view.broken = true;
  check('/api/threads', await ask(port, '/api/threads'));
  view.broken = false;
  check('/api/threads', await busyAnswer(port, view));

  const unseen = Object.keys(at('components', 'schemas')).flatMap((name) =>
    checker.unseen(`#/components/schemas/${name}`),
  );
  assert.deepEqual(unseen, [], 'documented, and in no answer');
});

/** What the server says while as many answers as it makes at a time are under way. */
async function busyAnswer(port: number, view: ExampleView): Promise<Reply> {
  view.endless = true;
  const sockets: net.Socket[] = [];
  for (let i = 0; i < ANSWERS_MAX; i++) {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    sockets.push(socket);
    socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await once(socket, 'data');
    socket.pause();
  }
  const reply = await ask(port, '/api/threads');
  assert.equal(reply.status, 503);
  view.endless = false;
  for (const socket of sockets) socket.destroy();
  return reply;
}

test('docs/openapi.yaml has no schema, response or parameter that nothing refers to', () => {
  const text = JSON.stringify(DOCUMENT);
  for (const part of ['schemas', 'responses', 'parameters']) {
    for (const name of Object.keys(at('components', part))) {
      assert.ok(text.includes(`"#/components/${part}/${name}"`), `${part}/${name}`);
    }
  }
});

test('SchemaChecker refuses what is missing, undocumented, of another type or out of range', () => {
  const sockets = { sockets: 'unknown', socketsReason: '' };
  const thread = { thread: 0, state: 'dead', configVersion: 0, listeners: 0, ...sockets };
  const errorsOf = (value: Json): number =>
    checker.check(value, '#/components/schemas/Thread').length;
  assert.equal(errorsOf(thread), 0);
  assert.equal(errorsOf({ ...thread, more: 1 }), 1);
  assert.equal(errorsOf({ ...thread, thread: -1 }), 1);
  assert.equal(errorsOf({ ...thread, thread: 0.5 }), 1);
  assert.equal(errorsOf({ ...thread, state: 'gone' }), 1);
  assert.equal(errorsOf({ thread: 0 }), 5);
  assert.equal(errorsOf(null), 1);
  assert.equal(
    checker.check({ kind: 'not', operand: null }, '#/components/schemas/Expression').length,
    1,
  );
});
