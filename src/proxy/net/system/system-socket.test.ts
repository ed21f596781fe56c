import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { isLocalCause } from '../local-cause.ts';
import { type DialOwner, READ_BYTES } from '../socket.ts';
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from './kernel-interface.ts';
import { type Peer, ScriptedKernel } from './scripted-kernel.fixture.ts';
import { SystemSocket } from './system-socket.ts';
import type { Planner } from './event-loop.ts';
import { ThreadIo } from './thread-io.ts';

const BUSY = 40;

test('what is written behind a write that failed is counted, as what waits is: its writer learns of it later', () => {
  const { kernel, socket, told, turn } = standing();
  kernel.faults.push({ call: 'send', errno: constants.errno.ECONNRESET });
  assert.equal(socket.write(Buffer.alloc(100), 0, 100), false);
  assert.equal(socket.write(Buffer.alloc(50), 0, 50), false);
  assert.equal(socket.bytesWritten, 150);
  assert.equal(socket.writableLength, 0);
  assert.deepEqual(told, ['connect']);
  turn();
  assert.deepEqual(told, ['connect', 'write failed', 'close ECONNRESET']);
});

test('a connection that hung up is not waited for, whatever error number a call leaves', () => {
  const { kernel, peer, socket, told, turn } = standing();
  peer.isReset = true;
  kernel.faults.push({ call: 'receive', errno: constants.errno.EAGAIN });
  kernel.tell(peer, EPOLLIN | EPOLLERR | EPOLLHUP);
  turn();
  turn();
  assert.equal(socket.destroyed, true);
  assert.deepEqual(told, ['connect', 'close ECONNRESET']);
});

test('a splice that found no memory is tried again, and that one body is copied so far', () => {
  const { kernel, peer, io, told, turn } = splicing();
  io.pipes.worthBytes = 1;
  kernel.faults.push({ call: 'spliceIn', errno: constants.errno.ENOMEM });
  for (const bytes of [[1, 2, 3], [4]]) {
    peer.inbound.push(...bytes);
    kernel.tell(peer, EPOLLIN);
    turn();
  }
  assert.deepEqual(told, ['connect', 'data', 'spliced 1']);
});

test('a reset that a splice was told of in place of "wait" is no end', () => {
  const { kernel, peer, told, turn } = splicing();
  peer.isReset = true;
  // The call that fails takes the error with it.
  peer.reset = true;
  kernel.tell(peer, EPOLLIN | EPOLLERR | EPOLLHUP);
  kernel.spliceIn = () => {
    peer.reset = false;
    return -constants.errno.EAGAIN;
  };
  turn();
  turn();
  assert.deepEqual(told, ['connect', 'close ECONNRESET']);
});

test('a dial that the kernel has no place to watch fails for want of something here, not of its peer', () => {
  const { kernel, io, turn } = standing();
  kernel.control = () => -constants.errno.ENOSPC;
  const told: string[] = [];
  const causes: boolean[] = [];
  SystemSocket.dial(
    io,
    { address: '192.0.2.3', port: 80 },
    { ...noting(told), onClose: (error) => void causes.push(isLocalCause(error)) },
  );
  turn();
  assert.deepEqual([told, causes], [[], [true]]);
});

test('where many have much to read, each reads little before others have their turn', () => {
  const { kernel, io, turn } = standing();
  for (let i = 0; i < BUSY; i++)
    SystemSocket.dial(io, { address: '192.0.2.3', port: 80 }, noting([]));
  for (const peer of kernel.dialled) {
    peer.standing = 'open';
    kernel.tell(peer, EPOLLOUT);
  }
  turn();
  let reads = 0;
  const perLook: number[] = [];
  const { length } = kernel.dialled;
  kernel.receive = () => {
    reads++;
    return READ_BYTES;
  };
  const wait = kernel.wait.bind(kernel);
  kernel.wait = () => {
    perLook.push(reads);
    reads = 0;
    // More has come for everybody.
    for (const peer of kernel.dialled) kernel.tell(peer, EPOLLIN);
    return wait();
  };
  for (let i = 0; i < 5; i++) turn();
  assert(perLook.length > 10);
  // A few go on while nobody waits yet; and what waits when the runtime has its turn reads before and after.
  assert(Math.max(...perLook.slice(2)) <= 3 * length, `${perLook.join()} reads of ${length}`);
});

/** A connection that was dialled and stands; `turn` is the next one of its event loop. */
function standing() {
  const kernel = new ScriptedKernel();
  let turn: () => void = assert.fail;
  const io = new ThreadIo(
    kernel,
    planned((next) => (turn = next)),
  );
  const told: string[] = [];
  const socket = SystemSocket.dial(io, { address: '192.0.2.3', port: 80 }, noting(told));
  const [peer] = kernel.dialled;
  assert(peer !== undefined);
  peer.standing = 'open';
  kernel.tell(peer, EPOLLOUT);
  turn();
  return { kernel, peer, io, socket, told, turn: () => turn() };
}

/** One of which a long body goes on to another. */
function splicing() {
  const made = standing();
  const { kernel, io, socket, turn } = made;
  const sink = SystemSocket.dial(io, { address: '192.0.2.3', port: 80 }, noting([]));
  const other = kernel.dialled[1] as Peer;
  other.standing = 'open';
  kernel.tell(other, EPOLLOUT);
  turn();
  socket.spliceTo(sink, 100_000);
  return made;
}

function planned(plan: (turn: () => void) => void): Planner {
  return {
    plan: (next) => {
      plan(next);
      return { ref: () => undefined, unref: () => undefined };
    },
    cancel: () => undefined,
    hold: () => undefined,
  };
}

function noting(told: string[]): DialOwner {
  return {
    onConnect: () => told.push('connect'),
    onData: () => told.push('data'),
    onSpliced: (bytes) => told.push(`spliced ${bytes}`),
    onEnd: () => told.push('end'),
    onDrain: () => told.push('drain'),
    onWriteFailed: () => told.push('write failed'),
    onClose: (error) => told.push(`close ${error?.code ?? ''}`),
    onDefect: (error) => {
      throw error;
    },
  };
}
