import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Accepted } from '../socket.ts';
import { EMFILE } from './errno.ts';
import type { Planner } from './event-loop.ts';
import { Peer, ScriptedKernel } from './scripted-kernel.fixture.ts';
import { listenOn } from './system-listener.ts';
import { ThreadIo } from './thread-io.ts';

class CountingKernel extends ScriptedKernel {
  accepts = 0;
  /** Nothing more can be opened, until some other descriptor is closed. */
  full = false;

  override accept(fd: number): number {
    this.accepts++;
    return this.full ? -EMFILE : super.accept(fd);
  }

  override close(fd: number): number {
    this.full = false;
    return super.close(fd);
  }
}

function listening(onAcceptFailed: () => void = assert.fail, resets = false) {
  const kernel = new CountingKernel();
  let turn: () => void = assert.fail;
  const planner: Planner = {
    plan: (next) => {
      turn = next;
      return { ref: () => undefined, unref: () => undefined };
    },
    cancel: () => undefined,
    hold: () => undefined,
  };
  const accepted: Accepted[] = [];
  const listener = listenOn(
    new ThreadIo(kernel, planner),
    { address: '192.0.2.2', port: 80 },
    {
      onAccept: (each) => {
        accepted.push(each);
        each.destroy();
      },
      resets,
      onAcceptFailed,
    },
  );
  return { kernel, accepted, listener, turn: () => turn() };
}

test('callers that come one by one cost one call each', () => {
  const { kernel, accepted, turn } = listening();
  for (let i = 0; i < 20; i++) {
    kernel.knock(new Peer());
    turn();
  }
  assert.equal(accepted.length, 20);
  assert.equal(kernel.accepts, 20);
});

test('of many callers at once more and more are taken at a time', () => {
  const { kernel, accepted, turn } = listening();
  for (let i = 0; i < 500; i++) kernel.knock(new Peer());
  let turns = 0;
  while (accepted.length < 500 && turns < 20) {
    turn();
    turns++;
  }
  assert.equal(accepted.length, 500);
  assert(turns <= 5, `${turns} turns`);
  assert(kernel.accepts <= 510);
  kernel.knock(new Peer());
  turn();
  turn();
  const before = kernel.accepts;
  kernel.knock(new Peer());
  turn();
  assert.equal(kernel.accepts, before + 1, 'it is back at one');
});

test('who waits when it closes is taken before, and nobody afterwards', () => {
  const { kernel, accepted, listener, turn } = listening();
  for (let i = 0; i < 5; i++) kernel.knock(new Peer());
  listener.close();
  assert.equal(accepted.length, 5);
  assert.equal(kernel.accepts, 6);
  listener.close();
  turn();
  assert.equal(kernel.accepts, 6);
});

test('who cannot be accepted for want of descriptors gets a reset where an end would mean something', () => {
  for (const resets of [true, false]) {
    let failures = 0;
    const { kernel, accepted, turn } = listening(() => failures++, resets);
    const peers = [new Peer(), new Peer(), new Peer()];
    for (const peer of peers) kernel.knock(peer);
    kernel.full = true;
    turn();
    assert.equal(failures, 1);
    assert.equal(accepted.length, 0);
    const seen = new Set(peers.map(({ ourEnd }) => ourEnd));
    assert.deepEqual([...seen], [resets ? 'reset' : 'closed']);
  }
});
