/** How a WebSocket ends that its proxy ends: a close frame to both sides, each between two frames. */

import assert from 'node:assert/strict';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { seededRandom } from '../../src/base/random.ts';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';
import { openWebSocket, type Version, webSocketEndpoint } from '../support/websocket.ts';
import { eventually } from '../support/wire.ts';

const PAIRS: readonly (readonly [Version, Version])[] = [
  [1, 1],
  [1, 2],
  [2, 1],
  [2, 2],
];
const GOING_AWAY = '880203e9';

async function setUp(
  t: ConstructorParameters<typeof TestProxy>[0],
  [of, to]: readonly [Version, Version],
  tunnelMs = 0,
) {
  const endpoint = await webSocketEndpoint(t, to, freshAddress());
  const proxy = new TestProxy(t, { manual: true });
  const timeouts = { ...DEFAULT_POLICIES.timeouts, tunnelMs };
  const service = proxy.service({
    endpoints: [endpoint],
    http2: to === 2,
    policies: { timeouts },
  });
  await proxy.apply([service]);
  const at = { address: service.address, port: service.ports[0]!.port };
  const open = async () => {
    const caller = await openWebSocket(t, of, at);
    return { caller, server: await endpoint.next() };
  };
  return { proxy, service, open, ...(await open()) };
}

const random = seededRandom(11);
const below = (count: number): number => Math.floor(random.next() * count);

/** Frames of both sides, in every form of their length, with control frames between fragments. */
function someFrames(): Buffer {
  const frames = Array.from({ length: 20 }, () => {
    const sizes = [0, 1, 125, 126, 300, below(3_000), below(20) > 0 ? 127 : 65_536];
    const size = sizes[below(sizes.length)] as number;
    const mask = below(2) * 0x80;
    const form = size < 126 && below(4) > 0 ? 0 : size < 65_536 && below(4) > 0 ? 2 : 8;
    const length = Buffer.alloc(form);
    if (form === 2) length.writeUInt16BE(size);
    if (form === 8) length.writeBigUInt64BE(BigInt(size));
    const short = form === 0 ? size : form === 2 ? 126 : 127;
    const first = [0x00, 0x80, 0x01, 0x02, 0x89, 0x8a, 0xf3][below(7)] as number;
    const head = Buffer.concat([Buffer.from([first, mask | short]), length]);
    return Buffer.concat([head, Buffer.alloc(mask === 0 ? 0 : 4, 0x88), Buffer.alloc(size, 0x88)]);
  });
  return Buffer.concat(frames);
}

/** Where the frames of what came end; what is left at the end is none. */
function endsOf(data: Buffer): number[] {
  const ends = [0];
  for (let at = 0; at + 2 <= data.length;) {
    const short = (data[at + 1] as number) & 0x7f;
    const form = short < 126 ? 0 : short === 126 ? 2 : 8;
    if (at + 2 + form > data.length) break;
    const size =
      form === 0
        ? short
        : form === 2
          ? data.readUInt16BE(at + 2)
          : Number(data.readBigUInt64BE(at + 2));
    at += 2 + form + ((data[at + 1] as number) < 0x80 ? 0 : 4) + size;
    if (at <= data.length) ends.push(at);
  }
  return ends;
}

