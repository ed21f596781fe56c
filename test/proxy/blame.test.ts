/**
 * What a failure does, by the table of FAILURES: whom it counts against (breaker, ejection, retry budget, status classes), and what
 * becomes of the caller's connection.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { FAILURE_REASONS, FAILURES, type FailureReason } from '../../src/model/failure.ts';
import type { Blame } from '../../src/model/failure-facts.ts';
import type { Policies } from '../../src/model/policy.ts';
import { CONNECTION_BYTES } from '../../src/proxy/net/caller-room.ts';
import {
  ENDPOINT_OWN,
  SERVICE_WORD,
  STATUS_NETWORK_ERRORS,
} from '../../src/proxy/ledger/layout.ts';
import { BREAKER_CLOSED } from '../../src/proxy/policy/breaker.ts';
import { exampleBreaker } from '../support/model.ts';
import { freshAddress, GET, OK, proxyFor, type TestProxy } from '../support/proxy.ts';
import { eventually, RawEndpoint, type Wire } from '../support/wire.ts';

const BROKEN_CHUNK = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabroken';

test('callers that break their own chunks open no breaker, eject no endpoint and are no errors of the Service', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: {
      breaker: exampleBreaker({ openMs: 5_000, recoveryMs: 5_000 }),
      ejection: { ...DEFAULT_POLICIES.ejection, consecutiveFailures: 1 },
    },
    manual: true,
  });
  for (let i = 0; i < 3; i++) {
    // oxlint-disable no-await-in-loop -- one after the other
    const caller = await proxy.call(service);
    caller.write(BROKEN_CHUNK);
    assert.match(await caller.rest(), /^HTTP\/1\.1 400 /);
    // oxlint-enable no-await-in-loop
  }
  for (let passed = 0; passed < 1_000; passed += 100) {
    proxy.advance(100);
    proxy.governor.tick();
  }
  assert.equal(proxy.word(service, SERVICE_WORD.breakerState), BREAKER_CLOSED);
  const caller = await proxy.call(service);
  caller.write(GET);
  assert.match(await caller.until('ok'), /^HTTP\/1\.1 200 /);
  assert.equal(proxy.requests(service, 4), 3);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 0);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.requests), 0);
});

interface Provocation {
  /** What the caller sends. */
  readonly sends: string;
  /** What the endpoint answers to a head; then it closes unless `keeps`. Without it the endpoint says nothing. */
  readonly answers?: string;
  readonly keeps?: boolean;
  readonly policies?: Partial<Policies>;
  /** Milliseconds that pass once the endpoint has the request, or at once when it gets none. */
  readonly waitMs?: number;
  readonly leaves?: (caller: Wire) => void;
  /** Nothing listens. */
  readonly isDead?: boolean;
  readonly isWithout?: boolean;
  /** Default 1. */
  readonly tries?: number;
}

const timeouts = (more: Partial<Policies['timeouts']>): Partial<Policies> => ({
  timeouts: { ...DEFAULT_POLICIES.timeouts, ...more },
});
const limits = (more: Partial<Policies['limits']>): Partial<Policies> => ({
  limits: { ...DEFAULT_POLICIES.limits, ...more },
});
const HALF = 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf';

