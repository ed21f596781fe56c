/** Whatever both sides of a connection of TCP do, each gets what the other one sent, in order, and its end or its reset. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { SERVICE_OWN, SERVICE_WORD } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';
import { eventually, RawEndpoint, type Wire } from '../support/wire.ts';

type Step =
  | { readonly kind: 'write'; readonly bytes: number }
  | { readonly kind: 'end' | 'pause' | 'resume' | 'turn' };

interface Side {
  readonly steps: readonly Step[];
}

/** One side as it is seen from outside. */
class Peer {
  readonly wire: Wire;
  readonly sent = createHash('sha1');
  readonly got = createHash('sha1');
  sentBytes = 0;
  gotBytes = 0;
  ended = false;
  #next = 0;

  constructor(wire: Wire) {
    this.wire = wire;
    wire.discard();
    wire.socket.on('data', (data) => {
      this.got.update(data);
      this.gotBytes += data.length;
    });
  }

  async run(steps: readonly Step[]): Promise<void> {
    const { socket } = this.wire;
    for (const step of steps) {
      if (step.kind === 'write' && !this.ended) this.#write(step.bytes);
      else if (step.kind === 'end') this.end();
      else if (step.kind === 'pause') socket.pause();
      else if (step.kind === 'resume') socket.resume();
      // oxlint-disable-next-line no-await-in-loop -- one step after the other
      else await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #write(bytes: number): void {
    const data = Buffer.alloc(bytes, String.fromCharCode(33 + (this.#next++ % 90)));
    this.sent.update(data);
    this.sentBytes += bytes;
    this.wire.socket.write(data);
  }

  end(): void {
    this.ended = true;
    this.wire.socket.end();
  }
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('write'), bytes: size() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('turn', 'pause', 'resume') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('end') }) },
) as fc.Arbitrary<Step>;
const side: fc.Arbitrary<Side> = fc.record({ steps: fc.array(step, { maxLength: 12 }) });

/** Around the sizes at which something changes: the read buffer, what may wait. */
function size(): fc.Arbitrary<number> {
  return fc.oneof(
    fc.integer({ min: 1, max: 40 }),
    fc.integer({ min: 65_000, max: 66_000 }),
    fc.integer({ min: 1, max: 1_500_000 }),
  );
}

async function pipe(t: TestContext) {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const proxy = new TestProxy(t);
  const service = proxy.service({ tcp: true, endpoints: [endpoint] });
  await proxy.apply([service]);
  return { endpoint, proxy, service };
}

test('each side gets what the other one sent, then its end, however they take turns', async (t) => {
  const { endpoint, proxy, service } = await pipe(t);
  let bytes = 0;
  await fc.assert(
    fc.asyncProperty(side, side, async (ofCaller, ofEndpoint) => {
      const before = proxy.figure(service, SERVICE_OWN.requestBytes);
      const wire = await proxy.call(service);
      const caller = new Peer(wire);
      const server = new Peer(await endpoint.next());
      await Promise.all([caller.run(ofCaller.steps), server.run(ofEndpoint.steps)]);
      for (const each of [caller, server]) {
        each.wire.socket.resume();
        each.end();
      }
      const isOver = ({ ending }: Wire): boolean => ending === 'closed' || ending === 'reset';
      await eventually(() => isOver(wire) && isOver(server.wire), 'both ends');
      assert.deepEqual([wire.ending, server.wire.ending], ['closed', 'closed']);
      assert.equal(server.got.digest('hex'), caller.sent.digest('hex'));
      assert.equal(caller.got.digest('hex'), server.sent.digest('hex'));
      await eventually(() => proxy.word(service, SERVICE_WORD.inFlight) === 0, 'the account');
      const counted = proxy.figure(service, SERVICE_OWN.requestBytes) - before;
      assert.equal(counted, caller.sentBytes);
      bytes += caller.sentBytes + server.sentBytes;
    }),
    { numRuns: 40 },
  );
  assert.ok(bytes > 1_000_000);
});

test('a reset at any time is a reset for the other side, and what came before it is a beginning of what was sent', async (t) => {
  const { endpoint, proxy, service } = await pipe(t);
  await fc.assert(
    fc.asyncProperty(side, side, fc.boolean(), async (ofCaller, ofEndpoint, isCaller) => {
      const stood = proxy.requests(service, 1);
      const caller = new Peer(await proxy.call(service));
      const server = new Peer(await endpoint.next());
      // What is reset before has not been accepted, and another one is dialled.
      await eventually(() => proxy.requests(service, 1) > stood, 'it to stand');
      // Ends would make an end of it before the reset.
      const without = ({ steps }: Side): Step[] => steps.filter(({ kind }) => kind !== 'end');
      await Promise.all([caller.run(without(ofCaller)), server.run(without(ofEndpoint))]);
      const [from, to] = isCaller ? [caller, server] : [server, caller];
      to.wire.socket.resume();
      from.wire.reset();
      assert.equal(await to.wire.gone(), 'reset');
      assert.ok(to.gotBytes <= from.sentBytes);
      await eventually(() => proxy.word(service, SERVICE_WORD.inFlight) === 0, 'the account');
    }),
    { numRuns: 40 },
  );
});
