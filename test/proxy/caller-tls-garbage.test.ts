/** Garbage and mutated ClientHellos at a port that speaks TLS: good callers are served, and nothing of the others is left. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { HANDSHAKE_RESULTS, SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { below, mutate } from '../fuzz/mutate.ts';
import { firstHello, secureDial } from '../support/caller-tls.ts';
import { TestCa } from '../support/certificates.ts';
import { helloSeeds, HELLO_PIECES } from '../support/client-hello.ts';
import { freshAddress, GET, OK, TestProxy } from '../support/proxy.ts';
import { dial, type Dialled, eventually, RawEndpoint } from '../support/wire.ts';

const NAME = 'web.shop.example';
const SEED = Number(process.env['GARBAGE_SEED'] ?? 1);
const ROUNDS = 25;
const AT_A_TIME = 12;
const good = await (await TestCa.make()).issue({ names: [NAME] });
const seeds = [
  await firstHello({ servername: NAME, ALPNProtocols: ['h2', 'http/1.1'] }),
  await firstHello({ maxVersion: 'TLSv1.2' }),
  ...helloSeeds(),
];

/** Says something that is odd, in one piece or in two, and leaves in one of the ways that there are. */
async function visit(t: TestContext, at: Dialled, random: Random): Promise<void> {
  const wire = await dial(t, at, `127.9.0.${1 + below(random, 20)}`);
  const bytes = mutate(random, seeds, HELLO_PIECES);
  const cut = below(random, 2) === 0 ? bytes.length : below(random, bytes.length + 1);
  wire.write(bytes.subarray(0, cut));
  await new Promise((resolve) => setImmediate(resolve));
  if (!wire.socket.destroyed) wire.write(bytes.subarray(cut));
  const way = below(random, 3);
  if (way === 0) wire.reset();
  else if (way === 1) wire.socket.destroy();
  // A half-close ends a handshake, too.
  else wire.end();
  await eventually(() => wire.ending !== 'open' || wire.socket.destroyed, 'the end of garbage');
  wire.socket.destroy();
}

test('mutated first messages cost nobody else anything, and leave nothing behind', async (t) => {
  t.diagnostic(`GARBAGE_SEED=${SEED} repeats it`);
  const random = seededRandom(SEED);
  const proxy = new TestProxy(t);
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const certificates = [await proxy.certify('shop/web', good, [NAME])];
  const service = proxy.service({ endpoints: [endpoint], certificates });
  await proxy.apply([service]);
  const at = { address: service.address, port: service.ports[0]!.port };
  const { room, callerTls } = proxy.context;
  for (let round = 0; round < ROUNDS; round++) {
    const visits = Array.from({ length: AT_A_TIME }, () => visit(t, at, random));
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { wire } = await secureDial(t, at, { servername: NAME });
    wire.write(GET);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await wire.until('ok');
    wire.socket.destroy();
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await Promise.all(visits);
  }
  await eventually(() => proxy.context.callerConnections === 0, 'all to be gone');
  assert.deepEqual([callerTls.gate.underWay, callerTls.gate.waiting], [0, 0]);
  assert.deepEqual([room.size, room.bytes], [0, 0]);
  const counted = (from: number): number =>
    HANDSHAKE_RESULTS.reduce(
      (sum, _result, i) =>
        i < from ? sum : sum + proxy.figure(service, SERVICE_OWN.handshakes + i),
      0,
    );
  const all = counted(0);
  assert.ok(all <= ROUNDS * (AT_A_TIME + 1), `${all} handshakes are counted`);
  assert.ok(proxy.failures(service, 'caller_tls_failed') > ROUNDS, 'most fail');
});
