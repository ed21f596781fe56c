/** Faults over real sockets: bad endpoints, bad callers, many callers. Others are served normally meanwhile. */

import assert from 'node:assert/strict';
import net from 'node:net';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { call } from '../e2e/support/call.ts';
import { EndpointServer } from '../e2e/support/endpoint.ts';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { LoadProcess, show, showFailed } from './support/children.ts';
import { ownRange } from '../support/ranges.ts';

const PORT = 20_001;
const PODS = ownRange();
const folder = new Folder();
const stops: (() => void)[] = [];
const addresses = new Map<string, string>();
/** Connections to the endpoint that is killed once its caller has half a response: a reset overtakes what nobody has read yet. */
const dying = new Set<net.Socket>();
/** Later than a busy machine is with a limit, and long before anything else would end what is limited here. */
const SOON_MS = 15_000;
let mesh: Mesh;

/** An endpoint that does with a connection as it likes. */
function raw(
  address: string,
  serve: (socket: net.Socket) => void,
): Promise<{ address: string; port: number }> {
  return new Promise((resolve, reject) => {
    const sockets = new Set<net.Socket>();
    const server = net.createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
      serve(socket);
    });
    stops.push(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    server.once('error', reject);
    server.listen({ host: address, port: 0 }, () =>
      resolve({ address, port: (server.address() as net.AddressInfo).port }),
    );
  });
}

before(async () => {
  const good = await EndpointServer.start('good', PODS.host(1));
  stops.push(() => good.stop());
  const dies = await raw(PODS.host(2), (socket) => {
    dying.add(socket);
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf');
    });
  });
  const silent = await raw(PODS.host(3), (socket) => socket.resume());
  const garbage = await raw(PODS.host(4), (socket) => {
    socket.once('data', () => socket.end('\u0000\u0001garbage HTTP/9.9 \r\r\n\n\r\n'));
  });
  const keep = { 'maesh.dev/eject-consecutive-failures': '0' };
  const quick = { ...keep, 'maesh.dev/timeout-try': '300ms' };
  const retry = {
    ...keep,
    // Longer than a busy machine takes with the other endpoint, which answers.
    'maesh.dev/timeout-try': '2s',
    'maesh.dev/retry-attempts': '2',
    'maesh.dev/retry-on': 'timeout',
    'maesh.dev/balance': 'round-robin',
  };
  folder.put(
    'all.yaml',
    service('s/good', PORT),
    endpoints('s/good', [good]),
    service('s/dies', PORT, { annotations: keep }),
    endpoints('s/dies', [dies]),
    service('s/silent', PORT, { annotations: quick }),
    endpoints('s/silent', [silent]),
    service('s/garbage', PORT, { annotations: keep }),
    endpoints('s/garbage', [garbage]),
    service('s/mixed', PORT, { annotations: retry }),
    endpoints('s/mixed', [good, silent]),
  );
  mesh = await Mesh.start({
    paths: [folder.path],
    cidr: ownRange().cidr,
    threads: 2,
    flags: ['--head-timeout', '2s'],
  });
  for (const name of ['good', 'dies', 'silent', 'garbage', 'mixed'])
    addresses.set(name, await mesh.addressOf(`s/${name}`));
});

after(async () => {
  await mesh.stop();
  for (const stop of stops) stop();
  folder.remove();
});

function addressOf(name: string): string {
  return addresses.get(name) ?? '';
}

function startLoad(): LoadProcess {
  const load = new LoadProcess({
    host: addressOf('good'),
    port: PORT,
    keepAlive: 8,
    newPerSecond: 50,
    thinkMs: 5,
  });
  stops.push(() => load.kill());
  return load;
}

/** Everything that arrives until the connection ends. */
function talk(name: string, text: string, onText?: (got: string) => void): Promise<string> {
  return new Promise((resolve) => {
    let got = '';
    const socket = net.connect({ host: addressOf(name), port: PORT }, () => socket.write(text));
    socket.on('data', (data) => {
      got += data.toString('latin1');
      onText?.(got);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => (got += `[${error.code}]`));
    socket.on('close', () => resolve(got));
  });
}

/** Resident memory in bytes. */
function residentBytes(of: Mesh): number {
  const status = readFileSync(`/proc/${of.child.pid}/status`, 'latin1');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1_024;
}

test('an endpoint killed inside its response cuts the caller, who cannot take it for whole', async (t) => {
  assert.deepEqual(await mesh.problems(), []);
  const got = await talk('dies', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', (text) => {
    if (text.endsWith('half')) for (const socket of dying) socket.resetAndDestroy();
  });
  t.diagnostic(`caller got ${JSON.stringify(got.slice(-24))}`);
  assert.match(got, /^HTTP\/1\.1 200 OK[^]*half\[ECONNRESET\]$/);
  assert.equal((await call({ address: addressOf('good'), port: PORT })).status, 200);
});

