/** A storm of handshakes: most stall, some are whole, some resumed. Who means well is served, and bounds hold and are counted. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEADLINE_TICK_MS } from '../../src/proxy/net/deadline-wheel.ts';
import { HANDSHAKE_RESULTS, SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { type Shaker, UNDER_WAY_MAX } from '../../src/proxy/net/tls/handshake-gate.ts';
import { firstHello, secureDial } from '../support/caller-tls.ts';
import { TestCa } from '../support/certificates.ts';
import { freshAddress, GET, OK, TestProxy } from '../support/proxy.ts';
import { dial, eventually, RawEndpoint, type Wire } from '../support/wire.ts';

const NAME = 'web.shop.example';
const STALLS = 200;
const WHOLE = 30;
const RESUMED = 30;
/** Far below the time for heads. */
const STORM_MS = 5_000;
const good = await (await TestCa.make()).issue({ names: [NAME] });

test('in a storm of handshakes that stall, whole and resumed ones are served', async (t) => {
  const proxy = new TestProxy(t, { manual: true });
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const certificates = [await proxy.certify('shop/web', good, [NAME])];
  const service = proxy.service({ endpoints: [endpoint], certificates });
  await proxy.apply([service]);
  const at = { address: service.address, port: service.ports[0]!.port };
  const { gate } = proxy.context.callerTls;

  const first = await secureDial(t, at);
  let session: Buffer = Buffer.alloc(0);
  first.tls.on('session', (ticket: Buffer) => (session = ticket));
  first.wire.write(GET);
  await first.wire.until('ok');
  await eventually(() => session.length > 0, 'a ticket');

  /** Those that mean well. Time stands still while one is under way, as a machine may be slow, and a network is not. */
  const waiting = new Set<Shaker>();
  const underWay = new Set<Shaker>();
  let most = 0;
  const enter = gate.enter.bind(gate);
  const leave = gate.leave.bind(gate);
  t.mock.method(gate, 'enter', (shaker: Shaker) => {
    const shake = shaker.shake.bind(shaker);
    const meansWell = shaker.source.startsWith('127.8.');
    if (meansWell) waiting.add(shaker);
    shaker.shake = () => {
      waiting.delete(shaker);
      if (meansWell) underWay.add(shaker);
      shake();
      most = Math.max(most, gate.underWay);
    };
    enter(shaker);
  });
  t.mock.method(gate, 'leave', (shaker: Shaker) => {
    waiting.delete(shaker);
    underWay.delete(shaker);
    leave(shaker);
  });

  const hello = await firstHello({ servername: NAME });
  const stalled: Wire[] = [];
  for (let i = 0; i < STALLS; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const wire = await dial(t, at, `127.7.0.${1 + (i % 40)}`);
    wire.write(hello);
    stalled.push(wire);
  }
  await eventually(() => gate.underWay + gate.waiting === STALLS, 'the storm');
  assert.equal(gate.underWay, UNDER_WAY_MAX);

  const startMs = proxy.clock.nowMs();
  let served = 0;
  const seen: string[] = [];
  const call = async (i: number): Promise<void> => {
    const resumes = i % 2 === 0 ? { session } : {};
    const made = await secureDial(t, at, { from: `127.8.0.${1 + (i % 20)}`, ...resumes });
    seen.push(made.seen);
    made.wire.write(GET);
    await made.wire.until('ok');
    served++;
  };
  const isServed = (): boolean => {
    if (underWay.size === 0 && waiting.size > 0) proxy.advance(DEADLINE_TICK_MS);
    return served === WHOLE + RESUMED;
  };
  const calls = Promise.all(Array.from({ length: WHOLE + RESUMED }, (_, i) => call(i)));
  // Sixty handshakes beside two hundred take long on a slow machine.
  await eventually(isServed, 'all that mean well to be served', 120_000);
  assert.ok(proxy.clock.nowMs() - startMs < STORM_MS, 'they waited for long');
  await calls;
  assert.equal(seen.filter((each) => each.endsWith(' resumed')).length, RESUMED);
  assert.ok(most <= UNDER_WAY_MAX, `${most} were under way`);

  for (const wire of stalled) wire.reset();
  await eventually(() => gate.underWay + gate.waiting === 0, 'the storm to be over');
  const counted = (name: string): number => {
    const i = HANDSHAKE_RESULTS.findIndex(
      ([result, version]) => `${result} ${version}`.trim() === name,
    );
    return proxy.figure(service, SERVICE_OWN.handshakes + i);
  };
  await eventually(() => counted('failed') === STALLS, 'the failures');
  assert.deepEqual([counted('full 1.3'), counted('resumed 1.3')], [1 + WHOLE, RESUMED]);
  const shed = proxy.failures(service, 'caller_shed');
  assert.ok(shed > 0 && shed < STALLS, `${shed} gave way`);
  assert.equal(shed + proxy.failures(service, 'caller_tls_failed'), STALLS);
});
