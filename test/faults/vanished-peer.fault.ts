/**
 * Peers that vanish without FIN or reset, as when a node loses power: the link to them goes down. In a network namespace with another
 * one behind a link.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { DEFAULT_PROXY_SETTINGS } from '../../src/model/settings.ts';
import { openSockets } from '../../src/proxy/net/open-sockets.ts';
import {
  type DialOwner,
  type Socket,
  SOCKET_KINDS,
  type SocketError,
} from '../../src/proxy/net/socket.ts';
import { shareMarks } from '../../src/proxy/net/system/thread-marks.ts';
import { isInside, Link, passInside } from './support/namespace.ts';

const OURS = '10.99.0.1';
const THEIRS = '10.99.0.2';
const PORT = 20_080;
const PEER_TIMEOUT_MS = 4_000;
const UNACKNOWLEDGED_MS = 2_000;
/** The kernel counts in whole seconds, and a machine with other work to do is late. */
const LATE_MS = 20_000;

test('connections to a peer that vanished end, silent ones and those with bytes under way', async (t) => {
  await passInside(t, import.meta.url, 'ip link set lo up', / ended /);
});

/** Told that its address is there, it serves on it; told a port, it dials that. */
const PEER = `
  const net = require('node:net');
  process.stdin.once('data', () => {
    net.createServer((socket) => socket.on('error', () => {}).resume())
      .listen(${PORT}, '${THEIRS}', () => console.log('up'));
    process.stdin.on('data', (port) => net.connect(Number(port), '${OURS}').on('error', () => {}));
  });
`;

class Watched implements DialOwner {
  readonly #name: string;
  readonly #connected = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<{ code: string; atMs: number }>();

  constructor(name: string) {
    this.#name = name;
  }

  get connected(): Promise<void> {
    return this.#connected.promise;
  }

  /** When it ended, by `performance.now`. */
  async ended(): Promise<number> {
    const { code, atMs } = await this.#closed.promise;
    // The kernel has forgotten, too, which machine the address was.
    assert.match(code, /ETIMEDOUT|EHOSTUNREACH/, this.#name);
    return atMs;
  }

  onSpliced(): void {
    assert.fail('nothing is spliced');
  }

  onConnect(): void {
    this.#connected.resolve();
  }

  onData(): void {
    assert.fail('the peer says nothing');
  }

  onEnd(): void {
    assert.fail('the peer does not end');
  }

  onDrain(): void {
    // More is not written.
  }

  onWriteFailed(): void {
    // The close follows.
  }

  onClose(error: SocketError | null): void {
    this.#closed.resolve({ code: error?.code ?? '', atMs: performance.now() });
  }

  onDefect(error: unknown): void {
    throw error;
  }
}

test('inside the namespace', async (t) => {
  if (!isInside()) return t.skip('started by the other test');
  const peer = spawn('unshare', ['-n', process.execPath, '-e', PEER], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => peer.kill('SIGKILL'));
  await once(peer, 'spawn');
  const link = await Link.make(peer, OURS, THEIRS);
  peer.stdin.write('it is there');
  await once(peer.stdout, 'data');
  const waited: { name: string; limitMs: number; watched: Watched; write: (() => void) | null }[] =
    [];
  for (const sockets of SOCKET_KINDS) {
    for (const unacknowledgedTimeoutMs of [0, UNACKNOWLEDGED_MS]) {
      if (unacknowledgedTimeoutMs > 0 && sockets === 'runtime') continue;
      const settings = { ...DEFAULT_PROXY_SETTINGS, sockets, peerTimeoutMs: PEER_TIMEOUT_MS };
      const made = openSockets({ ...settings, unacknowledgedTimeoutMs }, shareMarks()).sockets;
      const name = `${sockets}, ${unacknowledgedTimeoutMs === 0 ? 'silent' : 'with bytes under way'}`;
      const dialled = new Watched(`dialled, ${name}`);
      const accepted = new Watched(`accepted, ${name}`);
      const owners = [dialled, accepted];
      const both: Socket[] = [made.dial({ address: THEIRS, port: PORT }, dialled)];
      const listener = await made.listen(
        { address: OURS, port: 0 },
        {
          onAccept: (each) => {
            both.push(each.adopt(accepted));
            accepted.onConnect();
          },
          onAcceptFailed: assert.fail,
        },
      );
      peer.stdin.write(`${listener.port}`);
      await Promise.all(owners.map(({ connected }) => connected));
      listener.close();
      const limitMs = unacknowledgedTimeoutMs || PEER_TIMEOUT_MS;
      owners.forEach((watched, i) =>
        waited.push({
          name: `${i === 0 ? 'dialled' : 'accepted'}, ${name}`,
          limitMs,
          watched,
          write:
            unacknowledgedTimeoutMs === 0 ? null : () => both[i]?.write(Buffer.from('x'), 0, 1),
        }),
      );
    }
  }
  link.cut(t);
  const sinceMs = performance.now();
  for (const { write } of waited) write?.();
  for (const { name, limitMs, watched } of waited) {
    const tookMs = (await watched.ended()) - sinceMs;
    t.diagnostic(`${name}: ended after ${tookMs.toFixed(0)} ms`);
    // The silence began before the link went down.
    assert(tookMs > limitMs - 1_500 && tookMs < limitMs + LATE_MS, `${name}: ${tookMs} ms`);
  }
});
