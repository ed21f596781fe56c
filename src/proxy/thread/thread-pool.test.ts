/** The threads, as they are, when they end. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { Guard } from '../../base/guard.ts';
import { silentLog } from '../../base/log.ts';
import { DEFAULT_PROXY_SETTINGS } from '../../model/settings.ts';
import { Ledger } from '../ledger/ledger.ts';
import { ThreadPool } from './thread-pool.ts';

/** A thread that waits for the others in vain does so for a quarter of it. */
const DRAIN_MS = 3_600_000;

async function started(): Promise<ThreadPool> {
  const pool = new ThreadPool({
    count: 2,
    settings: DEFAULT_PROXY_SETTINGS,
    ledger: new Ledger(2),
    clock: systemClock,
    log: silentLog,
    guard: new Guard(systemClock, silentLog),
    onChange: () => undefined,
  });
  await pool.start();
  return pool;
}

test('threads tell each other that they accept no more, and wait no longer', async () => {
  const pool = await started();
  assert.equal(pool.alive, 2);
  await pool.drain(DRAIN_MS);
  assert.equal(pool.alive, 0);
});

test('no thread waits for one that has died', async () => {
  const pool = await started();
  const drained = pool.drain(DRAIN_MS);
  await pool.kill(0);
  await drained;
  assert.equal(pool.alive, 0);
});