const BY_TRAFFIC: Partial<Record<FailureReason, Provocation>> = {
  bad_request: { sends: BROKEN_CHUNK },
  request_timeout_head: { sends: 'GET / HT', waitMs: 11_000 },
  request_body_timeout: {
    sends: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf',
    policies: timeouts({ idleMs: 2_000 }),
    waitMs: 3_000,
  },
  body_too_large: {
    sends: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n',
    policies: limits({ requestBodyBytes: 1 }),
  },
  head_too_large: { sends: `GET / HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(120)}\r\n` },
  unsupported_coding: {
    sends: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n',
  },
  unsupported_method: { sends: 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n' },
  unsupported_version: { sends: 'GET / HTTP/2.0\r\nHost: a\r\n\r\n' },
  expectation_failed: { sends: 'GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n' },
  no_endpoint: { sends: GET, isWithout: true },
  overloaded: { sends: GET, policies: limits({ requestsInFlight: 0 }) },
  // Without a retry policy three endpoints are tried, here the same one.
  connect_failed: { sends: GET, isDead: true, tries: 3 },
  endpoint_reset: { sends: GET, answers: '' },
  endpoint_reset_body: { sends: GET, answers: HALF },
  bad_response: { sends: GET, answers: 'HTTP/1.1 OK\r\n\r\n', keeps: true },
  bad_response_body: {
    sends: GET,
    answers: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    keeps: true,
  },
  response_head_too_large: {
    sends: GET,
    answers: `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(40_000)}\r\n\r\n`,
    keeps: true,
  },
  try_timeout: { sends: GET, policies: timeouts({ tryMs: 1_000 }), waitMs: 2_000 },
  request_timeout: { sends: GET, policies: timeouts({ requestMs: 1_000 }), waitMs: 2_000 },
  response_idle_timeout: {
    sends: GET,
    answers: HALF,
    keeps: true,
    policies: timeouts({ idleMs: 2_000 }),
    waitMs: 3_000,
  },
  caller_gone: { sends: GET, leaves: (caller) => caller.reset() },
};

/** What needs more than one request, and the test that provokes it; `denied` has nothing yet that says it. */
const ELSEWHERE: Partial<Record<FailureReason, string>> = {
  target_too_long: 'limits.test.ts',
  bad_hello: 'sni.test.ts',
  hello_timeout: 'sni.test.ts',
  bad_proxy_header: 'proxy-protocol.test.ts',
  caller_connections: 'tcp-callers.test.ts',
  endpoint_removed: 'endpoint-drain.test.ts',
  denied: '',
  origin_denied: 'grpc-web.test.ts',
  call_idle_timeout: 'grpc-answers.test.ts',
  rate_limited: 'policies.test.ts',
  route_rate_limited: 'route-limits.test.ts',
  no_route: 'routes.test.ts',
  invalid_backend: 'routes.test.ts',
  no_local_endpoint: 'policies.test.ts',
  no_healthy_endpoint: 'limits.test.ts',
  breaker_open: 'policies.test.ts',
  connect_timeout: 'timeouts.test.ts',
  tls_certificate_expired: 'endpoint-tls.test.ts',
  tls_wrong_name: 'endpoint-tls.test.ts',
  tls_unknown_issuer: 'endpoint-tls.test.ts',
  tls_handshake_failed: 'endpoint-tls.test.ts',
  tls_expected: 'caller-tls.test.ts',
  tls_unexpected: 'caller-tls.test.ts',
  caller_tls_failed: 'caller-tls.test.ts',
  caller_tls_timeout: 'caller-tls.test.ts',
  tls_no_certificate: 'caller-tls.test.ts',
  tls_no_client_certificate: 'client-certificate.test.ts',
  request_write_timeout: 'timeouts.test.ts',
  response_read_timeout: 'timeouts.test.ts',
  tunnel_idle_timeout: 'upgrade.test.ts',
  tunnel_lifetime: 'websocket-drain.test.ts',
  unsupported_upgrade: 'websocket.test.ts',
  upgrade_not_offered: 'websocket.test.ts',
  node_exhausted: '../e2e/scarce.test.ts',
  loop: 'loop.test.ts',
  caller_shed: '../e2e/scarce.test.ts',
  draining: 'drain.test.ts',
  deadline_exceeded: 'grpc-deadline.test.ts',
  internal: 'in-step.test.ts',
};

test('every reason is provoked here or in a test that is named', () => {
  const known = [...Object.keys(BY_TRAFFIC), ...Object.keys(ELSEWHERE)];
  assert.deepEqual(new Set(known), new Set(FAILURE_REASONS));
  assert.equal(known.length, FAILURE_REASONS.length);
  for (const [reason, file] of Object.entries(ELSEWHERE)) {
    if (file === '') continue;
    assert(readFileSync(new URL(file, import.meta.url), 'utf8').includes(reason), reason);
  }
});

function expectedClass(blames: Blame, status: number): number {
  return blames === 'caller' ? 4 : Math.floor(status / 100);
}

function hasPart({ context: { room } }: TestProxy): boolean {
  room.sweep();
  return room.bytes > CONNECTION_BYTES;
}

function breakerCounts(proxy: TestProxy, key: string): { all: number; errors: number } {
  const slot = proxy.ledger.find('status', key) ?? -1;
  let all = 0;
  for (let cell = 0; cell <= STATUS_NETWORK_ERRORS; cell++)
    all += proxy.ledger.sum('status', slot, cell);
  return { all, errors: proxy.ledger.sum('status', slot, STATUS_NETWORK_ERRORS) };
}

/** What the connection of the caller got: read to its end, or used once more to see that it is read on. */
async function fateOf(caller: Wire): Promise<'kept' | 'closed' | 'reset'> {
  await eventually(
    () => caller.ending !== 'open' || caller.pending.includes('maesh: '),
    'its fate',
  );
  if (caller.ending === 'reset') return 'reset';
  if (caller.pending.includes('Connection: close\r\n')) {
    await caller.rest();
    return 'closed';
  }
  await caller.until('maesh: ');
  caller.write('BROKEN\r\n\r\n');
  assert.match(await caller.rest(), /HTTP\/1\.1 400 [^]*Connection: close\r\n/);
  return 'kept';
}

for (const reason of FAILURE_REASONS) {
  const provocation = BY_TRAFFIC[reason];
  if (provocation === undefined) continue;
  const { status, blames, connection } = FAILURES[reason];
  test(`${reason} counts against the ${blames}, and the connection is ${connection}, by real traffic`, async (t) => {
    const { sends, answers, keeps = false, waitMs = 0 } = provocation;
    const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
      await wire.head();
      endpoint.heads.push('');
      if (answers === undefined) return;
      if (answers !== '') wire.write(answers);
      if (!keeps) wire.end();
    });
    if (provocation.isDead === true) endpoint.close();
    const { proxy, service } = await proxyFor(t, provocation.isWithout === true ? [] : [endpoint], {
      policies: {
        ...provocation.policies,
        breaker: exampleBreaker({ openMs: 5_000, recoveryMs: 5_000 }),
      },
      manual: true,
    });
    const caller = await proxy.call(service);
    caller.write(sends);
    if (waitMs > 0 || provocation.leaves !== undefined) {
      if (reason === 'request_timeout_head')
        await eventually(() => hasPart(proxy), 'a part of a head');
      else await eventually(() => endpoint.heads.length === 1, 'the request at the endpoint');
      if (answers !== undefined) await caller.until('half');
      provocation.leaves?.(caller);
      for (let passed = 0; passed < waitMs; passed += 100) proxy.advance(100);
    }
    await eventually(() => proxy.failures(service, reason) === 1, reason);
    const isCut = answers === HALF;
    const statusClass = expectedClass(blames, isCut ? 0 : status);
    assert.equal(proxy.requests(service, statusClass), 1, 'class of the status');
    const failed = proxy.endpointFigure.bind(proxy);
    const isBlamed = blames === 'endpoint' && provocation.isWithout !== true;
    if (provocation.isWithout !== true)
      assert.equal(
        failed(service, endpoint, ENDPOINT_OWN.failed),
        isBlamed ? (provocation.tries ?? 1) : 0,
      );
    const counts = breakerCounts(proxy, service.key);
    assert.deepEqual(counts, isBlamed ? { all: 1, errors: 1 } : { all: 0, errors: 0 });
    if (provocation.leaves === undefined)
      assert.equal(await fateOf(caller), isCut ? 'reset' : connection, 'what the connection gets');
  });
}
