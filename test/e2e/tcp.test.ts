/** Ports of TCP of a process: every thread carries connections, one that dies takes its own with it, and the end lets them go on. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { SERVICE_WORD } from '../../src/proxy/ledger/layout.ts';
import { ownRange } from '../support/ranges.ts';
import { freshAddress } from '../support/proxy.ts';
import { dial, eventually, RawEndpoint, type Wire } from '../support/wire.ts';
import { InProcess } from './support/in-process.ts';
import { endpoints, Folder, service } from './support/manifests.ts';
import { Mesh } from './support/mesh.ts';
import { until } from './support/until.ts';

const PORT = 20_002;

/** One endpoint that says who it is as soon as somebody connects. */
async function setUp(t: TestContext): Promise<{ folder: Folder; endpoint: RawEndpoint }> {
  const endpoint = await RawEndpoint.listen(t, freshAddress(), (wire) => wire.write('hello'));
  const folder = new Folder();
  t.after(() => folder.remove());
  const spec = { ports: [{ name: 'http', port: PORT, appProtocol: 'tcp' }] };
  folder.put('all.yaml', service('s/db', PORT, { spec }), endpoints('s/db', [endpoint]));
  return { folder, endpoint };
}

async function greeted(t: TestContext, address: string): Promise<Wire> {
  const wire = await dial(t, { address, port: PORT });
  assert.equal(await wire.bytes(5), 'hello');
  return wire;
}

test('all threads carry connections, and what a dead one had in flight is counted no more', async (t) => {
  const { folder, endpoint } = await setUp(t);
  const mesh = await InProcess.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 3 });
  t.after(() => mesh.stop());
  const address = mesh.addressOf('s/db');
  const wires: Wire[] = [];
  for (let i = 0; i < 60; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    wires.push(await greeted(t, address));
  }
  const spread = mesh.callersPerThread(3);
  for (const count of spread) assert.ok(count > 0, spread.join());
  const { ledger } = mesh.agent;
  const slot = ledger.find('service', 's/db');
  assert(slot !== undefined);
  const inFlight = (): number => ledger.word('service', slot, SERVICE_WORD.inFlight);
  assert.equal(inFlight(), 60);
  const [, ofDead = 0] = spread;
  await mesh.agent.threads.kill(1);
  const isGone = ({ ending }: Wire): boolean => ending !== 'open';
  await eventually(() => wires.filter(isGone).length === ofDead, 'its callers to hear of it');
  await eventually(() => endpoint.wires.filter(isGone).length === ofDead, 'its endpoints, too');
  await until('it is replaced', () => mesh.agent.readiness().ready);
  assert.equal(inFlight(), 60 - ofDead);
  await greeted(t, address);
});

test('a process that ends lets connections go on until they are over', async (t) => {
  const { folder, endpoint } = await setUp(t);
  const mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 2 });
  t.after(() => mesh.stop('SIGKILL'));
  const address = await mesh.addressOf('s/db');
  const caller = await greeted(t, address);
  const ended = mesh.stop();
  const isClosed = (): Promise<boolean> =>
    dial(t, { address, port: PORT }).then(
      (wire) => {
        wire.reset();
        return false;
      },
      () => true,
    );
  await until('nobody is let in any more', isClosed, 30_000);
  const wire = await endpoint.next();
  caller.write('still here');
  assert.equal(await wire.bytes(10), 'still here');
  wire.write('so am I');
  wire.end();
  assert.equal(await caller.rest(), 'so am I');
  caller.end();
  assert.equal(await ended, 0);
});
