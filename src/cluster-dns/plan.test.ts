import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { dataOf, factsOf, factsWith, PLATFORMS, withData } from './facts.fixture.ts';
import type { ClusterFacts, WorkloadFact } from './facts.ts';
import { readCorefile } from './corefile.ts';
import { holdsBlock } from './marked-block.ts';
import { applyChanges, planFor, unplan, type Desired, type Plan } from './plan.ts';
import { detect } from './platform.ts';
import { listenerOf, serverLines } from './server-block.ts';

const DESIRED: Desired = {
  domains: ['maesh', 'traefik.mesh'],
  addresses: ['10.96.53.53', 'fd00::53'],
  time: '2026-11-22T12:00:00Z',
};
const MAIN = '.:53 {\n    errors\n    reload\n}\n';

const planned = (facts: ClusterFacts, desired = DESIRED): ClusterFacts =>
  applyChanges(facts, planFor(facts, desired).changes);
const restored = (facts: ClusterFacts): ClusterFacts => applyChanges(facts, unplan(facts).changes);
const corefileOf = (facts: ClusterFacts): string | undefined =>
  dataOf(facts, 'coredns')['Corefile'];
const messages = ({ problems }: Plan): readonly string[] => problems.map(({ message }) => message);

/** Corefiles as people write them: blocks, comments, both line ends, with and without the last one. */
const corefile = fc
  .record({
    blocks: fc.array(
      fc.constantFrom(
        'shop.example:53 {\n    forward . 10.0.0.1\n}',
        '# a comment with { a brace',
        'web.maesh:53 {\n\twhoami\n}',
        'maesh:5353 {\n    whoami\n}',
        '(snip) {\n  log\n}',
        'import missing/*.x',
        '',
      ),
      { maxLength: 6 },
    ),
    isLast: fc.boolean(),
    eol: fc.constantFrom('\n', '\r\n'),
    end: fc.constantFrom('', '\n', '\n\n', '  '),
  })
  .map(({ blocks, isLast, eol, end }) => {
    const main = '.:53 {\n    errors\n    reload\n}';
    const all = isLast ? [...blocks, main] : [main, ...blocks];
    return (all.join('\n') + end).replaceAll('\n', eol);
  });
const foreign = fc.constantFrom('', '# mine\n', 'other:53 {\n    whoami\n}\n', '\n\n');

test('plan() leaves nothing to plan, what it writes can be read, and unplan() gives back every byte', () => {
  fc.assert(
    fc.property(corefile, (text) => {
      const facts = factsWith(text);
      const { changes, problems } = planFor(facts, DESIRED);
      assert.deepEqual([changes.length, problems], [1, []]);
      const after = applyChanges(facts, changes);
      assert.ok(readCorefile(corefileOf(after) ?? '').ok);
      assert.deepEqual(planFor(after, DESIRED).changes, []);
      assert.equal(corefileOf(restored(after)), text);
    }),
  );
});

test('unplan() keeps what others added before and after our block meanwhile', () => {
  fc.assert(
    fc.property(corefile, foreign, foreign, (text, before, behind) => {
      const after = corefileOf(planned(factsWith(text))) ?? '';
      const edited = corefileOf(restored(factsWith(before + after + behind))) ?? '';
      assert.ok(edited.startsWith(before + text) && edited.endsWith(behind));
      assert.ok(edited.length - (before + text + behind).length <= 2);
      if (behind === '') assert.equal(edited, before + text);
    }),
  );
});

test('any sequence of plans, reverts and foreign edits ends in what is wanted, and unplan() in the rest', () => {
  type Step = { readonly address: string } | { readonly append: string } | 'spoil';
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.constantFrom('10.0.0.1', '10.0.0.2').map((address) => ({ address })),
    fc.integer({ min: 0, max: 99 }).map((n) => ({ append: `z${n}.example:53 {\n    whoami\n}\n` })),
    fc.constant<Step>('spoil'),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      let facts = factsWith(MAIN);
      let addresses: readonly string[] = ['10.0.0.1'];
      let others = MAIN;
      for (const one of steps) {
        if (one === 'spoil') {
          facts = factsWith((corefileOf(facts) ?? '').replace('max_concurrent', 'max_fails'));
        } else if ('append' in one) {
          facts = factsWith((corefileOf(facts) ?? '') + one.append);
          others += one.append;
        } else {
          addresses = [one.address];
        }
        facts = planned(facts, { ...DESIRED, addresses });
      }
      facts = planned(facts, { ...DESIRED, addresses });
      const lines = serverLines(DESIRED.domains, addresses, { port: '53', binds: [] });
      assert.ok(holdsBlock(corefileOf(facts) ?? null, lines));
      assert.equal(corefileOf(restored(facts)), others);
    }),
  );
});

