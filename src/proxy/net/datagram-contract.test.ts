/** What holds for datagrams of both kinds of sockets, whoever makes the system calls. */

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { DEFAULT_PROXY_SETTINGS } from '../../model/settings.ts';
import { Echo, Near } from './datagram.fixture.ts';
import { DATAGRAM_BYTES_MAX, isOfDatagram, NOT_OPEN } from './datagram.ts';
import { openSockets } from './open-sockets.ts';
import { SOCKET_KINDS, type Sockets } from './socket.ts';
import { shareMarks } from './system/thread-marks.ts';

const HOST = '127.0.0.1';
/** Where nobody may send to without asking for it: a socket for it cannot be opened. */
const BROADCAST = '255.255.255.255';
const SIZES = [0, 1, 1_472, 1_473, DATAGRAM_BYTES_MAX];
/** What `SystemSockets` has lasts as long as the thread. */
const opened = new Map(
  SOCKET_KINDS.map((sockets) => {
    const { runtimeDatagrams, ...made } = openSockets(
      { ...DEFAULT_PROXY_SETTINGS, sockets },
      shareMarks(),
    );
    assert.equal(runtimeDatagrams, '');
    return [sockets, made.sockets];
  }),
);

function contract(name: string, run: (sockets: Sockets, t: TestContext) => Promise<void>): void {
  for (const kind of SOCKET_KINDS)
    test(`${kind}: ${name}`, (t) => run(opened.get(kind) as Sockets, t));
}

async function echo(
  sockets: Sockets,
  t: TestContext,
  at = { address: HOST, port: 0 },
): Promise<{ readonly echo: Echo; readonly port: number }> {
  const owner = new Echo();
  const listener = await sockets.listenDatagrams(at, owner);
  owner.listener = listener;
  t.after(() => listener.close());
  return { echo: owner, port: listener.port };
}

function pattern(length: number, seed: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 0xff));
}

contract(
  'a datagram of any size comes as one, in both directions, from and to memory of any kind',
  async (sockets, t) => {
    const { echo: far, port } = await echo(sockets, t);
    const near = new Near();
    const socket = sockets.dialDatagrams({ address: HOST, port }, near);
    t.after(() => socket.close());
    for (const [i, size] of SIZES.entries()) {
      const sent = pattern(size, i);
      const memory = i % 2 === 0 ? sent : sockets.allocate(size + 10);
      if (memory !== sent) sent.copy(memory, 10);
      const start = memory === sent ? 0 : 10;
      assert.equal(socket.send(memory, start, start + size), null);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await near.until('datagram', i + 1);
    }
    assert.deepEqual(
      far.told,
      SIZES.map((size) => `datagram ${size}`),
    );
    for (const [i, size] of SIZES.entries())
      assert(near.got[i]?.equals(pattern(size, i)), `${size} bytes`);
  },
);

contract('datagrams that come together stay apart', async (sockets, t) => {
  const { port } = await echo(sockets, t);
  const near = new Near();
  const socket = sockets.dialDatagrams({ address: HOST, port }, near);
  t.after(() => socket.close());
  const sizes = Array.from({ length: 100 }, (_, i) => (i * 7) % 50);
  for (const [i, size] of sizes.entries()) socket.send(pattern(size, i), 0, size);
  await near.until('datagram', sizes.length);
  assert.deepEqual(
    near.got.map((data) => data.length),
    sizes,
  );
  for (const [i, size] of sizes.entries()) assert(near.got[i]?.equals(pattern(size, i)), `${i}`);
});

contract('each of many callers gets its own answer, and is told apart', async (sockets, t) => {
  const { echo: far, port } = await echo(sockets, t);
  const callers = Array.from({ length: 300 }, () => {
    const near = new Near();
    const socket = sockets.dialDatagrams({ address: HOST, port }, near);
    t.after(() => socket.close());
    return { near, socket };
  });
  await Promise.all(
    callers.map(({ near, socket }, i) => {
      socket.send(pattern(20, i), 0, 20);
      return near.until('datagram');
    }),
  );
  for (const [i, { near }] of callers.entries())
    assert(near.got.length === 1 && near.got[0]?.equals(pattern(20, i)), `${i}`);
  const ports = new Set(far.peers.map((peer) => peer.port));
  assert.deepEqual(ports, new Set(callers.map(({ socket }) => socket.ends().localPort)));
  assert(far.peers.every((peer) => peer.address === HOST && peer.localAddress === HOST));
});

contract('both families are served', async (sockets, t) => {
  const { echo: far, port } = await echo(sockets, t, { address: '::1', port: 0 });
  const near = new Near();
  const socket = sockets.dialDatagrams({ address: '::1', port }, near);
  t.after(() => socket.close());
  socket.send(Buffer.from('six'), 0, 3);
  await near.until('datagram 3');
  const [peer] = far.peers;
  assert.deepEqual(
    [peer?.address, peer?.localAddress, peer?.port],
    ['::1', '::1', socket.ends().localPort],
  );
  assert.equal(socket.ends().remoteAddress, '::1');
});

