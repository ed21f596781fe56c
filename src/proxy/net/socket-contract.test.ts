/** What holds for sockets of both kinds, whoever makes the system calls. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { DEFAULT_PROXY_SETTINGS } from '../../model/settings.ts';
import { openSockets } from './open-sockets.ts';
import { type DialOwner, type Socket, SOCKET_KINDS, type Sockets } from './socket.ts';
import { openKernel } from './system/kernel.ts';
import { AF_INET, putAddress } from './system/socket-address.ts';
import { marksOf, shareMarks } from './system/thread-marks.ts';

const HOST = '127.0.0.1';
const MSG_OOB = 1;
/** What `SystemSockets` has lasts as long as the thread. */
const opened = new Map(
  SOCKET_KINDS.map((sockets) => [
    sockets,
    openSockets({ ...DEFAULT_PROXY_SETTINGS, sockets, peerTimeoutMs: 400_000 }, shareMarks())
      .sockets,
  ]),
);

function contract(name: string, run: (sockets: Sockets, t: TestContext) => Promise<void>): void {
  for (const kind of SOCKET_KINDS)
    test(`${kind}: ${name}`, (t) => run(opened.get(kind) as Sockets, t));
}

/** One end of a connection. */
class End implements DialOwner {
  readonly told: string[] = [];
  #wanted = '';
  #times = 1;
  #resolve = (): void => undefined;

  onConnect(): void {
    this.#tell('connect');
  }

  onData(_data: Buffer, length: number): void {
    this.#tell(`data ${length}`);
  }

  onSpliced(bytes: number): void {
    this.#tell(`spliced ${bytes}`);
  }

  onEnd(): void {
    this.#tell('end');
  }

  onDrain(): void {
    this.#tell('drain');
  }

  onWriteFailed(): void {
    this.#tell('write failed');
  }

  onClose(error: { readonly code?: string } | null): void {
    this.#tell(`close ${error?.code ?? ''}`);
  }

  onDefect(error: unknown): void {
    throw error;
  }

  /** Resolves when it was told something that begins so, as often as that. */
  until(wanted: string, times = 1): Promise<void> {
    if (this.#count(wanted) >= times) return Promise.resolve();
    this.#wanted = wanted;
    this.#times = times;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#resolve = resolve;
    return promise;
  }

  #tell(what: string): void {
    this.told.push(what);
    if (this.#wanted !== '' && this.#count(this.#wanted) >= this.#times) this.#resolve();
  }

  #count(wanted: string): number {
    return this.told.filter((each) => each.startsWith(wanted)).length;
  }
}

interface Pair {
  readonly caller: Socket;
  readonly callerEnd: End;
  readonly accepted: Socket;
  readonly acceptedEnd: End;
}

/** A connection of a thread with itself. */
async function pair(sockets: Sockets, t: TestContext): Promise<Pair> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const acceptedEnd = new End();
  const listener = await sockets.listen(
    { address: HOST, port: 0 },
    { onAccept: (accepted) => resolve(accepted.adopt(acceptedEnd)), onAcceptFailed: assert.fail },
  );
  const callerEnd = new End();
  const caller = sockets.dial({ address: HOST, port: listener.port }, callerEnd);
  const [accepted] = await Promise.all([promise, callerEnd.until('connect')]);
  t.after(() => {
    caller.destroy();
    accepted.destroy();
    listener.close();
  });
  return { caller, callerEnd, accepted, acceptedEnd };
}

/** Until the kernel asks the peer of a connection, as it tells itself, in seconds; NaN when it does not. */
function keepAliveSeconds(localPort: number, remotePort: number): number {
  const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0');
  const line = readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .find((each) => each.includes(`0100007F:${hex(localPort)} 0100007F:${hex(remotePort)} 01`));
  // 02 is the timer of keep-alive, in hundredths of a second.
  return Number.parseInt(/ 02:([0-9A-F]{8}) /.exec(line ?? '')?.[1] ?? '', 16) / 100;
}

contract(
  'both ends of a connection ask whether the other one is still there',
  async (sockets, t) => {
    const { caller } = await pair(sockets, t);
    const { localPort, remotePort } = caller.ends();
    for (const seconds of [
      keepAliveSeconds(localPort, remotePort),
      keepAliveSeconds(remotePort, localPort),
    ])
      assert(seconds > 150 && seconds <= 200, `${seconds}`);
  },
);

contract('a write that fails is known at once, and told later', async (sockets, t) => {
  const { caller, callerEnd, accepted } = await pair(sockets, t);
  assert.equal(caller.writeFailed, false);
  accepted.reset();
  const during = callerEnd.told.length;
  caller.write(Buffer.from('lost'), 0, 4);
  assert.equal(caller.writeFailed, true);
  assert.equal(caller.write(Buffer.from('lost'), 0, 4), false, 'nothing is asked for any more');
  assert.equal(callerEnd.told.length, during, 'nothing is told from within a call of the owner');
  await callerEnd.until('close');
  assert.deepEqual(
    callerEnd.told.map((each) => each.replace(/EPIPE|ECONNRESET/, 'of the peer')),
    ['connect', 'write failed', 'close of the peer'],
  );
});

contract(
  'what the peer had sent before its reset still comes behind a write that failed',
  async (sockets, t) => {
    const { caller, callerEnd, accepted } = await pair(sockets, t);
    accepted.write(Buffer.from('the answer'), 0, 10);
    accepted.reset();
    caller.write(Buffer.from('lost'), 0, 4);
    await callerEnd.until('close');
    assert.deepEqual(callerEnd.told.slice(0, 3), ['connect', 'write failed', 'data 10']);
  },
);

contract('what stands behind urgent data is read as well, at once', async (sockets, t) => {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const end = new End();
  const listener = await sockets.listen(
    { address: HOST, port: 0 },
    {
      onAccept: (accepted) => resolve(accepted.adopt(end)),
      onAcceptFailed: assert.fail,
    },
  );
  const far = openKernel(marksOf(shareMarks()));
  const fd = far.socket(AF_INET);
  t.after(() => {
    far.close(fd);
    listener.close();
  });
  far.connect(fd, putAddress(far.memory, HOST, listener.port));
  const socket = await promise;
  t.after(() => socket.destroy());
  const { functions } = process.getBuiltinModule('node:ffi').dlopen(null, {
    send: { arguments: ['int32', 'buffer', 'uint64', 'int32'], return: 'int64' },
  });
  // All of it is there before anybody reads.
  for (const [text, flags] of [
    ['before', 0],
    ['!', MSG_OOB],
    ['behind', 0],
  ] as const)
    functions.send(fd, Buffer.from(text), BigInt(text.length), flags);
  await end.until('data 6', 2);
  assert.deepEqual(end.told, ['data 6', 'data 6']);
});
