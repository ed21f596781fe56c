/** A stream of HTTP/2 is judged by its own bytes: what other streams of its connection move does not keep it alive. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { PREFACE } from '../../src/proxy/http2/codec/frame.ts';
import { frame, GET_ROOT, headers, number32, setting } from '../support/http2-peer.ts';
import { freshAddress, proxyFor } from '../support/proxy.ts';
import { heldFor, readSome } from '../support/slow-reader.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';

const END_STREAM = 0x1;
const WINDOW_MAX = 2 ** 31 - 1;
const MUCH = 64 << 20;

test('a response that is silent for too long is cut, although another one on its connection is read slowly and steadily', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const policies = { timeouts: { ...DEFAULT_POLICIES.timeouts, idleMs: 2_000 } };
  const { proxy, service } = await proxyFor(t, [endpoint], { policies, manual: true });
  const caller = await proxy.call(service);
  caller.socket.pause();
  caller.discard();
  caller.socket.write(
    Buffer.concat([
      PREFACE,
      frame(4, 0, 0, setting(4, WINDOW_MAX)),
      frame(8, 0, 0, number32(WINDOW_MAX - 65_535)),
      headers(1, GET_ROOT, END_STREAM),
    ]),
  );
  const silent = await endpoint.next();
  await silent.head();
  silent.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf');
  caller.socket.write(headers(3, GET_ROOT, END_STREAM));
  const busy = await endpoint.next();
  await busy.head();
  const held = heldFor(proxy, service);
  busy.write(`HTTP/1.1 200 OK\r\nContent-Length: ${MUCH}\r\n\r\n`);
  busy.write(Buffer.alloc(MUCH, 120));
  await eventually(() => heldFor(proxy, service) > held, 'the proxy to wait for its reader');
  for (let passed = 0; passed < 6_400; passed += 800) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await readSome(caller, 200_000);
    proxy.advance(800);
  }
  assert.equal(proxy.failures(service, 'response_idle_timeout'), 1);
  assert.equal(proxy.failures(service, 'response_read_timeout'), 0);
  assert.equal(silent.ending === 'open', false);
  assert.equal(busy.ending, 'open');
});
