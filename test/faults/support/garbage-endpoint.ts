/** An endpoint of HTTP/2 that answers as no server may: seeded garbage, floods, fields that cannot be read, and sometimes a response. */

import { once } from 'node:events';
import net from 'node:net';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import { below, mutate, oneOf } from '../../fuzz/mutate.ts';
import { frame, headers, number32 } from '../../support/http2-peer.ts';
import type { Recipe } from './garbage.ts';

const END_STREAM = 0x1;
const END_HEADERS = 0x4;
const FLOOD = 400;
const STREAMS = [1, 3, 5, 7, 9];
const OK = headers(1, [[':status', '200']]);

/** What it says of a stream, whichever its number is. */
const SAYINGS: readonly ((stream: number, random: Random) => Buffer)[] = [
  // A good response.
  (stream) => Buffer.concat([headers(stream, [[':status', '200']]), frame(0, END_STREAM, stream)]),
  // A block that refers to what no table has; a name without a value; a table larger than allowed.
  (stream) => frame(1, END_HEADERS, stream, Buffer.from([0xff, 0xff, 0x7f])),
  (stream) => frame(1, END_HEADERS, stream, Buffer.from([0x40, 0x0a, 0x61])),
  (stream) => frame(1, END_HEADERS, stream, Buffer.from('3fffffff0f', 'hex')),
  // Heads that mean nothing.
  (stream) => headers(stream, [[':status', '2OO']], END_STREAM),
  (stream) => headers(stream, [['x', 'y']], END_STREAM),
  (stream) => headers(stream, [[':path', '/']], END_STREAM),
  // Content without a head, and more of it than was said.
  (stream) => frame(0, END_STREAM, stream, Buffer.from('content')),
  (stream) =>
    Buffer.concat([
      headers(stream, [
        [':status', '200'],
        ['content-length', '1'],
      ]),
      frame(0, END_STREAM, stream, Buffer.from('content')),
    ]),
  // Floods.
  (stream) => Buffer.concat(Array.from({ length: FLOOD }, () => frame(3, 0, stream, number32(8)))),
  () => Buffer.concat(Array.from({ length: FLOOD }, () => frame(4, 0, 0))),
  () => Buffer.concat(Array.from({ length: FLOOD }, () => frame(6, 0, 0, Buffer.alloc(8)))),
  (stream) => Buffer.concat(Array.from({ length: FLOOD }, () => frame(9, 0, stream, OK))),
  // It refuses, goes, and gives windows that are too large, or none.
  (stream) => frame(3, 0, stream, number32(7)),
  (stream, random) =>
    frame(7, 0, 0, Buffer.concat([number32(below(random, stream + 1)), number32(0)])),
  (stream) => frame(8, 0, stream, number32(0x7fffffff)),
  () => frame(8, 0, 0, number32(0)),
  // Push, and frames that are too long, or not whole.
  (stream) => frame(5, END_HEADERS, stream, number32(2)),
  () => Buffer.from('ffffff00000000000100', 'hex'),
  () => Buffer.from('000010', 'hex'),
];

export class GarbageEndpoint {
  /** What it has said. */
  said = 0;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #recipe: Recipe;
  #seed: number;

  constructor(seed: number, recipe: Recipe) {
    this.#seed = seed;
    this.#recipe = recipe;
    this.#server = net.createServer({ noDelay: true }, (socket) => this.#serve(socket));
  }

  /** Its port. */
  async listen(address: string): Promise<number> {
    this.#server.listen(0, address);
    await once(this.#server, 'listening');
    return (this.#server.address() as net.AddressInfo).port;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: net.Socket): void {
    const random = seededRandom(this.#seed++);
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    if (random.next() < 0.9) socket.write(frame(4, 0, 0));
    socket.on('data', () => {
      if (!socket.writable) return;
      this.said++;
      const { seeds, dictionary } = this.#recipe;
      const isMutated = random.next() < 0.3;
      socket.write(
        isMutated
          ? mutate(random, seeds, dictionary)
          : oneOf(random, SAYINGS)(oneOf(random, STREAMS), random),
      );
      const way = below(random, 12);
      if (way === 0) socket.resetAndDestroy();
      else if (way === 1) socket.end();
    });
  }
}
