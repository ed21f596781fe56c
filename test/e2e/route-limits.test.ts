/** The rate limit of a route with several threads: they share its tokens, and keep them when one of them dies. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import type { ServicePort } from '../../src/model/service.ts';
import { DEFAULT_PROXY_SETTINGS } from '../../src/model/settings.ts';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { Agent } from '../../src/run/agent/agent.ts';
import { exampleEndpoint, exampleService } from '../support/model.ts';
import { freshAddress } from '../support/proxy.ts';
import { call } from './support/call.ts';
import { EndpointServer } from './support/endpoint.ts';
import { until } from './support/until.ts';

const THREADS = 2;
const BURST = 40;

test('threads share the tokens of a route, and a new one begins with what is left', async (t) => {
  const server = await EndpointServer.start('web', freshAddress());
  const agent = new Agent({
    threads: THREADS,
    proxy: DEFAULT_PROXY_SETTINGS,
    dns: null,
    domains: ['maesh'],
    dnsTtlSeconds: 5,
    serviceCidr: '127.0.0.0/8',
    clock: systemClock,
    log: silentLog,
  });
  t.after(async () => {
    await agent.stop();
    server.stop();
  });
  const address = freshAddress();
  const port = 20_001;
  const example = exampleService('s/web', {
    ports: [port],
    endpoints: [exampleEndpoint(server.address, { port: server.port })],
  });
  const rateLimit = {
    average: 1,
    periodMs: 3_600_000,
    burst: BURST,
    per: 'service',
    callersMax: 8,
  } as const;
  const ports = example.ports.map((each): ServicePort => {
    assert(each.protocol === 'http');
    return { ...each, routes: each.routes.map((route) => ({ ...route, policies: { rateLimit } })) };
  });
  await agent.start();
  agent.apply({
    version: 1,
    services: [{ ...example, address, ports }],
    removedServices: [],
    identities: [],
    removedIdentities: [],
  });
  await agent.served(1);

  /** How many of these requests, each on a connection of its own, were let through. */
  const allowed = async (requests: number): Promise<number> => {
    const answers = await Promise.all(
      Array.from({ length: requests }, () => call({ address, port })),
    );
    const refused = answers.filter(({ status }) => status === 429);
    for (const { body } of refused) assert.match(body, /^maesh: route_rate_limited: /);
    return answers.filter(({ status }) => status === 200).length;
  };
  assert.equal(await allowed(BURST / 2), BURST / 2);
  const slot = agent.ledger.find('service', 's/web');
  assert(slot !== undefined);
  const perThread = Array.from({ length: THREADS }, (_, thread) =>
    agent.ledger.ownCell('service', slot, SERVICE_OWN.callerConnectionsOpened, thread),
  );
  t.diagnostic(`connections per thread: ${perThread.join(', ')}`);
  assert.ok(
    perThread.every((count) => count > 0),
    'both threads have had callers',
  );
  await agent.threads.kill(0);
  await until('it is replaced', () => agent.readiness().ready);
  assert.equal(await allowed(BURST), BURST / 2);
});
