import assert from 'node:assert/strict';
import { Resolver } from 'node:dns/promises';
import { test } from 'node:test';

import { ManualClock } from '../../base/clock.ts';
import { createLog } from '../../base/log.ts';
import type { Delta } from '../../model/service.ts';
import { DEFAULT_PROXY_SETTINGS } from '../../model/settings.ts';
import { Agent } from './agent.ts';

const NAMES_MS = 5_000;

function agentWith(clock: ManualClock, dns: { host: string; port: number } | null): Agent {
  return new Agent({
    threads: 1,
    proxy: DEFAULT_PROXY_SETTINGS,
    dns,
    domains: ['maesh'],
    dnsTtlSeconds: 5,
    serviceCidr: '127.0.0.0/8',
    clock,
    log: createLog({ level: 'error', format: 'common', clock }),
  });
}

function emptyDelta(version: number): Delta {
  const nothing = { services: [], removedServices: [], identities: [], removedIdentities: [] };
  return { version, ...nothing };
}

test('an agent stays ready while its threads take an update, unless one of them hangs', async (t) => {
  const clock = new ManualClock();
  const agent = agentWith(clock, null);
  t.after(() => agent.stop());
  await agent.start();
  agent.apply(emptyDelta(1));
  assert.equal(agent.readiness().ready, false, 'nothing is served yet');
  await agent.served(1);
  assert.equal(agent.readiness().ready, true);
  agent.apply(emptyDelta(2));
  // No thread had a turn in which it could have taken anything.
  assert.deepEqual([agent.threads.servedVersion, agent.readiness().ready], [1, true]);
  clock.advance(30_000);
  assert.deepEqual(agent.readiness().pending, [
    'version 2 is not served by every thread, version 1 is',
  ]);
  await agent.served(2);
  assert.equal(agent.readiness().ready, true);
});

test('drain() answers names until those who ask have gone, even when nothing else runs', async () => {
  const clock = new ManualClock();
  const agent = agentWith(clock, { host: '127.0.0.1', port: 0 });
  await agent.start();
  // Before there is a configuration every name would be said not to exist.
  assert.equal(agent.dnsAddress, null);
  assert.ok(agent.readiness().pending.includes('DNS is not ready yet'));
  await agent.answerNames();
  const { host = '', port = 0 } = agent.dnsAddress ?? {};
  const resolver = new Resolver({ timeout: 500, tries: 1 });
  resolver.setServers([`${host}:${port}`]);
  const ended = agent.drain(1_000, NAMES_MS);
  // The drain of the threads asks the clock that each has of its own; this one stands still.
  clock.advance(NAMES_MS - 1);
  while (agent.threads.alive > 0) await new Promise((resolve) => setImmediate(resolve));
  assert.match((await resolver.resolveSoa('maesh')).nsname, /maesh$/);
  clock.advance(1);
  await ended;
  await assert.rejects(resolver.resolveSoa('maesh'));
});
