/** WebSocket over TLS of callers, by an upgrade of HTTP/1.1 and by an Extended CONNECT of HTTP/2: bytes, and how a drain ends it. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { seededRandom } from '../../src/base/random.ts';
import { TestCa } from '../support/certificates.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';
import {
  openWebSocket,
  type Piped,
  type Version,
  webSocketEndpoint,
} from '../support/websocket.ts';
import { eventually } from '../support/wire.ts';

const NAME = 'web.shop.example';
const good = await (await TestCa.make()).issue({ names: [NAME] });
/** A close frame with 1001: of the proxy to a caller, and the answer of an endpoint and of a caller. */
const GOING_AWAY = '880203e9';
const MASKED_ANSWER = Buffer.from('88820000000003e9', 'hex');
const PAIRS: readonly (readonly [Version, Version])[] = [
  [1, 1],
  [1, 2],
  [2, 1],
  [2, 2],
];

async function opened(t: TestContext, [of, to]: readonly [Version, Version]) {
  const endpoint = await webSocketEndpoint(t, to, freshAddress());
  const proxy = new TestProxy(t, { manual: true });
  const certificates = [await proxy.certify('shop/web', good, [NAME])];
  const service = proxy.service({ endpoints: [endpoint], http2: to === 2, certificates });
  await proxy.apply([service]);
  const at = { address: service.address, port: service.ports[0]!.port, tls: true };
  const caller = await openWebSocket(t, of, at);
  return { proxy, service, caller, server: await endpoint.next() };
}

/** Two bytes of a status, out of a close frame that is masked. */
function statusIn(frame: string): number {
  const bytes = Buffer.from(frame, 'hex');
  assert.equal(bytes.toString('hex', 0, 2), '8882');
  return (bytes[6]! ^ bytes[2]!) * 256 + (bytes[7]! ^ bytes[3]!);
}

function noise(seed: number): Buffer {
  const random = seededRandom(seed);
  return Buffer.from(Array.from({ length: 300_000 }, () => Math.floor(random.next() * 256)));
}

/** One frame of binary data, masked with zeros or not at all. */
function frameOf(data: Buffer, isMasked: boolean): Buffer {
  const head = Buffer.alloc(isMasked ? 14 : 10);
  head[0] = 0x82;
  head[1] = isMasked ? 0xff : 0x7f;
  head.writeBigUInt64BE(BigInt(data.length), 2);
  return Buffer.concat([head, data]);
}

async function passes(from: Piped, to: Piped, data: Buffer): Promise<void> {
  const start = to.count;
  from.stream.write(data);
  await eventually(() => to.count >= start + data.length, 'all of it');
  assert.equal(await to.bytes(data.length), data.toString('hex'));
}

for (const pair of PAIRS) {
  const name = `HTTP/${pair[0]} over TLS to HTTP/${pair[1]}`;

  test(`${name}: bytes pass both ways as they are, and the endpoint knows of TLS`, async (t) => {
    const { caller, server } = await opened(t, pair);
    assert.equal(server.fields['x-forwarded-proto'], 'https');
    if (pair[1] === 2) assert.equal(server.fields[':scheme'], 'https');
    await passes(caller, server, frameOf(noise(1), true));
    await passes(server, caller, frameOf(noise(2), false));
    await passes(caller, server, Buffer.from('898000000000', 'hex'));
    await passes(server, caller, Buffer.from('8a00', 'hex'));
    caller.stream.end();
    await eventually(() => server.ended, 'the end of the caller');
    server.stream.end();
    await eventually(() => caller.ended, 'the end of the endpoint');
  });

  for (const [what, begin] of [
    ['a drain', ({ proxy }) => void proxy.server.drain(8_000)],
    [
      'a Service that is taken away',
      ({ proxy, service }) => void proxy.apply([], { removed: [service.key] }),
    ],
  ] as const satisfies readonly (readonly [
    string,
    (made: Awaited<ReturnType<typeof opened>>) => void,
  ])[])
    test(`${name}: ${what} says 1001 to both sides, behind the frame that is on its way`, async (t) => {
      const made = await opened(t, pair);
      const { proxy, service, caller, server } = made;
      server.stream.write(Buffer.from('8205aabb', 'hex'));
      assert.equal(await caller.bytes(4), '8205aabb');
      begin(made);
      await proxy.advanceUntil(() => server.count === 8, 'what the endpoint is told');
      assert.equal(statusIn(await server.bytes(8)), 1_001);
      assert.equal(caller.count, 4, 'it is in the middle of a frame');
      server.stream.write(Buffer.from('ccddee', 'hex'));
      assert.equal(await caller.bytes(7), `ccddee${GOING_AWAY}`);
      server.stream.write(Buffer.from(GOING_AWAY, 'hex'));
      caller.stream.write(MASKED_ANSWER);
      await proxy.advanceUntil(() => caller.ended && server.ended, 'the end');
      assert.deepEqual([caller.count, server.count], [11, 8], 'answers are not passed on');
      caller.stream.end();
      server.stream.end();
      await proxy.advanceUntil(() => proxy.context.callerConnections === 0, 'the last caller');
      assert.equal(proxy.failures(service, 'draining'), 0);
      assert.equal(caller.error, '');
    });
}
