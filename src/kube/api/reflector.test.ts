import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { seededRandom } from '../../base/random.ts';
import { FakeApiServer, until } from './api-server.fixture.ts';
import { KubeClient } from './client.ts';
import { Reflector } from './reflector.ts';
import type { ReflectorOptions } from './reflector.ts';

const PODS = 'v1/pods';

interface Bed {
  readonly server: FakeApiServer;
  readonly clock: ManualClock;
  readonly reflector: Reflector<string>;
  /** Names in the sink. */
  readonly names: () => string;
  /** What the sink was told, in order. */
  readonly told: string[];
}

async function setUp(
  t: TestContext,
  options: Partial<ReflectorOptions<string>> = {},
  prepare: (server: FakeApiServer) => void = () => undefined,
): Promise<Bed> {
  const server = await FakeApiServer.start();
  prepare(server);
  const clock = new ManualClock();
  const client = new KubeClient(server.connection(), { clock });
  const kept = new Set<string>();
  const told: string[] = [];
  const reflector = new Reflector<string>({
    client,
    path: '/api/v1/pods',
    pick: ({ metadata }) => {
      const { name } = metadata as { name: string };
      return name.startsWith('not-') ? null : name;
    },
    sink: {
      replace(names) {
        kept.clear();
        for (const name of names) kept.add(name);
        told.push(`replace ${names.length}`);
      },
      set(name) {
        kept.add(name);
        told.push(`set ${name}`);
      },
      delete({ namespace, name }) {
        kept.delete(name);
        told.push(`delete ${namespace}/${name}`);
      },
    },
    clock,
    random: seededRandom(1),
    ...options,
  });
  t.after(async () => {
    await reflector.stop();
    client.close();
    await server.stop();
  });
  return { server, clock, reflector, told, names: () => [...kept].toSorted().join(' ') };
}

function pod(
  name: string,
  labels: Record<string, string> = {},
): Parameters<FakeApiServer['set']>[1] {
  return { metadata: { name, namespace: 'shop', labels }, status: { phase: 'Running' } };
}

async function turns(count: number): Promise<void> {
  let left = count;
  await until(() => left-- === 0);
}

function addPods(server: FakeApiServer, count: number): void {
  for (let i = 0; i < count; i++) server.set(PODS, pod(`p${String(i).padStart(4, '0')}`));
}

test('it lists in pages, then watches from there, with bookmarks and a time of its own', async (t) => {
  const bed = await setUp(t, { pageObjects: 10 }, (server) => addPods(server, 25));
  let synced = 0;
  const { server, reflector } = bed;
  assert.equal(reflector.synced, false);
  reflector.start();
  await until(() => server.watchers === 1);
  synced += reflector.synced ? 1 : 0;
  assert.equal(synced, 1);
  assert.deepEqual(bed.told, ['replace 25']);
  const limits = server.requests.map(({ query }) => query.get('limit'));
  assert.deepEqual(limits, ['10', '10', '10', null]);
  const watch = server.requests.at(-1)?.query;
  assert.equal(watch?.get('allowWatchBookmarks'), 'true');
  assert.equal(watch?.get('resourceVersion'), '1025');
  const seconds = Number(watch?.get('timeoutSeconds'));
  assert.ok(seconds >= 300 && seconds <= 600, String(seconds));
  server.pieceBytes = 7;
  server.set(PODS, pod('übung'));
  server.remove(PODS, 'shop', 'p0000');
  await until(() => bed.told.length === 3);
  assert.deepEqual(bed.told.slice(1), ['set übung', 'delete shop/p0000']);
  assert.equal(reflector.resourceVersion, '1027');
});

test('an object that pick() leaves out is as one that is not there', async (t) => {
  const bed = await setUp(t, {}, (server) => server.set(PODS, pod('not-1')));
  bed.reflector.start();
  await until(() => bed.server.watchers === 1);
  bed.server.set(PODS, pod('not-2'));
  await until(() => bed.told.length === 2);
  assert.deepEqual(bed.told, ['replace 0', 'delete shop/not-2']);
});

test('selectors are sent, and what leaves them leaves the sink', async (t) => {
  const bed = await setUp(
    t,
    { labelSelector: 'app=web', fieldSelector: 'status.phase!=Failed' },
    (server) => {
      server.set(PODS, pod('a', { app: 'web' }));
      server.set(PODS, pod('b', { app: 'db' }));
    },
  );
  bed.reflector.start();
  await until(() => bed.server.watchers === 1);
  assert.equal(bed.names(), 'a');
  bed.server.set(PODS, pod('b', { app: 'web' }));
  bed.server.set(PODS, { ...pod('a', { app: 'web' }), status: { phase: 'Failed' } });
  await until(() => bed.told.length === 3);
  assert.equal(bed.names(), 'b');
});

