import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';

import { ManualClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { seededRandom } from '../base/random.ts';
import { FakeApi, Refusal } from './api.fixture.ts';
import { PLATFORMS } from './facts.fixture.ts';
import {
  ClusterDnsController,
  type ClusterDnsEvent,
  type ClusterDnsControllerOptions,
} from './cluster-dns-controller.ts';
import { findRegions } from './marked-block.ts';

interface Bed {
  readonly api: FakeApi;
  readonly clock: ManualClock;
  readonly controller: ClusterDnsController;
  /** That of another process, for the same cluster. */
  readonly another: () => ClusterDnsController;
  readonly events: ClusterDnsEvent[];
  addresses: string[];
}

function makeBed(
  context: TestContext,
  platform: string,
  options: Partial<ClusterDnsControllerOptions> = {},
): Bed {
  const events: ClusterDnsEvent[] = [];
  const clock = new ManualClock();
  const api = new FakeApi(platform);
  const addresses = ['10.96.53.53'];
  const make = (): ClusterDnsController =>
    new ClusterDnsController({
      api,
      clock,
      random: seededRandom(1),
      log: silentLog,
      mode: 'auto',
      domains: ['maesh'],
      meshNamespace: 'maesh',
      addressesOf: () => bed.addresses,
      onEvent: (event) => events.push(event),
      ...options,
    });
  const controller = make();
  const bed: Bed = { api, clock, controller, another: make, events, addresses };
  context.after(() => controller.stop());
  return bed;
}

/** The fake answers without I/O, so turns of the event loop are enough. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

const corefile = ({ api }: Bed): string => api.data('coredns')?.['Corefile'] ?? '';
const holds = (text: string): boolean => findRegions(text).length === 1;

for (const platform of PLATFORMS) {
  test(`ClusterDnsController writes on ${platform}, is then at rest, and restore() leaves nothing behind`, async (context) => {
    const bed = makeBed(context, platform);
    const original = bed.api.configMaps();
    bed.controller.start();
    await settle();
    assert.equal(bed.controller.state, 'applied');
    assert.deepEqual(bed.controller.problems(), []);
    const { length } = bed.api.writes;
    assert.ok(length >= 2);
    bed.clock.advance(34_000);
    await settle();
    assert.equal(bed.api.writes.length, length);
    await bed.controller.stop();
    await bed.controller.restore({ isLast: true });
    assert.deepEqual(bed.api.configMaps(), original);
    assert.equal(bed.api.data('maesh-dns-backup', 'maesh'), null);
  });
}

test('the original is kept before anything is written, and once', async (context) => {
  const bed = makeBed(context, 'kubeadm');
  const original = corefile(bed);
  bed.controller.start();
  await settle();
  assert.deepEqual(
    bed.api.writes.map((ask) => ask.split('/').at(-1)),
    ['configmaps', 'coredns'],
  );
  const backup = bed.api.data('maesh-dns-backup', 'maesh') ?? {};
  const keys = Object.keys(backup).filter((key) => key.startsWith('coredns.Corefile.'));
  assert.equal(keys.length, 1);
  assert.equal(backup[keys[0] ?? ''], original);
  bed.addresses = ['10.96.53.54'];
  bed.controller.reconcile();
  await settle();
  assert.match(corefile(bed), /forward \. 10\.96\.53\.54 /);
  assert.deepEqual(bed.api.data('maesh-dns-backup', 'maesh'), backup);
});

test('a revert is written again at the next look, and told', async (context) => {
  const bed = makeBed(context, 'kubeadm');
  const original = corefile(bed);
  bed.controller.start();
  await settle();
  bed.api.edit('coredns', (data) => ({ ...data, Corefile: original }));
  bed.clock.advance(34_000);
  await settle();
  assert.ok(holds(corefile(bed)));
  assert.deepEqual(
    bed.events.map(({ kind }) => kind),
    ['written', 'reverted', 'written'],
  );
  const told = bed.controller
    .problems()
    .map(({ severity, object, value }) => [severity, object, value]);
  assert.deepEqual(told, [['warning', 'ConfigMap kube-system/coredns', 'rewritten']]);
  bed.clock.advance(11 * 60_000);
  await settle();
  assert.deepEqual(bed.controller.problems(), [], 'for ten minutes');
});

test('the next leader knows that a stanza which is gone was there', async (context) => {
  const bed = makeBed(context, 'kubeadm');
  const original = corefile(bed);
  bed.controller.start();
  await settle();
  await bed.controller.stop();
  bed.api.edit('coredns', (data) => ({ ...data, Corefile: original }));
  const next = bed.another();
  context.after(() => next.stop());
  next.start();
  await settle();
  assert.ok(holds(corefile(bed)));
  assert.deepEqual(
    next.problems().map(({ value }) => value),
    ['rewritten'],
  );
});

test('who edits elsewhere in the file keeps the edit, and it is no revert', async (context) => {
  const bed = makeBed(context, 'kubeadm');
  bed.controller.start();
  await settle();
  bed.api.edit('coredns', (data) => ({ ...data, Corefile: `# mine\n${data['Corefile']}` }));
  const { length } = bed.api.writes;
  bed.controller.reconcile();
  await settle();
  assert.equal(bed.api.writes.length, length);
  await bed.controller.stop();
  await bed.controller.restore({ isLast: true });
  assert.ok(corefile(bed).startsWith('# mine\n.:53 {'));
  assert.equal(corefile(bed).includes('maesh'), false);
});

test('a manager that undoes it again and again becomes a Problem instead of a war', async (context) => {
  const bed = makeBed(context, 'eks');
  const original = corefile(bed);
  bed.controller.start();
  await settle();
  for (let round = 0; round < 20; round++) {
    bed.api.edit('coredns', (data) => ({ ...data, Corefile: original }));
    bed.controller.reconcile();
    await settle();
  }
  const patches = bed.api.writes.filter((ask) => ask.endsWith('/coredns')).length;
  assert.equal(patches, 5);
  assert.equal(bed.controller.state, 'fought');
  const [problem] = bed.controller.problems();
  assert.match(problem?.message ?? '', /keeps removing/);
  assert.match(problem?.remedy ?? '', /aws eks update-addon/);
  bed.clock.advance(11 * 60_000);
  await settle();
  assert.ok(holds(corefile(bed)));
  assert.equal(bed.controller.state, 'fought');
  bed.clock.advance(61 * 60_000);
  await settle();
  assert.deepEqual([bed.controller.state, bed.controller.problems()], ['applied', []]);
});

test('a new address, however often, is no fight', async (context) => {
  const bed = makeBed(context, 'kubeadm');
  bed.controller.start();
  await settle();
  for (let n = 0; n < 12; n++) {
    bed.addresses = [`10.96.0.${100 + n}`];
    bed.controller.reconcile();
    await settle();
  }
  assert.match(corefile(bed), /forward \. 10\.96\.0\.111 /);
  assert.deepEqual([bed.controller.state, bed.controller.problems()], ['applied', []]);
  assert.ok(bed.events.every(({ kind }) => kind === 'written'));
});

test('nothing is written whose original cannot be kept', async (context) => {
  const bed = makeBed(context, 'kubeadm');
  const original = corefile(bed);
  bed.api.before = ({ method, path }) => {
    if (method === 'POST' && path.includes('/maesh/')) throw new Refusal(403, 'no quota');
  };
  bed.controller.start();
  await settle();
  assert.equal(corefile(bed), original);
  assert.match(bed.controller.problems()[0]?.message ?? '', /no quota/);
});

test('a write that somebody else was faster than is planned anew from what they wrote', async (context) => {
  const bed = makeBed(context, 'kubeadm');
  let isFirst = true;
  bed.api.before = ({ method, path }) => {
    if (method !== 'PATCH' || !path.endsWith('/coredns') || !isFirst) return;
    isFirst = false;
    bed.api.edit('coredns', (data) => ({ ...data, Corefile: `# faster\n${data['Corefile']}` }));
  };
  bed.controller.start();
  await settle();
  assert.equal(holds(corefile(bed)), false);
  assert.deepEqual(bed.controller.problems(), []);
  bed.clock.advance(1_200);
  await settle();
  assert.ok(holds(corefile(bed)) && corefile(bed).startsWith('# faster\n'));
});

test('an API server that refuses is a Problem with the way out, and asked again ever more slowly', async (context) => {
  const bed = makeBed(context, 'kubeadm');
  bed.api.before = () => {
    throw new Refusal(403, 'configmaps is forbidden');
  };
  bed.controller.start();
  await settle();
  assert.equal(bed.controller.state, 'failing');
  assert.match(bed.controller.problems()[0]?.remedy ?? '', /ServiceAccount of the controller/);
  const before = bed.api.asks.length;
  for (let second = 0; second < 120; second++) {
    bed.clock.advance(1_000);
    await settle();
  }
  const asked = bed.api.asks.length - before;
  assert.ok(asked >= 6 && asked <= 9, String(asked));
  bed.api.before = () => undefined;
  bed.clock.advance(34_000);
  await settle();
  assert.deepEqual([bed.controller.state, bed.controller.problems()], ['applied', []]);
});

test('without an address nothing is written, and what stands stays', async (context) => {
  const bed = makeBed(context, 'kubeadm');
  bed.addresses = [];
  bed.controller.start();
  await settle();
  assert.deepEqual([bed.controller.state, bed.api.writes], ['waiting', []]);
});

test('stop() ends between two writes, and nothing is written after it', async (context) => {
  const bed = makeBed(context, 'node-local');
  const stopped: Promise<void>[] = [];
  bed.api.before = ({ method, path }) => {
    if (method === 'PATCH' && path.endsWith('/coredns')) stopped.push(bed.controller.stop());
  };
  bed.controller.start();
  await settle();
  await Promise.all(stopped);
  assert.equal(stopped.length, 1);
  assert.ok(holds(corefile(bed)));
  assert.equal(holds(bed.api.data('node-local-dns')?.['Corefile'] ?? ''), false);
  bed.clock.advance(120_000);
  await settle();
  assert.equal(bed.api.writes.length, 2);
});

test('restore() by an uninstall is not undone by a controller that still runs, but by one that starts later', async (context) => {
  const bed = makeBed(context, 'kubeadm');
  bed.controller.start();
  await settle();
  bed.clock.advance(5_000);
  const hook = new ClusterDnsController({
    api: bed.api,
    clock: bed.clock,
    random: seededRandom(2),
    log: silentLog,
    mode: 'auto',
    domains: ['maesh'],
    meshNamespace: 'maesh',
    addressesOf: () => [],
  });
  await hook.restore({ isLast: false });
  bed.controller.reconcile();
  await settle();
  assert.equal(bed.controller.state, 'suspended');
  assert.equal(holds(corefile(bed)), false);
  await bed.controller.stop();
  bed.clock.advance(5_000);
  const next = new ClusterDnsController({
    api: bed.api,
    clock: bed.clock,
    random: seededRandom(3),
    log: silentLog,
    mode: 'auto',
    domains: ['maesh'],
    meshNamespace: 'maesh',
    addressesOf: () => bed.addresses,
  });
  context.after(() => next.stop());
  next.start();
  await settle();
  assert.ok(holds(corefile(bed)));
});

test('restore() says what it cannot do', async (context) => {
  const bed = makeBed(context, 'kubeadm');
  bed.controller.start();
  await settle();
  await bed.controller.stop();
  bed.api.before = ({ method }) => {
    if (method === 'PATCH') throw new Refusal(403, 'configmaps "coredns" is forbidden');
  };
  await assert.rejects(
    bed.controller.restore({ isLast: true }),
    /403: configmaps "coredns" is forbidden; grant it/,
  );
  assert.ok(bed.api.data('maesh-dns-backup', 'maesh') !== null);
});

test('restore() finds what it wrote in a ConfigMap that the DNS does not mount any more', async (context) => {
  const bed = makeBed(context, 'k3s');
  bed.controller.start();
  await settle();
  await bed.controller.stop();
  assert.ok(bed.api.data('coredns-custom') !== null);
  bed.api.edit('coredns', (data) => data);
  const request = bed.api.request.bind(bed.api);
  bed.api.request = async (ask) => {
    const answer = await request(ask);
    return ask.path.endsWith('/deployments') ? { items: [] } : answer;
  };
  await bed.controller.restore({ isLast: true });
  assert.equal(bed.api.data('coredns-custom'), null);
});

test('--dns-mode manual writes nothing and tells which domain is missing, until somebody adds it', async (context) => {
  const lines: string[] = [];
  const log = { ...silentLog, info: (line: string) => void lines.push(line) };
  const bed = makeBed(context, 'kubeadm', { mode: 'manual', log });
  bed.controller.start();
  await settle();
  assert.match(bed.controller.problems()[0]?.message ?? '', /does not forward "maesh"/);
  assert.equal(lines.filter((line) => line === 'maesh:53 {').length, 1);
  const { length } = lines;
  bed.controller.reconcile();
  await settle();
  assert.equal(lines.length, length, 'once');
  bed.api.edit('coredns', (data) => ({
    Corefile: `${data['Corefile']}maesh:53 {\n    forward . 10.96.53.53:53\n}\n`,
  }));
  bed.controller.reconcile();
  await settle();
  assert.deepEqual([bed.controller.problems(), bed.api.writes], [[], []]);
  const off = makeBed(context, 'kubeadm', { mode: 'off' });
  off.controller.start();
  await settle();
  assert.deepEqual([off.controller.state, off.api.asks], ['off', []]);
});

test('each look tells which ConfigMaps the DNS reads, until the controller stops', async (context) => {
  const told: string[] = [];
  const onConfigMaps = (names: readonly string[]): void => void told.push(names.join());
  const bed = makeBed(context, 'kubeadm', { onConfigMaps });
  bed.controller.start();
  await settle();
  assert.deepEqual(told, ['coredns']);
  bed.controller.reconcile();
  const stopped = bed.controller.stop();
  await stopped;
  assert.deepEqual(told, ['coredns']);
});
