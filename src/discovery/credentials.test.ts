/** Certificates with keys over the stream: in their order among the changes, to agents that know them, and on no disk. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { SecretText } from '../base/secret-text.ts';
import type { CallerTls, Credential } from '../model/credential.ts';
import type { Service } from '../model/service.ts';
import { credentialFrame, readCredentials } from './credential-wire.ts';
import { FLAG, FRAME_TYPE, FrameReader } from './frame.ts';
import { CAPABILITIES } from './hello.ts';
import { PAYLOAD_BYTES_MAX } from './payload.ts';
import {
  delta,
  eventually,
  HELLO,
  type LogLine,
  rawAgent,
  rawController,
  recordingLog,
  service,
  startAgent,
  startServer,
  tempFolder,
} from './stream.fixture.ts';
import { welcomeFrame } from './hello.ts';
import { commitFrame, snapshotFrame } from './message.ts';

const KEY = 'bGV0IG5vYm9keSBzZWUgdGhpcw';

function credential(name: string, digest = 'd1'): Credential {
  return {
    key: `s/${name}`,
    chain: `PEM ${name}`,
    privateKey: new SecretText(`${KEY} ${digest}`),
    digest,
  };
}

function secured(key: string, ...secrets: readonly string[]): Service {
  const made = service(key, ['10.0.0.1']);
  const certificates = secrets.map((secret) => ({
    secret,
    digest: 'd1',
    names: ['a.example'],
    notBeforeMs: 1,
    notAfterMs: 2,
  }));
  const callerTls: CallerTls = { certificates };
  return { ...made, ports: made.ports.map((port) => ({ ...port, callerTls })) };
}

/** Everything that an agent is told, in order. */
function listen(events: string[]) {
  return {
    onDelta: ({
      services,
      removedServices,
    }: {
      services: readonly Service[];
      removedServices: readonly string[];
    }) =>
      void events.push(
        ...services.map(
          ({ key, ports }) => `${key} ${ports[0]!.callerTls === null ? 'plain' : 'tls'}`,
        ),
        ...removedServices.map((key) => `-${key}`),
      ),
    onCredentials: ({
      changed,
      removed,
    }: {
      changed: readonly Credential[];
      removed: readonly string[];
    }) =>
      void events.push(
        ...changed.map(({ key, digest, privateKey }) => {
          assert.ok(privateKey.reveal().startsWith(KEY));
          return `${key} ${digest}`;
        }),
        ...removed.map((key) => `-${key}`),
      ),
  };
}

function only(key: string, ...rest: string[]) {
  return { changed: [credential(key, ...rest)], removed: [] };
}

test('a credential comes before what names it, and goes behind what does not', async (t) => {
  const { server, ...at } = await startServer(t);
  server.publishCredentials(only('a'));
  server.publish(delta(1, { services: [secured('s/web', 's/a')] }));
  const events: string[] = [];
  await startAgent(t, { ...at }, listen(events));
  const until = (count: number): Promise<void> => eventually(() => events.length >= count);
  await until(2);
  assert.deepEqual(events.splice(0), ['s/a d1', 's/web tls']);

  server.publishCredentials(only('a', 'd2'));
  await until(1);
  assert.deepEqual(events.splice(0), ['s/a d2']);

  server.publish(delta(2, { services: [service('s/web')] }));
  server.publishCredentials({ changed: [], removed: ['s/a'] });
  await until(2);
  assert.deepEqual(events.splice(0), ['s/web plain', '-s/a']);
});

