import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { seededRandom } from '../../base/random.ts';
import { ALL_KINDS } from '../kind/table.ts';
import { Store } from '../store.ts';
import { FakeApiServer, until } from './api-server.fixture.ts';
import { KubeClient } from './client.ts';
import type { FakeObject } from './fake-objects.fixture.ts';
import { ClusterSource, type KindStatus } from './source.ts';
import { sizesIn, WIDGET } from './widget.fixture.ts';

const V1 = 'parts.test/v1/widgets';
const ALPHA = 'parts.test/v1alpha1/widgets';

function widget(name: string, size: string): FakeObject {
  return { metadata: { name, namespace: 'shop' }, spec: { size } };
}

async function setUp(t: TestContext, prepare: (server: FakeApiServer) => void = () => undefined) {
  const server = await FakeApiServer.start();
  prepare(server);
  const clock = new ManualClock();
  const store = new Store();
  const client = new KubeClient(server.connection(), { clock });
  const source = new ClusterSource({
    client,
    store,
    clock,
    random: seededRandom(1),
    kinds: [...ALL_KINDS, WIDGET],
    onNotice: () => undefined,
    onChange: () => undefined,
  });
  t.after(async () => {
    await source.stop();
    client.close();
    await server.stop();
  });
  /** Lets time go by, 20 ms a turn, until it is so; resolves with how much. */
  const later = async (isSo: () => boolean): Promise<number> => {
    const fromMs = clock.nowMs();
    await until(() => {
      clock.advance(20);
      return isSo();
    }, String(isSo));
    return clock.nowMs() - fromMs;
  };
  const sizes = (): string => sizesIn(store);
  const status = (): KindStatus | undefined =>
    source.status().find(({ kind }) => kind === WIDGET.kind);
  const isOpen = (): boolean => status()?.lastError === null && server.watchers >= 7;
  return { server, clock, source, later, sizes, status, isOpen };
}

test('a kind that the server lacks holds up nobody, and is read within seconds after its CRD is there', async (t) => {
  const { server, source, later, sizes, status } = await setUp(t);
  await source.start();
  assert.equal(status(), undefined);
  assert.deepEqual(source.problems(), []);
  server.set(V1, widget('a', 'big'));
  await later(() => server.requests.filter(({ path }) => path === '/apis/parts.test').length > 3);
  assert.equal(sizes(), '');
  // The group is there before its kind is.
  server.served.add('parts.test/v1/others');
  const groups = server.requests.length;
  await later(() => server.requests.slice(groups).some(({ path }) => path.endsWith('/v1')));
  assert.equal(status(), undefined);
  server.served.add(V1);
  const tookMs = await later(() => sizes() === 'big');
  assert.ok(tookMs < 6_000, `${tookMs} ms`);
  assert.ok(status()?.isOptional);
  await later(() => status()?.lastError === null && server.watchers >= 7);
  server.set(V1, widget('a', 'small'));
  await later(() => sizes() === 'small');
});

test('a kind that is there is in the first batch, in the best version that the server has', async (t) => {
  const { source, server, sizes } = await setUp(t, (each) => {
    each.served.add(V1).add(ALPHA);
    each.set(V1, widget('a', 'big'));
  });
  await source.start();
  assert.equal(sizes(), 'big');
  assert.ok(server.requests.every(({ path }) => !path.includes('v1alpha1')));
});

test('an older version is read as the best one, which takes its place when the server has it', async (t) => {
  const { source, server, later, sizes, isOpen } = await setUp(t, (each) => {
    each.served.add(ALPHA);
    each.set(ALPHA, { metadata: { name: 'a', namespace: 'shop' }, size: 'old' });
  });
  await source.start();
  assert.equal(sizes(), 'old');
  await later(isOpen);
  let isEmpty = false;
  server.served.add(V1);
  server.set(V1, widget('a', 'new'));
  await later(() => {
    isEmpty ||= sizes() === '';
    return sizes() === 'new';
  });
  assert.equal(isEmpty, false, 'never without it');
});

test('objects of a kind that is gone stay for a minute, as a server that starts may not know of it yet', async (t) => {
  const { source, server, clock, later, sizes, status, isOpen } = await setUp(t, (each) => {
    each.served.add(V1);
    each.set(V1, widget('a', 'big'));
  });
  await source.start();
  await later(isOpen);
  const leave = async (): Promise<number> => {
    server.served.delete(V1);
    server.compact();
    server.endWatches();
    await later(() => status() === undefined);
    return clock.nowMs();
  };
  await leave();
  server.served.add(V1);
  await later(isOpen);
  assert.equal(sizes(), 'big');
  const goneAtMs = await leave();
  await later(() => sizes() === '');
  const tookMs = clock.nowMs() - goneAtMs;
  assert.ok(tookMs >= 59_000 && tookMs < 61_000, `${tookMs} ms`);
  server.served.add(V1);
  await later(() => sizes() === 'big');
});

test('a kind that may not be read, or fails, is told and holds up nobody', async (t) => {
  const { source, server, later, sizes, status } = await setUp(t, (each) => {
    each.served.add(V1);
    each.forbidden.add(V1);
    each.set(V1, widget('a', 'big'));
  });
  let isStarted = false;
  void source.start().then(() => (isStarted = true));
  await later(() => isStarted);
  assert.equal(status()?.synced, false);
  assert.deepEqual(
    source.problems().map(({ message, remedy }) => `${message}; ${remedy}`),
    [
      `Cannot read any Widget: the API server says 403: ${V1} is forbidden; let the service account of maesh get, list and watch widgets`,
    ],
  );
  server.forbidden.clear();
  await later(() => sizes() === 'big' && source.problems().length === 0);
});

test('a server that is away at the first look is waited for, and later takes nothing away', async (t) => {
  const { source, server, later, sizes, isOpen } = await setUp(t, (each) => {
    each.served.add(V1);
    each.set(V1, widget('a', 'big'));
  });
  await server.down();
  let isStarted = false;
  void source.start().then(() => (isStarted = true));
  let turns = 500;
  await later(() => turns-- === 0);
  await server.up();
  await later(() => isStarted);
  assert.equal(sizes(), 'big');
  await later(isOpen);
  await server.down();
  turns = 5_000;
  await later(() => turns-- === 0);
  await server.up();
  await later(isOpen);
  assert.equal(sizes(), 'big');
});
