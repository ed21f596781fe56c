/** What callers of gRPC are told when the mesh ends a call itself: by real traffic, for each reason of the table of failures. */

import assert from 'node:assert/strict';
import { constants } from 'node:http2';
import type { ClientHttp2Stream } from 'node:http2';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import {
  FAILURE_REASONS,
  type FailureReason,
  grpcNumberOfFailure,
} from '../../src/model/failure.ts';
import type { Policies } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import { SERVICE_FLOAT, SERVICE_OWN, SERVICE_WORD } from '../../src/proxy/ledger/layout.ts';
import { BREAKER_OPEN } from '../../src/proxy/policy/breaker.ts';
import {
  answerOf,
  type GrpcAnswer,
  GrpcCaller,
  grpcEndpoint,
  type Serve,
  trailersOnly,
} from '../support/grpc.ts';
import { exampleBreaker, exampleEndpoint } from '../support/model.ts';
import { freshAddress, type ProxyOptions, TestProxy } from '../support/proxy.ts';
import { ANY, routed, to } from '../support/routes.ts';
import { blackHole, type Dialled, eventually, RawEndpoint } from '../support/wire.ts';

type Fields = Record<string, string>;

/** What a provocation may put its hand on. */
interface Parts {
  readonly proxy: TestProxy;
  readonly service: Service;
  readonly caller: GrpcCaller;
}

interface Provocation {
  /** What the endpoint does; nothing by default. */
  readonly serve?: Serve;
  /** An endpoint of HTTP/1.1 in its place that says this once it has the head; '' to close. */
  readonly says?: string;
  /** Another endpoint in its place, or none. */
  readonly other?: (t: TestContext) => Promise<Dialled | Endpoint | null>;
  readonly policies?: Partial<Policies>;
  readonly settings?: NonNullable<ProxyOptions['settings']>;
  readonly change?: (service: Service) => Service;
  /** Before the call. */
  readonly before?: (parts: Parts) => Promise<void> | void;
  readonly fields?: Fields;
  /** Null for one that goes on. */
  readonly body?: string | Buffer | null;
  /** Time passes until the end. */
  readonly waits?: boolean;
  /** While the call runs. */
  readonly meanwhile?: (parts: Parts, stream: ClientHttp2Stream) => Promise<void> | void;
  /** The stream is reset with this code, in place of a status. */
  readonly reset?: number;
  /** What came of the answer before its end: the status is in trailers. */
  readonly text?: string;
}

const timeouts = (more: Partial<Policies['timeouts']>): Partial<Policies> => ({
  timeouts: { ...DEFAULT_POLICIES.timeouts, ...more },
});
const limits = (more: Partial<Policies['limits']>): Partial<Policies> => ({
  limits: { ...DEFAULT_POLICIES.limits, ...more },
});
const RATE = { average: 1, periodMs: 60_000, burst: 1, per: 'service', callersMax: 1 } as const;
const OK = trailersOnly({ 'grpc-status': '0' });
/** More than windows and kernel take, and less than the client of the runtime keeps. */
const MUCH = Buffer.alloc(4_000_000);

const half: Serve = (stream) => {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
  stream.write('half');
};
const isThrough = async ({ caller }: Parts): Promise<void> =>
  assert.equal((await caller.call()).grpc, '0');
const isRunning = async ({ proxy, service }: Parts): Promise<void> =>
  eventually(() => proxy.figure(service, SERVICE_OWN.inFlight) > 0, 'a call in flight');

