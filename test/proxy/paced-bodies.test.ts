/**
 * Requests and responses of all lengths, framings and paces, one behind the other on one connection: every byte arrives, and is
 * counted once, whether it was copied or spliced.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, proxyFor } from '../support/proxy.ts';
import { eventually, RawEndpoint, type Wire } from '../support/wire.ts';

const SEEDS = 12;
const EXCHANGES_MAX = 5;
/** Around what is read at once, what is spliced, and what a pipe holds. */
const LENGTHS = [0, 1, 100, 65_535, 65_536, 65_537, 131_072, 262_145, 300_000, 1_048_576];
const PIECES = [1_000, 16_384, 65_536, 300_000, 2_000_000];
const PIECES_MAX = 100;
const TURNS_MAX = 4;
const EARLY = 'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n';
const ALL = Buffer.from(Uint8Array.from({ length: 2 << 20 }, (_, i) => (i * 31 + (i >> 8)) & 0xff));

class Pace {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  below(end: number): number {
    return Math.floor(this.#random.next() * end);
  }

  pick(list: readonly number[]): number {
    return list[this.below(list.length)] as number;
  }

  isOne(inSoMany: number): boolean {
    return this.below(inSoMany) === 0;
  }

  async rest(): Promise<void> {
    for (let turns = this.below(TURNS_MAX); turns > 0; turns--)
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await new Promise((resolve) => setImmediate(resolve));
  }

  body(): Buffer {
    const from = this.below(1_000);
    return ALL.subarray(from, from + this.pick(LENGTHS));
  }

  /** A message with this content; one in four is chunked. */
  message(firstLine: string, body: Buffer): Buffer {
    if (!this.isOne(4))
      return Buffer.concat([
        Buffer.from(`${firstLine}\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`),
        body,
      ]);
    const parts: Buffer[] = [
      Buffer.from(`${firstLine}\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`),
    ];
    for (let at = 0; at < body.length;) {
      const chunk = body.subarray(at, at + this.pick(PIECES));
      at += chunk.length;
      parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'));
    }
    return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
  }

  async write(wire: Wire, data: Buffer): Promise<void> {
    const piece = Math.max(this.pick(PIECES), Math.ceil(data.length / PIECES_MAX));
    for (let at = 0; at < data.length; at += piece) {
      wire.write(data.subarray(at, at + piece));
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await this.rest();
    }
  }

  /** The content of the next message that is no interim one. */
  async read(wire: Wire): Promise<Buffer> {
    wire.socket.pause();
    await this.rest();
    wire.socket.resume();
    let head = await wire.head();
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    while (head.startsWith('HTTP/1.1 103')) head = await wire.head();
    const length = /^content-length: (\d+)/im.exec(head)?.[1];
    if (length !== undefined) return Buffer.from(await wire.bytes(Number(length)), 'latin1');
    const chunks: string[] = [];
    for (let size = -1; size !== 0;) {
      // oxlint-disable no-await-in-loop -- one after the other
      size = Number.parseInt(await wire.until('\r\n'), 16);
      chunks.push(await wire.bytes(size));
      await wire.until('\r\n');
      // oxlint-enable no-await-in-loop
    }
    return Buffer.from(chunks.join(''), 'latin1');
  }
}

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`bodies at any pace, seed ${seed}`, async (t) => {
    const plan = new Pace(seed);
    const exchanges = Array.from({ length: 1 + plan.below(EXCHANGES_MAX) }, () => ({
      request: plan.body(),
      response: plan.body(),
    }));
    const wrong: string[] = [];
    let served = 0;
    const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
      const pace = new Pace(seed + 1_000);
      for (;;) {
        // oxlint-disable no-await-in-loop -- one request after the other
        const got = await pace.read(wire);
        const exchange = exchanges[served++];
        if (exchange?.request.equals(got) !== true) wrong.push(`request ${served}`);
        if (pace.isOne(3)) wire.write(EARLY);
        await pace.write(wire, pace.message('HTTP/1.1 200 OK', exchange?.response ?? ALL));
        // oxlint-enable no-await-in-loop
      }
    });
    const { proxy, service } = await proxyFor(t, [endpoint]);
    const caller = await proxy.call(service);
    const asking = new Pace(seed + 2_000);
    // The next request comes whether or not the one before was answered.
    const asked = asking.write(
      caller,
      Buffer.concat(exchanges.map(({ request }) => asking.message('PUT / HTTP/1.1', request))),
    );
    const reading = new Pace(seed + 3_000);
    for (const [i, { response }] of exchanges.entries()) {
      // oxlint-disable-next-line no-await-in-loop -- one response after the other
      const got = await reading.read(caller);
      if (!response.equals(got)) wrong.push(`response ${i + 1}`);
    }
    await asked;
    assert.deepEqual(wrong, []);
    assert.equal(caller.pending, '');
    await eventually(() => proxy.requests(service, 2) === exchanges.length, 'the account');
    const sum = (of: 'request' | 'response'): number =>
      exchanges.reduce((bytes, exchange) => bytes + exchange[of].length, 0);
    assert.equal(proxy.figure(service, SERVICE_OWN.requestBytes), sum('request'));
    assert.equal(proxy.figure(service, SERVICE_OWN.responseBytes), sum('response'));
  });
}
