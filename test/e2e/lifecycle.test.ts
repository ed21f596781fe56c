/** Start, settings, ports and rights, the end: what the operator of `maesh up` sees. */

import assert from 'node:assert/strict';
import { chmodSync, existsSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { after, before, test, type TestContext } from 'node:test';
import { call } from './support/call.ts';
import { EndpointServer } from './support/endpoint.ts';
import { endpoints, Folder, service } from './support/manifests.ts';
import { Mesh, type MeshOptions } from './support/mesh.ts';
import { queryDns } from '../support/dns-query.ts';
import { skipWithoutPrograms } from '../support/programs.ts';
import { until } from './support/until.ts';
import { ownBlock, ownRange, rangesOf } from '../support/ranges.ts';

const folder = new Folder();
let slow: EndpointServer;
/** Requests of /slow that wait for their answer. */
const waiting: http.ServerResponse[] = [];

before(async () => {
  slow = await EndpointServer.start('slow', '127.1.83.1', (request, response) => {
    if (request.url === '/slow') waiting.push(response);
    else response.end('ok');
  });
  folder.put('all.yaml', service('s/web', 20_001), endpoints('s/web', [slow]));
});

after(() => {
  slow.stop();
  folder.remove();
});

/** On a range that no other mesh uses. */
function options(more: Partial<MeshOptions> = {}): MeshOptions {
  return { paths: [folder.path], cidr: ownRange().cidr, ...more };
}

/** Takes a port; ends with the test. */
async function take(t: TestContext, host: string, port = 0): Promise<net.Server> {
  const server = net.createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host }, resolve);
  });
  t.after(() => server.close());
  return server;
}

function portOf(server: net.Server): number {
  return (server.address() as net.AddressInfo).port;
}

/** The sentence with which the mesh gave up. */
async function refusal(mesh: Mesh): Promise<string> {
  assert.equal(await mesh.exit, 1, mesh.stderr);
  const lines = mesh.stderr.trim().split('\n');
  assert.equal(lines.length, 1, mesh.stderr);
  assert.doesNotMatch(mesh.stderr, / at .*\.ts/);
  return lines[0] ?? '';
}