test('stubDomains keep their spaces and order, whatever they are, and get them back', () => {
  const value = fc.oneof(
    fc
      .dictionary(
        fc.string({ minLength: 1 }).filter((name) => !/^(maesh|traefik\.mesh)\.?$/i.test(name)),
        fc.array(fc.ipV4(), { maxLength: 3 }),
        { maxKeys: 4, noNullPrototype: true },
      )
      .chain((domains) =>
        fc.constantFrom(JSON.stringify(domains), JSON.stringify(domains, null, 2)),
      ),
    fc.constantFrom('', '\n', '{ }', '{\n}\n'),
  );
  fc.assert(
    fc.property(value, (text) => {
      const facts = withData(factsOf('gke'), 'kube-dns', { stubDomains: text });
      const after = planned(facts);
      const now = dataOf(after, 'kube-dns')['stubDomains'] ?? '';
      const read = JSON.parse(now) as Record<string, unknown>;
      assert.deepEqual(read['maesh'], DESIRED.addresses);
      assert.deepEqual(planFor(after, DESIRED).changes, []);
      const moved = planned(after, { ...DESIRED, addresses: ['10.9.9.9'] });
      assert.deepEqual(dataOf(restored(moved), 'kube-dns')['stubDomains'], text);
      assert.deepEqual(dataOf(restored(after), 'kube-dns')['stubDomains'], text);
    }),
  );
});

test('stubDomains that somebody formats anew are right, and lose only ours at the end', () => {
  const after = planned(factsOf('gke'));
  const text = dataOf(after, 'kube-dns')['stubDomains'] ?? '';
  const edited = JSON.stringify({ ...(JSON.parse(text) as object), new: ['10.0.0.1'] }, null, 1);
  const facts = withData(after, 'kube-dns', { stubDomains: edited });
  assert.deepEqual(planFor(facts, DESIRED).changes, []);
  const rest = JSON.parse(dataOf(restored(facts), 'kube-dns')['stubDomains'] ?? '') as unknown;
  assert.deepEqual(rest, { 'corp.example': ['10.20.0.53'], new: ['10.0.0.1'] });
});

test('a ConfigMap of kube-dns that does not exist is made, and goes again', () => {
  const { configMaps: _, ...gke } = factsOf('gke');
  const facts = { ...gke, configMaps: [] };
  const [change, ...more] = planFor(facts, DESIRED).changes;
  assert.deepEqual([change?.action, change?.name, more], ['create', 'kube-dns', []]);
  assert.deepEqual(restored(planned(facts)).configMaps, []);
  const shared = withData(planned(facts), 'kube-dns', { upstreamNameservers: '["10.0.0.1"]' });
  assert.deepEqual(dataOf(restored(shared), 'kube-dns'), { upstreamNameservers: '["10.0.0.1"]' });
});