const BY_TRAFFIC: Partial<Record<FailureReason, Provocation>> = {
  // RFC 9113 §8.1.1: what is malformed is an error of its stream, and libraries of gRPC read it as INTERNAL.
  bad_request: { fields: { ':path': 'no-slash' }, reset: constants.NGHTTP2_PROTOCOL_ERROR },
  request_body_timeout: { body: null, policies: timeouts({ requestMs: 2_000 }), waits: true },
  call_idle_timeout: {
    serve: half,
    policies: timeouts({ idleMs: 2_000 }),
    waits: true,
    text: 'half',
  },
  body_too_large: { policies: limits({ requestBodyBytes: 1 }) },
  target_too_long: { fields: { ':path': `/${'x'.repeat(40_000)}` } },
  head_too_large: { fields: { note: 'x'.repeat(40_000) } },
  unsupported_method: { fields: { ':method': 'OPTIONS', 'max-forwards': '0' } },
  expectation_failed: { fields: { expect: 'more' } },
  rate_limited: {
    serve: OK,
    policies: { rateLimit: RATE },
    before: isThrough,
  },
  route_rate_limited: {
    serve: OK,
    change: (service) => routed(service, [{ policies: { rateLimit: RATE } }]),
    before: isThrough,
  },
  no_route: { change: (service) => routed(service, [{ matches: [{ ...ANY, method: 'GET' }] }]) },
  invalid_backend: {
    change: (service) =>
      routed(service, [{ backends: [{ ...to(service), backend: 'a/b:1', invalid: 'gone' }] }]),
  },
  no_endpoint: { other: async () => null },
  no_local_endpoint: {
    settings: { node: 'n1' },
    policies: { balance: { ...DEFAULT_POLICIES.balance, locality: 'require-node' } },
    other: async () => exampleEndpoint(freshAddress(), { node: 'n2' }),
  },
  no_healthy_endpoint: {
    policies: limits({ requestsPerEndpoint: 1 }),
    before: async (parts) => {
      parts.caller.open();
      await isRunning(parts);
    },
  },
  breaker_open: {
    policies: { breaker: exampleBreaker({ openMs: 5_000, recoveryMs: 5_000 }) },
    before({ proxy, service }) {
      const slot = proxy.ledger.find('service', service.key) ?? -1;
      const until = proxy.clock.nowMs() + 3_500;
      proxy.ledger.setFloat('service', slot, SERVICE_FLOAT.breakerUntilMs, until);
      proxy.setWord(service, SERVICE_WORD.breakerState, BREAKER_OPEN);
    },
  },
  overloaded: { policies: limits({ requestsInFlight: 0 }) },
  connect_failed: {
    other: async (t) => {
      const gone = await RawEndpoint.listen(t, freshAddress());
      gone.close();
      return gone;
    },
  },
  connect_timeout: {
    other: (t) => blackHole(t, freshAddress()),
    policies: timeouts({ connectMs: 1_000 }),
    waits: true,
  },
  endpoint_reset: { serve: (stream) => stream.session?.destroy() },
  endpoint_reset_body: {
    serve: (stream, fields) => {
      void half(stream, fields);
      setImmediate(() => stream.session?.destroy());
    },
    text: 'half',
  },
  bad_response: { says: 'HTTP/1.1 OK\r\n\r\n' },
  bad_response_body: {
    says: 'HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n',
    text: 'half',
  },
  response_head_too_large: { says: `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(40_000)}\r\n\r\n` },
  try_timeout: { policies: timeouts({ tryMs: 1_000 }), waits: true },
  request_timeout: { policies: timeouts({ requestMs: 1_000 }), waits: true },
  deadline_exceeded: { fields: { 'grpc-timeout': '1S' }, waits: true },
  response_idle_timeout: { policies: timeouts({ idleMs: 2_000 }), waits: true },
  request_write_timeout: {
    serve: (stream) => void stream.pause(),
    policies: timeouts({ idleMs: 1_000 }),
    body: MUCH,
    waits: true,
  },
  // It takes nothing: no status would reach it.
  response_read_timeout: {
    serve: (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.end(MUCH);
    },
    policies: timeouts({ idleMs: 1_000 }),
    meanwhile: (_parts, stream) => void stream.pause(),
    waits: true,
    reset: constants.NGHTTP2_INTERNAL_ERROR,
  },
  draining: {
    meanwhile: async (parts) => {
      await isRunning(parts);
      void parts.proxy.server.drain(1_000);
    },
    waits: true,
  },
};

