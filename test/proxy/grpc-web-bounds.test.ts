/** Calls of gRPC-Web at the edges: limits, slow readers, copies, callers of HTTP/1.0, connections that are used again. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import { MIRROR_RESULTS, SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import {
  grpcEndpoint,
  grpcFor,
  inTurn,
  OK,
  type Serve,
  status,
  trailersOnly,
} from '../support/grpc.ts';
import { callWeb, frame, unpack, VERSIONS, WEB_TEXT_CALL } from '../support/grpc-web.ts';
import { accessLogOf } from '../support/access-log.ts';
import { mirrored, mirrorTo } from '../support/mirrored.ts';
import { TestProxy } from '../support/proxy.ts';
import { heldFor } from '../support/slow-reader.ts';
import { eventually } from '../support/wire.ts';

const grpcWeb = { origins: ['*'] };
const TEXT = Object.entries(WEB_TEXT_CALL)
  .map(([name, value]) => `${name}: ${value}\r\n`)
  .join('');

/** Keeps what it got whole. */
function keeping(got: Buffer[]): Serve {
  return async (stream) => {
    const parts: Buffer[] = [];
    try {
      for await (const part of stream) parts.push(part as Buffer);
    } catch {
      // It was given up.
      return;
    }
    got.push(...parts);
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' },
      { endStream: true },
    );
  };
}

test('a slow reader of text makes the proxy hold no more than of anything else, and gets it all', async (t) => {
  const messages = 60;
  const large = Buffer.alloc(100_000, 'x');
  const endpoint = await grpcEndpoint(t, (stream) => {
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    for (let i = 0; i < messages; i++) stream.write(frame(large));
    stream.end();
  });
  const { proxy, service } = await grpcFor(t, [endpoint], { policies: { grpcWeb } });
  const caller = await proxy.call(service);
  caller.socket.pause();
  caller.write(`POST /a/B HTTP/1.0\r\n${TEXT}Content-Length: 0\r\n\r\n`);
  await eventually(() => heldFor(proxy, service) > 0, 'it to wait');
  const most = heldFor(proxy, service);
  assert.ok(most < 2_000_000, `${most} bytes`);
  caller.socket.resume();
  const head = await caller.head();
  assert.match(head, /^HTTP\/1\.1 200 /);
  const {
    messages: got,
    trailers,
    rest,
  } = unpack(Buffer.from(await caller.rest(), 'latin1'), true);
  assert.equal(got.length, messages);
  assert.ok(got.every((each) => each.length === large.length));
  assert.deepEqual([trailers, rest], [{ 'grpc-status': '0' }, 0]);
});

test('the limit of a body is one of what the endpoint gets, and not of its text', async (t) => {
  const got: Buffer[] = [];
  const endpoint = await grpcEndpoint(t, keeping(got));
  const limits = { ...DEFAULT_POLICIES.limits, requestBodyBytes: 3_005 };
  const { proxy, service } = await grpcFor(t, [endpoint], { policies: { grpcWeb, limits } });
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  for (const version of VERSIONS)
    for (const [bytes, code] of [
      [3_000, '0'],
      [3_001, '8'],
    ] as const) {
      const body = frame(Buffer.alloc(bytes)).toString('base64');
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const answer = await callWeb(t, version, to, { fields: WEB_TEXT_CALL, body });
      assert.equal(answer.fields['grpc-status'], code, `${bytes} bytes over ${version}`);
    }
  assert.equal(proxy.failures(service, 'body_too_large'), 2);
  assert.equal(Buffer.concat(got).length, 2 * 3_005);
});

test('text that is too long to be kept is sent on decoded, once', async (t) => {
  const got: Buffer[] = [];
  const serve = inTurn(status(14), keeping(got));
  const endpoint = await grpcEndpoint(t, serve);
  const retry = { ...DEFAULT_RETRY, attempts: 3, on: ['unavailable' as const], backoffMs: 0 };
  const { service } = await grpcFor(t, [endpoint], { policies: { grpcWeb, retry } });
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  const message = frame(Buffer.from(Array.from({ length: 300_001 }, (_, i) => i % 251)));
  const body = message.toString('base64');
  // The first try answers before it has read all, and may be final.
  const first = await callWeb(t, 'HTTP/2', to, { fields: WEB_TEXT_CALL, body });
  if (first.fields['grpc-status'] === '14')
    await callWeb(t, 'HTTP/2', to, { fields: WEB_TEXT_CALL, body });
  assert.ok(Buffer.concat(got).equals(message));
});

