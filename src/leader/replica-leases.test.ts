import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ManualClock } from '../base/clock.ts';
import { recordAt } from '../base/record.ts';
import { silentLog } from '../base/log.ts';
import { seededRandom } from '../base/random.ts';
import {
  FakeApi,
  FakeApiError,
  pass,
  settle,
  type FakeRequest,
} from '../kube/api/fake-api.fixture.ts';
import type { Abilities } from '../discovery/abilities.ts';
import { ReplicaLeases, type ReplicaLeasesOptions } from './replica-leases.ts';

const LEASES = '/apis/coordination.k8s.io/v1/namespaces/maesh/leases';

interface Bed {
  readonly api: FakeApi;
  readonly clock: ManualClock;
  readonly changes: string[];
  readonly replica: (identity: string, change?: Partial<ReplicaLeasesOptions>) => ReplicaLeases;
}

function bed(): Bed {
  const api = new FakeApi();
  const clock = new ManualClock();
  const changes: string[] = [];
  const replica: Bed['replica'] = (identity, change) =>
    new ReplicaLeases({
      api,
      namespace: 'maesh',
      name: 'maesh-controller',
      identity,
      owner: null,
      clock,
      random: seededRandom(1),
      log: silentLog,
      isLeader: () => false,
      onChange: () => changes.push(identity),
      ...change,
    });
  return { api, clock, changes, replica };
}

const writes = (api: FakeApi): FakeRequest[] =>
  api.requests.filter(({ method }) => method === 'PATCH');

const NONE: Abilities = { common: null, lacking: new Map() };
const ABLE: Abilities = {
  common: ['http', 'route.match'],
  lacking: new Map([['tcp', ['maesh/a on n1 (0.1.0)', '4 more']]]),
};

test('a replica of the first version, which says nothing of its agents, has agents of the first version', async () => {
  const { api, clock, replica } = bed();
  const [one, two] = [replica('one'), replica('two')];
  one.report({ progress: '7', agents: 3, abilities: ABLE, troubles: [] });
  await Promise.all([one.start(), two.start()]);
  await settle();
  const path = `${LEASES}/maesh-controller-one`;
  const annotate = async (change: Readonly<Record<string, unknown>>): Promise<void> => {
    const lease = api.get(path);
    const annotations = { ...recordAt(lease, 'metadata', 'annotations'), ...change };
    api.set(path, { ...lease, metadata: { ...lease.metadata, annotations } });
    clock.advance(1);
    await settle();
  };
  await annotate({ 'maesh.dev/abilities': undefined, 'maesh.dev/lacking': undefined });
  const first = { common: ['http'], lacking: new Map() };
  assert.deepEqual(two.others()[0]?.abilities, first);
  for (const lacking of ['[', '7', '{"tcp":7}', null]) {
    await annotate({ 'maesh.dev/lacking': lacking });
    assert.deepEqual(two.others()[0]?.abilities, first, 'what makes no sense says nothing');
  }
  await Promise.all([one.stop(), two.stop()]);
});

test('replicas see each other and what they report, at once', async () => {
  const { api, clock, changes, replica } = bed();
  const one = replica('one', { owner: { name: 'one', uid: 'u-1' } });
  const two = replica('two');
  one.report({ progress: '7', agents: 3, abilities: ABLE, troubles: [] });
  await Promise.all([one.start(), two.start()]);
  await settle();
  assert.deepEqual(two.others(), [
    { identity: 'one', progress: '7', agents: 3, abilities: ABLE, troubles: [] },
  ]);
  assert.deepEqual(one.others(), [
    { identity: 'two', progress: '', agents: 0, abilities: NONE, troubles: [] },
  ]);
  clock.advance(200);
  await settle();
  changes.length = 0;
  const troubles = [{ service: 'shop/web', kind: 'failing', detail: 'connect_failed' }] as const;
  one.report({ progress: '8', agents: 3, abilities: ABLE, troubles });
  await settle();
  assert.deepEqual(two.others(), [
    { identity: 'one', progress: '8', agents: 3, abilities: ABLE, troubles },
  ]);
  assert.deepEqual(changes, ['two']);
  const { metadata } = api.get(`${LEASES}/maesh-controller-one`);
  assert.deepEqual(metadata['ownerReferences'], [
    { apiVersion: 'v1', kind: 'Pod', name: 'one', uid: 'u-1' },
  ]);
  assert.deepEqual(metadata['labels'], {
    'app.kubernetes.io/name': 'maesh',
    'app.kubernetes.io/component': 'replica',
    'app.kubernetes.io/part-of': 'maesh',
  });
  await Promise.all([one.stop(), two.stop()]);
});