/** Why a call of gRPC does not end so, or the test that makes it end so. */
const NOT_HERE: Partial<Record<FailureReason, string>> = {
  request_timeout_head: 'half a head is no stream yet: the connection ends',
  unsupported_coding: 'HTTP/2 has no Transfer-Encoding',
  unsupported_version: 'a connection of HTTP/2 has one version',
  unsupported_upgrade: 'an upgrade is no call',
  upgrade_not_offered: 'an upgrade is no call',
  tunnel_idle_timeout: 'a tunnel is no call',
  tunnel_lifetime: 'a tunnel is no call',
  denied: 'nothing says it yet',
  origin_denied: 'no caller of gRPC is a page (grpc-web-origins.test.ts)',
  caller_gone: 'nobody is there to be told',
  caller_shed: 'its connection is closed',
  tls_certificate_expired: 'answered as a connection that is refused (endpoint-tls.test.ts)',
  tls_wrong_name: 'likewise',
  tls_unknown_issuer: 'likewise',
  bad_hello: 'a connection of TCP is no call',
  hello_timeout: 'a connection of TCP is no call',
  bad_proxy_header: 'it ends the connection before its first call (proxy-protocol.test.ts)',
  caller_connections: 'it ends the connection before its first call (tcp-callers.test.ts)',
  endpoint_removed: 'a connection of TCP is no call',
  tls_handshake_failed: 'likewise',
  tls_no_client_certificate: 'likewise (client-certificate.test.ts)',
  tls_expected: 'without TLS there is no call',
  tls_unexpected: 'likewise',
  caller_tls_failed: 'likewise',
  caller_tls_timeout: 'likewise',
  tls_no_certificate: 'likewise',
  internal: 'a defect ends the stream, or the connection, that it was met on (in-step.test.ts)',
  node_exhausted:
    'it takes a process without descriptors (test/e2e/scarce.test.ts), and is answered as all others are',
};

test('loop: a caller of gRPC is told its status by the mesh that the call came back to', async (t) => {
  const proxy = new TestProxy(t);
  const policies = limits({ idleConnectionsPerEndpoint: 0 });
  const first = proxy.service({ key: 'test/loop' });
  await proxy.apply([first]);
  const port = first.ports[0]?.port ?? 0;
  const endpoints = [exampleEndpoint(first.address, { port })];
  const service = proxy.service({ key: 'test/loop', endpoints, http2: true, policies });
  await proxy.apply([service]);
  const { status, fields, text } = await new GrpcCaller(t, service).call();
  assert.deepEqual([status, fields['grpc-status'], text], [200, '13', '']);
  assert.match(String(fields['grpc-message']), /^maesh: loop: /);
  assert.equal(proxy.failures(service, 'loop'), 1);
});

test('a head that is too large is told so, too, where its content type comes last, and from a table', async (t) => {
  const { proxy, service, caller } = await setUp(t, {});
  const many = Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`x-${i}`, 'y']));
  const long = { note: 'x'.repeat(20_000), more: 'y'.repeat(20_000) };
  for (const fields of [many, long, many, long]) {
    const head = { ':method': 'POST', ':path': '/a/B', ...fields };
    const type = { te: 'trailers', 'content-type': 'application/grpc+proto' };
    // oxlint-disable no-await-in-loop -- one after the other: the first fills the table
    const told = await answerOf(caller.session.request({ ...head, ...type }).end());
    assert.deepEqual([told.status, told.grpc, told.text], [200, '8', '']);
    const other = { 'content-type': 'application/grpc-web' };
    const plain = await answerOf(caller.session.request({ ...head, ...other }).end());
    assert.deepEqual([plain.status, plain.grpc], [431, undefined]);
    // oxlint-enable no-await-in-loop
  }
  assert.equal(proxy.failures(service, 'head_too_large'), 8);
});