test('start-up prints each way to reach the mesh once', async (t) => {
  const mesh = await Mesh.start(options());
  t.after(() => mesh.stop());
  for (const way of ['admin ', 'dns ', 'call ', 'hosts ', 'resolv ']) {
    const lines = mesh.stdout.split('\n').filter((line) => line.startsWith(`  ${way}`));
    assert.equal(lines.length, 1, `${way} in ${mesh.stdout}`);
  }
  assert.match(mesh.stdout, /maesh curl --admin \S+ http:\/\/web\.s\.maesh:20001\//);
  assert.match(mesh.stdout, /^maesh: 1 services? from .* ready in \d+ ms/);
  folder.put('more.yaml', service('s/more', 20_002));
  await until('it is there', () => mesh.addressOf('s/more').catch(() => null));
  folder.delete('more.yaml');
  assert.equal(mesh.stdout.match(/resolvectl dns/g)?.length, 1);
});

test('a broken rule is one warning a minute, with its name, and a counter', async (t) => {
  const mesh = await Mesh.start(options());
  t.after(() => mesh.stop());
  const host = await mesh.addressOf('s/web');
  for (let i = 0; i < 3; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await new Promise<void>((resolve) => {
      const socket = net.connect({ host, port: 20_001 }, () =>
        socket.end('GET / HTTP/1.1\r\n\r\n'),
      );
      socket.on('close', () => resolve()).resume();
    });
  }
  const counter = 'maesh_broken_rules_total{by="caller",rule="host_missing"}';
  let count = 0;
  await until('the counter', async () => (count = await mesh.metric(counter)) === 3);
  assert.equal(count, 3);
  const said = (): string[] =>
    mesh.stderr.split('\n').filter((line) => line.includes('host_missing'));
  await until('it is said', () => said().length > 0);
  const lines = said();
  assert.equal(lines.length, 1, mesh.stderr);
  assert.match(lines[0] ?? '', /A caller broke a rule of HTTP: an HTTP\/1\.1 request has no Host/);
  assert.match(lines[0] ?? '', /s\/web/);
});

test('SIGTERM stops accepting, finishes a slow request, exits with 0', async () => {
  const mesh = await Mesh.start(options({ threads: 2 }));
  const address = await mesh.addressOf('s/web');
  const agent = new http.Agent({ keepAlive: true });
  const before = waiting.length;
  const answer = call({ address, port: 20_001, path: '/slow', agent });
  await until('the request is under way', () => waiting.length > before);
  const exit = mesh.stop();
  await until('nobody is accepted any more', () =>
    call({ address, port: 20_001 }).then(
      () => false,
      (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
    ),
  );
  assert.equal(await mesh.status('/readyz'), 503);
  waiting.pop()?.end('late');
  const { status, body } = await answer;
  assert.deepEqual([status, body], [200, 'late']);
  // The kept connection of the caller is told to go right after the last thread has closed, or with the answer.
  assert.equal(await exit, 0);
  assert.doesNotMatch(mesh.stderr, /were cut/);
  agent.destroy();
});

test('--drain-timeout bounds how long SIGTERM waits', async (t) => {
  const mesh = await Mesh.start(options({ flags: ['--drain-timeout', '300ms'] }));
  const address = await mesh.addressOf('s/web');
  const before = waiting.length;
  const answer = call({ address, port: 20_001, path: '/slow' });
  const failed = assert.rejects(answer);
  await until('the request is under way', () => waiting.length > before);
  const startMs = performance.now();
  assert.equal(await mesh.stop(), 0);
  const tookMs = performance.now() - startMs;
  t.diagnostic(`ended after ${tookMs.toFixed(0)} ms`);
  assert.ok(tookMs >= 290 && tookMs < 15_000, `${tookMs}`);
  assert.match(mesh.stderr, /were cut at the end of the drain/);
  await failed;
  waiting.pop()?.destroy();
});

test('a second signal does not wait for the drain and says so', async () => {
  const mesh = await Mesh.start(options());
  const address = await mesh.addressOf('s/web');
  const before = waiting.length;
  const failed = assert.rejects(call({ address, port: 20_001, path: '/slow' }));
  await until('the request is under way', () => waiting.length > before);
  mesh.child.kill('SIGTERM');
  await until('it drains', () => mesh.stderr.includes('Draining'));
  assert.equal(await mesh.stop('SIGINT'), 1);
  assert.match(mesh.stderr, /maesh: Ended by a second signal/);
  assert.doesNotMatch(mesh.stderr, /\.ts:\d+/);
  await failed;
  waiting.pop()?.destroy();
});

test('a Service port that is taken is a problem with a way out, and is served once it is free', async (t) => {
  const same = options();
  const first = await Mesh.start(same);
  const address = await first.addressOf('s/web');
  await first.stop();
  const other = await take(t, address, 20_001);
  const mesh = await Mesh.start(same);
  t.after(() => mesh.stop());
  assert.equal(await mesh.status('/readyz'), 503);
  const [problem] = await mesh.problems();
  assert.equal(problem?.object, 'Service s/web');
  assert.match(problem?.message ?? '', /another process uses the port/);
  assert.match(mesh.stderr, new RegExp(`${address}:20001`));
  other.close();
  await until('it is ready', async () => (await mesh.status('/readyz')) === 200);
  assert.deepEqual(await mesh.problems(), []);
  assert.equal((await call({ address, port: 20_001 })).status, 200);
});

/** Threads of the proxy that begin only once this file is there. */
const heldBack = (file: string): string => `
  import { existsSync } from 'node:fs';
  import { isMainThread } from 'node:worker_threads';
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  while (!isMainThread && !existsSync(${JSON.stringify(file)})) Atomics.wait(nobody, 0, 0, 5);`;

test('/readyz says 503 until everything is served', async (t) => {
  const other = new Folder();
  t.after(() => other.remove());
  const go = `${other.path}/go`;
  // Nobody calls from here, so that nobody gets the port in between.
  const host = ownRange().host(1);
  const admin = await new Promise<number>((resolve, reject) => {
    const probe = net.createServer();
    probe.once('error', reject);
    probe.listen(0, host, () => {
      const port = portOf(probe);
      probe.close(() => resolve(port));
    });
  });
  const flags = ['--admin', `${host}:${admin}`, '--dns', 'off', '--threads', '1'];
  const held = `data:text/javascript,${encodeURIComponent(heldBack(go))}`;
  const env = { NODE_OPTIONS: `--import=${held}` };
  const mesh = new Mesh(options({ bare: true, flags, env }));
  t.after(() => mesh.stop('SIGKILL'));
  const status = async (): Promise<number> =>
    (await fetch(`http://${host}:${admin}/readyz`)).status;
  assert.equal(await until('it answers', status), 503);
  other.write('go', '');
  await until('it is ready', async () => (await status()) === 200);
  await until('it says so', () => mesh.stdout.includes('ready in'));
  assert.equal(await mesh.stop(), 0);
});

test('an admin or DNS port that is taken ends the start with one sentence and exit code 1', async (t) => {
  const taken = portOf(await take(t, '127.0.0.1'));
  const flags = (admin: number, dns: number) =>
    `--admin 127.0.0.1:${admin} --dns 127.0.0.1:${dns} --threads 1`.split(' ');
  const admin = new Mesh(options({ bare: true, flags: flags(taken, 0) }));
  assert.match(await refusal(admin), new RegExp(`^maesh: .*127\\.0\\.0\\.1:${taken}.*--admin`));
  const dns = new Mesh(options({ bare: true, flags: flags(0, taken) }));
  assert.match(await refusal(dns), new RegExp(`^maesh: .*127\\.0\\.0\\.1:${taken}.*--dns`));
});

const withoutPrivilege = { skip: skipWithoutPrograms('setpriv') };

test(
  'a port below 1024 without the right to it is one clear sentence',
  withoutPrivilege,
  async (t) => {
    if (process.getuid?.() !== 0) return t.skip('needs root to become somebody else');
    chmodSync(folder.path, 0o755);
    // Somebody else may not write the coverage of this run.
    const somebody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const prefix = ['env', '-u', 'NODE_V8_COVERAGE', ...somebody];
    const start = (admin: string, dns: string, more: Partial<MeshOptions> = {}) =>
      new Mesh(
        options({
          bare: true,
          prefix,
          flags: ['--admin', admin, '--dns', dns, '--threads', '1'],
          ...more,
        }),
      );
    const admin = start('127.0.0.1:90', '127.0.0.1:0');
    assert.match(await refusal(admin), /^maesh: .*127\.0\.0\.1:90.*(permission|1024)/i);
    const dns = start('127.0.0.1:0', '127.0.0.1:53');
    assert.match(await refusal(dns), /^maesh: .*127\.0\.0\.1:53.*(permission|1024)/i);
    const low = new Folder();
    chmodSync(low.path, 0o755);
    low.put('low.yaml', service('s/low', 80));
    t.after(() => low.remove());
    const mesh = start('127.0.0.1:0', 'off', { paths: [low.path] });
    t.after(() => mesh.stop());
    await mesh.ready();
    assert.equal(await mesh.status('/readyz'), 503);
    const problem = (await mesh.problems()).find(({ severity }) => severity === 'error');
    assert.match(problem?.message ?? '', /may not listen on ports below 1024/);
    assert.match(mesh.stdout, /^maesh: 1 service from .*, but 1 port cannot be listened on/);
    assert.match(problem?.remedy ?? '', /ip_unprivileged_port_start/);
  },
);

test('an access log that cannot be opened ends the start with one sentence', async () => {
  const flags = ['--access-log', 'json', '--access-log-path', '/nonexistent/access.log'];
  const mesh = new Mesh(options({ threads: 2, flags }));
  assert.match(await refusal(mesh), /^maesh: Cannot open the access log "\/nonexistent/);
});

test('manifests that do not exist end the start with one sentence', async () => {
  const mesh = new Mesh(options({ paths: ['/nonexistent/manifests'] }));
  assert.match(await refusal(mesh), /^maesh: Cannot read manifests from "\/nonexistent/);
});

test('a flag wins over a variable, and a variable over the file of --config', async (t) => {
  const settings = new Folder();
  t.after(() => settings.remove());
  const ttl = async (mesh: Mesh): Promise<number> => {
    t.after(() => mesh.stop());
    await mesh.ready();
    const { answers } = await queryDns({ port: mesh.dnsPort, name: 'web.s.maesh' });
    const [answer] = answers ?? [];
    return answer !== undefined && 'ttl' in answer ? (answer.ttl ?? -1) : -1;
  };
  const file = settings.write(
    'maesh.yaml',
    'admin: 127.0.0.1:0\ndns: 127.0.0.1:0\nthreads: 1\ndns-ttl: 11s\n',
  );
  const start = (flags: readonly string[], env: Readonly<Record<string, string>>) =>
    new Mesh(options({ bare: true, flags, env }));
  assert.equal(await ttl(start(['--config', file], {})), 11);
  assert.equal(await ttl(start([], { MAESH_CONFIG: file, MAESH_DNS_TTL: '22s' })), 22);
  const env = { MAESH_CONFIG: file, MAESH_DNS_TTL: '22s' };
  assert.equal(await ttl(start(['--dns-ttl', '33s'], env)), 33);
});

test('--default-mode and --acl are accepted', async (t) => {
  const mesh = await Mesh.start(options({ flags: ['--default-mode', 'http', '--acl'] }));
  t.after(() => mesh.stop());
  const address = await mesh.addressOf('s/web');
  assert.equal((await call({ address, port: 20_001 })).status, 200);
  for (const mode of ['tcp', 'udp']) {
    const other = await Mesh.start(options({ flags: ['--default-mode', mode] }));
    t.after(() => other.stop());
    assert.equal(await other.status('/healthz'), 200, mode);
  }
});

test('a Service port that is taken costs that port, and never the readiness of the mesh', async (t) => {
  const manifests = new Folder();
  t.after(() => manifests.remove());
  const { cidr } = ownRange();
  const metric = (key: string): string => `maesh_listen_failures{service="${key}"}`;
  manifests.put('a.yaml', service('s/first', 20_041), service('s/second', 20_042));
  const probe = new Mesh({ paths: [manifests.path], cidr });
  await probe.ready();
  // Addresses follow from names and the range, so the next mesh has the same.
  const [first, second] = [await probe.addressOf('s/first'), await probe.addressOf('s/second')];
  await probe.stop();

  const blocker = await take(t, second, 20_042);
  const mesh = new Mesh({ paths: [manifests.path], cidr });
  t.after(() => mesh.stop());
  await mesh.ready();
  assert.equal(await mesh.status('/readyz'), 200, 'one of two ports is no reason');
  const [problem] = (await mesh.problems()).filter(({ severity }) => severity === 'error');
  assert.equal(problem?.object, 'Service s/second');
  assert.match(problem?.message ?? '', /another process uses the port/);
  assert.equal(await mesh.metric(metric('s/second')), 1);
  blocker.close();
  await until('it is tried again', async () => (await mesh.metric(metric('s/second'))) === 0);

  await take(t, first, 20_043);
  await take(t, first, 20_044);
  await take(t, first, 20_045);
  const ports = [20_043, 20_044, 20_045].map((port) => ({ name: `p${port}`, port }));
  manifests.put('a.yaml', service('s/first', 0, { spec: { ports } }));
  await until('it is found', async () => (await mesh.metric(metric('s/first'))) === 3);
  assert.equal(await mesh.status('/readyz'), 200, 'after the first serve no port is a reason');
});

test('a second mesh on addresses that overlap refuses and names the first, unless it takes over', async (t) => {
  if (!existsSync('/proc/net/unix')) return t.skip('needs the list of sockets that Linux has');
  const { cidr } = ownRange();
  const first = new Mesh({ paths: [folder.path], cidr });
  t.after(() => first.stop('SIGKILL'));
  await first.ready();
  for (const overlapping of [cidr, rangesOf(ownBlock())]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const sentence = await refusal(new Mesh({ paths: [folder.path], cidr: overlapping }));
    assert.match(
      sentence,
      new RegExp(`^maesh: Cannot serve ${overlapping}: .*process ${first.child.pid},`),
    );
  }
  const heir = new Mesh({ paths: [folder.path], cidr, flags: ['--take-over'] });
  t.after(() => heir.stop());
  await heir.ready();
  await first.stop('SIGKILL');
  await heir.stop('SIGKILL');
  const next = new Mesh({ paths: [folder.path], cidr });
  t.after(() => next.stop());
  await next.ready();
  assert.equal(await next.status('/readyz'), 200, 'nothing is left behind by SIGKILL');
});