test('a zone that somebody else answers is a Problem and left alone; the others go on', () => {
  const old = '#### Begin Traefik Mesh Block\ntraefik.mesh:53 {\n    errors\n}\n#### End\n';
  const facts = factsWith(MAIN + old);
  const found = planFor(facts, DESIRED);
  assert.match(messages(found).join(), /Cannot forward "traefik\.mesh" to the mesh/);
  const after = corefileOf(planned(facts)) ?? '';
  assert.ok(after.startsWith(MAIN + old));
  assert.match(after, /^maesh:53 \{$/m);
  assert.equal(after.match(/^traefik\.mesh:53/gm)?.length, 1);
  // Once the other one is gone, ours takes over.
  const freed = planned(factsWith(after.replace(old, '')));
  assert.match(corefileOf(freed) ?? '', /^traefik\.mesh:53 \{$/m);
  assert.equal(corefileOf(restored(freed)), MAIN);
});

test('a rival in the Corefile or in another imported file counts too, one that is not imported does not', () => {
  const block = 'maesh:53 {\n    whoami\n}\n';
  const aks = factsOf('aks');
  const beside = withData(aks, 'coredns-custom', { 'old.server': block });
  assert.match(messages(planFor(beside, DESIRED)).join(), /Cannot forward "maesh"/);
  const main = dataOf(aks, 'coredns')['Corefile'] ?? '';
  const inMain = withData(aks, 'coredns', { Corefile: main + block });
  assert.match(messages(planFor(inMain, DESIRED)).join(), /Cannot forward "maesh"/);
  const unused = withData(aks, 'coredns-custom', { 'old.override': block, notes: block });
  assert.deepEqual(planFor(unused, DESIRED).problems, []);
});

test('a stub domain of somebody else is left alone', () => {
  const text = '{"maesh.": ["10.0.0.1"]}';
  const facts = withData(factsOf('gke'), 'kube-dns', { stubDomains: text });
  assert.match(messages(planFor(facts, DESIRED)).join(), /Cannot forward "maesh"/);
  assert.equal(dataOf(restored(planned(facts)), 'kube-dns')['stubDomains'], text);
});

test('what cannot be read is left alone, with a Problem that says the line', () => {
  const broken = planFor(factsWith('.:53 {\n    errors\n'), DESIRED);
  assert.deepEqual(broken.changes, []);
  assert.match(messages(broken).join(), /line 1: the brace is never closed/);
  const bare = planFor(factsWith('.:53\nerrors\n'), DESIRED);
  assert.match(messages(bare).join(), /has no braces/);
  const stubs = withData(factsOf('gke'), 'kube-dns', { stubDomains: '["a"]' });
  assert.match(messages(planFor(stubs, DESIRED)).join(), /not a JSON object/);
  assert.deepEqual(planFor(stubs, DESIRED).changes, []);
  const own = withData(factsOf('aks'), 'coredns-custom', { 'maesh-dns.server': 'a {' });
  assert.match(messages(planFor(own, DESIRED)).join(), /not changed: line 1/);
});

test('an immutable ConfigMap is a Problem', () => {
  const facts = factsOf('kubeadm');
  const frozen = {
    ...facts,
    configMaps: facts.configMaps.map((map) => ({ ...map, immutable: true })),
  };
  const found = planFor(frozen, DESIRED);
  assert.deepEqual([found.changes, messages(found).length], [[], 1]);
  const after = planned(facts);
  const late = {
    ...after,
    configMaps: after.configMaps.map((map) => ({ ...map, immutable: true })),
  };
  assert.match(messages(unplan(late)).join(), /immutable/);
});

test('without plugin "reload" the command is told, until somebody has restarted it', () => {
  const facts = factsWith('.:53 {\n    errors\n    hosts {\n        reload 5s\n    }\n}\n');
  const first = planFor(facts, DESIRED);
  assert.match(
    first.problems[0]?.remedy ?? '',
    /kubectl -n kube-system rollout restart deployment\/coredns/,
  );
  const after = applyChanges(facts, first.changes);
  assert.equal(planFor(after, DESIRED).problems.length, 1);
  const restart = (at: string): ClusterFacts => ({
    ...after,
    workloads: after.workloads.map((workload) => ({ ...workload, restartedAt: at })),
  });
  assert.equal(planFor(restart('2026-11-22T11:59:00Z'), DESIRED).problems.length, 1);
  assert.deepEqual(planFor(restart('2026-11-22T12:00:01Z'), DESIRED).problems, []);
  assert.deepEqual(restored(after).configMaps[0]?.annotations, {});
  assert.match(unplan(after).problems[0]?.remedy ?? '', /rollout restart/);
});

test('a cluster that begins to import files gets its block moved, so that no zone is there twice', () => {
  const before = planned(factsOf('kubeadm'));
  const aks = factsOf('aks');
  const text = `${corefileOf(before)}import custom/*.server\n`;
  const facts = withData(aks, 'coredns', { Corefile: text });
  const changes = planFor(facts, DESIRED).changes;
  assert.deepEqual(
    changes.map(({ name, key }) => `${name} ${key}`),
    ['coredns Corefile', 'coredns-custom maesh-dns.server'],
  );
  assert.equal(corefileOf(applyChanges(facts, changes))?.includes('maesh'), false);
});

test('a Corefile that cannot be read keeps our block while another one is planned', () => {
  const after = planned(factsOf('node-local'));
  const broken = withData(after, 'coredns', { Corefile: `${corefileOf(after)}a {\n` });
  const { changes, problems } = planFor(broken, DESIRED);
  assert.deepEqual([changes, problems.length], [[], 1]);
});

test('detect() goes by what is mounted, not by names', () => {
  const rename = (facts: ClusterFacts): ClusterFacts => {
    const renamed = JSON.stringify(facts)
      .replaceAll('"coredns"', '"ns-server"')
      .replaceAll('"kube-dns"', '"resolver"');
    return JSON.parse(renamed) as ClusterFacts;
  };
  const [target] = detect(rename(factsOf('kubeadm'))).targets;
  assert.deepEqual(
    [target?.kind, target?.configMap, target?.key],
    ['corefile', 'ns-server', 'Corefile'],
  );
});

test('detect() follows sub-paths, relative -conf and folders without items', () => {
  const facts = factsOf('kubeadm');
  const mount = (change: Partial<WorkloadFact['containers'][number]>): ClusterFacts => ({
    ...facts,
    workloads: facts.workloads.map((workload) => ({
      ...workload,
      volumes: [{ name: 'v', configMap: 'coredns', optional: false, items: null }],
      containers: [{ name: 'c', args: [], mounts: [], ...change }],
    })),
  });
  const folder = { volume: 'v', path: '/', subPath: '' };
  const file = { volume: 'v', path: '/conf/main', subPath: 'Corefile' };
  const cases = [
    { args: [], mounts: [folder] },
    { args: ['coredns', '--conf=/conf/main'], mounts: [file] },
    { args: ['-conf', 'Corefile'], mounts: [{ ...folder, path: '/work/' }] },
  ];
  for (const change of cases) {
    const { targets, problems } = detect(mount(change));
    assert.deepEqual(
      [targets[0]?.configMap, targets[0]?.key, problems],
      ['coredns', 'Corefile', []],
    );
  }
  const none = detect(mount({ args: ['-conf', '/elsewhere/Corefile'], mounts: [folder] }));
  assert.match(none.problems[0]?.message ?? '', /no ConfigMap is mounted/);
});

test('detect() says so when there is no DNS to be found, and when its ConfigMap is missing', () => {
  const facts = factsOf('kubeadm');
  assert.match(
    detect({ ...facts, services: [] }).problems[0]?.message ?? '',
    /Cannot find the DNS/,
  );
  const lost = detect({ ...facts, configMaps: [] });
  assert.match(lost.problems[0]?.message ?? '', /ConfigMap or the key is missing/);
});

test('our own Service and agents in the same namespace are not taken for the cluster DNS', () => {
  const facts = factsOf('kubeadm');
  const ours = { 'app.kubernetes.io/part-of': 'maesh' };
  const mine = (one: ClusterFacts): ClusterFacts => ({
    ...one,
    services: one.services.map((service) => ({ ...service, labels: ours })),
  });
  assert.deepEqual(detect(mine(facts)).targets, []);
});

test('the default port of a flag is that of the block', () => {
  const facts = factsWith('. {\n    reload\n}\n');
  const withFlag = {
    ...facts,
    workloads: facts.workloads.map((workload) => ({
      ...workload,
      containers: workload.containers.map((one) => ({
        ...one,
        args: [...one.args, '-dns.port', '5353'],
      })),
    })),
  };
  assert.match(corefileOf(planned(facts)) ?? '', /^maesh \{$/m);
  assert.match(corefileOf(planned(withFlag)) ?? '', /^maesh:5353 \{$/m);
});

test('every platform of testdata listens where its own main block does', () => {
  for (const platform of PLATFORMS) {
    for (const target of detect(factsOf(platform)).targets) {
      if (target.kind === 'stub-domains') continue;
      const reading = readCorefile(
        dataOf(factsOf(platform), target.main.configMap)[target.main.key] ?? '',
      );
      assert.ok(reading.ok);
      assert.deepEqual(target.listener, listenerOf(reading.items));
    }
  }
});
