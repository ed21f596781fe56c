import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';

import { AGENT_SETTINGS, CONTROLLER_SETTINGS } from '../../src/cli/cluster-settings.ts';
import {
  CHART,
  containerOf,
  dig,
  each,
  environment,
  find,
  type Manifest,
  render,
  ROOT,
  words,
  workloadsOf,
} from './support/chart.ts';
import { findTool, run, skipWithout } from './support/tools.ts';
import { readSchema, readValues, type Schema } from './support/chart-values.ts';

const EVERYTHING = {
  image: { registry: 'registry.example/', pullSecrets: ['pull'] },
  mesh: { default: 'opt-in', watchNamespaces: ['shop', 'blog'], ignoreNamespaces: ['secret'] },
  runAsUser: null,
  controller: {
    replicas: 1,
    affinity: { nodeAffinity: {} },
    secretNamespaces: ['shop', 'blog'],
    podAnnotations: { a: 'b' },
    extraArgs: ['--x'],
    extraEnv: [{ name: 'MAESH_DNS_TTL', value: '9s' }],
  },
  agent: { maxSurge: '10%', podLabels: { c: 'd' }, extraEnv: [{ name: 'E', value: '1' }] },
  metrics: {
    podMonitor: { enabled: true, labels: { team: 'x' } },
    serviceMonitor: { enabled: true },
  },
  networkPolicy: { enabled: true, adminFrom: [{ namespaceSelector: {} }] },
  namespace: { create: true },
  commonLabels: { owner: 'me' },
  commonAnnotations: { note: 'mine' },
};
const VALUES_SETS: Readonly<Record<string, object>> = {
  'default values': {},
  'everything on': EVERYTHING,
  'everything off': {
    dns: { mode: 'off' },
    priorityClass: { create: false },
    uninstallHook: { enabled: false },
    controller: { podDisruptionBudget: { enabled: false }, nodeSelector: null, tolerations: null },
  },
};

