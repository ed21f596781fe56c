/** A storm of 100,000 callers of a port of UDP: what they leave behind is bounded, and others are served meanwhile. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Folder } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { openRawUdp } from '../support/raw-datagram.ts';
import { ownRange } from '../support/ranges.ts';
import { caller, Datagrams } from '../support/udp.ts';

const PORT = 20_031;
const CALLERS = 100_000;
const AT_ONCE = 40;
const PATIENCE = 25;
const LIMIT = 2_000;
const THREADS = 2;
/** Of the process, from before the storm to after it: sessions that are there, and what their makings left for the garbage collector. */
const GROWTH_BYTES_MAX = 250_000_000;

test('100,000 callers of UDP cost no more than the limit of the Service', async (t) => {
  const range = ownRange();
  const addresses = [1, 2, 3, 4].map((i) => range.host(i));
  const raws = addresses.map((address) => openRawUdp(address));
  const [missing] = raws.filter((raw) => typeof raw === 'string');
  if (missing !== undefined) return t.skip(missing);
  const endpoint = await Datagrams.bind(t, range.host(5));
  endpoint.onDatagram = (data, from) => endpoint.socket.send(data, from.port, from.address);
  const folder = new Folder();
  const metadata = { namespace: 's', name: 'udp' };
  const annotations = { 'maesh.dev/limit-requests-in-flight': String(LIMIT) };
  const spec = { ports: [{ name: 'udp', protocol: 'UDP', port: PORT }] };
  const { address, port } = endpoint;
  const subsets = [{ addresses: [{ ip: address }], ports: [{ ...spec.ports[0], port }] }];
  folder.put(
    'all.yaml',
    { apiVersion: 'v1', kind: 'Service', metadata: { ...metadata, annotations }, spec },
    { apiVersion: 'v1', kind: 'Endpoints', metadata, subsets },
  );
  const mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: THREADS });
  t.after(async () => {
    await mesh.stop();
    folder.remove();
  });
  const at = { address: await mesh.addressOf('s/udp'), port: PORT };
  const polite = await caller(t);
  let asked = 0;
  const timer = setInterval(() => polite.send(`${asked++}`, at), 50);
  t.after(() => clearInterval(timer));
  await until('it is answered', () => polite.came.length > 10);
  const sessions = (): Promise<number> => mesh.metric('maesh_udp_sessions{service="s/udp"}');
  const resident = (): Promise<number> => mesh.metric('process_resident_memory_bytes');
  const before = await resident();
  const payload = Buffer.from('x');
  let most = 0;
  for (let sent = 0; sent < CALLERS;) {
    for (let i = 0; i < AT_ONCE; i++, sent++) {
      const raw = raws[sent % raws.length];
      if (raw !== undefined && typeof raw !== 'string')
        raw.send(payload, 1 + Math.floor(sent / raws.length), at.port, at.address);
    }
    // The kernel drops what waits for a thread that a busy machine holds up: more come when these are there, or are not to be.
    const goal = endpoint.came.length + AT_ONCE;
    for (let i = 0; i < PATIENCE && endpoint.came.length < goal; i++) {
      // oxlint-disable-next-line no-await-in-loop -- what comes is served
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    // oxlint-disable-next-line no-await-in-loop -- likewise
    if (sent % 10_000 === 0) most = Math.max(most, await sessions());
  }
  clearInterval(timer);
  for (const raw of raws) if (typeof raw !== 'string') raw.close();
  const opened = await mesh.metric('maesh_udp_sessions_opened_total{service="s/udp"}');
  const grown = (await resident()) - before;
  const dropped = /^maesh_udp_dropped_datagrams_total.*$/gm;
  const said = await (await fetch(`${mesh.admin}/metrics`)).text();
  t.diagnostic(`${opened} sessions were opened, at most ${most} at a time; ${grown} bytes more`);
  t.diagnostic([...said.matchAll(dropped)].join('\n'));
  t.diagnostic(`${polite.came.length} of ${asked} questions of another caller were answered`);
  assert.ok(most <= LIMIT, String(most));
  assert.ok(opened > CALLERS / 2, `${opened}: most of them get a session`);
  assert.ok(grown < GROWTH_BYTES_MAX, String(grown));
  assert.ok(polite.came.length > 0.9 * asked, 'another caller is served');
  const ports = new Set(
    endpoint.came.filter(({ text }) => text !== 'x').map(({ from }) => from.port),
  );
  assert.equal(ports.size, 1, 'and has one session for all of the time');
  assert.equal(await mesh.metric('maesh_defects_total{part="proxy"}'), 0, mesh.stderr);
});