test('a replica that stops is gone at once', async () => {
  const { api, replica } = bed();
  const [one, two] = [replica('one'), replica('two')];
  await Promise.all([one.start(), two.start()]);
  await settle();
  assert.equal(two.others().length, 1);
  await one.stop();
  await settle();
  assert.deepEqual(two.others(), []);
  await two.stop();
  assert.equal(api.objects.size, 0);
});

test('a write that is under way at the end does not bring the Lease back', async () => {
  const { api, clock, replica } = bed();
  const one = replica('one');
  await one.start();
  const arrived = Promise.withResolvers<void>();
  api.before = ({ method }) => (method === 'PATCH' ? arrived.promise : undefined);
  one.report({ progress: '9', agents: 0, abilities: NONE, troubles: [] });
  clock.advance(200);
  await settle();
  const stopped = one.stop();
  await settle();
  arrived.resolve();
  await stopped;
  await settle();
  assert.equal(writes(api).length, 2);
  assert.equal(api.objects.size, 0);
});

test('many reports are at most five writes a second, and the last one is what stands', async () => {
  const { api, clock, replica } = bed();
  const [one, two] = [replica('one'), replica('two')];
  await Promise.all([one.start(), two.start()]);
  const before = writes(api).length;
  for (let n = 1; n <= 1_000; n++) {
    one.report({ progress: String(n), agents: 1, abilities: ABLE, troubles: [] });
    clock.advance(1);
    await settle(2);
  }
  clock.advance(200);
  await settle();
  assert(writes(api).length - before <= 6);
  assert.equal(two.others()[0]!.progress, '1000');
  const quiet = writes(api).length;
  await pass(clock, 20_000);
  // Both renew every five seconds.
  assert.equal(writes(api).length - quiet, 8);
  await Promise.all([one.stop(), two.stop()]);
});

test('a replica that is silent for 15 s is gone, and its Lease is deleted by the leader alone', async () => {
  const { api, clock, replica } = bed();
  let isLeader = false;
  const [one, two] = [replica('one', { isLeader: () => isLeader }), replica('two')];
  await Promise.all([one.start(), two.start()]);
  await settle();
  api.before = ({ path, method }) => {
    if (method === 'PATCH' && path.endsWith('-two')) throw new FakeApiError(500, 'InternalError');
  };
  await pass(clock, 14_000);
  assert.equal(one.others().length, 1);
  await pass(clock, 3_000);
  assert.deepEqual(one.others(), []);
  assert(api.objects.has(`${LEASES}/maesh-controller-two`));
  isLeader = true;
  await pass(clock, 2_000);
  assert(!api.objects.has(`${LEASES}/maesh-controller-two`));
  api.before = () => undefined;
  await pass(clock, 3_000);
  assert.equal(one.others().length, 1);
  await Promise.all([one.stop(), two.stop()]);
});

test('a watch that hangs makes nobody dead, nor does an API server that is away', async () => {
  const { api, clock, replica } = bed();
  const two = replica('two');
  const one = replica('one', {
    isLeader: () => true,
    api: {
      request: (request) => api.request(request),
      list: (path, options) => api.list(path, options),
      stream: ({ signal, onOpen }) => {
        onOpen?.();
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted')));
        });
      },
    },
  });
  await two.start();
  await one.start();
  await pass(clock, 60_000);
  assert.equal(one.others().length, 1);
  api.before = () => {
    throw new FakeApiError(503, 'ServiceUnavailable');
  };
  await pass(clock, 60_000);
  assert.equal(one.others().length, 1);
  api.before = () => undefined;
  await two.stop();
  await pass(clock, 20_000);
  assert.deepEqual(one.others(), []);
  await one.stop();
});

