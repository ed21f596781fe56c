import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { constants } from 'node:os';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Defect } from '../copy-whole.ts';
import { EAGAIN, ECONNRESET, EINPROGRESS, EPIPE } from './errno.ts';
import { openKernel } from './kernel.ts';
import {
  EPOLL_MOD,
  EPOLLIN,
  type Kernel,
  REGION_BYTES,
  SO_REUSEADDR,
  SOL_SOCKET,
} from './kernel-interface.ts';
import { PIPE_BYTES } from './pipes.ts';
import { READ_AT } from './region.ts';
import { selfTest } from './self-test.ts';
import { AF_INET, portIn, putAddress } from './socket-address.ts';
import { spoiling } from './spoiling.fixture.ts';
import { reclaim } from './system-calls.ts';
import { marksOf, shareMarks } from './thread-marks.ts';

const { EADDRINUSE, ENOENT, ENOTCONN, ETIMEDOUT } = constants.errno;
const CALLS = 200_000;
const kernel = openKernel(marksOf(shareMarks()));

test('the kernel of this machine passes the self-test, and nothing stays open', () => {
  const marks = marksOf(shareMarks());
  assert.equal(selfTest(openKernel(marks)), '');
  assert.equal(marks.open.indexOf(1), -1);
});

test('where the kernel refuses to splice, the self-test says so and asks for nothing else', () => {
  const { EINVAL, EPERM } = constants.errno;
  for (const [call, errno, reason] of [
    ['splice', EINVAL, 'splice of nothing gave EINVAL'],
    ['pipe2', EPERM, 'pipe2 failed with EPERM'],
    ['fcntl', EPERM, 'pipe2 failed with EPERM'],
  ] as const) {
    const marks = marksOf(shareMarks());
    const refusing = openKernel(marks, (calls, word) => ({
      ...calls,
      [call]: () => {
        word[0] = errno;
        return -1;
      },
    }));
    assert.equal(selfTest(refusing), reason);
    assert.equal(marks.open.indexOf(1), -1);
  }
});

test('what does not lie in the region is refused before the call', () => {
  const fd = kernel.socket(AF_INET);
  for (const [at, length] of [
    [-1, 10],
    [0, -1],
    [REGION_BYTES - 10, 11],
    [REGION_BYTES, 1],
    [Number.NaN, 1],
    [0, Number.NaN],
    [0, Infinity],
    [2 ** 31, 2 ** 31],
  ] as const) {
    assert.throws(() => kernel.receive(fd, at, length), Defect, `receive ${at} ${length}`);
    assert.throws(() => kernel.send(fd, at, length), Defect, `send ${at} ${length}`);
  }
  assert.throws(() => kernel.connect(fd, REGION_BYTES + 1), Defect);
  assert.equal(kernel.close(fd), 0);
});

test('a descriptor that was not opened here, or not any more, is refused before the call', () => {
  const [known, fd] = [kernel.socket(AF_INET), kernel.socket(AF_INET)];
  kernel.close(fd);
  for (const foreign of [fd, 0, 1, 2, -1, 1 << 20, Number.NaN]) {
    assert.throws(() => kernel.close(foreign), Defect, `close ${foreign}`);
    assert.throws(() => kernel.receive(foreign, READ_AT, 1), Defect, `receive ${foreign}`);
    assert.throws(() => kernel.send(foreign, READ_AT, 1), Defect, `send ${foreign}`);
    assert.throws(() => kernel.unread(foreign), Defect, `ioctl ${foreign}`);
    assert.throws(() => kernel.spliceIn(foreign, known, 1), Defect, `splice of ${foreign}`);
    assert.throws(() => kernel.spliceIn(known, foreign, 1), Defect, `splice into ${foreign}`);
    assert.throws(() => kernel.spliceOut(foreign, known, 1), Defect, `splice of ${foreign}`);
    assert.throws(() => kernel.spliceOut(known, foreign, 1), Defect, `splice into ${foreign}`);
  }
  kernel.close(known);
});

