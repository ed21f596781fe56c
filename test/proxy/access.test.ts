/** What the access log says of requests that were answered, failed, or never became a request. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AccessWriter } from '../../src/proxy/http1/access.ts';
import { AccessLog } from '../../src/proxy/telemetry/access-log.ts';
import { freshAddress, GET, OK, post, proxyFor } from '../support/proxy.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';

test('one line a request: answered, failed, and refused with the rule it breaks', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  let text = '';
  const sink = {
    write(buffer: Buffer, offset: number, length: number, done: (e: null, n: number) => void) {
      text += buffer.toString('latin1', offset, offset + length);
      done(null, length);
    },
    reopen(done: (error: null, isNew: boolean) => void) {
      done(null, true);
    },
    close() {},
  };
  const settings = { ...proxy.context.settings.accessLog, format: 'json' as const };
  const log = new AccessLog(settings, sink, proxy.clock);
  t.after(() => log.close());
  proxy.context.accessLog = new AccessWriter(log, proxy.context);
  const caller = await proxy.call(service);
  caller.write(GET + post('hello'));
  await caller.until('ok');
  await caller.until('ok');
  const bad = await proxy.call(service);
  bad.write('GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n');
  assert.match(await bad.rest(), /^HTTP\/1\.1 400 /);
  await eventually(() => text.split('\n').length === 4, 'three lines');
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const facts = lines.map(({ method, status, failure, rule, tries, requestBytes }) => ({
    method,
    status,
    failure,
    rule,
    tries,
    requestBytes,
  }));
  assert.deepEqual(facts, [
    { method: 'GET', status: 200, failure: '', rule: '', tries: 1, requestBytes: 0 },
    { method: 'POST', status: 200, failure: '', rule: '', tries: 1, requestBytes: 5 },
    {
      method: '',
      status: 400,
      failure: 'bad_request',
      rule: 'content_length_repeated',
      tries: 0,
      requestBytes: 0,
    },
  ]);
});