test('it is told so whatever the request before left out', async (t) => {
  const { caller } = await setUp(t, { serve: OK });
  const post = { ':method': 'POST', ':path': '/a/B' };
  const type = { 'content-type': 'application/grpc' };
  const ask = (fields: Fields): Promise<GrpcAnswer> =>
    answerOf(caller.session.request({ ...post, ...fields }).end());
  // Of this one the first field is for the mesh alone.
  await ask({ te: 'trailers', ...type });
  const told = await ask({ ...type, te: 'trailers', note: 'x'.repeat(40_000) });
  assert.deepEqual([told.status, told.grpc, told.text], [200, '8', '']);
  await ask({ te: 'trailers', ...type });
  const plain = await ask({ 'content-type': 'text/plain', note: 'x'.repeat(40_000) });
  assert.deepEqual([plain.status, plain.grpc], [431, undefined]);
});

test('every reason has its answer of gRPC here, or a reason to have none', () => {
  const known = ['loop', ...Object.keys(BY_TRAFFIC), ...Object.keys(NOT_HERE)];
  assert.deepEqual(new Set(known), new Set(FAILURE_REASONS));
  assert.equal(known.length, FAILURE_REASONS.length);
});

/** An endpoint of HTTP/1.1 that says something in answer to a head, or closes. */
function saying(t: TestContext, text: string): Promise<RawEndpoint> {
  return RawEndpoint.listen(t, freshAddress(), async (wire) => {
    await wire.head();
    if (text === '') wire.end();
    else wire.write(text);
  });
}

async function setUp(t: TestContext, provocation: Provocation): Promise<Parts> {
  const { says, other, serve = () => undefined, settings, policies, change } = provocation;
  const endpoint =
    other === undefined
      ? await (says === undefined ? grpcEndpoint(t, serve) : saying(t, says))
      : await other(t);
  const proxy = new TestProxy(t, {
    manual: true,
    ...(settings === undefined ? {} : { settings }),
  });
  const plain = proxy.service({
    endpoints: endpoint === null ? [] : [endpoint],
    http2: says === undefined,
    ...(policies === undefined ? {} : { policies }),
  });
  const service = change === undefined ? plain : change(plain);
  await proxy.apply([service]);
  return { proxy, service, caller: new GrpcCaller(t, service) };
}

for (const reason of FAILURE_REASONS) {
  const provocation = BY_TRAFFIC[reason];
  if (provocation === undefined) continue;
  const { body = 'request', reset = 0, text = '' } = provocation;
  test(`${reason}: a caller of gRPC is ${reset === 0 ? 'told its status' : 'reset'}`, async (t) => {
    const parts = await setUp(t, provocation);
    const { proxy, service, caller } = parts;
    await provocation.before?.(parts);
    const stream = caller.open(provocation.fields);
    const answering = answerOf(stream);
    if (body !== null) stream.end(body);
    // What was answered before the end of its request needs none, as libraries of gRPC see it.
    stream.once('end', () => stream.destroy());
    await provocation.meanwhile?.(parts, stream);
    if (provocation.waits === true) {
      await isRunning(parts);
      await proxy.advanceUntil(() => proxy.failures(service, reason) > 0, reason);
    }
    const answer = await answering;
    assert.equal(proxy.failures(service, reason), 1);
    assert.equal(answer.resetBy, reset);
    if (reset !== 0) return;
    const said = text === '' ? answer.fields : answer.trailers;
    assert.deepEqual(
      [answer.status, answer.fields['content-type'], answer.text],
      [200, 'application/grpc', text],
    );
    assert.equal(said['grpc-status'], String(grpcNumberOfFailure(reason)));
    assert.match(String(said['grpc-message']), new RegExp(`^maesh: ${reason}: `));
  });
}
