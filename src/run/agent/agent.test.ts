import assert from 'node:assert/strict';
import { Resolver } from 'node:dns/promises';
import { test } from 'node:test';

import { ManualClock } from '../../base/clock.ts';
import { createLog } from '../../base/log.ts';
import { DEFAULT_PROXY_SETTINGS } from '../../model/settings.ts';
import { Agent } from './agent.ts';

const NAMES_MS = 5_000;

test('drain() answers names until those who ask have gone, even when nothing else runs', async () => {
  const clock = new ManualClock();
  const agent = new Agent({
    threads: 1,
    proxy: DEFAULT_PROXY_SETTINGS,
    dns: { host: '127.0.0.1', port: 0 },
    domains: ['maesh'],
    dnsTtlSeconds: 5,
    serviceCidr: '127.0.0.0/8',
    clock,
    log: createLog({ level: 'error', format: 'common', clock }),
  });
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
