import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { connect } from 'node:tls';
import { ManualClock, systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { seededRandom } from '../base/random.ts';
import { DiscoveryServer } from './server.ts';
import { FLAG, FRAME_TYPE } from './frame.ts';
import {
  authenticate,
  delta,
  eventually,
  HELLO,
  identity,
  makeCertificate,
  rawAgent,
  rawController,
  recordingLog,
  sent,
  service,
  startAgent,
  startServer,
  tempFolder,
  untilServer,
  type LogLine,
} from './stream.fixture.ts';

const WELCOME = { format: 1, epoch: 'raw', build: 'raw', synced: true };
const MUST = FLAG.mustUnderstand;

test('an agent gets a snapshot, then deltas, and says what it serves', async (t) => {
  const started = await startServer(t);
  const { server } = started;
  const web = service('shop/web', ['10.1.0.1']);
  server.publish(delta(1, { services: [web], identities: [identity('10.2.0.1')] }));
  assert.equal(server.minServedVersion(), null);
  const agent = await startAgent(t, started);
  await agent.until(() => agent.deltas.length === 1);
  assert.deepEqual([...agent.services.values()], [web]);
  assert.deepEqual([...agent.identities.values()], [identity('10.2.0.1')]);
  assert.equal(server.minServedVersion(), 0);

  agent.client.acknowledge(1, ['port 80 for shop/web: EACCES']);
  await untilServer(server, () => server.minServedVersion() === 1);
  const [status] = server.agents();
  assert.ok(status);
  assert.deepEqual(status.listenFailures, ['port 80 for shop/web: EACCES']);
  assert.deepEqual(
    [status.agent, status.node, status.build, status.protocol, status.sentVersion, status.lagMs],
    ['maesh/agent-1', 'node-1', 'test', 1, 1, 0],
  );

  const moved = service('shop/web', ['10.1.0.2']);
  server.publish(delta(2, { services: [moved], removedIdentities: ['10.2.0.1'] }));
  await agent.until(() => agent.deltas.length === 2);
  assert.deepEqual(agent.deltas[1], {
    ...delta(2),
    services: [moved],
    removedIdentities: ['10.2.0.1'],
  });
  assert.equal(agent.client.status().version, 2);
  agent.client.acknowledge(2, []);
  await untilServer(server, () => server.minServedVersion() === 2);
});

test('versions of the two sides count apart, and an acknowledgement means the right one', async (t) => {
  const started = await startServer(t);
  const { server } = started;
  server.publish(delta(41, { services: [service('shop/web')] }));
  const agent = await startAgent(t, started);
  await agent.until(() => agent.deltas.length === 1);
  server.publish(delta(42, { services: [service('shop/web')] }));
  server.publish(delta(43, { services: [service('shop/api')] }));
  await agent.until(() => agent.services.size === 2);
  assert.deepEqual(
    agent.deltas.map(({ version }) => version),
    [1, 2],
    'version 42 said nothing new',
  );
  agent.client.acknowledge(1, []);
  await untilServer(server, () => (server.minServedVersion() ?? 0) > 0);
  assert.ok([41, 42].includes(server.minServedVersion() ?? 0));
  agent.client.acknowledge(2, []);
  await untilServer(server, () => server.minServedVersion() === 43);
});

test('what an agent reports is known to whichever controller it is connected to', async (t) => {
  const one = await startServer(t);
  const { server } = one;
  server.publish(delta(1, { services: [service('shop/web')] }));
  const agent = await startAgent(t, one);
  const failing = { service: 'shop/web', kind: 'failing', detail: 'connect_failed' } as const;
  // Told before there is anybody to tell.
  agent.client.report([failing]);
  await untilServer(server, () => server.agents()[0]?.troubles.length === 1);
  assert.deepEqual(server.agents()[0]?.troubles, [failing]);
  agent.client.report([]);
  await untilServer(server, () => server.agents()[0]?.troubles.length === 0);
});

test('a report of a newer agent is read as far as it is known, and a damaged one ends its stream', async (t) => {
  const started = await startServer(t);
  const { server } = started;
  server.publish(delta(1));
  const agent = await rawAgent(t, started);
  agent.send({ type: FRAME_TYPE.hello, flags: MUST }, HELLO);
  await untilServer(server, () => server.agentCount === 1);
  const report = (troubles: unknown): void =>
    agent.send({ type: FRAME_TYPE.report }, { troubles, news: 1 });
  const ejected = { service: 'shop/web', kind: 'ejected', detail: '10.1.0.1:80' };
  report([{ ...ejected, more: 1 }, { ...ejected, kind: 'of-tomorrow' }, { kind: 'failing' }, 7]);
  await untilServer(server, () => server.agents()[0]?.troubles.length === 1);
  assert.deepEqual(server.agents()[0]?.troubles, [ejected]);
  report(Array.from({ length: 500 }, (_, i) => ({ ...ejected, detail: String(i) })));
  await untilServer(server, () => server.agents()[0]?.troubles.length === 100);
  report('none');
  await untilServer(server, () => server.agentCount === 0);
});

test('an empty mesh is a configuration too', async (t) => {
  const started = await startServer(t);
  started.server.publish(delta(1));
  const agent = await startAgent(t, started);
  await agent.until(() => agent.deltas.length === 1);
  assert.deepEqual(agent.deltas, [delta(1)]);
  assert.equal(agent.client.status().state, 'synced');
});

test('who has no good token is closed without a byte', async (t) => {
  const lines: LogLine[] = [];
  const started = await startServer(t, { log: recordingLog(lines) });
  started.server.publish(delta(1, { services: [service('shop/web')] }));
  const peer = await rawAgent(t, started);
  peer.send({ type: FRAME_TYPE.hello, flags: MUST }, { ...HELLO, token: 'bad-secret' });
  await peer.closed();
  assert.deepEqual(peer.frames, []);
  assert.equal(lines.length, 1);
  assert.match(lines[0]!.fields, /it is bad/);
  assert.ok(!JSON.stringify(lines).includes('bad-secret'));

  const agent = await startAgent(t, started, { token: () => Promise.resolve('bad') });
  await untilFailure(agent.client);
  assert.match(agent.client.status().lastError ?? '', /hung up without a word.*token/);
});

/** Resolves once a client failed to connect. */
function untilFailure(client: { status(): { lastError: string | null } }): Promise<void> {
  return eventually(() => client.status().lastError !== null);
}

test('who sends anything but a hello is closed without a byte', async (t) => {
  const started = await startServer(t);
  started.server.publish(delta(1));
  const cases: ((send: (bytes: Buffer) => void) => void)[] = [
    (send) => send(Buffer.from('GET / HTTP/1.1\r\nHost: maesh-controller\r\n\r\n')),
    (send) => send(Buffer.alloc(16)),
    (send) => send(Buffer.from([0, 0, 0x40, 1, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
    (send) => send(Buffer.from([0, 0, 0, 2, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d])),
  ];
  for (const run of cases) {
    const peer = await rawAgent(t, started);
    run((bytes) => peer.socket.write(bytes));
    await peer.closed();
    assert.deepEqual(peer.frames, []);
  }
});

test('who says nothing is closed after 5 s', async (t) => {
  const clock = new ManualClock();
  const lines: LogLine[] = [];
  const started = await startServer(t, { clock, log: recordingLog(lines) });
  const peer = await rawAgent(t, started);
  // The server sees the connection once its side of the handshake is through, which no frame tells.
  while (!peer.isClosed) {
    clock.advance(4_999);
    await setImmediate();
    if (lines.length > 0) break;
  }
  await peer.closed();
  assert.match(lines[0]!.fields, /did not prove who it is in time/);
});

test('connections without a proof are bounded, and those from elsewhere are spared', async (t) => {
  const started = await startServer(t, { limits: { unauthenticated: 3 } });
  started.server.publish(delta(1));
  const crowd = [];
  for (let i = 0; i < 3; i += 1) crowd.push(await rawAgent(t, started, '127.0.0.2'));
  const agent = await startAgent(t, started);
  await agent.until(() => agent.deltas.length === 1);
  await crowd[2]!.closed();
  assert.ok(!crowd[0]!.isClosed && !crowd[1]!.isClosed, 'those who were there first may go on');
});

test('what is not TLS, or TLS of long ago, is closed', async (t) => {
  const lines: LogLine[] = [];
  const started = await startServer(t, { log: recordingLog(lines) });
  const plain = createConnection(started.port, '127.0.0.1');
  t.after(() => plain.destroy());
  plain.on('error', () => plain.destroy());
  plain.write('GET / HTTP/1.1\r\n\r\n');
  await once(plain.resume(), 'close');
  assert.match(lines[0]!.fields, /TLS/);
  const { port, ca } = started;
  const old = connect({ port, ca, host: '127.0.0.1', maxVersion: 'TLSv1.2' });
  t.after(() => old.destroy());
  await assert.rejects(once(old, 'secureConnect'), /protocol version/);
});

test('start() says what is in the way', async (t) => {
  const { server, port } = await startServer(t);
  const other = new DiscoveryServer({
    listen: { host: '127.0.0.1', port },
    epoch: 'other',
    authenticate,
    clock: systemClock,
    random: seededRandom(1),
    log: silentLog,
  });
  await assert.rejects(other.start(), /no certificate yet/);
  other.setCredentials(await makeCertificate('other'));
  await assert.rejects(other.start(), /Cannot serve discovery on "127.0.0.1:\d+".*EADDRINUSE/);
  await other.stop();
  await server.stop();
  await server.stop();
});

test('a large change is made ready in the background, and those after it wait for their turn', async (t) => {
  const started = await startServer(t);
  const { server } = started;
  const many = Array.from({ length: 2_000 }, (_, i) => service(`shop/web-${i}`, ['10.1.0.1']));
  server.publish(delta(1, { services: many }));
  server.publish(delta(2, { removedServices: ['shop/web-7'] }));
  server.publish(delta(3, { services: [service('shop/late')] }));
  assert.equal(server.version, 0);
  assert.throws(() => server.publish(delta(3)), /version 3 does not follow 3/);
  await eventually(() => server.version === 3);
  const agent = await startAgent(t, started);
  await agent.until(() => agent.services.has('shop/late'));
  assert.equal(agent.services.size, 2_000);
  assert.ok(!agent.services.has('shop/web-7'));
});

test('agents() says for how long an agent has not served the latest version', async (t) => {
  const clock = new ManualClock();
  const started = await startServer(t, { clock });
  const { server } = started;
  server.publish(delta(1));
  clock.advance(60_000);
  const peer = await rawAgent(t, started);
  peer.send({ type: FRAME_TYPE.hello, flags: MUST }, HELLO);
  await untilServer(server, () => server.agents().length === 1);
  const lagMs = (): number | undefined => server.agents()[0]?.lagMs;
  assert.equal(lagMs(), 0, 'it cannot be late before it came');
  clock.advance(1_000);
  assert.equal(lagMs(), 1_000);
  peer.send({ type: FRAME_TYPE.acknowledge, version: 1 }, { failures: [] });
  await untilServer(server, () => lagMs() === 0);
  server.publish(delta(2));
  clock.advance(300);
  server.publish(delta(3));
  clock.advance(200);
  assert.equal(lagMs(), 500);
});

test('more agents than there is room for are told so', async (t) => {
  const started = await startServer(t, { limits: { agents: 1 } });
  started.server.publish(delta(1));
  const agent = await startAgent(t, started);
  await agent.until(() => agent.deltas.length === 1);
  const peer = await rawAgent(t, started);
  peer.send({ type: FRAME_TYPE.hello, flags: MUST }, HELLO);
  await peer.closed();
  assert.deepEqual(peer.values(FRAME_TYPE.goAway), [
    { reason: 'full', detail: 'this controller has 1 agents' },
  ]);
  assert.equal(started.server.agents().length, 1);
});

test('a controller that has published nothing takes nobody in, and says so', async (t) => {
  const started = await startServer(t);
  const agent = await startAgent(t, started);
  await untilFailure(agent.client);
  assert.match(agent.client.status().lastError ?? '', /says not_ready: .*has not read the cluster/);
  assert.equal(agent.client.status().state, 'connecting');
  started.server.publish(delta(1));
  await agent.until(() => agent.deltas.length === 1);
});

test('the same agent again replaces its older connection', async (t) => {
  const started = await startServer(t);
  started.server.publish(delta(1));
  const first = await rawAgent(t, started);
  first.send({ type: FRAME_TYPE.hello, flags: MUST }, HELLO);
  await first.until(() => first.values(FRAME_TYPE.commit).length === 1);
  const second = await rawAgent(t, started);
  second.send({ type: FRAME_TYPE.hello, flags: MUST }, HELLO);
  await first.closed();
  assert.deepEqual(first.values(FRAME_TYPE.goAway), [
    { reason: 'replaced', detail: 'the same agent connected again' },
  ]);
  assert.equal(started.server.agents().length, 1);
});

test('an agent that comes back gets only what it missed', async (t) => {
  const started = await startServer(t);
  const { server } = started;
  server.publish(delta(1, { services: [service('shop/web')] }));
  server.publish(delta(2, { services: [service('shop/api')] }));
  for (const [version, parts] of [
    [1, 1],
    [2, 0],
  ] as const) {
    const peer = await rawAgent(t, started);
    const resume = { epoch: 'epoch-1', version };
    peer.send({ type: FRAME_TYPE.hello, flags: MUST }, { ...HELLO, resume });
    await peer.until(() => peer.values(FRAME_TYPE.commit).length === 1);
    assert.deepEqual(peer.values(FRAME_TYPE.snapshot), []);
    assert.deepEqual(peer.values(FRAME_TYPE.commit), [{ from: version, parts }]);
  }
});

test('a client that is started again connects anew, with what it knows', async (t) => {
  const started = await startServer(t);
  const { server } = started;
  server.publish(delta(1, { services: [service('shop/web')] }));
  const agent = await startAgent(t, started);
  await eventually(() => agent.client.status().state === 'synced');
  const first = agent.client.status().server;
  const connected = server.agents()[0]?.remote;
  agent.client.restart();
  await untilServer(
    server,
    () => server.agentCount === 1 && server.agents()[0]?.remote !== connected,
  );
  await eventually(() => agent.client.status().server === first);
  server.publish(delta(2, { services: [service('shop/api')] }));
  await eventually(() => agent.client.snapshot().services.size === 2);
});

test('another process of the controller with the same data changes nothing, with other data what differs', async (t) => {
  const first = await startServer(t, { epoch: 'one' });
  const web = service('shop/web', ['10.1.0.1']);
  const all = { services: [web, service('shop/api')], identities: [identity('10.2.0.1')] };
  first.server.publish(delta(7, all));
  const address = { host: '127.0.0.1', port: first.port };
  const agent = await startAgent(t, first, { address });
  await agent.until(() => agent.deltas.length === 1);
  agent.client.acknowledge(1, []);

  const second = await startServer(t, { epoch: 'two' });
  second.server.publish(delta(1, all));
  Object.assign(address, { port: second.port });
  await first.server.stop();
  await untilServer(second.server, () => second.server.minServedVersion() === 1);
  assert.equal(agent.deltas.length, 1);

  const third = await startServer(t, { epoch: 'three' });
  third.server.publish(delta(5, { services: [service('shop/web', ['10.1.0.2'])] }));
  const served = new Set<number | null>();
  third.server.changes.subscribe(() => served.add(third.server.minServedVersion()));
  Object.assign(address, { port: third.port });
  await second.server.stop();
  await agent.until(() => agent.deltas.length === 2);
  const { services, removedServices, removedIdentities } = agent.deltas[1]!;
  assert.deepEqual(services, [service('shop/web', ['10.1.0.2'])]);
  assert.deepEqual([removedServices, removedIdentities], [['shop/api'], ['10.2.0.1']]);
  agent.client.acknowledge(2, []);
  await untilServer(third.server, () => third.server.minServedVersion() === 5);
  assert.deepEqual([...served], [0, 5], 'what it served of another process is no acknowledgement');
});

test('an empty snapshot is refused from a controller that may know nothing yet', async (t) => {
  const started = await startServer(t);
  started.server.publish(delta(1, { services: [service('shop/web')] }));
  const address = { host: '127.0.0.1', port: started.port };
  const agent = await startAgent(t, started, { address });
  await agent.until(() => agent.deltas.length === 1);
  const { synced: _, ...unsynced } = WELCOME;
  const empty = await rawController(t, (peer) => {
    peer.send({ type: FRAME_TYPE.welcome, flags: MUST }, unsynced);
    peer.send({ type: FRAME_TYPE.snapshot, flags: MUST }, {});
    peer.send({ type: FRAME_TYPE.commit, flags: MUST, version: 1 }, { from: 0, parts: 0 });
  });
  Object.assign(address, { port: empty.port });
  await started.server.stop();
  await eventually(() => /empty snapshot/.test(agent.client.status().lastError ?? ''));
  assert.equal(agent.services.size, 1);
  assert.deepEqual(
    [agent.client.status().state, agent.client.status().from],
    ['stale', 'controller'],
  );
});

test('a drained controller hands its agents over, and none of them is without one meanwhile', async (t) => {
  const first = await startServer(t, { epoch: 'one' });
  const second = await startServer(t, { epoch: 'two' });
  first.server.publish(delta(1, { services: [service('shop/web')] }));
  const address = { host: '127.0.0.1', port: first.port };
  const states: string[] = [];
  const agent = await startAgent(t, first, { address, onState: (state) => states.push(state) });
  await agent.until(() => agent.deltas.length === 1);
  second.server.publish(delta(1, { services: [service('shop/web'), service('shop/api')] }));
  Object.assign(address, { port: second.port });
  let atFirst: number | null = null;
  second.server.changes.subscribe(() => {
    atFirst ??= first.server.agents().length;
  });
  const drained = first.server.drain();
  // Until it leaves it is told what is new.
  first.server.publish(delta(2, { services: [service('shop/cart')] }));
  await drained;
  await agent.until(() => agent.services.has('shop/api'));
  assert.deepEqual([...agent.services.keys()].toSorted(), ['shop/api', 'shop/web']);
  assert.equal(second.server.agents().length, 1);
  assert.equal(atFirst, 1, 'it left the first when the second had taken it in');
  assert.deepEqual(states, ['synced']);
});

test('drain() ends after 10 s whatever the agents do', async (t) => {
  const clock = new ManualClock();
  const started = await startServer(t, { clock });
  started.server.publish(delta(1));
  const peer = await rawAgent(t, started);
  peer.send({ type: FRAME_TYPE.hello, flags: MUST }, HELLO);
  await peer.until(() => peer.values(FRAME_TYPE.commit).length === 1);
  const drained = started.server.drain();
  await peer.until(() => peer.values(FRAME_TYPE.goAway).length === 1);
  assert.ok(!peer.isClosed);
  clock.advance(10_000);
  await drained;
  await peer.closed();
});

test('a new certificate serves new connections, and leaves open ones alone', async (t) => {
  const started = await startServer(t);
  const { server, port, ca } = started;
  server.publish(delta(1));
  const agent = await startAgent(t, started);
  await agent.until(() => agent.deltas.length === 1);
  const next = await makeCertificate('second');
  server.setCredentials(next);
  const trusting = await startAgent(
    t,
    { port, ca: `${ca}\n${next.certPem}` },
    {
      token: () => Promise.resolve('maesh/agent-2'),
    },
  );
  await trusting.until(() => trusting.deltas.length === 1);
  const old = await startAgent(t, started, { token: () => Promise.resolve('maesh/agent-3') });
  await untilFailure(old.client);
  assert.match(old.client.status().lastError ?? '', /certificate/);
  server.publish(delta(2, { services: [service('shop/web')] }));
  await agent.until(() => agent.deltas.length === 2);
});

test('a certificate for another name is refused', async (t) => {
  const started = await startServer(t);
  started.server.publish(delta(1));
  // Node looks at it for each connection that does not say itself what it wants.
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
  t.after(() => delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']);
  const agent = await startAgent(t, started, { serverName: 'somebody-else' });
  await untilFailure(agent.client);
  assert.match(agent.client.status().lastError ?? '', /somebody-else/);
});

test('a silent agent is closed after 15 s, one with a heartbeat is not', async (t) => {
  const clock = new ManualClock();
  const started = await startServer(t, { clock });
  started.server.publish(delta(1));
  const peers = [];
  for (const token of ['maesh/silent', 'maesh/alive']) {
    const peer = await rawAgent(t, started);
    peer.send({ type: FRAME_TYPE.hello, flags: MUST }, { ...HELLO, token });
    await peer.until(() => peer.values(FRAME_TYPE.commit).length === 1);
    peers.push(peer);
  }
  const [silent, alive] = peers;
  let beats = 0;
  for (let second = 5; second <= 20; second += 5) {
    alive!.send({ type: FRAME_TYPE.acknowledge, version: 1 }, { failures: [String(second)] });
    const said = (): boolean =>
      started.server.agents().some(({ listenFailures }) => listenFailures[0] === String(second));
    await untilServer(started.server, said);
    clock.advance(5_000);
    beats += 1;
    const count = beats;
    await alive!.until(
      () => alive!.frames.filter(({ type }) => type === FRAME_TYPE.heartbeat).length === count,
    );
  }
  await silent!.closed();
  assert.equal(started.server.agents().length, 1);
  assert.ok(!alive!.isClosed);
});

test('a controller that was stopped itself hears its agents out before it judges them', async (t) => {
  const clock = new ManualClock();
  const every: (() => void)[] = [];
  clock.every = (_, run) => {
    every.push(run);
    return { cancel: () => undefined };
  };
  const started = await startServer(t, { clock });
  started.server.publish(delta(1));
  const peer = await rawAgent(t, started);
  peer.send({ type: FRAME_TYPE.hello, flags: MUST }, HELLO);
  await peer.until(() => peer.values(FRAME_TYPE.commit).length === 1);
  clock.advance(60_000);
  for (const run of every) run();
  await peer.until(() => peer.frames.some(({ type }) => type === FRAME_TYPE.heartbeat));
  assert.equal(started.server.agents().length, 1);
});

test('an agent leaves a controller that is silent for 15 s, and sends heartbeats itself', async (t) => {
  const clock = new ManualClock();
  let greeted: Awaited<ReturnType<typeof rawAgent>> | undefined;
  const controller = await rawController(t, (peer) => {
    greeted = peer;
    peer.send({ type: FRAME_TYPE.welcome, flags: MUST }, WELCOME);
    peer.send({ type: FRAME_TYPE.snapshot, flags: MUST }, {});
    peer.send({ type: FRAME_TYPE.commit, flags: MUST, version: 1 }, { from: 0, parts: 0 });
  });
  const agent = await startAgent(t, controller, { clock });
  await agent.until(() => agent.client.status().state === 'synced');
  clock.advance(5_000);
  await greeted!.until(() => greeted!.frames.some(({ type }) => type === FRAME_TYPE.heartbeat));
  clock.advance(10_000);
  await agent.until(() => agent.client.status().state === 'stale');
  assert.match(agent.client.status().lastError ?? '', /silent for too long/);
  await greeted!.closed();
});

test('a token is asked for again, and its answer decides', async (t) => {
  const cases: readonly (readonly [token: string, isClosed: boolean])[] = [
    ['maesh/raw', false],
    ['bad', true],
    ['maesh/another', true],
    ['down', false],
  ];
  for (const [token, isClosed] of cases) {
    const clock = new ManualClock();
    let checked = 0;
    const started = await startServer(t, {
      clock,
      authenticate: (text) => {
        checked += 1;
        if (text === 'down') return Promise.reject(new Error('no API server'));
        return Promise.resolve(
          text === 'bad' ? { ok: false, reason: 'expired' } : { ok: true, agent: text },
        );
      },
    });
    started.server.publish(delta(1));
    const peer = await rawAgent(t, started);
    peer.send({ type: FRAME_TYPE.hello, flags: MUST }, HELLO);
    await peer.until(() => peer.values(FRAME_TYPE.commit).length === 1);
    for (let at = 0; at < 720_000 && peer.values(FRAME_TYPE.askToken).length === 0; at += 5_000) {
      peer.send({ type: FRAME_TYPE.acknowledge, version: 1 }, { failures: [String(at)] });
      await untilServer(
        started.server,
        () => started.server.agents()[0]?.listenFailures[0] === String(at),
      );
      clock.advance(5_000);
      await setImmediate();
    }
    await peer.until(() => peer.values(FRAME_TYPE.askToken).length === 1);
    peer.send({ type: FRAME_TYPE.token, flags: MUST }, { token });
    if (isClosed) {
      await peer.closed();
    } else {
      await eventually(() => checked === 2);
      await setImmediate();
      assert.equal(started.server.agents().length, 1, token);
    }
  }
});

test('an agent answers when it is asked for its token', async (t) => {
  let peer: Awaited<ReturnType<typeof rawAgent>> | undefined;
  const controller = await rawController(t, (greeted) => {
    peer = greeted;
    greeted.send({ type: FRAME_TYPE.welcome, flags: MUST }, WELCOME);
    greeted.send({ type: FRAME_TYPE.askToken, flags: MUST }, {});
  });
  let count = 0;
  await startAgent(t, controller, { token: () => Promise.resolve(`token-${(count += 1)}`) });
  await eventually(() => peer !== undefined);
  await peer!.until(() => peer!.values(FRAME_TYPE.token).length === 1);
  assert.deepEqual(peer!.values(FRAME_TYPE.token), [{ token: 'token-2' }]);
});

test('a slow agent holds few bytes, and is sent the newest snapshot instead of all that came', async (t) => {
  // A machine that takes long to make all of this is no silent agent.
  const started = await startServer(t, { clock: new ManualClock() });
  const { server } = started;
  const noise = randomBytes(1_000_000).toString('base64');
  const random = (i: number): string => noise.slice((i * 97) % 1_000_000).slice(0, 240);
  const services = (from: number): ReturnType<typeof service>[] =>
    Array.from({ length: 200 }, (_, i) => ({
      ...service(`shop/web-${i}`),
      address: random(from * 200 + i),
    }));
  server.publish(delta(1, { services: services(1) }));
  const peer = await rawAgent(t, started);
  peer.send({ type: FRAME_TYPE.hello, flags: MUST }, HELLO);
  await peer.until(() => peer.values(FRAME_TYPE.commit).length === 1);
  peer.socket.pause();
  let published = 0;
  for (let version = 2; version <= 300; version += 1) {
    const change = delta(version, { services: services(version) });
    published += JSON.stringify(change).length;
    server.publish(change);
    if (version % 10 === 0) await setImmediate();
  }
  const sent = server.agents()[0]!.sentVersion;
  assert.ok(sent < 300, `the sockets took all ${published} characters, version ${sent}`);
  peer.socket.resume();
  await peer.until(
    () => peer.frames.findLast(({ type }) => type === FRAME_TYPE.commit)?.version === 300,
  );
  assert.equal(peer.values(FRAME_TYPE.snapshot).length, 2);
});

test('agents one version of the format older and newer are served in the one that both know', async (t) => {
  const cases: readonly (readonly [server: number[], agent: number[], format: number | null])[] = [
    [[1, 1], [1, 2], 1],
    [[1, 2], [1, 1], 1],
    [[1, 2], [2, 3], 2],
    [[1, 1], [2, 3], null],
    [[2, 3], [1, 1], null],
  ];
  const range = ([min = 0, max = 0]: number[]): { min: number; max: number } => ({ min, max });
  for (const [serverFormats, agentFormats, format] of cases) {
    const started = await startServer(t, { formats: range(serverFormats) });
    started.server.publish(delta(1));
    const agent = await startAgent(t, started, { formats: range(agentFormats) });
    if (format === null) {
      await untilFailure(agent.client);
      const said = /says format: the agent speaks formats .* bring both to versions next to each/;
      assert.match(agent.client.status().lastError ?? '', said);
    } else {
      await agent.until(() => agent.deltas.length === 1);
      assert.equal(started.server.agents()[0]?.protocol, format);
    }
  }
});

test('what a newer side adds is skipped, unless it must be understood', async (t) => {
  const started = await startServer(t);
  started.server.publish(delta(1));
  const peer = await rawAgent(t, started);
  peer.send(
    { type: FRAME_TYPE.hello, flags: MUST | 0x40 },
    { ...HELLO, zone: 'a', formats: { min: 1, max: 9, best: 7 } },
  );
  await peer.until(() => peer.values(FRAME_TYPE.commit).length === 1);
  peer.send({ type: 200 }, { news: true });
  peer.send({ type: FRAME_TYPE.acknowledge, version: 1 }, { failures: [], mood: 'good' });
  await untilServer(started.server, () => started.server.minServedVersion() === 1);
  peer.send({ type: 201, flags: MUST });
  await peer.closed();

  let greeted: Awaited<ReturnType<typeof rawAgent>> | undefined;
  const controller = await rawController(t, (one) => {
    greeted = one;
    one.send({ type: 200 }, {});
    one.send({ type: FRAME_TYPE.welcome, flags: MUST }, { ...WELCOME, color: 'red' });
    one.send({ type: 200 }, {});
    one.send({ type: FRAME_TYPE.snapshot, flags: MUST }, { hint: 1 });
    one.send({ type: FRAME_TYPE.part, flags: MUST, version: 1 }, { moons: [1] });
    one.send({ type: FRAME_TYPE.commit, flags: MUST, version: 1 }, { from: 0, parts: 1, sum: 2 });
  });
  const agent = await startAgent(t, controller);
  await agent.until(() => agent.client.status().state === 'synced');
  greeted!.send({ type: 201, flags: MUST });
  await agent.until(() => agent.client.status().state === 'stale');
  assert.match(agent.client.status().lastError ?? '', /type 201, which must be understood/);
});

test('a change that does not fit is refused whole, and the agent goes on with what it has', async (t) => {
  const cases: readonly (readonly [frames: readonly object[], reason: RegExp])[] = [
    [
      [
        { type: 4, value: { services: [sent(service('shop/x'))] } },
        { type: 5, version: 3, value: { from: 2, parts: 1 } },
      ],
      /from version 2 to 3, and version 1 is here/,
    ],
    [
      [
        { type: 4, value: { services: [sent(service('shop/x'))] } },
        { type: 5, version: 2, value: { from: 1, parts: 2 } },
      ],
      /1 parts instead of 2/,
    ],
    [[{ type: 4, value: { services: [sent(service('shop/x')), {}] } }], /"key" is not a text/],
    [[{ type: 5, version: 2, value: { from: -1, parts: 0 } }], /"from" is not a whole number/],
  ];
  for (const [frames, reason] of cases) {
    let isFirst = true;
    const controller = await rawController(t, (peer) => {
      if (!isFirst) return;
      isFirst = false;
      peer.send({ type: FRAME_TYPE.welcome, flags: MUST }, WELCOME);
      peer.send({ type: FRAME_TYPE.snapshot, flags: MUST }, {});
      peer.send({ type: FRAME_TYPE.part, flags: MUST }, { services: [sent(service('shop/web'))] });
      peer.send({ type: FRAME_TYPE.commit, flags: MUST, version: 1 }, { from: 0, parts: 1 });
      for (const { value, ...frame } of frames as { value: unknown }[]) {
        peer.send({ ...frame, flags: MUST }, value);
      }
    });
    const agent = await startAgent(t, controller);
    await agent.until(() => agent.client.status().state === 'stale');
    assert.match(agent.client.status().lastError ?? '', reason);
    assert.deepEqual([...agent.services.keys()], ['shop/web']);
  }
});

test('an agent that acknowledges what it was not sent is closed', async (t) => {
  const lines: LogLine[] = [];
  const started = await startServer(t, { log: recordingLog(lines) });
  started.server.publish(delta(1));
  const peer = await rawAgent(t, started);
  peer.send({ type: FRAME_TYPE.hello, flags: MUST }, HELLO);
  await peer.until(() => peer.values(FRAME_TYPE.commit).length === 1);
  peer.send({ type: FRAME_TYPE.acknowledge, version: 2 }, { failures: [] });
  await peer.closed();
  assert.match(lines.at(-1)!.fields, /it acknowledges version 2, and was sent 1/);
});

test('an agent that comes and goes without end fills no log', async (t) => {
  const lines: LogLine[] = [];
  const started = await startServer(t, { clock: new ManualClock(), log: recordingLog(lines) });
  started.server.publish(delta(1));
  for (let time = 0; time < 20; time++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const peer = await rawAgent(t, started);
    peer.send({ type: FRAME_TYPE.hello, flags: MUST }, HELLO);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await peer.until(() => peer.values(FRAME_TYPE.commit).length === 1);
    peer.socket.destroy();
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await untilServer(started.server, () => started.server.agentCount === 0);
  }
  const messages = lines.map(({ message }) => message);
  assert.deepEqual(new Set(messages).size, messages.length, messages.join());
  assert.ok(messages.includes('An agent came'));
});

test('an agent waits longer after each failure, and tells the same one once', async (t) => {
  const clock = new ManualClock();
  const lines: LogLine[] = [];
  const waits: number[] = [];
  const after = clock.after.bind(clock);
  let fire: () => void = () => undefined;
  clock.after = (ms, run) => {
    if (ms !== 5_000 && ms !== 30_000) {
      waits.push(ms);
      fire = run;
    }
    return after(ms, run);
  };
  const agent = await startAgent(
    t,
    { port: 1, ca: '' },
    {
      clock,
      log: recordingLog(lines),
      ca: () => Promise.reject(new Error('no API server')),
    },
  );
  while (waits.length < 9) {
    const seen = waits.length;
    if (seen > 0) fire();
    await eventually(() => waits.length > seen);
  }
  assert.ok(waits[0]! >= 100 && waits[0]! <= 200);
  assert.ok(waits.at(-1)! >= 5_000 && waits.at(-1)! <= 10_000);
  assert.equal(lines.filter(({ level }) => level === 'warn').length, 1);
  assert.match(agent.client.status().lastError ?? '', /CA bundle: no API server/);
});

test('an agent without a controller starts from its copy, and the controller then says what differs', async (t) => {
  const stateDir = tempFolder();
  const started = await startServer(t);
  const all = [service('shop/web', ['10.1.0.1']), service('shop/api')];
  started.server.publish(delta(1, { services: all, identities: [identity('10.2.0.1')] }));
  const first = await startAgent(t, started, { stateDir });
  await first.until(() => first.deltas.length === 1);
  started.server.publish(delta(2, { services: [service('shop/web', ['10.1.0.2'])] }));
  await first.until(() => first.deltas.length === 2);
  await first.client.stop();

  const alone = await startAgent(t, { port: 1, ca: started.ca }, { stateDir });
  assert.deepEqual(
    new Map(alone.services),
    new Map(first.services),
    'it is there when start() is done',
  );
  assert.deepEqual([...alone.identities.values()], [identity('10.2.0.1')]);
  assert.deepEqual([alone.deltas[0]!.version, alone.client.status().from], [1, 'copy']);
  assert.equal(alone.client.status().state, 'stale');
  await alone.client.stop();

  started.server.publish(delta(3, { services: [service('shop/cart')] }));
  const back = await startAgent(t, started, { stateDir });
  await back.until(() => back.deltas.length === 2);
  assert.deepEqual(back.deltas[1], { ...delta(2), services: [service('shop/cart')] });
  back.client.acknowledge(2, []);
  await untilServer(started.server, () => started.server.minServedVersion() === 3);
});
