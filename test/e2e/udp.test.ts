/** Ports of UDP of a process: every thread has its callers, one that dies takes its sessions with it, and the end lets them go on. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { SERVICE_OWN, SERVICE_WORD } from '../../src/proxy/ledger/layout.ts';
import { maesh } from '../../src/cli/maesh.fixture.ts';
import { ownRange } from '../support/ranges.ts';
import { ask, caller, type Datagrams, echo } from '../support/udp.ts';
import { RawEndpoint } from '../support/wire.ts';
import { freshAddress } from '../support/proxy.ts';
import { InProcess } from './support/in-process.ts';
import { Folder } from './support/manifests.ts';
import { Mesh } from './support/mesh.ts';
import { until } from './support/until.ts';

const PORT = 20_006;

/** A Service with UDP and TCP on one number, before an endpoint that has both. */
async function setUp(t: TestContext): Promise<{ folder: Folder; endpoint: Datagrams }> {
  const endpoint = await echo(t);
  const { address, port } = endpoint;
  const tcp = await RawEndpoint.listen(t, freshAddress(), (wire) => wire.write('tcp'));
  const folder = new Folder();
  t.after(() => folder.remove());
  const metadata = { namespace: 's', name: 'dns' };
  const ports = [
    { name: 'dns', protocol: 'UDP', port: PORT },
    { name: 'tcp-dns', protocol: 'TCP', port: PORT },
  ];
  const subsets = [
    { addresses: [{ ip: address }], ports: [{ name: 'dns', protocol: 'UDP', port }] },
    {
      addresses: [{ ip: tcp.address }],
      ports: [{ name: 'tcp-dns', protocol: 'TCP', port: tcp.port }],
    },
  ];
  folder.put(
    'all.yaml',
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports } },
    { apiVersion: 'v1', kind: 'Endpoints', metadata, subsets },
  );
  return { folder, endpoint };
}

test('each caller reaches one thread; one that dies takes its sessions, and the next datagram begins another', async (t) => {
  const { folder, endpoint } = await setUp(t);
  const mesh = await InProcess.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 3 });
  t.after(() => mesh.stop());
  const at = { address: mesh.addressOf('s/dns'), port: PORT };
  const callers = await Promise.all(Array.from({ length: 60 }, () => caller(t)));
  const askAll = async (text: string): Promise<void> => {
    for (const from of callers) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      assert.equal(await ask(from, at, text), `${endpoint.address} ${text}`);
    }
  };
  await askAll('a');
  await askAll('b');
  const { ledger } = mesh.agent;
  const slot = ledger.find('service', 's/dns');
  assert(slot !== undefined);
  const opened = (): number => ledger.sum('service', slot, SERVICE_OWN.sessionsOpened);
  const active = (thread: number): number =>
    ledger.ownCell('service', slot, SERVICE_OWN.sessionsActive, thread);
  assert.equal(opened(), 60, 'no caller has come to two threads');
  const spread = [0, 1, 2].map(active);
  for (const count of spread) assert.ok(count > 5, spread.join());
  await mesh.agent.threads.kill(1);
  await until('its sessions are counted no more', () => active(1) === 0);
  assert.equal(ledger.word('service', slot, SERVICE_WORD.inFlight), 60 - (spread[1] ?? 0));
  assert.equal(ledger.word('service', slot, SERVICE_WORD.sessions), 60 - (spread[1] ?? 0));
  await until('it is replaced', () => mesh.agent.readiness().ready);
  await askAll('c');
});

