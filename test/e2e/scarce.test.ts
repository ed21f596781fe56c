/** No caller takes the node: what happens when descriptors, connections or memory run short, with real processes. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { EndpointServer } from './support/endpoint.ts';
import { endpoints, Folder, service } from './support/manifests.ts';
import { Mesh } from './support/mesh.ts';
import { until } from './support/until.ts';
import { ownRange } from '../support/ranges.ts';

const ATTACKER = '127.1.87.100';
const OTHER = '127.1.87.101';
const PORT = 20_001;
const linux = { skip: process.platform === 'linux' ? false : 'needs /proc of Linux' };

interface Setup {
  readonly mesh: Mesh;
  readonly address: string;
  readonly server: EndpointServer;
}

async function setUp(
  t: TestContext,
  index: number,
  options: { flags?: string[]; prefix?: string[]; handler?: http.RequestListener },
): Promise<Setup> {
  const server = await EndpointServer.start('web', `127.1.87.${index}`, options.handler);
  const folder = new Folder();
  const annotations = { 'maesh.dev/eject-consecutive-failures': '1' };
  folder.put('all.yaml', service('s/web', PORT, { annotations }), endpoints('s/web', [server]));
  const { flags = [], prefix = [] } = options;
  const { cidr } = ownRange();
  const mesh = await Mesh.start({ paths: [folder.path], cidr, flags, prefix });
  t.after(async () => {
    await mesh.stop('SIGKILL');
    server.stop();
    folder.remove();
  });
  return { mesh, address: await mesh.addressOf('s/web'), server };
}

/** Connections of one source; `text` is sent on each. Those that the mesh closes are left out of `open`. */
class Crowd {
  readonly open = new Set<net.Socket>();
  connected = 0;
  readonly #at: { host: string; port: number; localAddress: string };

  constructor(t: TestContext, host: string, localAddress: string) {
    this.#at = { host, port: PORT, localAddress };
    t.after(() => this.open.forEach((socket) => socket.destroy()));
  }

  /** Resolves when all are connected, or refused. */
  async grow(count: number, text: string, reads = true): Promise<void> {
    for (let i = 0; i < count; i += 200) {
      const part = Array.from({ length: Math.min(200, count - i) }, () => this.#one(text, reads));
      await Promise.all(part);
    }
  }

  #one(text: string, reads: boolean): Promise<void> {
    return new Promise((resolve) => {
      const socket = net.connect(this.#at);
      this.open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.open.delete(socket);
        resolve();
      });
      socket.on('connect', () => {
        this.connected++;
        if (text === '') resolve();
        else socket.write(text, () => resolve());
        if (reads) socket.resume();
      });
    });
  }
}

