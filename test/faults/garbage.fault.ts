/** Garbage at every port of real processes: they stay alive and ready, count no defect, and lose no request of others. */

import assert from 'node:assert/strict';
import { Resolver } from 'node:dns/promises';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { encode } from 'dns-packet';
import { seededRandom } from '../../src/base/random.ts';
import { frame } from '../../src/dns/framing.ts';
import { CAPABILITIES, helloFrame } from '../../src/discovery/hello.ts';
import { firstHello, secureDial } from '../support/caller-tls.ts';
import { TestCa } from '../support/certificates.ts';
import { HELLO_PIECES, helloSeeds } from '../support/client-hello.ts';
import { Cluster } from '../control/support/cluster.ts';
import { type At, endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { DISCOVERY_TARGETS } from '../fuzz/discovery.ts';
import { oneOf } from '../fuzz/mutate.ts';
import { HTTP1_TARGETS } from '../fuzz/http1.ts';
import { HTTP2_TARGETS } from '../fuzz/http2.ts';
import { PREFACE } from '../../src/proxy/http2/codec/frame.ts';
import { frame as http2Frame } from '../support/http2-peer.ts';
import { EndpointsProcess, LoadProcess, show, showFailed } from './support/children.ts';
import { Garbage, type Recipe } from './support/garbage.ts';
import { GarbageEndpoint } from './support/garbage-endpoint.ts';
import { Loads, manifestsOf, openAll, UDP_WAY, udpManifestsOf, WAYS } from './support/ways.ts';
import { ownRange } from '../support/ranges.ts';
import { caller, Datagrams } from '../support/udp.ts';

const SECONDS = Number(process.env['GARBAGE_SECONDS'] ?? 6);
const SEED = Number(process.env['GARBAGE_SEED'] ?? Date.now() % 1_000_000);
const PORT = 20_021;
const RANGE = ownRange();

const QUERIES = [
  { type: 'A', name: 'web.s.maesh' },
  { type: 'ANY', name: 'x'.repeat(60) },
  { type: 'PTR', name: `${RANGE.host(1).split('.').toReversed().join('.')}.in-addr.arpa` },
] as const;
const DATAGRAMS: Recipe = {
  seeds: QUERIES.map(({ type, name }) =>
    encode({
      type: 'query',
      id: 7,
      questions: [{ type: type as 'A', name }],
      additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, options: [] }],
    } as unknown as Parameters<typeof encode>[0]),
  ),
  dictionary: ['\x00\x00\x29\x10\x00', '\xc0\x0c', '\x3f', '\x05maesh\x00', '\x00\xff\x00\x01'],
};
const STREAM: Recipe = { ...DATAGRAMS, seeds: DATAGRAMS.seeds.map((seed) => frame(seed)) };
const REQUESTS = HTTP1_TARGETS.find(({ name }) => name === 'request-head');
assert.ok(REQUESTS !== undefined);
const HTTP2_FRAMES = HTTP2_TARGETS.find(({ name }) => name === 'http2-frames');
assert.ok(HTTP2_FRAMES !== undefined);
const HTTP2_HELLO = Buffer.concat([PREFACE, http2Frame(4, 0, 0)]);
const ADMIN: Recipe = {
  seeds: ['/healthz', '/metrics', '/api/stats?namespace=s', '/api/snapshot'].map((path) =>
    Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`),
  ),
  dictionary: [...REQUESTS.dictionary, '/api/', '?service=', '%00', '%', '&&=', 'HEAD ', 'POST '],
};
const FRAMES = DISCOVERY_TARGETS[0];
assert.ok(FRAMES !== undefined);
/** A TLS record that begins a handshake. */
const HANDSHAKES: Recipe = {
  seeds: [
    Buffer.from('160301007a010000760303', 'hex'),
    Buffer.alloc(300, 0x16),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  ],
  dictionary: [
    '\x16\x03\x01',
    '\x15\x03\x03\x00\x02\x02\x28',
    '\x14\x03\x03\x00\x01\x01',
    '\xff\xff',
  ],
};

test('garbage at every port of "maesh up" costs nobody else anything', async (t) => {
  const folder = new Folder();
  const servers = new EndpointsProcess(t);
  const pods = ownRange();
  const all = [1, 2].map((i) => ({ address: pods.host(i), port: 21_021 }));
  await openAll(servers, all);
  folder.put('all.yaml', ...manifestsOf(PORT, all), ...udpManifestsOf(PORT, all));
  const bad = new GarbageEndpoint(SEED, HTTP2_FRAMES);
  const badPort = await bad.listen(pods.host(3));
  folder.put('udp.yaml', ...udpManifests(await oddEndpoint(t, pods.host(4)), pods.host(5)));
  folder.put('tls.yaml', ...(await tlsManifests(all)));
  folder.put('bad.yaml', ...badManifests(pods.host(3), badPort));
  const mesh = new Mesh({
    paths: [folder.path],
    cidr: RANGE.cidr,
    threads: 2,
    // Beside all this a handshake may take long, and is not to be cut.
    flags: ['--head-timeout', '1m'],
  });
  t.after(async () => {
    await mesh.stop();
    bad.stop();
    folder.remove();
  });
  await mesh.ready();
  const at = async (key: string) => ({ host: await mesh.addressOf(key), port: PORT });
  const { host } = await at('s/web');
  const load = await Loads.start(t, {
    at,
    keepAlive: 4,
    newPerSecond: 20,
    thinkMs: 5,
    ways: [...WAYS, UDP_WAY],
  });
  const udp = await udpUnder(t, (await at('s/udp')).host);
  // These may fail, each in its own way, but all of them end.
  const amount = { keepAlive: 4, streams: 1, newPerSecond: 0, thinkMs: 1 };
  const badAt = await at('s/bad');
  const lost = new LoadProcess(
    ...(['http1', 'http2', 'grpc'] as const).map((speaks) => ({ ...amount, speaks, ...badAt })),
    { ...amount, speaks: 'tcp', ...(await at('s/bad-tcp')) },
  );
  t.after(() => lost.kill());
  const garbage = new Garbage(SEED);
  t.after(() => garbage.stop());
  const missing = garbage.udp(mesh.dnsPort, DATAGRAMS);
  if (missing !== '') t.diagnostic(missing);
  garbage.udp(PORT, DATAGRAMS, (await at('s/udp')).host);
  const tls = await tlsUnder(t, await at('s/tls'));
  garbage.tcp({
    ...(await at('s/tls')),
    seeds: await helloSeedsOfClients(),
    dictionary: HELLO_PIECES,
  });
  garbage.tcp({ ...(await at('s/tls')), isTls: true, ...REQUESTS });
  garbage.tcp({ port: mesh.dnsPort, ...STREAM });
  garbage.tcp({ port: Number(new URL(mesh.admin).port), ...ADMIN });
  garbage.tcp({ host, port: PORT, ...REQUESTS });
  garbage.tcp({ ...(await at('s/tcp')), ...REQUESTS });
  for (const key of ['s/web', 's/grpc']) {
    // oxlint-disable-next-line no-await-in-loop -- it is known
    garbage.tcp({ ...(await at(key)), greeting: HTTP2_HELLO, ...HTTP2_FRAMES });
  }
  await throwFor(t, garbage);
  assert.equal(mesh.child.exitCode, null, mesh.stderr);
  await load.stopWithoutFailure(t);
  await udp.stop();
  await tls.stop();
  await until('callers of TLS are gone', async () => (await handshakesOf(mesh)).open === 0);
  assert.ok((await handshakesOf(mesh)).failed > 0, 'no garbage came to TLS');
  for (const report of await lost.stopAll()) {
    t.diagnostic(`to the endpoint of garbage: ${show(report)}\n${showFailed(report)}`);
    assert.equal(report.ok + report.unseen + report.failed.length, report.sent);
    // A client of gRPC waits for a second or more before it dials anew: how often it calls is its own affair.
    assert.ok(report.failed.length > 0, 'nobody came to the endpoint of garbage');
    for (const { what } of report.failed) assert.match(what, LOST);
  }
  t.diagnostic(`the endpoint said ${bad.said} things`);
  assert.equal(await mesh.status('/readyz'), 200);
  assert.deepEqual(await resolve(mesh.dnsPort, 'web.s.maesh'), [host]);
  for (const part of ['admin', 'dns', 'proxy', 'other']) {
    assert.equal(await mesh.metric(`maesh_defects_total{part="${part}"}`), 0, mesh.stderr);
  }
  assert.equal(await mesh.metric('maesh_proxy_thread_restarts_total'), 0);
});

test('garbage at controller and agent ends neither', async (t) => {
  const cluster = await Cluster.start({ areProcesses: true });
  t.after(() => cluster.stop());
  await cluster.deploy('shop/web');
  const controller = await cluster.controller('controller-0');
  const agent = await cluster.agent('agent-0');
  const call = async (): Promise<boolean> =>
    (await cluster.call(agent, 'web.shop.maesh')).status === 200;
  await cluster.until('the mesh serves', () => agent.dnsPort !== 0 && call());
  const garbage = new Garbage(SEED);
  t.after(() => garbage.stop());
  cluster.api.reviews.set('of.an.evil-agent', cluster.api.reviews.get('agent.of.the-mesh'));
  const evil = {
    formats: { min: 1, max: 1 },
    token: 'of.an.evil-agent',
    node: 'n',
    pod: 'p',
    build: '1',
    resume: null,
    ...CAPABILITIES,
  };
  garbage.tcp({ port: controller.port, ...HANDSHAKES });
  garbage.tcp({ port: controller.port, isTls: true, ...FRAMES });
  // The agent that these say they are loses its stream again and again, and comes back.
  garbage.tcp({ port: controller.port, isTls: true, greeting: helloFrame(evil), ...FRAMES });
  garbage.tcp({ port: controller.part.port('Serving health'), ...ADMIN });
  garbage.tcp({ port: agent.part.port('Serving health'), ...ADMIN });
  garbage.udp(agent.dnsPort, DATAGRAMS);
  garbage.tcp({ port: agent.dnsPort, ...STREAM });
  await throwFor(t, garbage);
  assert.deepEqual([controller.part.hasEnded, agent.part.hasEnded], [false, false]);
  assert.ok(await call());
  await cluster.until('the agent is connected again', async () =>
    (await controller.agents()).some(({ servedVersion }) => servedVersion > 0),
  );
  for (const { part } of [controller, agent]) assert.doesNotMatch(part.log, /[Dd]efect/);
  assert.match(
    controller.part.log,
    /"remote":"127\.9\.[^\n]*An agent came/,
    'garbage behind a token that holds',
  );
});

/** Of real clients, and of none. */
async function helloSeedsOfClients(): Promise<readonly Buffer[]> {
  const clients = [{ ALPNProtocols: ['h2', 'http/1.1'] }, { maxVersion: 'TLSv1.2' as const }];
  return [...(await Promise.all(clients.map((each) => firstHello(each)))), ...helloSeeds()];
}

/** Callers that shake hands for each request, of which none may fail. */
async function tlsUnder(t: TestContext, { host, port }: { host: string; port: number }) {
  let sent = 0;
  const ending = new AbortController();
  const call = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { wire } = await secureDial(t, { address: host, port });
      wire.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      // oxlint-disable-next-line no-await-in-loop -- likewise
      assert.match(await wire.rest(), /^HTTP\/1\.1 200 /);
      sent++;
      // oxlint-disable-next-line no-await-in-loop -- likewise
      await sleep(20);
    }
  };
  const all = Promise.all([call(), call()]);
  // It is looked at in the end.
  all.catch(() => undefined);
  return {
    async stop() {
      ending.abort();
      await all;
      t.diagnostic(`${sent} requests over TLS, each with a handshake`);
      assert.ok(sent > 0, 'nobody was served');
    },
  };
}

/** What was counted of the port that speaks TLS. */
async function handshakesOf(mesh: Mesh): Promise<{ failed: number; open: number }> {
  const name = 'service="s/tls"';
  const [failed, open] = await Promise.all([
    mesh.metric(`maesh_tls_handshakes_total{${name},result="failed",version=""}`),
    mesh.metric(`maesh_caller_connections{${name}}`),
  ]);
  return { failed, open };
}

/** A port that shows a certificate. */
async function tlsManifests(all: readonly At[]): Promise<readonly object[]> {
  const { cert, key } = await (await TestCa.make()).issue({ names: ['tls.s.maesh'] });
  const metadata = { namespace: 's', name: 'tls-key' };
  const stringData = { 'tls.crt': cert, 'tls.key': key };
  const annotations = { 'maesh.dev/tls-secret': 'tls-key' };
  return [
    { apiVersion: 'v1', kind: 'Secret', type: 'kubernetes.io/tls', metadata, stringData },
    service('s/tls', PORT, { annotations }),
    endpoints('s/tls', all),
  ];
}

/** Answers each datagram with its text, and with some that nobody has asked for: none, empty ones, the longest. */
async function oddEndpoint(t: TestContext, address: string): Promise<At> {
  const endpoint = await Datagrams.bind(t, address);
  const random = seededRandom(SEED);
  endpoint.onDatagram = (data, from) => {
    endpoint.socket.send(data, from.port, from.address);
    if (random.next() > 0.2) return;
    const odd = Buffer.alloc(oneOf(random, [0, 1, 9_000, 65_507]), 0xff);
    endpoint.socket.send(odd, from.port, from.address);
  };
  return { address, port: endpoint.port };
}

/** That endpoint, and one where nobody listens: each datagram to it meets an ICMP error. */
function udpManifests({ address, port }: At, deserted: string): readonly object[] {
  const metadata = { namespace: 's', name: 'udp' };
  const ports = [{ name: 'udp', protocol: 'UDP', port: PORT }];
  const to = [{ name: 'udp', protocol: 'UDP', port }];
  const addresses = [address, deserted].map((ip) => ({ ip }));
  return [
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports } },
    { apiVersion: 'v1', kind: 'Endpoints', metadata, subsets: [{ addresses, ports: to }] },
  ];
}

/** Callers that ask once in a while and wait for their answers; beside a flood some may be lost, as in any network. */
async function udpUnder(t: TestContext, address: string): Promise<{ stop(): Promise<void> }> {
  const from = await caller(t);
  let sent = 0;
  const answered = new Set<string>();
  from.onDatagram = (data) => void answered.add(data.toString('latin1'));
  const timer = setInterval(() => from.send(`question ${sent++}`, { address, port: PORT }), 20);
  t.after(() => clearInterval(timer));
  return {
    async stop() {
      const own = (): number => [...answered].filter((text) => text.startsWith('question ')).length;
      const meanwhile = own();
      t.diagnostic(`${meanwhile} of ${sent} questions over UDP were answered`);
      assert.ok(meanwhile > 10, `${meanwhile} of ${sent}`);
      await until('all is well when it is over', () => own() > meanwhile + 10);
      clearInterval(timer);
    },
  };
}

/** How requests may end that come to the endpoint of garbage. Some of what it says is a response. */
const LOST =
  /^(?:status 50[234]: maesh: (?:bad_response|endpoint_reset|try_timeout)|reset with 2|ECONNRESET|closed|said |no content length|0 bytes|grpc-status (?:13|14|4|undefined))/;

/** Never ejected, so that it is asked all the time. */
function badManifests(address: string, port: number): readonly object[] {
  const annotations = {
    'maesh.dev/eject-consecutive-failures': '0',
    'maesh.dev/timeout-try': '500ms',
  };
  const ports = [{ name: 'http', port: PORT, appProtocol: 'kubernetes.io/h2c' }];
  // Who waits for a line that never ends is cut.
  const silent = { ...annotations, 'maesh.dev/timeout-idle': '300ms' };
  const tcp = [{ name: 'http', port: PORT, appProtocol: 'redis' }];
  return [
    service('s/bad', PORT, { annotations, spec: { ports } }),
    endpoints('s/bad', [{ address, port }]),
    service('s/bad-tcp', PORT, { annotations: silent, spec: { ports: tcp } }),
    endpoints('s/bad-tcp', [{ address, port }]),
  ];
}

async function throwFor(t: TestContext, garbage: Garbage): Promise<void> {
  t.diagnostic(`seed ${SEED}: GARBAGE_SEED=${SEED} GARBAGE_SECONDS=${SECONDS} repeats it`);
  await sleep(SECONDS * 1_000);
  await garbage.stop();
  t.diagnostic(`${garbage.sent} datagrams and connections of garbage`);
  assert.ok(garbage.sent > SECONDS * 20, String(garbage.sent));
}

function resolve(port: number, name: string): Promise<string[]> {
  const resolver = new Resolver({ timeout: 2_000, tries: 3 });
  resolver.setServers([`127.0.0.1:${port}`]);
  return until('the name is answered', () => resolver.resolve4(name));
}
