/** What is counted is what left: a message that is cut short on its way would make the next one a part of it. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { silentLog } from '../../src/base/log.ts';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import { ThreadContext } from '../../src/proxy/http/context.ts';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, GET, OK, post, proxyFor } from '../support/proxy.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';

/** More than the write buffer of the thread has room for, and fewer than two whole reads. */
const LONG = Array.from({ length: 25_000 }, (_, i) => String(i % 10_000).padStart(5, '.')).join('');

test('a request behind one that is sent again keeps every byte of its body', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const attacker = await proxy.call(service);
  attacker.write(GET);
  const stale = await endpoint.next();
  await stale.head();
  stale.write(OK);
  await attacker.until('ok');
  attacker.write(GET + post(LONG));
  await stale.head();
  stale.end();
  const wire = await endpoint.next();
  await wire.head();
  // Whatever the proxy may read meanwhile waits behind the request that runs.
  await eventually(() => attacker.socket.writableLength === 0, 'all that the attacker says');
  wire.write(OK);
  await attacker.until('ok');
  await wire.head();
  assert.equal(await wire.bytes(LONG.length), LONG);
  wire.write(OK);
  await attacker.until('ok');
  const victim = await proxy.call(service);
  victim.write('GET /mine HTTP/1.1\r\nHost: a\r\nAuthorization: secret\r\n\r\n');
  assert.match(await wire.head(), /^GET \/mine /);
  wire.write(OK);
  await victim.until('ok');
  assert.equal(proxy.figure(service, SERVICE_OWN.requestBytes), LONG.length);
});

test('a request behind one that is retried keeps every byte of its body', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: {
      retry: { ...DEFAULT_RETRY, backoffMs: 0 },
      ejection: { ...DEFAULT_POLICIES.ejection, consecutiveFailures: 0 },
    },
  });
  const caller = await proxy.call(service);
  caller.write(GET + post(LONG));
  const first = await endpoint.next();
  await first.head();
  first.end();
  const wire = await endpoint.next();
  await wire.head();
  await eventually(() => caller.socket.writableLength === 0, 'all that the caller says');
  wire.write(OK);
  await caller.until('ok');
  await wire.head();
  assert.equal(await wire.bytes(LONG.length), LONG);
  wire.write(OK);
  await caller.until('ok');
});

/** A proxy whose next message leaves other than it is counted, and callers before and after. */
async function damaged(t: TestContext, damage: (context: ThreadContext) => void) {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint], { defects: true });
  const lines: string[] = [];
  proxy.log = {
    ...silentLog,
    error: (message, fields) => lines.push(`${message}: ${String(fields?.['error'])}`),
  };
  const bystander = await proxy.call(service);
  bystander.write(GET);
  await bystander.until('ok');
  const caller = await proxy.call(service);
  damage(proxy.context);
  caller.write(GET);
  await caller.gone();
  Reflect.deleteProperty(proxy.context, 'writeOut');
  Reflect.deleteProperty(proxy.context, 'claimOut');
  assert.equal(lines.length, 1, 'one line in the log');
  assert.equal(proxy.failures(service, 'internal'), 1);
  bystander.write(GET);
  await bystander.until('ok');
  return { line: lines[0] ?? '', endpoint, caller };
}

test('a response that lost a byte on its way costs the two connections, and nobody else', async (t) => {
  const { line, endpoint } = await damaged(t, (context) => {
    context.writeOut = (socket, length) => {
      const out = context.claimOut(null);
      const isResponse = out.subarray(0, 5).equals(Buffer.from('HTTP/'));
      return socket.write(out, 0, isResponse ? length - 1 : length);
    };
  });
  assert.match(line, /: Defect: a response left with another length/);
  assert.notEqual(endpoint.wires[0]?.ending, 'open', 'the connection to the endpoint is not kept');
});

test('a response for which there is no room is not cut but refused', async (t) => {
  const { line, caller } = await damaged(t, (context) => {
    context.claimOut = () => Buffer.alloc(30);
  });
  assert.match(line, /Defect: a message of \d+ bytes does not fit into a buffer of 30/);
  assert.equal(caller.pending, '');
});

test('a request that lost a byte on its way costs the two connections, and nobody else', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], { defects: true });
  const caller = await proxy.call(service);
  caller.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n');
  const wire = await endpoint.next();
  await wire.head();
  const { context } = proxy;
  let lost = false;
  context.writeOut = (socket, length) => {
    const less = lost || length < 1_000 ? 0 : 1;
    lost = lost || less > 0;
    return ThreadContext.prototype.writeOut.call(context, socket, length - less);
  };
  caller.write('x'.repeat(200_000));
  await wire.bytes(199_999);
  wire.write(OK);
  assert.equal(await caller.gone(), 'reset');
  await wire.gone();
  assert.equal(proxy.failures(service, 'internal'), 1);
});