/** Status of one GET on a connection of its own; 0 when it was cut. */
function statusFrom(localAddress: string, host: string): Promise<number> {
  return new Promise((resolve) => {
    const request = http.get({ host, port: PORT, localAddress, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on('error', () => resolve(0));
  });
}

function residentBytes(mesh: Mesh): number {
  const status = readFileSync(`/proc/${mesh.child.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1_024;
}

function shed(mesh: Mesh, scarce: string, what: string): Promise<number> {
  return mesh.metric(`maesh_caller_connections_shed_total{scarce="${scarce}",what="${what}"}`);
}

async function isHealthy(mesh: Mesh): Promise<boolean> {
  const { endpoints: all } = await mesh.json<{ endpoints: { health: string }[] }>('/api/endpoints');
  return all.every(({ health }) => health === 'healthy');
}

test(
  'with few descriptors callers are refused before dials fail, and others still come in',
  linux,
  async (t) => {
    const waiting: http.ServerResponse[] = [];
    const { mesh, address } = await setUp(t, 1, {
      prefix: ['sh', '-c', 'ulimit -n 300 && exec "$0" "$@"'],
      handler: (_request, response) => void waiting.push(response),
    });
    const statuses: Promise<number>[] = [];
    for (let i = 0; i < 400; i++) statuses.push(statusFrom(ATTACKER, address));
    await until(
      'callers are refused',
      async () => (await shed(mesh, 'descriptors', 'refused')) > 50,
    );
    await until('the others wait at the endpoint', () => waiting.length > 20);
    const other = statusFrom(OTHER, address);
    await until('the other one is there', async () => {
      // On a busy machine not every head has been read.
      const made = ['partial_head', 'idle', 'busy'].map((what) => shed(mesh, 'descriptors', what));
      // Or nobody had to make room: enough of the first ones were refused.
      const isIn = waiting.some(({ req }) => req.headers['x-forwarded-for'] === OTHER);
      return isIn || (await Promise.all(made)).some((count) => count > 0);
    });
    const timer = setInterval(
      () => waiting.splice(0).forEach((response) => response.end('ok')),
      20,
    );
    t.after(() => clearInterval(timer));
    assert.equal(await other, 200);
    const seen = new Map<number, number>();
    for (const status of await Promise.all(statuses)) seen.set(status, (seen.get(status) ?? 0) + 1);
    assert.deepEqual(new Set(seen.keys()), new Set([0, 200]), JSON.stringify([...seen]));
    assert.ok(await isHealthy(mesh));
  },
);

/** The lowest number that the process could open next. */
function lowestFree(pid: number | undefined): number {
  const open = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let lowest = 0;
  while (open.has(lowest)) lowest++;
  return lowest;
}

function hasPrlimit(): boolean {
  try {
    execFileSync('prlimit', ['--version']);
    return true;
  } catch {
    return false;
  }
}

test(
  'a dial without a descriptor is 503 and the fault of no endpoint',
  {
    skip: hasPrlimit() ? false : 'needs prlimit: install util-linux',
  },
  async (t) => {
    const { mesh, address } = await setUp(t, 2, {
      handler: (_request, response) => response.setHeader('Connection', 'close').end('ok'),
    });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    const ask = (): Promise<[number, string]> =>
      new Promise((resolve, reject) => {
        const request = http.get({ host: address, port: PORT, agent }, (response) => {
          let text = '';
          response.on('data', (data: Buffer) => (text += data.toString()));
          response.on('end', () => resolve([response.statusCode ?? 0, text]));
        });
        request.on('error', reject);
      });
    const limit = (count: number): void =>
      void execFileSync('prlimit', ['--pid', String(mesh.child.pid), `--nofile=${count}:`]);
    assert.deepEqual(await ask(), [200, 'ok']);
    const before = Number(
      /^Max open files +(\d+)/m.exec(readFileSync(`/proc/${mesh.child.pid}/limits`, 'utf8'))?.[1],
    );
    let status = 200;
    let text = '';
    // A descriptor that closes meanwhile is one that can be used.
    for (let i = 0; i < 20 && status === 200; i++) {
      limit(lowestFree(mesh.child.pid));
      [status, text] = await ask();
    }
    limit(before);
    assert.equal(status, 503);
    assert.match(text, /^maesh: node_exhausted: /);
    assert.ok(await isHealthy(mesh));
    assert.deepEqual(await ask(), [200, 'ok']);
  },
);

test('one source that takes all connections leaves others served', linux, async (t) => {
  const { mesh, address } = await setUp(t, 3, { flags: ['--caller-connections-max', '3000'] });
  const crowd = new Crowd(t, address, ATTACKER);
  await crowd.grow(5_000, '');
  assert.equal(crowd.connected, 5_000);
  await until(
    'it is refused more',
    async () => (await shed(mesh, 'connections', 'refused')) >= 2_000,
  );
  await until('it has all there are', () => crowd.open.size === 3_000);
  for (let i = 0; i < 20; i++) assert.equal(await statusFrom(OTHER, address), 200);
  await until('it made room', () => crowd.open.size < 3_000);
  assert.ok(crowd.open.size > 2_500, 'and keeps the rest');
});

test('6,000 heads that are not whole stay within the memory for callers', linux, async (t) => {
  const { mesh, address } = await setUp(t, 4, { flags: ['--caller-memory-max', '64MiB'] });
  assert.equal(await statusFrom(OTHER, address), 200);
  const before = residentBytes(mesh);
  const crowd = new Crowd(t, address, ATTACKER);
  await crowd.grow(6_000, `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(30_000)}`);
  assert.equal(await statusFrom(OTHER, address), 200);
  const grown = (residentBytes(mesh) - before) / 1_048_576;
  t.diagnostic(`the mesh grew by ${grown.toFixed(0)} MiB`);
  assert.ok(grown < 110, `${grown} MiB`);
  await until('most are let go', () => crowd.open.size < 2_000);
});

test('readers that take nothing stay within the memory for callers', linux, async (t) => {
  const big = Buffer.alloc(8_388_608, 'x');
  const { mesh, address } = await setUp(t, 5, {
    flags: ['--caller-memory-max', '32MiB'],
    handler: ({ url }, response) => void response.end(url === '/big' ? big : 'ok'),
  });
  assert.equal(await statusFrom(OTHER, address), 200);
  const before = residentBytes(mesh);
  const crowd = new Crowd(t, address, ATTACKER);
  await crowd.grow(1_000, '', false);
  for (const socket of crowd.open) socket.write('GET /big HTTP/1.1\r\nHost: a\r\n\r\n');
  const reason = 'maesh_failures_total{service="s/web",reason="caller_shed"}';
  // The kernel takes some megabytes for each before a reader holds anything here.
  await until('many are let go', async () => (await mesh.metric(reason)) > 50, 60_000);
  // A thread tells its own counts once a second.
  await until('it is counted', async () => (await shed(mesh, 'memory', 'busy')) > 0);
  assert.equal(await statusFrom(OTHER, address), 200);
  const grown = (residentBytes(mesh) - before) / 1_048_576;
  t.diagnostic(`the mesh grew by ${grown.toFixed(0)} MiB`);
  assert.ok(grown < 110, `${grown} MiB`);
});
