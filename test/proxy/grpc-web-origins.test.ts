/** What pages may do at a port with gRPC-Web beside calls of it: what the mesh gives leave for, and what it refuses. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { grpcEndpoint, GrpcCaller, grpcFor, message } from '../support/grpc.ts';
import { callWeb, frame, unpack, VERSIONS, type WebAnswer, WEB_CALL } from '../support/grpc-web.ts';
import { NO_FILTERS, routed } from '../support/routes.ts';

const APP = 'https://app.example';
const EVIL = 'https://evil.example';
const POLICIES = { grpcWeb: { origins: [APP] } };

/** Its endpoint answers all requests alike, and allows everything. */
async function setUp(t: TestContext) {
  const endpoint = await grpcEndpoint(t, (stream) => {
    stream.resume();
    stream.respond({ ':status': 200, 'access-control-allow-origin': 'from the Pod' });
    stream.end();
  });
  const made = await grpcFor(t, [endpoint], { policies: POLICIES });
  const { service } = made;
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  return { ...made, to, calls: endpoint.calls };
}

const ASKS = {
  'access-control-request-method': 'POST',
  'access-control-request-headers': 'content-type,x-grpc-web',
};

for (const version of VERSIONS) {
  test(`${version}: a page gets leave by the mesh for what calls of gRPC-Web need, and by the Pod for all else`, async (t) => {
    const { to, calls } = await setUp(t);
    const ask = (more: Record<string, string>, origin = APP): Promise<WebAnswer> =>
      callWeb(t, version, to, { fields: { origin, ...more }, body: '', method: 'OPTIONS' });
    for (const names of [
      'content-type',
      'X-A, Content-Type',
      ',content-type,',
      'x,\tcontent-type',
    ]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { status, fields } = await ask({ ...ASKS, 'access-control-request-headers': names });
      assert.equal(status, 204, names);
      assert.equal(fields['access-control-allow-headers'], names.replaceAll(/^ | $/g, ''));
      assert.equal(fields['access-control-allow-origin'], APP);
    }
    assert.equal(calls.length, 0);
    const others: readonly Record<string, string>[] = [
      { 'access-control-request-method': 'POST' },
      { ...ASKS, 'access-control-request-method': 'DELETE' },
      { ...ASKS, 'access-control-request-method': 'POST, DELETE' },
      { 'access-control-request-headers': 'content-type' },
      ...[
        '',
        'x-csrf-token, authorization',
        'content-types',
        'x-content-type',
        'content-type;a',
        'content-type, a b;',
        'content-type: a',
        `content-type,${'x'.repeat(4_096)}`,
      ].map((names) => ({ ...ASKS, 'access-control-request-headers': names })),
    ];
    for (const [i, other] of others.entries()) {
      for (const origin of [APP, EVIL]) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const { status, fields } = await ask(other, origin);
        assert.deepEqual([status, i], [200, i]);
        assert.equal(fields['access-control-allow-origin'], 'from the Pod');
      }
    }
    assert.equal(calls.length, 2 * others.length);
    assert.equal((await ask(ASKS, EVIL)).status, 403);
  });

  test(`${version}: a page that is not named may send nothing that could be gRPC to somebody`, async (t) => {
    const { proxy, service, to, calls } = await setUp(t);
    const send = (type: string, origin: string, method = 'POST'): Promise<WebAnswer> => {
      const fields = { 'content-type': type, ...(origin === '' ? {} : { origin }) };
      return callWeb(t, version, to, { fields, body: 'x', method });
    };
    const types = [
      'application/grpc',
      'application/grpc+proto',
      'Application/GRPC;x=y',
      'application/grpc-webb',
      'application/grpc-web+',
      'application/grpc-web-texts',
      'application/grpcs',
      'text/plain, application/grpc-web',
    ];
    for (const type of types) {
      for (const method of ['POST', 'PUT']) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const { status, fields } = await send(type, EVIL, method);
        const isTold = fields['grpc-status'] === '7' || status === 403;
        assert.ok(isTold, `${method} ${type}: ${status}`);
        assert.equal(fields['access-control-allow-origin'], undefined);
      }
    }
    assert.equal(calls.length, 0);
    assert.equal(proxy.failures(service, 'origin_denied'), 2 * types.length);
    // Who is named, or no page, may.
    for (const origin of [APP, '']) {
      for (const type of types.slice(0, 4)) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        assert.equal((await send(type, origin, 'PUT')).status, 200, type);
      }
    }
    // Pages of the Service itself name their origin, too.
    for (const type of ['application/json', 'text/plain', 'application/x-grpc']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      assert.equal((await send(type, EVIL)).status, 200, type);
    }
  });
}