contract('a wildcard address answers from where the caller had sent to', async (sockets, t) => {
  const { echo: far, port } = await echo(sockets, t, { address: '', port: 0 });
  // Sockets that are connected take answers from that address alone.
  const all = [HOST, '::1', ...(sockets.kind === 'system' ? ['127.0.0.2', '127.1.2.3'] : [])];
  for (const address of all) {
    const near = new Near();
    const socket = sockets.dialDatagrams({ address, port }, near);
    t.after(() => socket.close());
    socket.send(Buffer.from('where'), 0, 5);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await near.until('datagram 5');
  }
  assert.deepEqual(
    far.peers.map((peer) => peer.localAddress),
    all,
  );
  assert.deepEqual(
    far.peers.map((peer) => peer.address),
    [HOST, '::1', HOST, HOST].slice(0, all.length),
  );
});

contract('who listens nowhere is told of, and what is sent next is sent', async (sockets, t) => {
  const { port } = await echo(sockets, t);
  const near = new Near();
  const owner = new Echo();
  const first = await sockets.listenDatagrams({ address: HOST, port: 0 }, owner);
  const socket = sockets.dialDatagrams({ address: HOST, port: first.port }, near);
  t.after(() => socket.close());
  first.close();
  assert.equal(socket.send(Buffer.from('lost'), 0, 4), null);
  assert.deepEqual(near.told, [], 'nothing is told from within a call');
  await near.until('error ECONNREFUSED');
  // The kernel holds an error now when the next one is sent.
  socket.send(Buffer.from('lost'), 0, 4);
  owner.listener = await sockets.listenDatagrams({ address: HOST, port: first.port }, owner);
  t.after(() => owner.listener?.close());
  assert.equal(socket.send(Buffer.from('found'), 0, 5), null);
  await near.until('datagram 5');
  assert.equal(socket.unsent, 0);
  assert(near.told.every((told) => told === 'error ECONNREFUSED' || told === 'datagram 5'));
  assert.notEqual(port, first.port);
});

contract('a socket that cannot be opened says so later, and nothing else', async (sockets) => {
  const near = new Near();
  const socket = sockets.dialDatagrams({ address: BROADCAST, port: 9 }, near);
  assert.deepEqual(near.told, []);
  assert.equal(socket.send(Buffer.from('x'), 0, 1), NOT_OPEN);
  assert.equal(socket.ends().localPort, 0);
  await near.until('failed EACCES');
  socket.close();
  assert.deepEqual(near.told, ['failed EACCES']);
});

contract('a datagram that is too long for any is dropped and told', async (sockets, t) => {
  const { echo: far, port } = await echo(sockets, t);
  const near = new Near();
  const socket = sockets.dialDatagrams({ address: HOST, port }, near);
  t.after(() => socket.close());
  const long = Buffer.alloc(70_000);
  assert.deepEqual(socket.send(long, 0, 70_000), { code: 'EMSGSIZE' });
  assert(isOfDatagram({ code: 'EMSGSIZE' }) && !isOfDatagram({ code: 'ECONNREFUSED' }));
  assert.equal(socket.unsent, 1);
  socket.send(long, 0, 1);
  await near.until('datagram 1');
  assert.deepEqual(near.told, ['datagram 1'], 'told once');
  far.listener?.send((far.peers[0] ?? assert.fail()).keep(), long, 0, DATAGRAM_BYTES_MAX + 1);
  await far.until('error EMSGSIZE');
  assert.equal(far.listener?.unsent, 1);
});

contract('after a close nothing is told, also when it is in a call', async (sockets, t) => {
  const callers = Array.from({ length: 20 }, () => createSocket('udp4'));
  t.after(() => callers.forEach((caller) => caller.close()));
  let told = 0;
  const listener = await sockets.listenDatagrams(
    { address: HOST, port: 0 },
    {
      onDatagram: (data, length, peer) => {
        told++;
        listener.send(peer, data, 0, length);
        listener.close();
        listener.send(peer, data, 0, length);
      },
      onError: () => assert.fail(),
      onDefect: assert.fail,
    },
  );
  const answered = Promise.race(callers.map((caller) => once(caller, 'message')));
  for (const caller of callers) caller.send('x', listener.port, HOST);
  // What was given to `send` before the close has left.
  await answered;
  const { port, echo: far } = await echo(sockets, t);
  let got = 0;
  const near = Object.assign(new Near(), {
    onDatagram: () => {
      // Many are there; by then several are read at a time.
      if (++got === 15) socket.close();
    },
  });
  const socket = sockets.dialDatagrams({ address: HOST, port }, near);
  for (let i = 0; i < 60; i++) socket.send(Buffer.from('x'), 0, 1);
  await far.until('datagram', 60);
  const other = new Near();
  const last = sockets.dialDatagrams({ address: HOST, port }, other);
  t.after(() => last.close());
  last.send(Buffer.from('x'), 0, 1);
  await other.until('datagram');
  assert.deepEqual([told, got], [1, 15]);
  assert.equal(socket.send(Buffer.from('x'), 0, 1), NOT_OPEN);
});