test('a removal waits for a large change that is still being made into frames', async (t) => {
  const { server, ...at } = await startServer(t);
  server.publishCredentials(only('a'));
  server.publish(delta(1, { services: [secured('s/web', 's/a')] }));
  const events: string[] = [];
  await startAgent(t, at, listen(events));
  await eventually(() => events.length >= 2);
  events.length = 0;
  const addresses = Array.from({ length: 9_000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  const many = Array.from({ length: 12 }, (_, i) => service(`s/a${i}`, addresses));
  server.publish(delta(2, { services: [...many, service('s/web')] }));
  server.publishCredentials({ changed: [], removed: ['s/a'] });
  assert.equal(server.version, 1, 'it takes some turns');
  await eventually(() => events.includes('-s/a'));
  assert.equal(events.at(-1), '-s/a');
  assert.ok(events.includes('s/web plain'));
});

test('an agent that comes back gets them anew, keeps what is the same, and drops what is gone behind the first change', async (t) => {
  const first = await startServer(t);
  first.server.publishCredentials({ changed: [credential('a'), credential('b')], removed: [] });
  first.server.publish(delta(1, { services: [secured('s/web', 's/a', 's/b')] }));
  const events: string[] = [];
  const agent = await startAgent(t, first, listen(events));
  await eventually(() => events.length >= 3);
  events.length = 0;
  agent.client.restart();
  await eventually(() => first.server.agentCount === 1 && agent.client.status().state === 'synced');
  first.server.publishCredentials(only('c'));
  await eventually(() => events.length >= 1);
  assert.deepEqual(events.splice(0), ['s/c d1'], 'the others are known');

  const second = await startServer(t, { epoch: 'epoch-2' });
  second.server.publishCredentials({ changed: [credential('a', 'd2')], removed: [] });
  second.server.publish(delta(1, { services: [secured('s/api', 's/a')] }));
  const other = await startAgent(t, second, listen(events));
  await eventually(() => events.length >= 2);
  assert.deepEqual(events.splice(0), ['s/a d2', 's/api tls']);
  await other.client.stop();
});

test('another controller that has fewer takes the rest away, behind its first change', async (t) => {
  const events: string[] = [];
  const controllers = [[credential('a'), credential('b')], [credential('b')]];
  const at = await rawController(t, (peer) => {
    const changed = controllers.shift() ?? [];
    const epoch = `epoch-${controllers.length}`;
    peer.socket.write(welcomeFrame({ format: 1, epoch, build: '', synced: true, ageMs: 0 }));
    peer.socket.write(credentialFrame({ isWhole: true, changed: [], removed: [] }));
    for (const each of changed)
      peer.socket.write(credentialFrame({ isWhole: false, changed: [each], removed: [] }));
    peer.socket.write(snapshotFrame());
    peer.socket.write(commitFrame(1, { from: 0, parts: 0 }));
  });
  const agent = await startAgent(t, at, listen(events));
  await eventually(() => events.length >= 2);
  assert.deepEqual(events.splice(0), ['s/a d1', 's/b d1']);
  agent.client.restart();
  await eventually(() => events.length >= 1);
  assert.deepEqual(events, ['-s/a']);
});

test('what agents have goes on while there is no controller', async (t) => {
  const { server, ...at } = await startServer(t);
  server.publishCredentials(only('a'));
  server.publish(delta(1, { services: [secured('s/web', 's/a')] }));
  const events: string[] = [];
  const agent = await startAgent(t, at, listen(events));
  await eventually(() => events.length >= 2);
  await server.stop();
  await eventually(() => agent.client.status().state === 'stale');
  assert.equal(events.length, 2);
});

test('an agent that does not know them gets none, nor the Services that need them', async (t) => {
  const { server, ...at } = await startServer(t);
  server.publishCredentials(only('a'));
  server.publish(delta(1, { services: [secured('s/web', 's/a'), service('s/plain')] }));
  const events: string[] = [];
  const understands = CAPABILITIES.understands.filter((term) => term !== 'port.callerTls');
  await startAgent(t, at, { ...listen(events), capabilities: { ...CAPABILITIES, understands } });
  await eventually(() => events.length >= 1);
  server.publishCredentials(only('b'));
  server.publish(delta(2, { services: [service('s/more')] }));
  await eventually(() => events.length >= 2);
  assert.deepEqual(events, ['s/plain plain', 's/more plain']);
  assert.deepEqual(server.agents()[0]!.notServed, [{ key: 's/web', unknown: ['port.callerTls'] }]);
});

test('nobody gets one who has not proved who they are', async (t: TestContext) => {
  const { server, ...at } = await startServer(t);
  server.publishCredentials(only('a'));
  server.publish(delta(1, { services: [secured('s/web', 's/a')] }));
  const silent = await rawAgent(t, at);
  const refused = await rawAgent(t, at);
  refused.send(
    { type: FRAME_TYPE.hello, flags: FLAG.mustUnderstand },
    { ...HELLO, token: 'bad', ...CAPABILITIES },
  );
  await refused.closed();
  server.publishCredentials(only('b'));
  assert.deepEqual([silent.frames, refused.frames], [[], []]);
});

test('no key is on the disk, in a frame of a change, in a log, or in what is shown of server and agent', async (t) => {
  const lines: LogLine[] = [];
  const log = recordingLog(lines);
  const { server, ...at } = await startServer(t, { log });
  const stateDir = tempFolder();
  server.publishCredentials(only('a'));
  server.publish(delta(1, { services: [secured('s/web', 's/a')] }));
  const events: string[] = [];
  const agent = await startAgent(t, at, { ...listen(events), stateDir, log });
  await eventually(() => events.length >= 2);
  const raw = await rawAgent(t, at);
  raw.send({ type: FRAME_TYPE.hello, flags: FLAG.mustUnderstand }, { ...HELLO, ...CAPABILITIES });
  await raw.until(() => raw.frames.some(({ type }) => type === FRAME_TYPE.commit));
  assert.ok(
    raw.frames.some(
      ({ type, payload }) => type === FRAME_TYPE.credentials && payload.includes(KEY),
    ),
  );
  for (const { type, payload } of raw.frames)
    if (type !== FRAME_TYPE.credentials) assert.ok(!payload.includes(KEY), String(type));
  await agent.client.stop();
  const files = readdirSync(stateDir).map((name) => readFileSync(join(stateDir, name)));
  assert.ok(files.length > 0);
  for (const file of files) assert.ok(!file.includes(KEY) && !file.includes('PEM a'));
  const { services } = agent.client.snapshot();
  const told = JSON.stringify([
    lines,
    server.agents(),
    [...services.values()],
    agent.client.status(),
  ]);
  assert.ok(!told.includes(KEY));
});

test('a message that is wrong is told without what it says', () => {
  const read = (value: object): string => {
    let told = '';
    const reader = new FrameReader(PAYLOAD_BYTES_MAX, (frame) => {
      try {
        readCredentials(frame);
      } catch (error) {
        told = String(error) + JSON.stringify(error);
      }
    });
    const payload = Buffer.from(JSON.stringify(value));
    const head = Buffer.alloc(16);
    head.writeUInt32BE(payload.length, 0);
    head[4] = FRAME_TYPE.credentials;
    reader.push(Buffer.concat([head, payload]));
    return told;
  };
  const good = { key: 's/a', chain: 'PEM', privateKey: KEY, digest: 'd' };
  for (const bad of [
    { changed: [{ ...good, chain: [KEY] }] },
    { changed: [{ ...good, privateKey: { KEY } }] },
    { changed: [{ ...good, privateKey: KEY.repeat(5_000) }] },
    { changed: [{ ...good, digest: undefined }] },
    { changed: KEY },
    { whole: KEY },
  ]) {
    const told = read(bad);
    assert.match(told, /is not|must/);
    assert.ok(!told.includes(KEY), told);
  }
  assert.equal(read({ changed: [good], whole: true }), '');
});