test('a content type that is said twice is refused to a page that is not named', async (t) => {
  const { proxy, service, calls } = await setUp(t);
  const caller = await proxy.call(service);
  const send = (origin: string): void =>
    caller.write(
      `POST /a/B HTTP/1.1\r\nHost: a\r\n${origin}Content-Type: text/plain\r\nContent-Type: application/x\r\nContent-Length: 0\r\n\r\n`,
    );
  send(`Origin: ${EVIL}\r\n`);
  assert.match(await caller.head(), /^HTTP\/1\.1 403 /);
  assert.equal(calls.length, 0);
});

test('a page that is not named gets the answer of gRPC where it speaks that', async (t) => {
  const { service, calls } = await setUp(t);
  const answer = await new GrpcCaller(t, service).call({ origin: EVIL });
  assert.deepEqual([answer.status, answer.grpc], [200, '7']);
  assert.equal(calls.length, 0);
});

test('without the annotation pages get to the Pod as before', async (t) => {
  const endpoint = await grpcEndpoint(t, (stream) => {
    stream.resume();
    stream.respond({ ':status': 200 }, { endStream: true });
  });
  const { service } = await grpcFor(t, [endpoint]);
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  const fields = { 'content-type': 'application/grpc', origin: EVIL };
  assert.equal((await callWeb(t, 'HTTP/1.1', to, { fields, body: 'x' })).status, 200);
});

const OPENING = [
  { action: 'set', name: 'access-control-allow-credentials', value: 'true' },
  { action: 'add', name: 'access-control-allow-origin', value: EVIL },
  { action: 'set', name: 'access-control-expose-headers', value: 'secret' },
  { action: 'add', name: 'content-type', value: 'text/html' },
  { action: 'set', name: 'x-by', value: 'filter' },
] as const;

test('no filter of a route puts back what the mesh takes out, or says what the content is', async (t) => {
  const endpoint = await grpcEndpoint(t, message({ 'grpc-status': '0' }, frame('x').toString()));
  const { proxy, service } = await grpcFor(t, [endpoint], { policies: POLICIES });
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  const call = (): Promise<WebAnswer> =>
    callWeb(t, 'HTTP/2', to, { fields: { ...WEB_CALL, origin: APP }, body: frame('x') });
  const changes = [
    OPENING,
    OPENING.map((each) => ({ ...each, action: 'set' as const })),
    [{ action: 'remove', name: 'content-type', value: '' } as const],
  ];
  for (const response of changes) {
    // oxlint-disable no-await-in-loop -- one after the other
    await proxy.apply([routed(service, [{ filters: { ...NO_FILTERS, response } }])]);
    const { fields, content } = await call();
    // oxlint-enable no-await-in-loop
    assert.equal(fields['content-type'], 'application/grpc-web');
    assert.equal(fields['access-control-allow-origin'], APP);
    assert.equal(fields['access-control-allow-credentials'], undefined);
    assert.doesNotMatch(fields['access-control-expose-headers'] ?? '', /secret/);
    assert.equal(fields['x-by'], response.length > 1 ? 'filter' : undefined);
    assert.deepEqual(unpack(content, false), {
      messages: ['x'],
      trailers: { 'grpc-status': '0' },
      rest: 0,
    });
  }
});

test('what is no answer of gRPC keeps the content type that a filter gives it, and nothing that a filter says of origins', async (t) => {
  const endpoint = await grpcEndpoint(t, (stream) => {
    stream.respond({ ':status': 404, 'content-type': 'text/plain' });
    stream.end('none');
  });
  const { proxy, service } = await grpcFor(t, [endpoint], { policies: POLICIES });
  const response = OPENING.map((each) => ({ ...each, action: 'set' as const }));
  await proxy.apply([routed(service, [{ filters: { ...NO_FILTERS, response } }])]);
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  const sent = { fields: { ...WEB_CALL, origin: APP }, body: frame('x') };
  const { status, fields, content } = await callWeb(t, 'HTTP/1.1', to, sent);
  assert.deepEqual([status, content.toString()], [404, 'none']);
  assert.equal(fields['content-type'], 'text/html');
  assert.equal(fields['access-control-allow-origin'], APP);
  assert.equal(fields['access-control-allow-credentials'], undefined);
});
