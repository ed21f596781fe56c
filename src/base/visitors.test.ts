import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';

import fc from 'fast-check';

import { type Visitor, Visitors } from './visitors.ts';

/** All that `Visitors` knows of a socket. */
function socketFrom(source: string): Socket {
  const socket = Object.assign(new EventEmitter(), {
    remoteAddress: source,
    destroyed: false,
    destroy() {
      socket.destroyed = true;
      socket.emit('close');
    },
  });
  return socket as unknown as Socket;
}

function room(max: number): {
  visitors: Visitors;
  enter: (source: string) => Visitor;
  losers: string[];
} {
  const losers: string[] = [];
  const visitors = new Visitors(max, (source) => losers.push(source));
  return { visitors, losers, enter: (source) => visitors.enter(socketFrom(source)) };
}

test('Visitors closes the oldest idle connection of the source that has most', () => {
  const { visitors, enter, losers } = room(4);
  const [first, second, third] = [enter('a'), enter('a'), enter('a')];
  const other = enter('b');
  first.isBusy = true;
  visitors.touch(second);
  const probe = enter('kubelet');
  assert.deepEqual(losers, ['a']);
  assert.ok(third.socket.destroyed);
  assert.ok(![first, second, other, probe].some(({ socket }) => socket.destroyed));
  assert.deepEqual([visitors.size, visitors.evicted], [4, 1]);
});

test('Visitors closes a busy connection when its source has no idle one, and the newcomer when it is all there is', () => {
  const { enter } = room(2);
  const [first, second] = [enter('a'), enter('a')];
  first.isBusy = true;
  second.isBusy = true;
  assert.equal(enter('b').socket.destroyed, false);
  assert.ok(first.socket.destroyed);
  assert.equal(second.socket.destroyed, false);
  const none = room(0);
  assert.ok(none.enter('a').socket.destroyed);
});

test('Visitors never holds more than it may, and takes from nobody who has less than another', () => {
  const step = fc.record({ source: fc.integer({ min: 0, max: 5 }), leaves: fc.boolean() });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.array(step, { maxLength: 60 }), (max, steps) => {
      const { visitors, enter, losers } = room(max);
      const held = (): Map<string, number> => {
        const counts = new Map<string, number>();
        for (const { source } of visitors) counts.set(source, (counts.get(source) ?? 0) + 1);
        return counts;
      };
      for (const { source, leaves } of steps) {
        const before = held();
        const name = String(source);
        if (leaves) {
          const [one] = [...visitors].filter((visitor) => visitor.source === name);
          one?.socket.destroy();
        } else {
          const told = losers.length;
          enter(name);
          before.set(name, (before.get(name) ?? 0) + 1);
          const loser = losers[told];
          if (loser !== undefined) assert.equal(before.get(loser), Math.max(...before.values()));
        }
        assert.ok(visitors.size <= max);
        assert.equal([...visitors].length, visitors.size);
      }
    }),
  );
});
