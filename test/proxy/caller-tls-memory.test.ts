/** What callers of TLS make the runtime decrypt while nobody takes it: it is counted, bounded, and told in order. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { CONNECTION_BYTES } from '../../src/proxy/net/caller-room.ts';
import { SLAB_BYTES } from '../../src/proxy/net/socket.ts';
import { secureDial } from '../support/caller-tls.ts';
import { TestCa } from '../support/certificates.ts';
import { freshAddress, GET, OK, type ProxyOptions, TestProxy } from '../support/proxy.ts';
import { eventually, RawEndpoint, type Wire } from '../support/wire.ts';

const NAME = 'web.shop.example';
const good = await (await TestCa.make()).issue({ names: [NAME] });
/** The smallest records that a client makes: the first of a read is told, and all others come during the pause that it leads to. */
const RECORD_BYTES = 512;
const COUNT = 100;
const REQUESTS = Array.from({ length: COUNT }, (_, i) =>
  GET.replace('\r\n\r\n', `\r\nA: ${'x'.repeat(400)}${i}\r\n\r\n`),
).join('');

/** Time stands still. */
async function behindSilence(t: TestContext, settings: ProxyOptions['settings'] = {}) {
  const { promise: speaks, resolve: speak } = Promise.withResolvers<void>();
  const heads: string[] = [];
  const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const head = await wire.head();
      heads.push(head);
      // oxlint-disable-next-line no-await-in-loop -- as above
      if (head.includes('\r\nA: ')) await speaks;
      wire.write(OK);
    }
  });
  const proxy = new TestProxy(t, { settings, manual: true });
  const certificates = [await proxy.certify('shop/web', good, [NAME])];
  const service = proxy.service({ endpoints: [endpoint], certificates });
  await proxy.apply([service]);
  const at = { address: service.address, port: service.ports[0]!.port };
  /** Asks for one thing, and for many behind it. */
  const ask = async (): Promise<Wire> => {
    const { wire, tls } = await secureDial(t, at, { ALPNProtocols: ['http/1.1'] });
    tls.setMaxSendFragment(RECORD_BYTES);
    // Its connection is read from, and not paused.
    wire.write(GET);
    await wire.until('ok');
    wire.write(REQUESTS);
    return wire;
  };
  /** By all callers. */
  const held = (): number =>
    [...proxy.context.room.guestsOf(service.key)].reduce((sum, guest) => sum + guest.heldBytes, 0);
  return { proxy, ask, heads, speak, held };
}

test('what comes during a pause is counted, and told in order when it is over', async (t) => {
  const { proxy, ask, heads, speak, held } = await behindSilence(t);
  const caller = await ask();
  await eventually(() => held() > SLAB_BYTES + 8 * RECORD_BYTES, 'what is kept to be counted');
  assert.ok(held() < 200_000, `${held()} bytes are held`);
  proxy.context.room.sweep();
  assert.equal(proxy.context.room.bytes, CONNECTION_BYTES + held());
  speak();
  await caller.received((1 + COUNT) * OK.length);
  assert.equal(heads.length, 1 + COUNT);
  for (const [i, head] of heads.slice(1).entries()) {
    assert.ok(head.includes(`\r\nA: ${'x'.repeat(400)}${i}\r\n`), `request ${i}`);
  }
  await eventually(() => held() === 0, 'nothing to be kept');
});

test('callers that make a thread keep more than its part give way', async (t) => {
  const callers = 20;
  // For them and a request of each.
  const limit = callers * (CONNECTION_BYTES + SLAB_BYTES) + 50_000;
  const { proxy, ask, held } = await behindSilence(t, { callerMemoryBytes: limit });
  for (let i = 0; i < callers; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await ask();
  }
  const { room } = proxy.context;
  await eventually(() => callers * CONNECTION_BYTES + held() > limit, 'too much to be kept');
  // It has not been added up as yet.
  assert.equal(room.count('memory', 'busy'), 0);
  proxy.advance(200);
  assert.ok(room.count('memory', 'busy') > 0, 'some give way');
  assert.ok(room.bytes <= limit, 'the others fit');
});
