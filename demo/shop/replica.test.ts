import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { behaviourOf, isSlow } from './behaviour.ts';
import type { ShopPod } from './manifest.ts';
import { Replica } from './replica.ts';

/** An address of its own, and a port that the system hands out: found by binding it once. */
async function replicaOn(args: readonly string[]): Promise<Replica> {
  const { createServer } = await import('node:net');
  const probe = createServer().listen(0, '127.1.99.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  const pod: ShopPod = {
    name: 'web-1',
    namespace: 'shop',
    ip: '127.1.99.1',
    port: typeof address === 'object' && address !== null ? address.port : 0,
    labels: { app: 'web' },
    annotations: {},
    args,
  };
  const replica = new Replica({ pod, clock: systemClock, random: seededRandom(1), spells: false });
  await replica.listen();
  return replica;
}

function ask(replica: Replica, signal?: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    const call = request(
      { host: replica.pod.ip, port: replica.pod.port, agent: false, ...(signal && { signal }) },
      (response) => {
        response.resume();
        response.on('end', () => resolve(String(response.statusCode)));
      },
    );
    call.on('error', (error) => resolve('code' in error ? String(error.code) : error.message));
    call.end();
  });
}

test('Replica answers, and fails every n-th request when its arguments say so', async () => {
  const replica = await replicaOn(['--answer-in=1ms', '--fail-every=3']);
  try {
    const statuses = [];
    for (let i = 0; i < 6; i++) statuses.push(await ask(replica));
    assert.deepEqual(statuses, ['200', '200', '503', '200', '200', '503']);
    assert.deepEqual(replica.counts(), { requests: 6, failed: 2 });
  } finally {
    await replica.close();
  }
});

test('Replica refuses, fails, hangs and heals', async () => {
  const replica = await replicaOn(['--answer-in=1ms']);
  try {
    await replica.become('refuse');
    assert.equal(await ask(replica), 'ECONNREFUSED');
    await replica.become('fail');
    assert.equal(await ask(replica), '503');
    await replica.become('hang');
    assert.equal(await ask(replica, AbortSignal.timeout(50)), 'ABORT_ERR');
    await replica.become('well');
    assert.equal(await ask(replica), '200');
  } finally {
    await replica.close();
  }
});

test('isSlow() is true in the spell at the start of every period but the first', () => {
  const behaviour = behaviourOf(['--slow-in=600ms', '--slow-every=40s', '--slow-for=4s']);
  const slowAt = [0, 3_000, 39_999, 40_000, 43_999, 44_000, 80_001].filter((ms) =>
    isSlow(behaviour, ms),
  );
  assert.deepEqual(slowAt, [40_000, 43_999, 80_001]);
});

test('behaviourOf() rejects an argument it does not know', () => {
  assert.throws(() => behaviourOf(['--anser-in=3ms']), /unknown argument "--anser-in=3ms"/);
});
