/** What checks cost at most: connections, beginnings in a second, and turns where there are more endpoints than that allows. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { CHECK_RESULTS } from '../../src/model/health-check.ts';
import type { Service } from '../../src/model/service.ts';
import { CHECKS_MAX, CHECKS_PER_SECOND } from '../../src/proxy/check/checker.ts';
import { ENDPOINT_FLOAT, SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { DEADLINE_TICK_MS } from '../../src/proxy/net/deadline-wheel.ts';
import { CHECK } from '../support/health-checks.ts';
import { freshAddress, GET, OK, TestProxy } from '../support/proxy.ts';
import { atEnd, type Dialled, eventually, RawEndpoint } from '../support/wire.ts';

const SERVICES = 200;
const TIMEOUT_MS = 2_000;
const SECONDS = 30;

/** Closes each connection that the other side closes; `RawEndpoint` keeps them all. */
class Server implements Dialled {
  readonly address = freshAddress();
  port = 0;
  open = 0;

  static async start(t: TestContext, answer: string): Promise<Server> {
    const server = new Server();
    const listening = net.createServer((socket) => {
      server.open++;
      socket.on('error', () => undefined);
      socket.on('close', () => server.open--);
      socket.on('data', () => socket.write(answer));
    });
    listening.listen(0, server.address);
    await once(listening, 'listening');
    atEnd(t, () => void listening.close());
    server.port = (listening.address() as net.AddressInfo).port;
    return server;
  }
}

test('many Services are checked in turn, with few connections and evenly in time, though a third of them says nothing', async (t) => {
  const proxy = new TestProxy(t, { manual: true });
  const well = [await Server.start(t, OK), await Server.start(t, OK)];
  const silent = await Server.start(t, '');
  const endpoints = [...well, silent];
  const healthCheck = { ...CHECK, timeoutMs: TIMEOUT_MS };
  const services = Array.from({ length: SERVICES }, (_, i) =>
    proxy.service({ key: `test/s${i}`, endpoints, policies: { healthCheck } }),
  );
  await proxy.apply(services);
  for (const service of services) noteAsked(proxy, service, endpoints);
  const { checker } = proxy.server;
  const begun = (): number =>
    checker.running +
    services.reduce(
      (sum, service) =>
        sum +
        CHECK_RESULTS.reduce((all, _, i) => all + proxy.figure(service, SERVICE_OWN.checks + i), 0),
      0,
    );
  let [most, before, mostInSecond] = [0, 0, 0];
  for (let second = 0; second < SECONDS; second++) {
    for (let tick = 0; tick < 1_000 / DEADLINE_TICK_MS; tick++) {
      proxy.advance(DEADLINE_TICK_MS);
      most = Math.max(most, checker.running);
      // Those that answer do so while time stands still; the others are still asked.
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await turns();
      // oxlint-disable-next-line no-await-in-loop -- as above
      await eventually(() => checker.running === silent.open, 'the answers');
    }
    mostInSecond = Math.max(mostInSecond, begun() - before);
    before = begun();
  }
  t.diagnostic(`${begun()} checks in ${SECONDS} s, ${mostInSecond} in one, ${most} at a time`);
  assert.ok(most <= CHECKS_MAX && most > CHECKS_MAX / 2, `${most} at a time`);
  assert.ok(mostInSecond <= 1.2 * CHECKS_PER_SECOND, `${mostInSecond} in a second`);
  // Who is silent takes the place of others, and their turn comes all the same.
  const passed = services.map((service) => proxy.figure(service, SERVICE_OWN.checks));
  assert.ok(Math.min(...passed) >= 2, `${Math.min(...passed)} checks of a Service passed`);
  assert.ok(Math.max(...passed) <= 4 * Math.min(...passed), passed.join(', '));
});

test('where nothing is checked, nobody looks at a clock and nothing is noted', async (t) => {
  const proxy = new TestProxy(t, { manual: true });
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const plain = proxy.service({ endpoints: [endpoint] });
  await proxy.apply([plain]);
  assert.equal(proxy.context.wheel.size, 0);
  const caller = await proxy.call(plain);
  caller.write(GET);
  await caller.head();
  assert.equal(askedAtMs(proxy, plain, endpoint), 0);
  const healthCheck = { ...CHECK };
  await proxy.apply([{ ...plain, policies: { ...DEFAULT_POLICIES, healthCheck } }]);
  caller.write(GET);
  await caller.head();
  assert.ok(askedAtMs(proxy, plain, endpoint) > 0, 'the same, where something is');
});

/** Lets sockets see what their other sides did. */
async function turns(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function askedAtMs(proxy: TestProxy, service: Service, endpoint: Dialled): number {
  const slot = proxy.endpointSlot(service, endpoint);
  return proxy.ledger.float('endpoint', slot, ENDPOINT_FLOAT.askedAtMs);
}

/** As the first request of a caller does. */
function noteAsked(proxy: TestProxy, service: Service, endpoints: readonly Dialled[]): void {
  for (const endpoint of endpoints) {
    const slot = proxy.endpointSlot(service, endpoint);
    proxy.ledger.setFloat('endpoint', slot, ENDPOINT_FLOAT.askedAtMs, proxy.clock.nowMs() + 1);
  }
}
