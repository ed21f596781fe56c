import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { RateLimit, WorkQueue } from './work.ts';

const immediate = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const turn = async (): Promise<void> => {
  for (let i = 0; i < 3; i++) await immediate();
};

test('a key is at work once at a time, and once more when it is added meanwhile', async () => {
  const running: string[] = [];
  const ends: (() => void)[] = [];
  const queue = new WorkQueue({
    clock: new ManualClock(),
    concurrency: 2,
    work: (key) => {
      running.push(key);
      return new Promise((resolve) => ends.push(resolve));
    },
  });
  queue.add('lost');
  queue.open();
  for (const key of ['a', 'a', 'b', 'c']) queue.add(key);
  await turn();
  assert.deepEqual(running, ['a', 'b'], 'two at a time, none from before it was open');
  queue.add('a');
  await turn();
  assert.equal(running.length, 2);
  ends[1]?.();
  await turn();
  assert.deepEqual(running, ['a', 'b', 'c'], 'a is still at work');
  ends[0]?.();
  await turn();
  await turn();
  assert.deepEqual(running, ['a', 'b', 'c', 'a']);
  queue.add('d');
  queue.close();
  for (const end of ends) end();
  await turn();
  assert.equal(queue.size, 0);
});

test('what is urgent is done first, also when it waits already', async () => {
  const done: string[] = [];
  const queue = new WorkQueue({
    clock: new ManualClock(),
    concurrency: 1,
    work: async (key) => {
      done.push(key);
    },
  });
  queue.open();
  for (const key of ['a', 'b', 'c']) queue.add(key);
  queue.add('d', true);
  queue.add('c', true);
  queue.add('d');
  assert.equal(queue.size, 4);
  await turn();
  assert.deepEqual(done, ['d', 'c', 'a', 'b']);
});

test('take() lets a burst go and then so many a second', async () => {
  const clock = new ManualClock();
  const rate = new RateLimit(clock, 10, 2);
  let count = 0;
  for (let i = 0; i < 5; i++) void rate.take().then(() => count++);
  await turn();
  assert.equal(count, 2);
  clock.advance(100);
  await turn();
  assert.equal(count, 3);
  rate.pause(1_000);
  clock.advance(900);
  await turn();
  assert.equal(count, 3);
  clock.advance(200);
  await turn();
  assert.equal(count, 5);
  rate.pause(10_000);
  void rate.take().then(() => count++);
  rate.release();
  await turn();
  assert.equal(count, 6);
});
