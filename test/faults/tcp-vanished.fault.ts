/**
 * Callers and endpoints of ports of TCP that vanish without FIN or reset, as when a node loses power: the link to them goes down. What a
 * Service says of them ends its connections, silent ones and those with bytes under way; those of a Service that says nothing stand.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { ownRange } from '../support/ranges.ts';
import { isInside, Link, passInside } from './support/namespace.ts';

const OURS = '10.97.0.1';
const THEIRS = '10.97.0.2';
/** Of the mesh: a caller in another namespace cannot reach what is in 127/8. */
const CIDR = '10.97.1.0/24';
const PORT = 20_071;
const ENDPOINT_PORT = 21_071;
/** More than each of them takes, and far less than what the kernel allows for bytes by itself. */
const ENDED_MS = 60_000;

/** What is said of each of two Services: its endpoint vanishes, or its callers. */
const KINDS = {
  silent: { 'maesh.dev/timeout-peer': '4s' },
  owing: { 'maesh.dev/timeout-unacknowledged': '2s' },
  // It has what the mesh has, which is longer than this takes.
  patient: {},
} as const;
type Kind = keyof typeof KINDS;
const ALL = Object.keys(KINDS) as Kind[];

test('what a Service says of peers that vanish holds for callers and endpoints of TCP', async (t) => {
  await passInside(t, import.meta.url, 'ip link set lo up', / ended /);
});

/** Greets whom it accepts. Dials each line, `address port`, and says so there. */
const PEER = `
  const net = require('node:net');
  const readline = require('node:readline');
  const open = new Set();
  const keep = (socket) => open.add(socket.on('error', () => {}).resume());
  const lines = readline.createInterface(process.stdin);
  lines.on('line', (line) => {
    const [what, port] = line.split(' ');
    if (what !== 'serve') return keep(net.connect(Number(port), what, function () { this.write('hello'); }));
    net.createServer((socket) => { keep(socket); socket.write('hello'); })
      .listen(${ENDPOINT_PORT}, '${THEIRS}', () => console.log('up'));
  });
`;

/** One of ours, and what the mesh did to it in the end. */
class Near {
  readonly socket: net.Socket;
  readonly ended: Promise<string>;
  readonly greeted: Promise<unknown>;

  constructor(socket: net.Socket) {
    this.socket = socket;
    this.greeted = once(socket, 'data');
    this.ended = new Promise((resolve) => {
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
      socket.on('end', () => resolve('end'));
    });
  }
}

test('inside the namespace', async (t) => {
  if (!isInside()) return t.skip('started by the other test');
  const peer = spawn('unshare', ['-n', process.execPath, '-e', PEER], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => peer.kill('SIGKILL'));
  await once(peer, 'spawn');
  const link = await Link.make(peer, OURS, THEIRS);
  link.open(CIDR);
  peer.stdin.write('serve\n');
  await once(peer.stdout, 'data');

  const near: Record<string, Near> = {};
  const range = ownRange();
  const folder = new Folder();
  const manifests: object[] = [];
  for (const [i, kind] of ALL.entries()) {
    // With a port of its own: its endpoint knows by it whose caller it has.
    const place = { address: range.host(1), port: ENDPOINT_PORT + i };
    const server = net.createServer((socket) => (near[`s/callers-${kind}`] = new Near(socket)));
    t.after(() => server.close());
    server.listen(place.port, place.address);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await once(server, 'listening');
    const annotations = { 'maesh.dev/traffic-type': 'tcp', ...KINDS[kind] };
    for (const [key, at] of [
      [`s/callers-${kind}`, place],
      [`s/endpoint-${kind}`, { address: THEIRS, port: ENDPOINT_PORT }],
    ] as const)
      manifests.push(service(key, PORT, { annotations }), endpoints(key, [at]));
  }
  folder.put('all.yaml', ...manifests);
  const flags = ['--sockets', 'system', '--access-log', 'json', '--peer-timeout', '1h'];
  const mesh = await Mesh.start({ paths: [folder.path], cidr: CIDR, threads: 2, flags });
  t.after(async () => {
    await mesh.stop('SIGKILL');
    for (const { socket } of Object.values(near)) socket.destroy();
    folder.remove();
  });
  assert.deepEqual(await mesh.problems(), []);

  for (const kind of ALL) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const [front, back] = await Promise.all(
      ['endpoint', 'callers'].map((who) => mesh.addressOf(`s/${who}-${kind}`)),
    );
    near[`s/endpoint-${kind}`] = new Near(net.connect(PORT, front ?? ''));
    peer.stdin.write(`${back} ${PORT}\n`);
  }
  await until('all are there', () => Object.keys(near).length === 2 * ALL.length);
  await Promise.all(Object.values(near).map(({ greeted }) => greeted));
  link.cut(t);
  const sinceMs = performance.now();
  for (const key of ['s/endpoint-owing', 's/callers-owing']) near[key]?.socket.write('to nobody');

  const active = (key: string) => mesh.metric(`maesh_caller_connections{service="${key}"}`);
  for (const kind of ['silent', 'owing'] as const) {
    for (const [key, reason] of [
      [`s/endpoint-${kind}`, 'endpoint_reset_body'],
      [`s/callers-${kind}`, 'caller_gone'],
    ] as const) {
      const failures = `maesh_failures_total{service="${key}",reason="${reason}"}`;
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await until(`${key} ends`, async () => (await mesh.metric(failures)) === 1, ENDED_MS);
      t.diagnostic(`${key} ended after ${Math.round(performance.now() - sinceMs)} ms or before`);
      // oxlint-disable-next-line no-await-in-loop -- likewise
      assert.equal(await near[key]?.ended, 'ECONNRESET', key);
      // oxlint-disable-next-line no-await-in-loop -- likewise
      await until(`${key} is gone`, async () => (await active(key)) === 0);
      // oxlint-disable-next-line no-await-in-loop -- likewise
      const line = await until('the line', () => lineOf(mesh, key));
      assert.deepEqual([line['protocol'], line['failure']], ['TCP', reason]);
      assert.match(String(line['endpoint']), key.includes('endpoint') ? /^10\.97/ : /^127\./);
    }
  }
  for (const who of ['endpoint', 'callers']) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await active(`s/${who}-patient`), 1);
    assert.equal(near[`s/${who}-patient`]?.socket.destroyed, false);
  }
  assert.equal(await mesh.metric('maesh_defects_total{part="proxy"}'), 0, mesh.stderr);
});

/** Of the access log, about a connection of this Service. */
function lineOf(mesh: Mesh, key: string): Record<string, unknown> | undefined {
  return mesh.stdout
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .find((line) => line['service'] === key);
}
