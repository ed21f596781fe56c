import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { Defect } from '../copy-whole.ts';
import { Echo, Near } from '../datagram.fixture.ts';
import { testDatagrams } from './datagram-self-test.ts';
import { EAGAIN } from './errno.ts';
import { openKernel } from './kernel.ts';
import {
  DATAGRAM_CONTROL,
  DATAGRAM_DATA,
  DATAGRAMS_MAX,
  DATAGRAM_STRIDE,
  MESSAGES_MAX,
  REGION_BYTES,
} from './kernel-interface.ts';
import { READ_AT, STAGE_AT } from './region.ts';
import { AF_INET, portIn, putAddress } from './socket-address.ts';
import { spoiling } from './spoiling.fixture.ts';
import type { Between } from './system-calls.ts';
import { SystemSockets } from './system-sockets.ts';
import { ThreadIo } from './thread-io.ts';
import { marksOf, shareMarks } from './thread-marks.ts';

const HOST = '127.0.0.1';
const { EBADF, ECONNREFUSED, ENOENT, ENOSYS, ETIMEDOUT } = constants.errno;

test('datagrams pass the self-test on this machine, and nothing stays open', () => {
  const marks = marksOf(shareMarks());
  assert.equal(testDatagrams(openKernel(marks)), '');
  assert.equal(marks.open.indexOf(1), -1);
});

test('where the kernel refuses a call, the self-test says which, and nothing stays open', () => {
  for (const [call, reason] of [
    ['recvmmsg', 'recvmmsg of nothing gave ENOSYS'],
    ['sendmmsg', 'sendmmsg gave ENOSYS'],
    ['setsockopt', 'SO_REUSEPORT failed with ENOSYS'],
    ['getsockopt', 'SO_MEMINFO failed with ENOSYS'],
  ] as const) {
    const marks = marksOf(shareMarks());
    const refusing = openKernel(marks, (calls, word) => ({
      ...calls,
      [call]: () => {
        word[0] = ENOSYS;
        return -1;
      },
    }));
    assert.equal(testDatagrams(refusing), reason);
    assert.equal(marks.open.indexOf(1), -1);
  }
});

test('an error number that the runtime wrote over in between is not believed', () => {
  const spoiler = { errno: ENOENT, spoilt: 0 };
  const marks = marksOf(shareMarks());
  const spoilt = openKernel(marks, (calls, errno) => spoiling(calls, errno, spoiler));
  for (const errno of [ENOENT, ETIMEDOUT, EBADF]) {
    spoiler.errno = errno;
    assert.equal(testDatagrams(spoilt), '');
  }
  assert(spoiler.spoilt >= 6);
  // The error that came before is not that of what is sent next, whatever its number.
  const { datagrams, memory } = spoilt;
  const [gone, caller] = [datagrams.socket(AF_INET), datagrams.socket(AF_INET)];
  assert.equal(spoilt.bind(gone, putAddress(memory, HOST, 0)), 0);
  assert.equal(spoilt.localAddress(gone), 0);
  const port = portIn(memory);
  spoilt.close(gone);
  assert.equal(spoilt.connect(caller, putAddress(memory, HOST, port)), 0);
  for (let i = 0; i < 3; i++) assert.equal(datagrams.send(caller, STAGE_AT, 5), 5);
  assert.equal(datagrams.receive(caller, READ_AT, 10), -EAGAIN);
  assert.equal(spoilt.close(caller), 0);
});

test('what does not lie in the region or the table is refused before the call', () => {
  const kernel = openKernel(marksOf(shareMarks()));
  const { datagrams } = kernel;
  const fd = datagrams.socket(AF_INET);
  const sizes = { address: 16, control: 32, data: 100 };
  for (const [message, at, more] of [
    [0, -1, {}],
    [0, REGION_BYTES - DATAGRAM_DATA - 99, {}],
    [0, REGION_BYTES, {}],
    [0, Number.NaN, {}],
    [0, 0, { address: -1 }],
    [0, 0, { control: Number.NaN }],
    [0, 0, { control: REGION_BYTES - DATAGRAM_CONTROL + 1 }],
    [0, 0, { data: REGION_BYTES }],
    [0, 0, { data: -1 }],
    [0, 0, { data: Infinity }],
    [-1, 0, {}],
    [0.5, 0, {}],
    [MESSAGES_MAX, 0, {}],
    [Number.NaN, 0, {}],
  ] as const)
    assert.throws(() => datagrams.put(message, at, { ...sizes, ...more }), Defect, `${at}`);
  for (const [first, count] of [
    [0, MESSAGES_MAX + 1],
    [MESSAGES_MAX, 1],
    [-1, 1],
    [0.5, 1],
    [0, -1],
    [Number.NaN, 1],
    [0, Number.NaN],
    [0, 2 ** 32],
  ] as const)
    assert.throws(() => datagrams.sendMany(fd, first, count), Defect, `${first} ${count}`);
  for (const at of [-1, REGION_BYTES - DATAGRAMS_MAX * DATAGRAM_STRIDE + 1, Number.NaN])
    assert.throws(() => datagrams.receiveAt(at), Defect);
  kernel.close(fd);
  for (const foreign of [fd, 0, -1, Number.NaN]) {
    assert.throws(() => datagrams.receiveMany(foreign), Defect);
    assert.throws(() => datagrams.receiveErrors(foreign), Defect);
    assert.throws(() => datagrams.sendMany(foreign, 0, 1), Defect);
    assert.throws(() => datagrams.receive(foreign, READ_AT, 1), Defect);
    assert.throws(() => datagrams.send(foreign, STAGE_AT, 1), Defect);
    assert.throws(() => datagrams.overflowed(foreign), Defect);
  }
});

