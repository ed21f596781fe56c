/** Whom a session of UDP blames: an endpoint for what it says itself, and nobody for what others say or this node lacks. */

import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import type { Service } from '../../src/model/service.ts';
import {
  DATAGRAM_DROPS,
  type DatagramDrop,
  ENDPOINT_OWN,
  ENDPOINT_WORD,
  SERVICE_OWN,
  SERVICE_WORD,
} from '../../src/proxy/ledger/layout.ts';
import { openKernel } from '../../src/proxy/net/system/kernel.ts';
import type { Between } from '../../src/proxy/net/system/system-calls.ts';
import { SystemSockets } from '../../src/proxy/net/system/system-sockets.ts';
import { ThreadIo } from '../../src/proxy/net/system/thread-io.ts';
import { marksOf, shareMarks } from '../../src/proxy/net/system/thread-marks.ts';
import { freshAddress, type TestProxy } from '../support/proxy.ts';
import { openRawIcmp } from '../support/raw-datagram.ts';
import { ask, caller, drops, echo, udpFor } from '../support/udp.ts';
import { type Dialled, eventually } from '../support/wire.ts';

/** Failures that count for an ejection. */
function blamed(proxy: TestProxy, service: Service, endpoint: Dialled): number {
  return proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed);
}

for (const sockets of ['system', 'runtime'] as const)
  test(`${sockets}: only the endpoint itself can say that it cannot be reached`, async (t) => {
    const endpoint = await echo(t);
    const other = openRawIcmp(freshAddress());
    const own = openRawIcmp(endpoint.address);
    if (typeof other === 'string') return t.skip(other);
    if (typeof own === 'string') return t.skip(own);
    const settings = { sockets };
    const { proxy, service, at } = await udpFor(t, [endpoint], { settings });
    const from = await caller(t);
    const to = { address: endpoint.address, port: endpoint.port };
    const told = async (icmp: typeof own, code: number): Promise<void> => {
      const text = `${code}`;
      await ask(from, at, text);
      const session = endpoint.came.findLast((came) => came.text === text)?.from;
      assert(session !== undefined);
      const before = drops(proxy, service, 'unreachable');
      icmp.send(code, { from: session, to });
      await eventually(() => {
        // The runtime is told by the next one that it sends.
        if (sockets === 'runtime') from.send('more', at);
        return drops(proxy, service, 'unreachable') > before;
      }, 'the message');
    };
    await told(other, 3);
    assert.equal(proxy.failures(service, 'connect_failed'), 1);
    assert.equal(blamed(proxy, service, endpoint), 0, 'somebody else said so');
    if (sockets === 'system') {
      // No way there: an endpoint that is there does not say that.
      await told(own, 1);
      assert.equal(blamed(proxy, service, endpoint), 0);
      await told(own, 3);
      assert.equal(blamed(proxy, service, endpoint), 1);
    }
    other.close();
    own.close();
  });

/** Datagrams that were dropped, by reason. */
function lost(proxy: TestProxy, service: Service): Partial<Record<DatagramDrop, number>> {
  const counts = DATAGRAM_DROPS.map((why) => [why, drops(proxy, service, why)] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

function socketsOver(between: Between): SystemSockets {
  return new SystemSockets(new ThreadIo(openKernel(marksOf(shareMarks()), between)));
}

test('without a free local port no endpoint is blamed, and no session is left behind', async (t) => {
  const endpoint = await echo(t);
  let isShort = true;
  const sockets = socketsOver((calls, errno) => ({
    ...calls,
    connect: (...args) => {
      if (!isShort) return calls.connect(...args);
      errno[0] = constants.errno.EAGAIN;
      return -1;
    },
  }));
  const { proxy, service, at } = await udpFor(t, [endpoint], { sockets });
  const from = await caller(t);
  from.send('a', at);
  await eventually(() => proxy.failures(service, 'node_exhausted') === 1, 'its failure');
  assert.deepEqual(lost(proxy, service), { unsent: 1 }, 'counted once');
  assert.equal(blamed(proxy, service, endpoint), 0);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.connectFailures), 0);
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsActive), 0);
  assert.equal(proxy.word(service, SERVICE_WORD.inFlight), 0);
  assert.equal(proxy.endpointWord(service, endpoint, ENDPOINT_WORD.inFlight), 0);
  isShort = false;
  await ask(from, at, 'b');
});

/** Lets datagrams through until it is closed: then each write fails with `errno`. */
class Filter {
  isClosed = false;
  readonly sockets: SystemSockets;

  constructor(errno: number) {
    this.sockets = socketsOver((calls, place) => ({
      ...calls,
      write: (...args) => {
        if (!this.isClosed) return calls.write(...args);
        place[0] = errno;
        return -1;
      },
    }));
  }
}

for (const errno of [constants.errno.EPERM, constants.errno.EACCES])
  test(`a datagram that a filter of this node stops is nobody's failure: ${errno}`, async (t) => {
    const endpoint = await echo(t);
    const filter = new Filter(errno);
    const { proxy, service, at } = await udpFor(t, [endpoint], { sockets: filter.sockets });
    const from = await caller(t);
    await ask(from, at, 'a');
    filter.isClosed = true;
    from.send('b', at);
    await eventually(() => drops(proxy, service, 'unsent') === 1, 'its drop');
    // What the socket tells of it comes a turn later.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    filter.isClosed = false;
    await ask(from, at, 'c');
    assert.deepEqual(lost(proxy, service), { unsent: 1 }, 'counted once');
    assert.equal(proxy.failures(service, 'connect_failed'), 0);
    assert.equal(blamed(proxy, service, endpoint), 0);
    assert.equal(endpoint.came[0]?.from.port, endpoint.came[1]?.from.port, 'the same session');
  });

for (const [errno, why, isFailed] of [
  [constants.errno.EMSGSIZE, 'too_large', false],
  [constants.errno.ENETUNREACH, 'unsent', true],
] as const)
  test(`a datagram that fails at once is counted once: ${why}`, async (t) => {
    const endpoint = await echo(t);
    const filter = new Filter(errno);
    const { proxy, service, at } = await udpFor(t, [endpoint], { sockets: filter.sockets });
    const from = await caller(t);
    await ask(from, at, 'a');
    filter.isClosed = true;
    from.send('b', at);
    await eventually(() => drops(proxy, service, why) > 0, 'its drop');
    // What a socket tells comes a turn later.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    filter.isClosed = false;
    await ask(from, at, 'c');
    assert.deepEqual(lost(proxy, service), { [why]: 1 });
    assert.equal(proxy.failures(service, 'connect_failed'), isFailed ? 1 : 0);
    assert.equal(blamed(proxy, service, endpoint), 0, 'it has not said so');
  });

test('a datagram without a way to its endpoint is counted once', async (t) => {
  const endpoint = await echo(t);
  let isAway = true;
  const sockets = socketsOver((calls, place) => ({
    ...calls,
    connect: (...args) => {
      if (!isAway) return calls.connect(...args);
      place[0] = constants.errno.ENETUNREACH;
      return -1;
    },
  }));
  const { proxy, service, at } = await udpFor(t, [endpoint], { sockets });
  const from = await caller(t);
  from.send('a', at);
  await eventually(() => proxy.failures(service, 'connect_failed') === 1, 'its failure');
  assert.deepEqual(lost(proxy, service), { unsent: 1 });
  isAway = false;
  await ask(from, at, 'b');
});