contract('an owner that throws is told so, and the others notice nothing', async (sockets, t) => {
  const defects: unknown[] = [];
  let got = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const listener = await sockets.listenDatagrams(
    { address: HOST, port: 0 },
    {
      onDatagram: () => {
        if (++got === 3) resolve();
        throw new Error('oops');
      },
      onError: () => assert.fail(),
      onDefect: (error) => {
        defects.push(error);
        throw error;
      },
    },
  );
  const socket = sockets.dialDatagrams({ address: HOST, port: listener.port }, new Near());
  t.after(() => {
    socket.close();
    listener.close();
  });
  for (let i = 0; i < 3; i++) socket.send(Buffer.from('x'), 0, 1);
  await promise;
  await new Promise((turn) => setImmediate(turn));
  assert.equal(defects.length, 3);
});

contract('listeners share a port, and each caller stays with one of them', async (sockets, t) => {
  const first = await echo(sockets, t);
  const second = await echo(sockets, t, { address: HOST, port: first.port });
  assert.equal(second.port, first.port);
  for (let i = 0; i < 40; i++) {
    const near = new Near();
    const socket = sockets.dialDatagrams({ address: HOST, port: first.port }, near);
    t.after(() => socket.close());
    for (let j = 0; j < 3; j++) socket.send(Buffer.from('x'), 0, 1);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await near.until('datagram', 3);
  }
  const ports = [first, second].map(({ echo: far }) => new Set(far.peers.map(({ port }) => port)));
  assert.equal((ports[0]?.size ?? 0) + (ports[1]?.size ?? 0), 40);
  assert(ports.every((set) => set.size > 0));
});

contract('a port that another program has is told of', async (sockets) => {
  const other = createSocket('udp4');
  other.bind(0, HOST);
  await once(other, 'listening');
  const { port } = other.address();
  const listening = sockets.listenDatagrams({ address: HOST, port }, new Echo());
  await assert.rejects(listening, { code: 'EADDRINUSE' });
  other.close();
});

contract('of a storm, each datagram that the kernel kept is answered once', async (sockets, t) => {
  const { echo: far, port } = await echo(sockets, t);
  const callers = Array.from({ length: 50 }, () => {
    const near = new Near();
    const socket = sockets.dialDatagrams({ address: HOST, port }, near);
    t.after(() => socket.close());
    return { near, socket };
  });
  const data = Buffer.alloc(8);
  let sent = 0;
  for (let round = 0; round < 40; round++) {
    for (const { socket } of callers)
      for (let i = 0; i < 10; i++) {
        data.writeUInt32LE(sent++);
        socket.send(data, 0, 8);
      }
    // oxlint-disable-next-line no-await-in-loop -- a turn in between
    await new Promise((turn) => setImmediate(turn));
  }
  // What has come behind all others of its socket says that these are over.
  let last = 0;
  for (const { near, socket } of callers)
    while (!near.told.includes('datagram 1')) {
      last++;
      socket.send(data, 0, 1);
      // oxlint-disable-next-line no-await-in-loop -- until one came back
      await new Promise((turn) => setImmediate(turn));
    }
  const answers = callers.flatMap(({ near }) => near.got.filter(({ length }) => length === 8));
  assert.equal(new Set(answers.map((each) => each.readUInt32LE())).size, answers.length);
  const read = far.told.filter((told) => told === 'datagram 8').length;
  assert(answers.length <= read && read <= sent);
  assert(answers.length > 1_000, `${answers.length}`);
  if (sockets.kind !== 'system') return;
  const overflowed = far.listener?.overflowed ?? 0;
  const unread = callers.reduce((sum, { socket }) => sum + socket.overflowed, 0);
  t.diagnostic(`${sent} sent, ${read} read, ${overflowed} and ${unread} dropped by the kernel`);
  assert(read + overflowed >= sent && read + overflowed <= sent + last);
  assert(answers.length + unread >= read);
});

test('nothing stays open', async () => {
  // A turn, in which the runtime closes what it has closed.
  await new Promise((turn) => setImmediate(turn));
  const before = readdirSync('/proc/self/fd').length;
  for (const sockets of opened.values()) {
    for (let i = 0; i < 20; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const listener = await sockets.listenDatagrams({ address: '', port: 0 }, new Echo());
      const { port } = listener;
      const near = new Near();
      const socket = sockets.dialDatagrams({ address: HOST, port }, near);
      sockets.dialDatagrams({ address: BROADCAST, port }, near);
      socket.send(Buffer.from('x'), 0, 1);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await near.until('failed');
      listener.close();
      socket.close();
    }
  }
  await new Promise((turn) => setTimeout(turn, 0));
  await new Promise((turn) => setImmediate(turn));
  assert.equal(readdirSync('/proc/self/fd').length, before);
});