function key({ kind, metadata }: Manifest): string {
  return `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
}

test('Chart.yaml, values.yaml and package.json agree on the version', () => {
  const chart = parse(readFileSync(join(CHART, 'Chart.yaml'), 'utf8')) as Record<string, string>;
  const json = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  assert.equal(chart['appVersion'], json.version);
  assert.equal(chart['version'], json.version);
});

for (const tool of ['helm', 'helm3'] as const) {
  test(`${tool} lints the chart without a warning`, { skip: skipWithout(tool) }, async () => {
    const { code, out, err } = await run(findTool(tool), ['lint', CHART, '--strict']);
    assert.equal(code, 0, out + err);
    assert.doesNotMatch(out, /WARNING|ERROR/);
  });
}

describe('helm template', { skip: skipWithout('helm') }, () => {
  for (const [name, values] of Object.entries(VALUES_SETS)) {
    test(`renders with ${name}, every object named once and labelled`, async () => {
      const manifests = await render(JSON.stringify(values));
      const keys = manifests.map(key);
      assert.equal(new Set(keys).size, keys.length);
      for (const { metadata, kind } of manifests) {
        assert.equal(metadata.labels['app.kubernetes.io/name'], 'maesh', kind);
        assert.equal(metadata.labels['app.kubernetes.io/part-of'], 'maesh', kind);
        if (name === 'everything on') {
          assert.equal(metadata.labels['owner'], 'me', `${kind} ${metadata.name}`);
          assert.equal(metadata.annotations?.['note'], 'mine', `${kind} ${metadata.name}`);
        }
      }
    });
  }

  test('Helm 3 and Helm 4 render the same', { skip: skipWithout('helm3') }, async () => {
    const args = ['template', 'maesh', CHART, '-n', 'maesh', '--kube-version', '1.36.3', '-f', '-'];
    const input = JSON.stringify(EVERYTHING);
    const [three, four] = await Promise.all(
      (['helm3', 'helm'] as const).map((tool) => run(findTool(tool), args, { input })),
    );
    assert.equal(three?.code, 0, three?.err ?? '');
    assert.equal(three.out, four?.out);
  });

  test('leaves out what an older Kubernetes does not know', async () => {
    const old = await render('', '--kube-version', '1.21.0');
    const now = await render('', '--kube-version', '1.36.3');
    const strategy = (manifests: readonly Manifest[]) =>
      find(manifests, 'DaemonSet', 'maesh-agent').spec;
    const update = (manifests: readonly Manifest[]) =>
      dig(strategy(manifests), 'updateStrategy', 'rollingUpdate');
    assert.deepEqual(update(old), { maxUnavailable: 1 });
    assert.deepEqual(update(now), { maxSurge: 1, maxUnavailable: 0 });
    const dns = (manifests: readonly Manifest[]) =>
      dig(find(manifests, 'Service', 'maesh-dns').spec, 'trafficDistribution');
    assert.deepEqual([dns(old), dns(now)], [undefined, 'PreferSameNode']);
    const between = await render('', '--kube-version', '1.32.0');
    assert.equal(dns(between), 'PreferClose');
    const budget = find(old, 'PodDisruptionBudget', 'maesh-controller').spec;
    assert.equal(dig(budget, 'unhealthyPodEvictionPolicy'), undefined);
  });

  test('gives every setting the form that maesh reads', async () => {
    const manifests = await render(
      JSON.stringify({ ...EVERYTHING, accessLog: { sample: 0.25, statusMin: 500, query: true } }),
    );
    const controller = environment(find(manifests, 'Deployment', 'maesh-controller'));
    assert.equal(controller.get('MAESH_DISCOVERY'), '[::]:9443');
    assert.equal(controller.get('MAESH_ADMIN'), '[::]:9000');
    assert.equal(controller.get('MAESH_DOMAIN'), 'maesh,traefik.mesh');
    assert.equal(controller.get('MAESH_WATCH_NAMESPACE'), 'shop,blog');
    assert.equal(controller.get('MAESH_IGNORE_NAMESPACE'), 'secret');
    assert.equal(controller.get('MAESH_MESH_DEFAULT'), 'opt-in');
    assert.equal(controller.get('MAESH_DNS_TTL'), '9s');
    const agent = environment(find(manifests, 'DaemonSet', 'maesh-agent'));
    assert.equal(agent.get('MAESH_CONTROLLER'), 'maesh-controller.$(POD_NAMESPACE).svc:9443');
    assert.equal(agent.get('MAESH_ACCESS_LOG'), 'off');
    assert.equal(agent.get('MAESH_ACCESS_LOG_SAMPLE'), '0.25');
    assert.equal(agent.get('MAESH_ACCESS_LOG_STATUS_MIN'), '500');
    assert.equal(agent.get('MAESH_ACCESS_LOG_QUERY'), 'true');
    assert.equal(agent.get('MAESH_DRAIN_TIMEOUT'), '30s');
    const four = await render('listenAddress: 0.0.0.0\nagent: { drainSeconds: 90 }');
    const agent4 = find(four, 'DaemonSet', 'maesh-agent');
    assert.equal(environment(agent4).get('MAESH_DNS'), '0.0.0.0:5353');
    const grace = dig(agent4.spec, 'template', 'spec', 'terminationGracePeriodSeconds');
    assert.equal(grace, 110, 'longer than the drain');
  });

  test('every MAESH_ variable is a setting of the command that gets it', async () => {
    const manifests = await render(
      JSON.stringify({ ...EVERYTHING, controller: {}, agent: {}, accessLog: { format: 'json' } }),
    );
    for (const [kind, name, settings] of [
      ['Deployment', 'maesh-controller', CONTROLLER_SETTINGS],
      ['DaemonSet', 'maesh-agent', AGENT_SETTINGS],
    ] as const) {
      const known = new Map(
        settings.map((setting) => [
          `MAESH_${setting.name.toUpperCase().replaceAll('-', '_')}`,
          setting,
        ]),
      );
      for (const [variable, value] of environment(find(manifests, kind, name))) {
        if (!variable.startsWith('MAESH_') || value.includes('$(')) continue;
        const setting = known.get(variable);
        assert.ok(setting !== undefined, `${name}: ${variable} is no setting`);
        for (const word of setting.isList ? value.split(',') : [value]) {
          assert.ok(setting.kind.parse(word).ok, `${name}: ${variable}=${word}`);
        }
      }
    }
  });

  test('a variable that a container uses in another one is defined before it', async () => {
    for (const workload of await workloads()) {
      const names: string[] = [];
      for (const [name, value] of environment(workload)) {
        for (const [, used = ''] of value.matchAll(/\$\((\w+)\)/g)) {
          assert.ok(names.includes(used), `${workload.metadata.name}: ${used}`);
        }
        names.push(name);
      }
      for (const [, used = ''] of each(containerOf(workload), 'args')
        .join(' ')
        .matchAll(/\$\((\w+)\)/g)) {
        assert.ok(names.includes(used), `${workload.metadata.name}: ${used}`);
      }
      assert.equal(names.length, each(containerOf(workload), 'env').length, 'given twice');
    }
  });

  test('no Pod gets variables of Services, which would be read as settings', async () => {
    for (const { spec, metadata } of await workloads()) {
      assert.equal(dig(spec, 'template', 'spec', 'enableServiceLinks'), false, metadata.name);
    }
  });

  test('the right to read Secrets is given in the namespaces that are named, and in no other', async () => {
    const rolesIn = async (values: string): Promise<string[]> => {
      const manifests = await render(values);
      const rules = manifests.filter(
        ({ kind, rules = [] }) =>
          kind.endsWith('Role') &&
          rules.some(
            ({ resources, resourceNames, verbs }) =>
              resources.includes('secrets') &&
              resourceNames === undefined &&
              !verbs.every((verb) => verb === 'create'),
          ),
      );
      return rules.map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`);
    };
    assert.deepEqual(await rolesIn('{}'), []);
    const values = 'controller: { secretNamespaces: [shop, bank] }';
    assert.deepEqual(await rolesIn(values), [
      'Role shop/maesh-controller-secrets',
      'Role bank/maesh-controller-secrets',
    ]);
    const manifests = await render(values);
    const controller = environment(find(manifests, 'Deployment', 'maesh-controller'));
    assert.equal(controller.get('MAESH_SECRET_NAMESPACE'), 'shop,bank');
    const none = environment(find(await render('{}'), 'Deployment', 'maesh-controller'));
    assert.equal(none.get('MAESH_SECRET_NAMESPACE'), undefined);
  });

  test('an unquoted off is off', async () => {
    const manifests = await render('dns: { mode: off }\naccessLog: { format: off }');
    const controller = environment(find(manifests, 'Deployment', 'maesh-controller'));
    assert.equal(controller.get('MAESH_DNS_MODE'), 'off');
    const agent = environment(find(manifests, 'DaemonSet', 'maesh-agent'));
    assert.equal(agent.get('MAESH_ACCESS_LOG'), 'off');
    const outside = manifests.filter(({ metadata }) => metadata.namespace === 'kube-system');
    assert.deepEqual(outside, []);
  });

  test('an image is named by registry, repository and digest or tag', async () => {
    const images = async (image: object) =>
      new Set(
        (await workloads(JSON.stringify({ image }))).map((workload) =>
          dig(containerOf(workload), 'image'),
        ),
      );
    const digest = `sha256:${'a'.repeat(64)}`;
    assert.deepEqual(await images({}), new Set(['maesh/maesh:0.1.0']));
    assert.deepEqual(
      await images({ registry: 'registry.example:5000', repository: 'x/maesh', tag: 'next' }),
      new Set(['registry.example:5000/x/maesh:next']),
    );
    assert.deepEqual(await images({ tag: 'next', digest }), new Set([`maesh/maesh@${digest}`]));
  });

  test('the admin port is on no Service unless a ServiceMonitor needs one', async () => {
    const ports = (manifests: readonly Manifest[]) =>
      manifests
        .filter(({ kind }) => kind === 'Service')
        .flatMap(({ metadata, spec }) =>
          each(spec, 'ports').map((port) => `${metadata.name}:${String(dig(port, 'port'))}`),
        );
    const usual = ['maesh-controller:9443', 'maesh-dns:53', 'maesh-dns:53', 'maesh-probe:80'];
    assert.deepEqual(ports(await render()).toSorted(), usual);
    const monitored = await render('metrics: { serviceMonitor: { enabled: true } }');
    assert.deepEqual(ports(monitored).toSorted(), [...usual, 'maesh-metrics:9000'].toSorted());
  });

  test('selectors choose the Pods they mean and no others', async () => {
    const manifests = await render(JSON.stringify(EVERYTHING));
    const pods = new Map(
      workloadsOf(manifests).map(({ metadata, spec }) => [
        metadata.name,
        words(spec, 'template', 'metadata', 'labels'),
      ]),
    );
    const chosen = (selector: Readonly<Record<string, string>>) =>
      [...pods].flatMap(([name, labels]) =>
        Object.entries(selector).every(([label, value]) => labels[label] === value) ? [name] : [],
      );
    const service = (name: string) =>
      chosen(words(find(manifests, 'Service', name).spec, 'selector'));
    assert.deepEqual(service('maesh-controller'), ['maesh-controller']);
    assert.deepEqual(service('maesh-dns'), ['maesh-agent']);
    for (const kind of ['Deployment', 'DaemonSet'] as const) {
      const { metadata, spec } = manifests.find((manifest) => manifest.kind === kind)!;
      assert.deepEqual(chosen(words(spec, 'selector', 'matchLabels')), [metadata.name]);
    }
    for (const { spec, metadata } of manifests.filter(
      (manifest) => manifest.kind === 'NetworkPolicy',
    )) {
      assert.deepEqual(chosen(words(spec, 'podSelector', 'matchLabels')), [metadata.name]);
    }
  });
});