/** Sockets whose calls the test counts, or lets fail. */
function socketsOver(between: Between): SystemSockets {
  return new SystemSockets(new ThreadIo(openKernel(marksOf(shareMarks()), between)));
}

test('many datagrams come by one call, and the answers of a turn leave by one', async (t) => {
  const made = { recvmmsg: 0, sendmmsg: 0 };
  const sockets = socketsOver((calls) => ({
    ...calls,
    recvmmsg: (...args) => {
      made.recvmmsg++;
      return calls.recvmmsg(...args);
    },
    sendmmsg: (...args) => {
      made.sendmmsg++;
      return calls.sendmmsg(...args);
    },
  }));
  const echo = new Echo();
  const listener = await sockets.listenDatagrams({ address: HOST, port: 0 }, echo);
  echo.listener = listener;
  const near = new Near();
  const socket = sockets.dialDatagrams({ address: HOST, port: listener.port }, near);
  t.after(() => {
    listener.close();
    socket.close();
  });
  for (let i = 0; i < 30; i++) socket.send(Buffer.from('x'), 0, 1);
  await near.until('datagram', 30);
  assert.deepEqual(made, { recvmmsg: 1, sendmmsg: 1 });
});

test('an answer that the kernel refuses is counted, and the others leave', async (t) => {
  const refused = [ENOENT, EAGAIN, ECONNREFUSED];
  let refusals = 0;
  const sockets = socketsOver((calls, errno) => ({
    ...calls,
    sendmmsg: (...args) => {
      // Each is asked for twice, but for the one that says that there is no room.
      if (refusals >= 5) return calls.sendmmsg(...args);
      errno[0] = refused[refusals < 2 ? 0 : refusals === 2 ? 1 : 2] as number;
      refusals++;
      return -1;
    },
  }));
  const echo = new Echo();
  const listener = await sockets.listenDatagrams({ address: HOST, port: 0 }, echo);
  echo.listener = listener;
  const near = new Near();
  const socket = sockets.dialDatagrams({ address: HOST, port: listener.port }, near);
  t.after(() => {
    listener.close();
    socket.close();
  });
  for (let i = 0; i < 10; i++) socket.send(Buffer.from('x'.repeat(i)), 0, i);
  await near.until('datagram', 7);
  assert.deepEqual(
    near.got.map(({ length }) => length),
    [3, 4, 5, 6, 7, 8, 9],
  );
  assert.equal(listener.unsent, 3);
  // That there is no room is no error.
  await echo.until('error', 2);
  assert.deepEqual(echo.told.slice(10), ['error ENOENT', 'error ECONNREFUSED']);
});

test('a socket whose error is never found asks the kernel to keep none', async (t) => {
  const options: number[] = [];
  const sockets = socketsOver((calls, errno) => ({
    ...calls,
    recvmmsg: () => {
      errno[0] = ENOSYS;
      return -1;
    },
    getsockopt: () => {
      errno[0] = ENOSYS;
      return -1;
    },
    setsockopt: (...args) => {
      options.push(args[2] ?? 0);
      return calls.setsockopt(...args);
    },
  }));
  const near = new Near();
  const gone = await sockets.listenDatagrams({ address: HOST, port: 0 }, new Echo());
  const socket = sockets.dialDatagrams({ address: HOST, port: gone.port }, near);
  t.after(() => socket.close());
  gone.close();
  const before = options.length;
  socket.send(Buffer.from('x'), 0, 1);
  const { looks } = sockets.io.loop;
  while (options.length === before) {
    assert(sockets.io.loop.looks - looks < 50);
    // oxlint-disable-next-line no-await-in-loop -- until it is asked
    await new Promise((turn) => setImmediate(turn));
  }
  assert.deepEqual(near.told, []);
});

test('datagrams have their memory when everything else of the thread has filled the rest', async (t) => {
  const sockets = socketsOver((calls) => calls);
  const { region } = sockets.io;
  while (region.offsetOf(sockets.allocate(1_048_576)) >= 0);
  while (region.offsetOf(region.takeSlab()) >= 0);
  const echo = new Echo();
  const listener = await sockets.listenDatagrams({ address: HOST, port: 0 }, echo);
  echo.listener = listener;
  const near = new Near();
  const socket = sockets.dialDatagrams({ address: HOST, port: listener.port }, near);
  t.after(() => {
    listener.close();
    socket.close();
  });
  socket.send(Buffer.from('x'), 0, 1);
  await near.until('datagram 1');
});
