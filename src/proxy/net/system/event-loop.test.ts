import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Accepted, Socket, SocketOwner } from '../socket.ts';
import { EventLoop, type Watcher } from './event-loop.ts';
import { openKernel } from './kernel.ts';
import { ScriptedKernel } from './scripted-kernel.fixture.ts';
import { listenOn } from './system-listener.ts';
import { SystemSocket } from './system-socket.ts';
import { ThreadIo } from './thread-io.ts';
import { marksOf, shareMarks } from './thread-marks.ts';

const io = new ThreadIo(openKernel(marksOf(shareMarks())));
/** Far more than a turn takes, on a machine that does other things as well. */
const LATE_MS = 150;
const MANY = 1_000;

/** Sends back what comes. */
class Echo implements SocketOwner {
  readonly #socket: Socket;

  constructor(accepted: Accepted) {
    this.#socket = accepted.adopt(this);
  }

  onData(data: Buffer, length: number): void {
    if (!this.#socket.write(data, 0, length)) this.#socket.pause();
  }

  onSpliced(): void {
    assert.fail('nothing is spliced');
  }

  onEnd(): void {
    this.#socket.end();
  }

  onDrain(): void {
    this.#socket.resume();
  }

  onClose(): void {
    // Nothing to let go of.
  }

  onDefect(error: unknown): void {
    throw error;
  }
}

/** Half of the time: a busy machine stands still now and then. */
function assertMostlyInTime(lateMs: readonly number[]): void {
  const half = lateMs.toSorted((a, b) => a - b)[lateMs.length >> 1] ?? 0;
  assert.ok(half < LATE_MS, `half of the time ${half} ms`);
}

function echo(): { port: number; close(): void } {
  return listenOn(
    io,
    { address: '127.0.0.1', port: 0 },
    { onAccept: (accepted) => void new Echo(accepted), onAcceptFailed: () => assert.fail() },
  );
}

test('while nothing happens the thread sleeps, and timers of the runtime come in time', async () => {
  const listener = echo();
  const before = process.cpuUsage();
  const beganMs = performance.now();
  const lateMs: number[] = [];
  for (let i = 0; i < 11; i++) {
    const startMs = performance.now();
    // oxlint-disable-next-line no-await-in-loop -- one after the other on purpose
    await sleep(50);
    lateMs.push(performance.now() - startMs - 50);
  }
  const { user, system } = process.cpuUsage(before);
  const tookMs = performance.now() - beganMs;
  assertMostlyInTime(lateMs);
  assert.ok(user + system < 500 * tookMs, `${user + system} µs of ${tookMs} ms`);
  listener.close();
});

test('messages of other threads and connections of the runtime go on beside', async () => {
  const listener = echo();
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads'); parentPort.on('message', (m) => parentPort.postMessage(m))`,
    { eval: true },
  );
  const lateMs: number[] = [];
  for (let i = 0; i < 20; i++) {
    const startMs = performance.now();
    worker.postMessage(i);
    // oxlint-disable-next-line no-await-in-loop -- one after the other on purpose
    assert.deepEqual(await once(worker, 'message'), [i]);
    const socket = net.connect(listener.port, '127.0.0.1');
    socket.write(`number ${i}`);
    // oxlint-disable-next-line no-await-in-loop -- as above
    const [data] = (await once(socket, 'data')) as [Buffer];
    assert.equal(data.toString(), `number ${i}`);
    socket.end();
    // oxlint-disable-next-line no-await-in-loop -- as above
    await once(socket, 'close');
    lateMs.push(performance.now() - startMs);
  }
  await worker.terminate();
  listener.close();
  assertMostlyInTime(lateMs);
});

test('one connection that never stops keeps neither timers nor others waiting', async () => {
  const listener = echo();
  const busy = net.connect(listener.port, '127.0.0.1');
  busy.on('error', () => undefined);
  busy.resume();
  const piece = Buffer.alloc(65_536);
  let isOver = false;
  const pour = (): void => {
    if (!isOver) busy.write(piece, pour);
  };
  for (let i = 0; i < 4; i++) pour();
  const lateMs: number[] = [];
  for (let i = 0; i < 20; i++) {
    const startMs = performance.now();
    const other = net.connect(listener.port, '127.0.0.1');
    other.write('x');
    // oxlint-disable-next-line no-await-in-loop -- one after the other on purpose
    await once(other, 'data');
    other.destroy();
    // oxlint-disable-next-line no-await-in-loop -- as above
    await sleep(5);
    lateMs.push(performance.now() - startMs);
  }
  isOver = true;
  busy.destroy();
  listener.close();
  assertMostlyInTime(lateMs);
});

test('a thread without sockets is kept alive by none, and a dial that fails tells why', async () => {
  const closed = Promise.withResolvers<string>();
  const unused = net.createServer().listen(0, '127.0.0.1');
  await once(unused, 'listening');
  const { port } = unused.address() as net.AddressInfo;
  unused.close();
  await once(unused, 'close');
  SystemSocket.dial(
    io,
    { address: '127.0.0.1', port },
    {
      onConnect: () => assert.fail(),
      onData: () => assert.fail(),
      onSpliced: () => assert.fail(),
      onEnd: () => assert.fail(),
      onDrain: () => assert.fail(),
      onWriteFailed: () => assert.fail(),
      onClose: (error) => closed.resolve(error?.code ?? ''),
      onDefect: (error) => closed.reject(error),
    },
  );
  assert.equal(await closed.promise, 'ECONNREFUSED');
  assert.equal(io.loop.size, 0);
});

test('many that always have something to do keep the runtime from its turn no longer than a few', () => {
  const kernel = new ScriptedKernel();
  let turn: () => void = assert.fail;
  const loop = new EventLoop(kernel, {
    plan: (next) => {
      turn = next;
      return { ref: () => undefined, unref: () => undefined };
    },
    cancel: () => undefined,
    hold: () => undefined,
  });
  // At each look something happens, so that there could always be another one.
  kernel.wait = () => 1;
  kernel.eventGeneration = () => 1;
  let turns = 0;
  for (let i = 0; i < MANY; i++) {
    const watcher: Watcher = {
      descriptor: i,
      generation: 0,
      onEvents: () => assert.fail(),
      onTurn: () => {
        turns++;
        loop.later(watcher);
      },
    };
    loop.later(watcher);
  }
  for (let i = 1; i <= 3; i++) {
    turn();
    assert(turns <= 2 * MANY * i, `${turns} turns for ${MANY} connections`);
  }
});
