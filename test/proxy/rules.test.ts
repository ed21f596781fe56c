/** Who breaks a rule of HTTP, and which, is told to the log, the counters and the access log. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { AccessWriter } from '../../src/proxy/call/access.ts';
import { type Rule, RULE_NAMES } from '../../src/proxy/head/rule.ts';
import type { BrokenRule } from '../../src/proxy/http/broken-rules.ts';
import { DATE, freshAddress, GET, proxyFor } from '../support/proxy.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';

const CHUNKED = 'Transfer-Encoding: chunked\r\n\r\n';
const CHUNKED_POST = `POST / HTTP/1.1\r\nHost: a\r\n${CHUNKED}`;

const CASES: readonly {
  readonly name: string;
  readonly request: string;
  readonly response?: string;
  readonly reason: string;
  readonly rule: Rule;
}[] = [
  {
    name: 'a head',
    request: 'GET / HTTP/1.1\r\n\r\n',
    reason: 'bad_request',
    rule: 'host_missing',
  },
  { name: 'a chunk', request: `${CHUNKED_POST}x\r\n`, reason: 'bad_request', rule: 'chunk_size' },
  {
    name: 'a trailer',
    request: `${CHUNKED_POST}0\r\nX : 1\r\n\r\n`,
    reason: 'bad_request',
    rule: 'field_name_space',
  },
  {
    name: 'the head of a response',
    request: GET,
    response: `HTTP/1.1 200 OK\r\n${DATE}X: 1\r\n 2\r\n\r\n`,
    reason: 'bad_response',
    rule: 'field_folded',
  },
  {
    name: 'a head of a response that is too large',
    request: GET,
    response: `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`,
    reason: 'response_head_too_large',
    rule: 'head_bytes',
  },
  {
    name: 'a 101 that nobody asked for',
    request: GET,
    response: 'HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
    reason: 'bad_response',
    rule: 'upgrade_unasked',
  },
  {
    name: 'the body of a response',
    request: GET,
    response: `HTTP/1.1 200 OK\r\n${DATE}${CHUNKED}2\r\nokX`,
    reason: 'bad_response_body',
    rule: 'chunk_end',
  },
];

for (const { name, request, response, reason, rule } of CASES) {
  test(`a rule that is broken by ${name} is told: ${rule}`, async (t) => {
    const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
      await wire.head();
      if (response !== undefined) wire.write(response);
    });
    const { proxy, service } = await proxyFor(t, [endpoint]);
    const told: BrokenRule[] = [];
    const logged: string[] = [];
    proxy.context.rules.onLog = (broken) => told.push(broken);
    proxy.context.accessLog = {
      write: (_: unknown, exchange: { rule: string }) => logged.push(exchange.rule),
      writeRefused: (_: unknown, _reason: string, broken: string) => logged.push(broken),
    } as unknown as AccessWriter;
    const caller = await proxy.call(service, '127.9.8.7');
    caller.write(request);
    await eventually(() => told.length > 0, 'the rule');
    const by = response === undefined ? '' : `${endpoint.address}:${endpoint.port}`;
    assert.deepEqual(told, [
      { rule, reason, service: service.key, caller: '127.9.8.7', endpoint: by },
    ]);
    assert.deepEqual(logged, [rule]);
    const at = 2 * RULE_NAMES.indexOf(rule) + (response === undefined ? 0 : 1);
    assert.deepEqual(
      proxy.context.rules.counts.flatMap((count, i) => (count > 0 ? [[i, count]] : [])),
      [[at, 1]],
    );
    caller.socket.destroy();
  });
}

test('a rule that is broken by a body behind an early answer is told, and one that is only too long is not', async (t) => {
  const limits = { ...DEFAULT_POLICIES.limits, requestsInFlight: 0 };
  const { proxy, service } = await proxyFor(t, [], { policies: { limits } });
  const told: BrokenRule[] = [];
  proxy.context.rules.onLog = (broken) => told.push(broken);
  for (const rest of ['x\r\n', `50000\r\n${'x'.repeat(0x50000)}`]) {
    // oxlint-disable no-await-in-loop -- one after the other
    const caller = await proxy.call(service, '127.9.8.7');
    caller.write(CHUNKED_POST);
    await caller.until('overloaded');
    caller.write(rest);
    await caller.until('\n');
    await caller.rest();
    caller.socket.destroy();
    // oxlint-enable no-await-in-loop
  }
  assert.deepEqual(told, [
    {
      rule: 'chunk_size',
      reason: 'bad_request',
      service: service.key,
      caller: '127.9.8.7',
      endpoint: '',
    },
  ]);
});