test('an endpoint that never answers costs its caller 504 in time, and with a retry nobody notices', async (t) => {
  const startMs = performance.now();
  const { status, body } = await call({ address: addressOf('silent'), port: PORT });
  const tookMs = performance.now() - startMs;
  t.diagnostic(`504 after ${tookMs.toFixed(0)} ms of 300 ms`);
  assert.equal(status, 504);
  assert.match(body, /try_timeout/);
  assert.ok(tookMs >= 300 && tookMs < SOON_MS);
  const mixed = { address: addressOf('mixed'), port: PORT };
  const answers = await Promise.all(Array.from({ length: 8 }, () => call(mixed)));
  assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([200]));
});

test('an endpoint that answers garbage costs 502 and reaches no caller', async () => {
  for (let i = 0; i < 20; i++) {
    const { status, body } = await call({ address: addressOf('garbage'), port: PORT });
    assert.equal(status, 502);
    assert.match(body, /bad_response/);
    assert.doesNotMatch(body, /garbage HTTP/);
  }
});

test('heads that are too large get 431 and end there', async () => {
  const field = `X-Big: ${'a'.repeat(40_000)}\r\n`;
  const big = await talk('good', `GET / HTTP/1.1\r\nHost: a\r\n${field}\r\n`);
  assert.match(big, /^HTTP\/1\.1 431 /);
  const many = await talk('good', `GET / HTTP/1.1\r\nHost: a\r\n${'A: b\r\n'.repeat(500)}\r\n`);
  assert.match(many, /^HTTP\/1\.1 431 /);
});

test('hundreds of slowloris callers are cut in time while others are served as ever', async (t) => {
  const alone = startLoad();
  await alone.runs;
  await sleep(1_000);
  const before = await alone.stop();
  const slow: Promise<number>[] = [];
  const load = startLoad();
  await load.runs;
  for (let i = 0; i < 500; i++) {
    slow.push(
      new Promise((resolve) => {
        const startMs = performance.now();
        const socket = net.connect({ host: addressOf('good'), port: PORT });
        socket.write('GET / HTTP/1.1\r\nHost: a\r\n');
        const drip = setInterval(() => socket.write('X-A: b\r\n'), 200);
        socket.on('error', () => undefined);
        socket.resume();
        socket.on('end', () => socket.destroy());
        socket.on('close', () => {
          clearInterval(drip);
          resolve(performance.now() - startMs);
        });
      }),
    );
  }
  const lastedMs = (await Promise.all(slow)).toSorted((a, b) => a - b);
  const report = await load.stop();
  t.diagnostic(
    `500 slow callers cut after ${lastedMs[0]?.toFixed(0)} to ${lastedMs.at(-1)?.toFixed(0)} ms, limit 2000 ms`,
  );
  t.diagnostic(`others before: ${show(before)}`);
  t.diagnostic(`others meanwhile: ${show(report)}`);
  assert.equal(report.failed.length, 0, showFailed(report));
  assert.ok((lastedMs[0] ?? 0) >= 1_900 && (lastedMs.at(-1) ?? Infinity) < 2_000 + SOON_MS);
});

test('9,000 idle connections cost little memory and nobody else', async (t) => {
  // Each has a descriptor and is owed one for a dial on either thread: of 20,000, more would be too many.
  const COUNT = 9_000;
  // A fresh one: memory that earlier tests have left free would hide what this takes.
  const fresh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 2 });
  stops.push(() => void fresh.stop());
  const host = await fresh.addressOf('s/good');
  const warm = new LoadProcess({ host, port: PORT, keepAlive: 8, newPerSecond: 50, thinkMs: 0 });
  await warm.runs;
  await sleep(1_500);
  await warm.stop();
  const sockets: net.Socket[] = [];
  const agentBytes = residentBytes(fresh);
  let opened = 0;
  // Each makes one request first, so that it stays for the idle time and not just for that of a head.
  const open = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = net.connect({ host, port: PORT }, () => {
        socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      });
      socket.once('data', () => {
        opened++;
        resolve();
      });
      socket.on('error', reject);
      sockets.push(socket);
    });
  for (let i = 0; i < COUNT; i += 100) await Promise.all(Array.from({ length: 100 }, open));
  const connections = (): Promise<number> =>
    fresh.metric('maesh_caller_connections{service="s/good"}');
  await sleep(500);
  const grownBytes = residentBytes(fresh) - agentBytes;
  const active = await connections();
  t.diagnostic(
    `${active} connections open: resident memory +${(grownBytes / 1e6).toFixed(1)} MB, ${(grownBytes / opened / 1e3).toFixed(1)} kB each`,
  );
  assert.ok(active >= COUNT);
  const load = new LoadProcess({ host, port: PORT, keepAlive: 8, newPerSecond: 50, thinkMs: 5 });
  await load.runs;
  await sleep(1_000);
  const report = await load.stop();
  t.diagnostic(`others meanwhile: ${show(report)}`);
  assert.equal(report.failed.length, 0, showFailed(report));
  assert.ok(grownBytes / opened < 12_000, `${grownBytes / opened} bytes each`);
  for (const socket of sockets) socket.destroy();
  await until('all are gone', async () => (await connections()) === 0, 100_000);
});