test('a pipe takes none of the last descriptors, which callers and endpoints need more', () => {
  const { words } = marksOf(shareMarks());
  const few = openKernel({ words, open: new Uint8Array(200) });
  const open: number[] = [];
  let pipes = 0;
  for (; few.pipe(PIPE_BYTES) === 0; pipes++) open.push(few.pipeEnd(0), few.pipeEnd(1));
  assert.equal(few.pipe(PIPE_BYTES), -constants.errno.EMFILE);
  assert(pipes > 0 && Math.max(...open) < 150, `${pipes} pipes`);
  const socket = few.socket(AF_INET);
  assert(socket > 0);
  for (const fd of [...open, socket]) assert.equal(few.close(fd), 0);
});

test('the error of a call is that of the call, whatever is collected and whichever signal comes', async () => {
  const [unconnected, listener] = [kernel.socket(AF_INET), listening(kernel)];
  let signals = 0;
  const count = (): void => void signals++;
  process.on('SIGWINCH', count);
  const signaller = new Worker(
    `setInterval(() => { for (let i = 0; i < 20; i++) process.kill(process.pid, 'SIGWINCH') }, 1)`,
    { eval: true },
  );
  await once(signaller, 'online');
  let garbage: Buffer[] = [];
  const seen = new Map<string, number>();
  for (let i = 0; i < CALLS; i++) {
    const isReceive = i % 3 === 0;
    const result = isReceive ? kernel.receive(unconnected, READ_AT, 100) : kernel.accept(listener);
    const key = `${isReceive ? 'receive' : 'accept'} ${result}`;
    seen.set(key, (seen.get(key) ?? 0) + 1);
    if (i % 50 === 0) garbage.push(Buffer.alloc(2_000));
    if (garbage.length > 500) garbage = [];
    // Handlers of signals run in turns of the event loop; the signal itself comes at any time.
    // oxlint-disable-next-line no-await-in-loop -- a turn now and then
    if (i % 20_000 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await signaller.terminate();
  process.off('SIGWINCH', count);
  assert.ok(signals > 0);
  const receives = Math.ceil(CALLS / 3);
  const expected = { [`receive ${-ENOTCONN}`]: receives, [`accept ${-EAGAIN}`]: CALLS - receives };
  assert.deepEqual(Object.fromEntries(seen), expected);
  kernel.close(unconnected);
  kernel.close(listener);
});

test('an error number that the runtime wrote over in between is not believed', async () => {
  const spoiler = { errno: ENOENT, spoilt: 0 };
  const spoilt = openKernel(marksOf(shareMarks()), (calls, errno) =>
    spoiling(calls, errno, spoiler),
  );
  for (const errno of [ENOENT, ETIMEDOUT, ECONNRESET]) {
    spoiler.errno = errno;
    assert.equal(selfTest(spoilt), '');
  }
  assert.ok(spoiler.spoilt > 6);
  spoiler.errno = ENOENT;
  const listener = listening(spoilt);
  const port = portIn(spoilt.memory);
  const [second, caller] = [spoilt.socket(AF_INET), spoilt.socket(AF_INET)];
  assert.equal(spoilt.bind(second, putAddress(spoilt.memory, '127.0.0.1', port)), -EADDRINUSE);
  assert.equal(spoilt.accept(listener), -EAGAIN);
  const connecting = spoilt.connect(caller, putAddress(spoilt.memory, '127.0.0.1', port));
  assert.ok(connecting === 0 || connecting === -EINPROGRESS, `connect ${connecting}`);
  const accepted = spoilt.accept(listener);
  assert.equal(spoilt.receive(accepted, READ_AT, 10), -EAGAIN);
  assert.equal(spoilt.pipe(PIPE_BYTES), 0);
  const [output, input] = [spoilt.pipeEnd(0), spoilt.pipeEnd(1)];
  assert.equal(spoilt.spliceIn(accepted, input, PIPE_BYTES), -EAGAIN);
  assert.equal(spoilt.send(accepted, READ_AT, 10), 10);
  let sent = 0;
  while (sent >= 0) sent = spoilt.send(caller, READ_AT, 1_000_000);
  assert.equal(sent, -EAGAIN);
  // With bytes unread, a close is a reset.
  spoilt.close(caller);
  let got = -EAGAIN;
  for (let turns = 0; got === -EAGAIN && turns < 1_000; turns++) {
    got = spoilt.receive(accepted, READ_AT, 1_000_000);
    if (got > 0) got = -EAGAIN;
    // oxlint-disable-next-line no-await-in-loop -- until the reset has come
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(got, -ECONNRESET);
  assert.equal(spoilt.receive(accepted, READ_AT, 10), 0);
  assert.equal(spoilt.spliceIn(accepted, input, PIPE_BYTES), 0);
  assert.equal(spoilt.send(accepted, READ_AT, 10), -EPIPE);
  const epoll = spoilt.createEpoll();
  for (const errno of [ETIMEDOUT, EAGAIN]) {
    spoiler.errno = errno;
    assert.equal(spoilt.control(epoll, EPOLL_MOD, accepted, EPOLLIN, 1), -ENOENT);
  }
  spoiler.errno = ENOENT;
  assert.equal(spoilt.close(epoll), 0);
  // A reset that a splice meets: what asks again is told of an end.
  const other = spoilt.socket(AF_INET);
  spoilt.connect(other, putAddress(spoilt.memory, '127.0.0.1', port));
  const cut = spoilt.accept(listener);
  spoilt.setReset(other);
  spoilt.close(other);
  assert.equal(spoilt.spliceIn(cut, input, PIPE_BYTES), -ECONNRESET);
  for (const fd of [listener, second, accepted, cut, output, input])
    assert.equal(spoilt.close(fd), 0);
});

test('what a thread had open when it died is closed by whoever reclaims it', async () => {
  const marks = shareMarks();
  const file = new URL('./abandoned-listener.fixture.ts', import.meta.url);
  const worker = new Worker(file, { workerData: marks });
  const [port] = (await once(worker, 'message')) as [number];
  await worker.terminate();
  // The kernel goes on taking callers whom nobody serves.
  const lost = net.connect(port, '127.0.0.1');
  await once(lost, 'connect');
  const reset = once(lost, 'error');
  reclaim(marks, false);
  await reset;
  await assert.rejects(once(net.connect(port, '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' });
  assert.equal(marksOf(marks).open.indexOf(1), -1);
  reclaim(marks, false);
});

for (const resets of [true, false]) {
  test(`connections of a thread that is gone are ${resets ? 'reset' : 'closed'}`, async () => {
    const marks = shareMarks();
    const file = new URL('./abandoned-listener.fixture.ts', import.meta.url);
    const worker = new Worker(file, { workerData: marks });
    const [port] = (await once(worker, 'message')) as [number];
    const caller = net.connect(port, '127.0.0.1');
    // It is accepted then.
    await once(worker, 'message');
    await worker.terminate();
    const ended = resets ? once(caller, 'error') : once(caller.resume(), 'end');
    reclaim(marks, resets);
    const [error] = (await ended) as [NodeJS.ErrnoException | undefined];
    assert.equal(error?.code, resets ? 'ECONNRESET' : undefined);
  });
}

function listening(kernel: Kernel): number {
  const fd = kernel.socket(AF_INET);
  kernel.setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  assert.equal(kernel.bind(fd, putAddress(kernel.memory, '127.0.0.1', 0)), 0);
  assert.equal(kernel.listen(fd, 1), 0);
  assert.equal(kernel.localAddress(fd), 0);
  assert.ok(portIn(kernel.memory) > 0);
  return fd;
}
