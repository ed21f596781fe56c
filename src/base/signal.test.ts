import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Signal } from './signal.ts';

test('tell() calls all that subscribed, in order, until they end it', () => {
  const signal = new Signal();
  const told: string[] = [];
  const observe = (name: string) => signal.subscribe(() => told.push(name));
  signal.tell();
  const endFirst = observe('first');
  observe('second');
  signal.tell();
  assert.deepEqual(told.splice(0), ['first', 'second']);
  endFirst();
  endFirst();
  signal.tell();
  assert.deepEqual(told, ['second']);
});

test('one function that subscribed twice is called twice, and ended once at a time', () => {
  const signal = new Signal();
  let count = 0;
  const observer = (): void => void (count += 1);
  const end = signal.subscribe(observer);
  signal.subscribe(observer);
  signal.tell();
  assert.equal(count, 2);
  end();
  signal.tell();
  assert.equal(count, 3);
});

test('who comes or goes while it is told is not called this time', () => {
  const signal = new Signal();
  const told: string[] = [];
  signal.subscribe(() => {
    told.push('first');
    endSecond();
    signal.subscribe(() => told.push('new'));
  });
  const endSecond = signal.subscribe(() => told.push('second'));
  signal.tell();
  assert.deepEqual(told, ['first']);
});