/** Writes it in pieces of any size, with turns of the loop between them. */
async function inPieces(stream: Duplex, data: Buffer): Promise<void> {
  const most = [20, 900, 40_000][below(3)] as number;
  for (let at = 0; at < data.length && !stream.destroyed;) {
    const to = at + 1 + below(most);
    stream.write(data.subarray(at, to));
    at = to;
    // oxlint-disable-next-line no-await-in-loop -- piece by piece
    if (below(4) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The payload of a masked close frame of two bytes. */
function unmasked(frame: string): string {
  const bytes = Buffer.from(frame, 'hex');
  assert.equal(bytes.toString('hex', 0, 2), '8882');
  return Buffer.from([bytes[6]! ^ bytes[2]!, bytes[7]! ^ bytes[3]!]).toString('hex');
}

for (const pair of PAIRS) {
  const name = `HTTP/${pair[0]} to HTTP/${pair[1]}`;

  test(`${name}: a drain says 1001 to both sides, and waits for their answers`, async (t) => {
    const { proxy, service, caller, server } = await setUp(t, pair);
    const drained = proxy.server.drain(8_000);
    await proxy.advanceUntil(() => caller.received.length === 4, 'the close frame');
    assert.equal(await caller.bytes(4), GOING_AWAY);
    assert.equal(unmasked(await server.bytes(8)), '03e9');
    server.stream.write(Buffer.from(GOING_AWAY, 'hex'));
    caller.stream.write(Buffer.from('88820000000003e9', 'hex'));
    await proxy.advanceUntil(() => caller.ended && server.ended, 'the end');
    assert.equal(caller.count, 4, 'the answers are not passed on');
    assert.equal(server.count, 8);
    caller.stream.end();
    server.stream.end();
    await proxy.advanceUntil(() => proxy.context.callerConnections === 0, 'the last caller');
    proxy.advance(10_000);
    assert.equal(await drained, 0);
    assert.equal(proxy.failures(service, 'draining'), 0);
  });

  test(`${name}: what is in the middle of a frame is told behind it`, async (t) => {
    const { proxy, caller, server } = await setUp(t, pair);
    server.stream.write(Buffer.from('8205aabb', 'hex'));
    assert.equal(await caller.bytes(4), '8205aabb');
    void proxy.server.drain(8_000);
    await proxy.advanceUntil(() => server.received.length === 8, 'what the endpoint is told');
    proxy.advance(1_000);
    assert.equal(caller.received.length, 0);
    server.stream.write(Buffer.from('ccddee8101ff', 'hex'));
    assert.equal(await caller.bytes(7), `ccddee${GOING_AWAY}`);
    proxy.advance(6_000);
    await eventually(() => caller.ended || caller.closed, 'the end');
  });

  test(`${name}: however they are cut, a drain ends them between two frames`, async (t) => {
    const { proxy, open, caller, server } = await setUp(t, pair);
    const all = [{ caller, server }];
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    for (let i = 0; i < 5; i++) all.push(await open());
    const sent = all.map((each) => {
      const down = someFrames();
      const up = someFrames();
      for (const { stream } of [each.caller, each.server]) stream.on('error', () => undefined);
      const writing = [inPieces(each.server.stream, down), inPieces(each.caller.stream, up)];
      return { ...each, down, up, writing };
    });
    await eventually(() => all.every((each) => each.caller.count > 0), 'the first bytes');
    void proxy.server.drain(600_000);
    const areTold = (): boolean[] =>
      sent.map(
        ({ caller, server }) =>
          caller.received.includes(GOING_AWAY, 0, 'hex') &&
          server.received.includes('8882', 0, 'hex'),
      );
    await proxy.advanceUntil(() => areTold().includes(true), 'the last word to one');
    // By then each is told to go, as soon as its frame has gone by.
    proxy.advance(10_000);
    await eventually(() => !areTold().includes(false), 'the last word to all');
    for (const { caller, server, down, up, writing } of sent) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await Promise.all(writing);
      const heard = caller.received;
      assert.equal(heard.toString('hex', heard.length - 4), GOING_AWAY);
      assert(endsOf(down).includes(heard.length - 4), `${heard.length - 4} bytes to the caller`);
      assert(heard.equals(Buffer.concat([down.subarray(0, heard.length - 4), heard.subarray(-4)])));
      const told = server.received;
      assert.equal(unmasked(told.toString('hex', told.length - 8)), '03e9');
      assert(endsOf(up).includes(told.length - 8), `${told.length - 8} bytes to the endpoint`);
      assert(told.subarray(0, -8).equals(up.subarray(0, told.length - 8)));
    }
    await proxy.advanceUntil(() => all.every((each) => each.caller.ended), 'the end');
    for (const { caller, server } of all) for (const { stream } of [caller, server]) stream.end();
    await proxy.advanceUntil(() => proxy.context.callerConnections === 0, 'the last caller');
  });

  test(`${name}: where a Service is taken away, 1001 is said, too`, async (t) => {
    const { proxy, service, caller, server } = await setUp(t, pair);
    await proxy.apply([], { removed: [service.key] });
    await proxy.advanceUntil(() => caller.received.length === 4, 'the close frame');
    assert.equal(await caller.bytes(4), GOING_AWAY);
    assert.equal(unmasked(await server.bytes(8)), '03e9');
    server.stream.write(Buffer.from(GOING_AWAY, 'hex'));
    caller.stream.write(Buffer.from('88820000000003e9', 'hex'));
    await proxy.advanceUntil(() => caller.ended && server.ended, 'the end');
    caller.stream.end();
    server.stream.end();
    await proxy.advanceUntil(() => proxy.context.callerConnections === 0, 'the last caller');
    assert.equal(proxy.requests(service, 1), 1);
  });

  test(`${name}: where both are parting already, the drain says nothing`, async (t) => {
    const { proxy, service, caller, server, open } = await setUp(t, pair);
    caller.stream.write(Buffer.from('88820000000003e8', 'hex'));
    await server.bytes(8);
    const other = await open();
    const untilMs = proxy.clock.nowMs() + 4_100;
    void proxy.server.drain(8_000);
    await proxy.advanceUntil(() => other.caller.count === 4, 'what another one is told');
    // By then both were told.
    proxy.advance(untilMs - proxy.clock.nowMs());
    server.stream.write(Buffer.from('8101ff880203e8', 'hex'));
    assert.equal(await caller.bytes(7), '8101ff880203e8');
    server.stream.end();
    await eventually(() => caller.ended, 'the end of the endpoint');
    caller.stream.end();
    await eventually(() => server.ended, 'the end of the caller');
    other.server.stream.end();
    assert.equal(caller.count, 7);
    assert.equal(server.count, 8);
    assert.equal(proxy.failures(service, 'draining'), 0);
  });

  test(`${name}: who is not answered while parting does not hold up the drain`, async (t) => {
    const { proxy, service, caller, server } = await setUp(t, pair);
    server.stream.write(Buffer.from('880203e8', 'hex'));
    await caller.bytes(4);
    void proxy.server.drain(30_000);
    await proxy.advanceUntil(() => caller.ended && server.ended, 'the end');
    assert.equal(caller.count, 4);
    assert.equal(server.count, 0);
    caller.stream.end();
    server.stream.end();
    await proxy.advanceUntil(() => proxy.context.callerConnections === 0, 'the last caller');
    assert.equal(proxy.failures(service, 'draining'), 0);
  });

  test(`${name}: when both have said goodbye, a reset is an end like any other`, async (t) => {
    const { proxy, service, caller, server } = await setUp(t, pair);
    caller.stream.write(Buffer.from('88820000000003e8', 'hex'));
    await server.bytes(8);
    server.stream.write(Buffer.from('880203e8', 'hex'));
    await caller.bytes(4);
    if (caller.stream instanceof net.Socket) caller.stream.resetAndDestroy();
    else caller.stream.destroy(new Error('enough'));
    await proxy.advanceUntil(() => server.ended || server.closed, 'the end');
    assert.equal(server.error, '');
    server.stream.end();
    await proxy.advanceUntil(() => proxy.requests(service, 1) === 1, 'the account');
    assert.equal(proxy.failures(service, 'caller_gone'), 0);
  });

  test(`${name}: a drain does not make it longer than its lifetime`, async (t) => {
    const { proxy, service, caller, server } = await setUp(t, pair, 30_000);
    // A frame that never ends.
    server.stream.write(Buffer.from('8205aabb', 'hex'));
    assert.equal(await caller.bytes(4), '8205aabb');
    void proxy.server.drain(200_000);
    await proxy.advanceUntil(() => server.received.length === 8, 'what the endpoint is told');
    proxy.advance(10_000);
    assert.equal(proxy.failures(service, 'tunnel_lifetime'), 0);
    proxy.advance(20_000);
    await eventually(() => proxy.failures(service, 'tunnel_lifetime') === 1, 'the account');
    await eventually(() => caller.ended || caller.closed, 'the end');
  });

  test(`${name}: a lifetime ends politely, and is counted`, async (t) => {
    const { proxy, service, caller, server } = await setUp(t, pair, 4_000);
    proxy.advance(3_500);
    assert.equal(caller.received.length, 0);
    proxy.advance(1_000);
    assert.equal(await caller.bytes(4), GOING_AWAY);
    await server.bytes(8);
    proxy.advance(6_000);
    await eventually(() => caller.ended || caller.closed, 'the end');
    await eventually(() => proxy.failures(service, 'tunnel_lifetime') === 1, 'the account');
  });
}