test('a watch that ends or is cut goes on at once from the last version, without a list', async (t) => {
  const bed = await setUp(t, {}, (server) => addPods(server, 2));
  const { server, clock } = bed;
  bed.reflector.start();
  for (const cut of [() => server.endWatches(), () => server.cutWatches(true)]) {
    await until(() => server.watchers === 1);
    clock.advance(2_000);
    cut();
    server.set(PODS, pod(`n${server.requests.length}`));
    const before = bed.told.length;
    await until(() => bed.told.length === before + 1);
  }
  assert.equal(bed.told.filter((line) => line.startsWith('replace')).length, 1);
  assert.equal(bed.reflector.lastError, null);
});

test('bookmarks move the version on, so that compaction costs no list', async (t) => {
  const bed = await setUp(t, { fieldSelector: 'metadata.name=a' });
  const { server } = bed;
  bed.reflector.start();
  await until(() => server.watchers === 1);
  addPods(server, 5);
  server.bookmark();
  await until(() => bed.reflector.resourceVersion === '1005');
  server.compact();
  server.endWatches();
  await until(() => server.watchers === 1);
  assert.deepEqual(bed.told, ['replace 0']);
});

for (const goneAs of ['event', 'status'] as const) {
  test(`410 Gone as ${goneAs} makes it list anew, which takes away what is gone`, async (t) => {
    const bed = await setUp(t, {}, (server) => addPods(server, 3));
    const { server } = bed;
    server.goneAs = goneAs;
    bed.reflector.start();
    await until(() => server.watchers === 1);
    server.cutWatches();
    server.remove(PODS, 'shop', 'p0001');
    server.compact();
    await until(() => {
      bed.clock.advance(10);
      return server.watchers === 1 && bed.told.length === 2 && bed.reflector.lastError === null;
    });
    assert.deepEqual(bed.told, ['replace 3', 'replace 2']);
    assert.equal(bed.names(), 'p0000 p0002');
  });
}

test('a server restored from a backup, whose versions are older, is listed anew', async (t) => {
  const bed = await setUp(t, {}, (server) => addPods(server, 3));
  const { server } = bed;
  bed.reflector.start();
  await until(() => server.watchers === 1);
  server.rewind(500);
  server.remove(PODS, 'shop', 'p0000');
  server.cutWatches();
  await until(() => {
    bed.clock.advance(10);
    return bed.names() === 'p0001 p0002';
  });
});

test('a list that expires between two pages is read anew in larger pages', async (t) => {
  const bed = await setUp(t, { pageObjects: 10 }, (server) => addPods(server, 25));
  const { server } = bed;
  let pages = 0;
  server.onPage = () => {
    pages += 1;
    if (pages === 2) {
      server.set(PODS, pod('late'));
      server.compact();
    }
  };
  bed.reflector.start();
  await until(() => server.watchers === 1);
  assert.deepEqual(bed.told, ['replace 26']);
  const lists = server.requests.filter(({ query }) => query.get('watch') === null);
  assert.deepEqual(
    lists.map(({ query }) => `${query.get('limit')} ${query.get('continue') ?? ''}`.trim()),
    ['10', '10 1025:10', '20', '20 1026:20'],
  );
});

test('failures are tried again ever later, up to 30 s, and the server may ask for more', async (t) => {
  const bed = await setUp(t);
  const { server, clock } = bed;
  const waits: number[] = [];
  const fail = async (answer: FakeApiServer['answers'][number]): Promise<number> => {
    server.answers.push(answer);
    await turns(50);
    const startMs = clock.nowMs();
    await until(() => {
      clock.advance(50);
      return server.answers.length === 0;
    });
    await turns(50);
    return clock.nowMs() - startMs;
  };
  server.answers.push({ status: 500, message: 'no' });
  bed.reflector.start();
  await until(() => bed.reflector.lastError !== null);
  assert.match(bed.reflector.lastError?.message ?? '', /^Cannot GET "\/api\/v1\/pods": 500: no$/);
  for (let i = 0; i < 8; i++) waits.push(await fail({ status: 500 }));
  assert.ok((waits[0] ?? 0) >= 800 && (waits[0] ?? 0) <= 2_600, String(waits));
  assert.ok((waits[3] ?? 0) > (waits[0] ?? 0), String(waits));
  for (const waited of waits) assert.ok(waited <= 31_000, String(waits));
  assert.ok((waits[7] ?? 0) >= 15_000, String(waits));
  await fail({ status: 429, retryAfter: 90 });
  const asked = await fail({ status: 500 });
  assert.deepEqual(bed.told, []);
  assert.ok(asked >= 90_000, String(asked));
});