test('a process that ends lets sessions go on until they are silent', async (t) => {
  const { folder, endpoint } = await setUp(t);
  const mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 2 });
  t.after(() => mesh.stop('SIGKILL'));
  const at = { address: await mesh.addressOf('s/dns'), port: PORT };
  const from = await caller(t);
  await ask(from, at, 'a');
  const said = await (await fetch(`${mesh.admin}/metrics`)).text();
  assert.match(said, /^maesh_udp_sessions\{service="s\/dns"\} 1$/m);
  assert.match(said, /^maesh_udp_datagrams_total\{service="s\/dns",direction="sent"\} 1$/m);
  let isOver = false;
  const ended = mesh.stop().finally(() => (isOver = true));
  const beganMs = performance.now();
  for (let i = 0; performance.now() - beganMs < 7_000; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await ask(from, at, `b${i}`), `${endpoint.address} b${i}`);
    // oxlint-disable-next-line no-await-in-loop -- a caller that thinks
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.ok(!isOver, 'it went on as long as it was asked');
  assert.equal(await ended, 0);
});

for (const [what, end] of [
  [
    'a Service that leaves',
    async ({ folder, mesh }) => {
      folder.delete('all.yaml');
      await until('it has left', () => !mesh.has('s/dns'));
    },
  ],
  ['a process that ends', ({ mesh }) => void mesh.agent.threads.drain(20_000)],
] as const satisfies [
  string,
  (of: { folder: Folder; mesh: InProcess }) => Promise<void> | void,
][]) {
  test(`${what}: no session loses its caller while those of another thread come to their end`, async (t) => {
    const { folder, endpoint } = await setUp(t);
    const mesh = await InProcess.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 3 });
    t.after(() => mesh.stop());
    const at = { address: mesh.addressOf('s/dns'), port: PORT };
    const { ledger } = mesh.agent;
    const slot = ledger.find('service', 's/dns');
    assert(slot !== undefined);
    const active = (thread: number): number =>
      ledger.ownCell('service', slot, SERVICE_OWN.sessionsActive, thread);
    const talkers: Datagrams[] = [];
    for (let i = 0; i < 45; i++) {
      const before = active(2);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const from = await caller(t);
      // oxlint-disable-next-line no-await-in-loop -- likewise
      await ask(from, at, 'a');
      // Those of the last thread fall silent.
      if (active(2) === before) talkers.push(from);
    }
    assert.ok(active(0) > 0 && active(1) > 0 && active(2) > 0);
    await end({ folder, mesh });
    let silentMs = Infinity;
    do {
      // oxlint-disable-next-line no-await-in-loop -- all of them again and again, so that none is silent
      const answers = await Promise.all(talkers.map((from) => ask(from, at, 'b')));
      assert.deepEqual(new Set(answers), new Set([`${endpoint.address} b`]));
      if (active(2) === 0) silentMs = Math.min(silentMs, performance.now());
      // oxlint-disable-next-line no-await-in-loop -- a caller that thinks
      await new Promise((resolve) => setTimeout(resolve, 200));
    } while (!(performance.now() - silentMs > 2_000));
    assert.equal(active(0) + active(1), talkers.length);
    assert.equal(ledger.sum('service', slot, SERVICE_OWN.sessionsOpened), 45);
    await until('the others are silent, too', () => active(0) + active(1) === 0);
    assert.equal(ledger.word('service', slot, SERVICE_WORD.sessions), 0);
  });
}

test('explain tells the two ports of one number apart', async (t) => {
  const { folder, endpoint } = await setUp(t);
  const explain = (url: string) => maesh(['explain', url, '-f', folder.path]);
  const udp = await explain(`udp://dns.s.maesh:${PORT}`);
  assert.equal(udp.code, 0, udp.err);
  assert.match(udp.out, /forwarded: goes to s\/dns:20006\/udp/);
  assert.match(udp.out, /1 min without a datagram/);
  assert.ok(udp.out.includes(endpoint.address));
  const tcp = await explain(`tcp://dns.s.maesh:${PORT}`);
  assert.match(tcp.out, /forwarded: goes to s\/dns:20006$/m);
  const wrong = await explain('udp://dns.s.maesh:1');
  assert.match(wrong.out, /which has no port 1 for datagrams: it has 20006 \(dns, udp\)/);
  const method = await explain('udp://dns.s.maesh');
  assert.match(method.err, /give host and port, as in udp:/);
});
