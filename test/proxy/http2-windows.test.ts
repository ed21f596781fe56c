/** The windows of HTTP/2: they grow with readers that keep up, and a reader that does not costs no more than its own. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Service } from '../../src/model/service.ts';
import { READ_BYTES } from '../../src/proxy/net/socket.ts';
import {
  GROWN_BYTES_MAX,
  STREAM_WINDOW_BYTES,
  STREAM_WINDOW_BYTES_MAX,
} from '../../src/proxy/http2/windows.ts';
import type { Pair } from '../support/http2.ts';
import { frame, GET_ROOT, headers, Http2Peer, number32, setting } from '../support/http2-peer.ts';
import { freshAddress, GET, TestProxy } from '../support/proxy.ts';
import { heldFor } from '../support/slow-reader.ts';
import { eventually, settled, type Wire } from '../support/wire.ts';

const END_STREAM = 0x1;
const FRAME_BYTES = 16_384;
const INITIAL_WINDOW_SIZE = 4;
const OK_HEAD: readonly Pair[] = [[':status', '200']];
const POST_ROOT: readonly Pair[] = [[':method', 'POST'], ...GET_ROOT.slice(1)];

interface Setting {
  readonly proxy: TestProxy;
  readonly service: Service;
  /** A caller that asked; its content is only counted. */
  readonly ask: () => Promise<Wire>;
  readonly next: () => Promise<Http2Peer>;
}

async function setUp(t: TestContext, settings?: Buffer): Promise<Setting> {
  const endpoint = await Http2Peer.listen(t, freshAddress(), settings);
  const proxy = new TestProxy(t);
  const service = proxy.service({ endpoints: [endpoint], http2: true });
  await proxy.apply([service]);
  const ask = async (): Promise<Wire> => {
    const caller = await proxy.call(service);
    caller.write(GET);
    caller.discard();
    return caller;
  };
  return { proxy, service, ask, next: endpoint.next };
}

/** Sends content on streams as far as their windows, and that of the connection, allow. */
class Sender {
  readonly #peer: Http2Peer;
  #connection = 65_535;
  readonly #windows = new Map<number, number>();
  readonly #sent = new Map<number, number>();
  /** The most that a stream was ever allowed beyond what it had sent. */
  most = 0;

  constructor(peer: Http2Peer, streams: readonly number[], head: readonly Pair[]) {
    this.#peer = peer;
    for (const stream of streams) {
      this.#windows.set(stream, STREAM_WINDOW_BYTES);
      this.#sent.set(stream, 0);
      peer.write(headers(stream, head));
    }
  }

  get total(): number {
    return [...this.#sent.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  #takeUpdates(): void {
    for (const { type, stream, payload } of this.#peer.seen.splice(0)) {
      if (type !== 8) continue;
      const bytes = payload.readUInt32BE(0);
      if (stream === 0) this.#connection += bytes;
      else this.#windows.set(stream, (this.#windows.get(stream) ?? 0) + bytes);
    }
    this.most = Math.max(this.most, ...this.#windows.values());
  }

  /** As much as is allowed, up to so much of each stream in all. */
  send(upTo: number): void {
    this.#takeUpdates();
    for (const [stream, window] of this.#windows) {
      const sent = this.#sent.get(stream) ?? 0;
      const bytes = Math.min(window, this.#connection, upTo - sent);
      for (let left = bytes; left > 0; left -= FRAME_BYTES)
        this.#peer.write(frame(0, 0, stream, Buffer.alloc(Math.min(left, FRAME_BYTES))));
      this.#windows.set(stream, window - bytes);
      this.#connection -= bytes;
      this.#sent.set(stream, sent + bytes);
    }
  }

  /** As much as is ever allowed. */
  sendAll(): Promise<number> {
    return settled(() => {
      this.send(Infinity);
      return this.total;
    }, 40);
  }
}

test('the window of a stream grows while its reader keeps up, to its limit', async (t) => {
  const { ask, next } = await setUp(t);
  const caller = await ask();
  const peer = await next();
  await peer.next(1, 1);
  const sender = new Sender(peer, [1], OK_HEAD);
  const more = 4 * STREAM_WINDOW_BYTES_MAX;
  let upTo = Infinity;
  await eventually(() => {
    sender.send(upTo);
    // Windows double, and what was used of one shows as less.
    if (upTo === Infinity && sender.most > STREAM_WINDOW_BYTES_MAX / 2) upTo = sender.total + more;
    return caller.bytesReceived >= upTo;
  }, 'it has grown, and is used');
  assert(sender.most <= STREAM_WINDOW_BYTES_MAX, `${sender.most} bytes`);
});

test('a reader that takes nothing costs the window that its stream began with', async (t) => {
  const { proxy, service, next } = await setUp(t);
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  const caller = await Http2Peer.connect(t, to);
  caller.write(headers(1, GET_ROOT, END_STREAM));
  const peer = await next();
  await peer.next(1, 1);
  await new Sender(peer, [1], OK_HEAD).sendAll();
  const held = heldFor(proxy, service);
  assert(held > 100_000 && held <= STREAM_WINDOW_BYTES + READ_BYTES, `${held} bytes are held`);
});

test('readers that stop when their windows have grown hold no more than those, and stall nobody', async (t) => {
  const { ask, next, proxy, service } = await setUp(t);
  const count = 20;
  const slow = [await ask()];
  const peer = await next();
  while (slow.length < count) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    slow.push(await ask());
  }
  const last = 2 * count - 1;
  await peer.next(1, last);
  const streams = slow.map((_, i) => 2 * i + 1);
  const sender = new Sender(peer, streams, OK_HEAD);
  const each = 4_000_000;
  await eventually(() => {
    sender.send(each);
    return slow.every(({ bytesReceived }) => bytesReceived >= each);
  }, 'their windows have grown');
  assert(sender.most > STREAM_WINDOW_BYTES);
  for (const { socket } of slow) socket.pause();
  await sender.sendAll();
  const held = heldFor(proxy, service);
  const most = GROWN_BYTES_MAX + count * (STREAM_WINDOW_BYTES + 2 * READ_BYTES);
  assert(held <= most, `${held} bytes are held`);
  const quick = await ask();
  await peer.next(1, last + 2);
  const body = frame(0, END_STREAM, last + 2, Buffer.alloc(10_000));
  peer.write(headers(last + 2, OK_HEAD), body);
  await quick.received(10_000);
});

test('the window of an upload grows likewise, and one that nobody reads costs what it began with', async (t) => {
  const { proxy, service, next } = await setUp(t, setting(INITIAL_WINDOW_SIZE, 1_000_000_000));
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  const caller = await Http2Peer.connect(t, to);
  const sender = new Sender(caller, [1], POST_ROOT);
  const peer = await next();
  await peer.next(1, 1);
  await sender.sendAll();
  const held = heldFor(proxy, service);
  assert(held > 100_000 && held <= STREAM_WINDOW_BYTES + READ_BYTES, `${held} bytes are held`);
  peer.write(frame(8, 0, 0, number32(1_000_000_000)));
  const more = 4 * STREAM_WINDOW_BYTES_MAX;
  let upTo = Infinity;
  await eventually(() => {
    sender.send(upTo);
    peer.seen.length = 0;
    if (upTo === Infinity && sender.most > STREAM_WINDOW_BYTES_MAX / 2) upTo = sender.total + more;
    return sender.total >= upTo;
  }, 'it has grown, and is used');
  assert(sender.most <= STREAM_WINDOW_BYTES_MAX, `${sender.most} bytes`);
});