test('a server that was away for long, and refuses as it starts, is asked again soon', async (t) => {
  const { server, clock, reflector } = await setUp(t);
  reflector.start();
  await until(() => reflector.synced && server.watchers === 1);
  await server.down();
  let steps = 1_500;
  await until(() => {
    clock.advance(100);
    return steps-- === 0;
  });
  assert.match(reflector.lastError?.message ?? '', /ECONNREFUSED/);
  server.answers.push({ status: 403 }, { status: 403 });
  await server.up();
  await until(() => {
    clock.advance(100);
    return server.answers.length < 2;
  });
  const refusedMs = clock.nowMs();
  await until(() => {
    clock.advance(100);
    return reflector.lastError === null;
  });
  assert.ok(clock.nowMs() - refusedMs < 6_000, `${clock.nowMs() - refusedMs} ms`);
});

test('a watch that ends as soon as it begins is not begun again and again', async (t) => {
  const bed = await setUp(t);
  const { server, clock } = bed;
  bed.reflector.start();
  for (let i = 0; i < 5; i++) {
    await until(() => {
      clock.advance(i === 0 ? 0 : 50);
      return server.watchers === 1;
    });
    server.endWatches();
    await until(() => bed.reflector.lastError !== null || server.watchers === 1);
  }
  const spent = clock.nowMs() - 1_000_000;
  assert.ok(spent > 5_000, String(spent));
  assert.match(bed.reflector.lastError?.message ?? '', /ended as soon as it began/);
});

test('a watch that was healthy again makes the failures before it forgotten', async (t) => {
  const bed = await setUp(t);
  const { server, clock } = bed;
  server.answers.push({ status: 500 }, { status: 500 }, { status: 500 });
  bed.reflector.start();
  await until(() => {
    clock.advance(50);
    return server.watchers === 1 && bed.reflector.lastError === null;
  });
  clock.advance(2_000);
  server.cutWatches();
  await until(() => server.watchers === 1);
  assert.equal(bed.reflector.lastError, null);
});

test('a silent server is given up after the time that was agreed, and nothing is lost', async (t) => {
  const bed = await setUp(t, {}, (server) => addPods(server, 1));
  const { server, clock } = bed;
  bed.reflector.start();
  await until(() => server.watchers === 1);
  const seconds = Number(server.requests.at(-1)?.query.get('timeoutSeconds'));
  const requests = server.requests.length;
  clock.advance(seconds * 1_000 + 14_000);
  await until(() => bed.reflector.lastError === null);
  assert.equal(server.requests.length, requests);
  clock.advance(1_000);
  await until(() => server.requests.length === requests + 1);
  server.set(PODS, pod('after'));
  await until(() => bed.names() === 'after p0000');
});

test('what is no watch event is an error that is told, and not the end', async (t) => {
  const bed = await setUp(t);
  const { server, clock } = bed;
  bed.reflector.start();
  const lines: readonly (readonly [string, RegExp])[] = [
    ['{"type":"ADDED"}\n', /an event "ADDED" has no object/],
    ['{"type":"RENAMED","object":{}}\n', /of the unknown type "RENAMED"/],
    ['hello\n', /is not JSON$/],
    ['{"type":"ERROR","object":{"code":500,"message":"etcd is away"}}\n', /500: etcd is away/],
  ];
  for (const [line, message] of lines) {
    await until(() => {
      clock.advance(100);
      return server.watchers === 1 && bed.reflector.lastError === null;
    });
    server.sendLine(line);
    await until(() => bed.reflector.lastError !== null, line);
    assert.match(bed.reflector.lastError?.message ?? '', message);
  }
});

test('stop() ends a list, a watch and a pause at once, and the sink hears nothing more', async (t) => {
  const listing = await setUp(t);
  listing.server.isMute = true;
  listing.reflector.start();
  await until(() => listing.server.requests.length === 1);
  await listing.reflector.stop();
  assert.deepEqual(listing.told, []);

  const watching = await setUp(t);
  watching.reflector.start();
  await until(() => watching.server.watchers === 1);
  watching.server.set(PODS, pod('late'));
  await watching.reflector.stop();
  await until(() => watching.server.watchers === 0);
  assert.deepEqual(watching.told, ['replace 0']);

  const pausing = await setUp(t);
  pausing.server.answers.push({ status: 500 });
  pausing.reflector.start();
  await until(() => pausing.reflector.lastError !== null);
  await pausing.reflector.stop();
  pausing.clock.advance(60_000);
  assert.equal(pausing.server.requests.length, 1);
});