test('a mirror gets gRPC, too', async (t) => {
  const got: Buffer[] = [];
  const proxy = new TestProxy(t);
  const [own, copied] = [await grpcEndpoint(t, OK), await grpcEndpoint(t, keeping(got))];
  const shadow = proxy.service({ key: 'shop/shadow', endpoints: [copied], http2: true });
  const policies = { grpcWeb };
  const plain = proxy.service({ key: 'shop/web', endpoints: [own], http2: true, policies });
  const web = mirrored(plain, [mirrorTo(shadow)]);
  await proxy.apply([shadow, web]);
  const to = { address: web.address, port: web.ports[0]?.port ?? 0 };
  const answered = SERVICE_OWN.mirrored + MIRROR_RESULTS.indexOf('answered');
  for (const [i, version] of VERSIONS.entries()) {
    const body = frame('copy me').toString('base64');
    // oxlint-disable no-await-in-loop -- one after the other
    await callWeb(t, version, to, { fields: WEB_TEXT_CALL, body });
    await eventually(() => proxy.figure(web, answered) === i + 1, 'the copy');
    // oxlint-enable no-await-in-loop
    assert.equal(copied.calls[i]?.['content-type'], 'application/grpc+proto');
  }
  assert.ok(Buffer.concat(got).equals(Buffer.concat([frame('copy me'), frame('copy me')])));
});

test('a connection of HTTP/1.1 serves calls, preflights, refusals and other requests one after the other', async (t) => {
  const endpoint = await grpcEndpoint(t, trailersOnly({ 'grpc-status': '0' }));
  const origins = ['https://app.example'];
  const { proxy, service } = await grpcFor(t, [endpoint], { policies: { grpcWeb: { origins } } });
  const caller = await proxy.call(service);
  const call = (origin: string): string =>
    `POST /a/B HTTP/1.1\r\nHost: a\r\nOrigin: ${origin}\r\n${TEXT}Content-Length: 8\r\n\r\nAAAAAAA=`;
  const preflight =
    'OPTIONS /a/B HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n';
  for (let i = 0; i < 3; i++) {
    // All at once: the answers come in their order.
    caller.write(
      `${preflight}${call('https://app.example')}${call('https://evil.example')}GET / HTTP/1.1\r\nHost: a\r\n\r\n`,
    );
    const heads: string[] = [];
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    for (let n = 0; n < 4; n++) heads.push(await caller.head());
    const [allowed = '', called = '', denied = '', other = ''] = heads;
    assert.match(allowed, /^HTTP\/1\.1 204 [^]*access-control-allow-methods: POST/);
    assert.match(called, /grpc-status: 0\r\n[^]*content-type: application\/grpc-web-text\r\n/);
    assert.match(denied, /^HTTP\/1\.1 200 [^]*grpc-status: 7\r\n/);
    assert.match(other, /content-type: application\/grpc\r\n/);
  }
  assert.equal(proxy.failures(service, 'origin_denied'), 3);
});

test('a call that ends with the drain, between two messages, takes its connection of HTTP/1.1 with it', async (t) => {
  const endpoint = await grpcEndpoint(t, (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write(frame('hello'));
  });
  const options = { policies: { grpcWeb }, manual: true };
  const { proxy, service } = await grpcFor(t, [endpoint], options);
  const caller = await proxy.call(service);
  const call = `POST /a/B HTTP/1.1\r\nHost: a\r\n${TEXT}Content-Length: 8\r\n\r\nAAAAAAA=`;
  caller.write(call);
  await caller.until(frame('hello').toString('base64'));
  // One waits behind it.
  caller.write(call);
  const over = proxy.server.drain(1_000);
  await proxy.advanceUntil(() => proxy.failures(service, 'draining') === 1, 'the end of the drain');
  assert.equal(await over, 1);
  // Behind the end of the first chunk, and the length of the second.
  const rest = (await caller.rest()).split('\r\n')[2] ?? '';
  assert.equal(unpack(Buffer.from(rest), true).trailers?.['grpc-status'], '14');
  assert.equal(endpoint.calls.length, 1);
  assert.equal(proxy.requests(service, 0), 1);
});

test('a preflight is answered from its own head, with a log that reads it once more, too', async (t) => {
  const endpoint = await grpcEndpoint(t, OK);
  const { proxy, service } = await grpcFor(t, [endpoint], { policies: { grpcWeb } });
  const log = accessLogOf(t, proxy);
  const caller = await proxy.call(service);
  const ask = (path: string, name: string): string =>
    `OPTIONS ${path} HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type,${name}\r\n\r\n`;
  // Targets that leave in another form than they came make the log read the head again, from where it is kept.
  caller.write(
    Buffer.from(ask('/a', 'x-of-the-first') + ask('/\xE9', 'x-of-the-second'), 'latin1'),
  );
  assert.match(await caller.head(), /allow-headers: content-type,x-of-the-first\r\n/);
  assert.match(await caller.head(), /allow-headers: content-type,x-of-the-second\r\n/);
  await eventually(() => log.text.includes('/%E9'), 'the second in the log');
});