async function workloads(values = ''): Promise<readonly Manifest[]> {
  return workloadsOf(await render(values));
}

describe('values.schema.json', { skip: skipWithout('helm') }, () => {
  const REFUSED: readonly (readonly [values: string, said: RegExp])[] = [
    ['controler: {}', /additional propert.*'controler'/],
    ['agent: { thread: 2 }', /'\/agent'.*'thread'/],
    ['agent: { threads: many }', /'\/agent\/threads'/],
    ['agent: { resources: { limits: { memory: 1 GB } } }', /'\/agent\/resources\/limits\/memory'/],
    ['controller: { replicas: 9 }', /'\/controller\/replicas'.*maximum/],
    ['controller: { podDisruptionBudget: { maxUnavailable: 0 } }', /maxUnavailable/],
    ['controller: { podLabels: { app.kubernetes.io/component: x } }', /component/],
    ['mesh: { default: some }', /'\/mesh\/default'.*'all', 'opt-in'/],
    ['mesh: { domains: [] }', /'\/mesh\/domains'/],
    ['mesh: { domains: [.maesh] }', /'\/mesh\/domains\/0'/],
    ['mesh: { watchNamespaces: [Shop] }', /'\/mesh\/watchNamespaces\/0'/],
    ['controller: { secretNamespaces: [Shop] }', /'\/controller\/secretNamespaces\/0'/],
    ['dns: { mode: maybe }', /'\/dns\/mode'.*'auto', 'manual', 'off'/],
    ['image: { digest: "sha256:12" }', /'\/image\/digest'/],
    ['accessLog: { statusMin: 50 }', /'\/accessLog\/statusMin'/],
    ['runAsUser: 0', /'\/runAsUser'/],
    ['priorityClass: { value: 2000000000 }', /'\/priorityClass\/value'/],
    ['priorityClass: { preemptionPolicy: Always }', /'\/priorityClass\/preemptionPolicy'/],
    ['listenAddress: localhost', /'\/listenAddress'/],
  ];
  for (const [values, said] of REFUSED) {
    test(`refuses ${values}, and says where`, async () => {
      await assert.rejects(render(values), (error: Error) => {
        assert.match(error.message.replaceAll('\n', ' '), said);
        return true;
      });
    });
  }
});

test('values.schema.json describes every value, and knows no more than there are', () => {
  compare(readSchema(), readValues(), '');
});

/** Free-form values, whose keys the schema does not name one by one or that have no default. */
const OPEN = /^\/global$|\/resources$/;

function compare(schema: Schema, values: unknown, path: string): void {
  if (path !== '') assert.ok((schema.description ?? '').length > 10, `${path} is not described`);
  if (schema.properties === undefined || OPEN.test(path)) return;
  const described = Object.keys(schema.properties).filter((name) => name !== 'global');
  assert.deepEqual(described.toSorted(), Object.keys(values as object).toSorted(), path);
  for (const name of described) {
    const inner = (values as Record<string, unknown>)[name];
    compare(schema.properties[name]!, inner, `${path}/${name}`);
  }
}