test('an API server that was away finds all that live when it is back', async () => {
  const { api, clock, replica } = bed();
  const [one, two] = [replica('one', { isLeader: () => true }), replica('two')];
  await Promise.all([one.start(), two.start()]);
  await settle();
  api.before = () => {
    throw new FakeApiError(503, 'ServiceUnavailable');
  };
  await pass(clock, 60_000);
  // The leader is heard first.
  api.before = ({ method, path }) => {
    if (method === 'PATCH' && path.endsWith('-two')) throw new FakeApiError(500, 'InternalError');
  };
  const asked = api.requests.length;
  for (let second = 0; second < 3; second++) {
    await pass(clock, 1_000);
    assert.equal(one.others().length, 1);
  }
  api.before = () => undefined;
  await pass(clock, 30_000);
  assert.equal(one.others().length, 1);
  assert(api.requests.slice(asked).every(({ method }) => method !== 'DELETE'));
  await two.stop();
  await pass(clock, 20_000);
  assert.deepEqual(one.others(), []);
  await one.stop();
});

test('a dead Lease that is written between the last look and the delete is left alone', async () => {
  const { api, clock, replica } = bed();
  const one = replica('one', { isLeader: () => true });
  await one.start();
  const path = `${LEASES}/maesh-controller-two`;
  const labels = api.get(`${LEASES}/maesh-controller-one`).metadata['labels'];
  const lease = {
    metadata: { name: 'maesh-controller-two', labels },
    spec: { holderIdentity: 'two', leaseDurationSeconds: 15 },
  };
  api.set(path, lease);
  api.before = ({ method }) => {
    if (method === 'DELETE') api.set(path, lease);
  };
  await pass(clock, 17_000);
  assert(api.objects.has(path));
  assert.equal(one.others().length, 1);
  api.before = () => undefined;
  await one.stop();
});

test('a Lease whose holder was taken out by hand stands for nobody', async () => {
  const { api, clock, replica } = bed();
  const [one, two] = [replica('one'), replica('two')];
  await Promise.all([one.start(), two.start()]);
  await settle();
  const path = `${LEASES}/maesh-controller-two`;
  api.set(path, { ...api.get(path), spec: { leaseDurationSeconds: 15 } });
  await settle();
  assert.deepEqual(one.others(), []);
  await pass(clock, 6_000);
  assert.equal(one.others().length, 1);
  await Promise.all([one.stop(), two.stop()]);
});

test('start() waits for the API server, retries, and stop() settles it', async () => {
  const { api, clock, replica } = bed();
  api.before = () => {
    throw new FakeApiError(503, 'ServiceUnavailable');
  };
  const one = replica('one');
  let isStarted = false;
  const started = one.start().then(() => {
    isStarted = true;
  });
  await pass(clock, 10_000, 200);
  assert(!isStarted);
  api.before = () => undefined;
  await pass(clock, 35_000);
  assert(isStarted);
  await started;
  await one.stop();
  api.before = () => {
    throw new FakeApiError(503, 'ServiceUnavailable');
  };
  const late = replica('late');
  const never = late.start();
  await settle();
  await late.stop();
  await never;
});

test('an identity that cannot be part of a name still has a Lease', async () => {
  const { api, replica } = bed();
  const [one, two] = [replica('Host_1'), replica('Host_2')];
  await Promise.all([one.start(), two.start()]);
  await settle();
  assert.deepEqual(
    one.others().map(({ identity }) => identity),
    ['Host_2'],
  );
  for (const path of api.objects.keys()) assert.match(path, /\/maesh-controller-[0-9a-f]{8}$/);
  await Promise.all([one.stop(), two.stop()]);
});
