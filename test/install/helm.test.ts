/** The CLI renders the chart itself; what comes out must be what the real Helm makes of it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';

import { Chart, isHook } from '../../src/install/chart.ts';
import { parseValues, setValues } from '../../src/install/values.ts';
import { find, readManifests, template } from '../chart/support/chart.ts';
import { skipWithout } from '../chart/support/tools.ts';

const skip = skipWithout('helm');

/** Values that together turn on every branch of the templates. */
const SETS: Readonly<Record<string, { readonly values: unknown; readonly kube?: string }>> = {
  defaults: { values: {} },
  'an old cluster': {
    values: { agent: { maxSurge: 2 }, dns: { mode: 'manual' } },
    kube: 'v1.21.14',
  },
  'a cluster of the middle, of a provider': {
    values: { dns: { mode: false }, controller: { podDisruptionBudget: { enabled: false } } },
    kube: 'v1.31.2-gke.1115000',
  },
  'everything on': {
    values: {
      image: {
        registry: 'registry.example.com/',
        tag: 'v7',
        digest: `sha256:${'a'.repeat(64)}`,
        pullPolicy: 'Always',
        pullSecrets: ['one', 'two'],
      },
      mesh: {
        default: 'opt-in',
        defaultMode: 'tcp',
        domains: ['mesh.example.com'],
        watchNamespaces: ['shop', 'bank'],
        ignoreNamespaces: ['off', 'yes'],
      },
      dns: { mode: 'off', configMaps: ['coredns'] },
      listenAddress: '0.0.0.0',
      accessLog: { format: 'json', sample: 0.25, statusMin: 500, query: true },
      controller: {
        replicas: 3,
        secretNamespaces: ['shop', 'off'],
        priorityClassName: 'system-cluster-critical',
        tolerations: [{ key: 'control-plane', operator: 'Exists', effect: 'NoSchedule' }],
        affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
        podAnnotations: { 'example.com/a': 'yes', 'example.com/b': '012' },
        podLabels: { team: 'on' },
        serviceAccountAnnotations: { role: 'arn:aws:iam::1:role/x' },
        extraArgs: ['--proxy-ports', '20000-29999'],
        extraEnv: [
          { name: 'A', value: 'multi\nline: yes' },
          { name: 'B', value: '1e3' },
        ],
      },
      agent: { threads: 4, drainSeconds: 90, tolerations: [], nodeSelector: {} },
      metrics: {
        podMonitor: { enabled: true, interval: '15s', labels: { release: 'prom' } },
        serviceMonitor: { enabled: true, labels: { release: 'prom' } },
      },
      networkPolicy: { enabled: true, adminFrom: [{ namespaceSelector: {} }] },
      namespace: { create: true },
      priorityClass: { value: 1_000_000 },
      commonLabels: { owner: '00', cost: 'no' },
      commonAnnotations: { note: 'a: "b" # c' },
    },
  },
  'nothing that can be off': {
    values: {
      priorityClass: { create: false },
      uninstallHook: { enabled: false },
      runAsUser: null,
      controller: { resources: {}, topologySpreadConstraints: [], nodeSelector: null },
    },
    kube: 'v1.36.3',
  },
};

for (const [name, { values, kube = 'v1.36.3' }] of Object.entries(SETS)) {
  test(`Chart.render() makes what Helm makes: ${name}`, { skip }, async () => {
    const chart = await Chart.load();
    const text = stringify(values, { version: '1.1' });
    const byHelm = readManifests(await template(text, '--kube-version', kube));
    const release = { name: 'maesh', namespace: 'maesh', service: 'Helm', kubeVersion: kube };
    const ours = chart.render(chart.values(parseValues(text, 'a test')), release);
    assert.deepEqual(sorted(ours), sorted(byHelm));
  });
}

test(
  'Chart.objects() differs from Helm in two labels, and in the hooks that it leaves out',
  { skip },
  async () => {
    const chart = await Chart.load();
    const byHelm = readManifests(await template('', '--kube-version', 'v1.36.3'));
    const ours = chart.objects(chart.values({}), { namespace: 'maesh', kubeVersion: 'v1.36.3' });
    const expected = byHelm
      .filter((object) => !isHook(object as never))
      .map((object) => {
        const labels: Record<string, string> = { ...object.metadata.labels };
        assert.match(labels['helm.sh/chart'] ?? '', /^maesh-/);
        assert.equal(labels['app.kubernetes.io/managed-by'], 'Helm');
        delete labels['helm.sh/chart'];
        labels['app.kubernetes.io/managed-by'] = 'maesh';
        return { ...object, metadata: { ...object.metadata, labels } };
      });
    assert.ok(expected.length < byHelm.length);
    assert.deepEqual(sorted(ours), sorted(expected));
  },
);

test('setValues() reads --set as Helm does', { skip }, async () => {
  const chart = await Chart.load();
  const sets = [
    'controller.replicas=3,mesh.domains={maesh,mesh.example.com}',
    String.raw`agent.podAnnotations.example\.com/a=1\,2`,
    'controller.nodeSelector=null,accessLog.query=true,image.tag=007',
    'agent.extraEnv[0].name=A,agent.extraEnv[0].value=x=y',
  ];
  const flags = sets.flatMap((text) => ['--set', text]);
  const byHelm = readManifests(await template('', '--kube-version', 'v1.36.3', ...flags));
  const values = chart.values(sets.reduce(setValues, {}));
  const release = { name: 'maesh', namespace: 'maesh', service: 'Helm', kubeVersion: 'v1.36.3' };
  const ours = chart.render(values, release);
  assert.deepEqual(sorted(ours), sorted(byHelm));
  assert.match(JSON.stringify(find(ours as never, 'DaemonSet', 'maesh-agent')), /"x=y"/);
});

function sorted(objects: readonly unknown[]): readonly unknown[] {
  const key = (object: unknown): string => {
    const { kind, metadata } = object as { kind: string; metadata: Record<string, string> };
    return `${kind} ${metadata['namespace'] ?? ''}/${metadata['name']}`;
  };
  return (JSON.parse(JSON.stringify(objects)) as unknown[]).toSorted((a, b) =>
    key(a) < key(b) ? -1 : 1,
  );
}
