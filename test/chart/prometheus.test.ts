/**
 * A real Prometheus that scrapes a real mesh through the PodMonitor and the ServiceMonitor of the chart, relabelled as the Prometheus operator does
 * it: labels of the mesh such as `service` and `endpoint` keep their names.
 */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { CONTROLLER_METRICS } from '../../src/run/controller/metrics.ts';
import { SCOPE_LABELS } from '../../src/proxy/telemetry/metric.ts';
import { METRICS } from '../../src/proxy/telemetry/metric-table.ts';
import { call } from '../e2e/support/call.ts';
import { EndpointServer } from '../e2e/support/endpoint.ts';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { freePorts } from '../support/ports.ts';
import { dig, each, find, type Manifest, render } from './support/chart.ts';
import { skipWithout } from './support/tools.ts';

const CACHE = process.env['MAESH_CACHE'] || join(homedir(), '.cache/maesh');
const KEPT = join(CACHE, 'prometheus/usr/bin/prometheus');
const PROMETHEUS = existsSync(KEPT) ? KEPT : 'prometheus';
const isThere = spawnSync(PROMETHEUS, ['--version']).status === 0;
const skip =
  skipWithout('helm') || (!isThere && 'not installed: prometheus; scripts/prometheus.sh gets it');

interface Rule {
  readonly source_labels?: readonly string[];
  readonly regex?: string;
  readonly target_label?: string;
  readonly replacement?: string;
  readonly action?: string;
}

/** Label of a target from one of its own. */
function from(source: string, target: string): Rule {
  return { source_labels: [`__meta_kubernetes_${source}`], target_label: target };
}

/** What the operator makes of one endpoint of a PodMonitor or ServiceMonitor (pkg/prometheus/promcfg.go of its sources), without what only selects. */
function relabelConfigs(monitor: Manifest): readonly Rule[] {
  const isPods = monitor.kind === 'PodMonitor';
  const [endpoint] = each(monitor.spec, isPods ? 'podMetricsEndpoints' : 'endpoints');
  const port = String(dig(endpoint, 'port'));
  const own = each(endpoint, 'relabelings').map((rule) => ({
    ...(dig(rule, 'action') === undefined ? {} : { action: String(dig(rule, 'action')) }),
    ...(dig(rule, 'regex') === undefined ? {} : { regex: String(dig(rule, 'regex')) }),
  }));
  const job: readonly Rule[] = isPods
    ? [{ target_label: 'job', replacement: `maesh/${monitor.metadata.name}` }]
    : [from('service_name', 'service'), from('service_name', 'job')];
  return [
    { source_labels: ['job'], target_label: '__tmp_prometheus_job_name' },
    from('namespace', 'namespace'),
    from('pod_container_name', 'container'),
    from('pod_name', 'pod'),
    ...job,
    { target_label: 'endpoint', replacement: port },
    ...own,
  ];
}

/** A scrape of the mesh as if the monitor had found it in a Pod. */
function scrapeConfig(monitor: Manifest, name: string, rules: readonly Rule[], admin: string) {
  return {
    job_name: name,
    // The operator leaves it out where the administrator has set overrideHonorLabels.
    honor_labels: false,
    scrape_interval: '1s',
    static_configs: [
      {
        targets: [admin],
        labels: {
          __meta_kubernetes_namespace: 'maesh',
          __meta_kubernetes_pod_name: 'maesh-agent-x7k2p',
          __meta_kubernetes_pod_container_name: 'agent',
          ...(monitor.kind === 'PodMonitor'
            ? {}
            : { __meta_kubernetes_service_name: 'maesh-metrics' }),
        },
      },
    ],
    relabel_configs: [...rules, { target_label: 'scrape', replacement: name }],
  };
}

async function startMesh(context: TestContext): Promise<string> {
  const server = await EndpointServer.start('web', '127.1.86.1');
  const folder = new Folder();
  folder.put(
    'web.yaml',
    service('shop/web', 20_080, { spec: { clusterIP: '127.86.0.1' } }),
    endpoints('shop/web', [{ address: '127.1.86.1', port: server.port }]),
  );
  const mesh = await Mesh.start({ paths: [folder.path], cidr: '127.86.0.0/24' });
  context.after(async () => {
    await mesh.stop();
    server.stop();
    folder.remove();
  });
  const { status } = await call({ address: '127.86.0.1', port: 20_080 });
  assert.equal(status, 200);
  return mesh.admin.replace('http://', '');
}

/** Its address; it ends with the test. */
async function startPrometheus(context: TestContext, configs: readonly object[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'maesh-prometheus-'));
  // JSON is YAML.
  writeFileSync(join(folder, 'config.yml'), JSON.stringify({ scrape_configs: configs }));
  const [port] = await freePorts(1);
  const address = `127.0.0.1:${port}`;
  const child = spawn(
    PROMETHEUS,
    [
      `--config.file=${join(folder, 'config.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${address}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  context.after(async () => {
    if (child.exitCode === null) {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    rmSync(folder, { recursive: true });
  });
  await until('Prometheus to be ready', async () => {
    if (child.exitCode !== null) throw new Error(said);
    const answer = await fetch(`http://${address}/-/ready`).catch(() => null);
    return answer?.ok === true;
  });
  return address;
}

type Series = Readonly<Record<string, string>>;

async function seriesOf(address: string, match: string): Promise<readonly Series[]> {
  const url = `http://${address}/api/v1/series?match[]=${encodeURIComponent(match)}`;
  const { data } = (await (await fetch(url)).json()) as { data: readonly Series[] };
  return data;
}

test(
  'Prometheus has the labels of the mesh under their own names, through both monitors',
  { skip },
  async (context) => {
    const manifests = await render(
      'metrics: { podMonitor: { enabled: true }, serviceMonitor: { enabled: true } }',
    );
    const admin = await startMesh(context);
    const kinds = ['PodMonitor', 'ServiceMonitor'] as const;
    const address = await startPrometheus(
      context,
      kinds.flatMap((kind) => {
        const monitor = find(manifests, kind, 'maesh');
        const rules = relabelConfigs(monitor);
        const without = rules.filter(({ action }) => action === undefined);
        return [
          scrapeConfig(monitor, kind, rules, admin),
          scrapeConfig(monitor, `${kind}-bare`, without, admin),
        ];
      }),
    );
    for (const kind of kinds) {
      const [requests] = await until(`series through the ${kind}`, async () => {
        const found = await seriesOf(address, `maesh_requests_total{scrape="${kind}"}`);
        return found.length > 0 ? found : undefined;
      });
      assert.equal(requests?.['service'], 'shop/web');
      assert.equal(requests['namespace'], 'maesh');
      assert.equal(requests['pod'], 'maesh-agent-x7k2p');
      assert.equal(requests['container'], 'agent');
      const all = await seriesOf(address, `{scrape="${kind}"}`);
      const exported = all.flatMap((labels) =>
        Object.keys(labels).filter((label) => label.startsWith('exported_')),
      );
      assert.deepEqual(exported, []);
      assert.ok(all.some(({ endpoint }) => endpoint?.startsWith('127.1.86.1:') === true));
      // Without the rules of the chart it is as it was: what is tested here can fail.
      const bare = await until(`bare series through the ${kind}`, async () => {
        const found = await seriesOf(address, `{scrape="${kind}-bare",exported_endpoint!=""}`);
        return found.length > 0 ? found : undefined;
      });
      assert.equal(bare[0]?.['endpoint'], 'admin');
    }
  },
);

test(
  'no label of a metric but those that the monitors free is one that a target has',
  { skip },
  async () => {
    const manifests = await render(
      'metrics: { podMonitor: { enabled: true }, serviceMonitor: { enabled: true } }',
    );
    const labels = new Set([
      ...Object.values(SCOPE_LABELS).flat(),
      ...[...METRICS, ...CONTROLLER_METRICS].flatMap((metric) => metric.labels),
    ]);
    for (const kind of ['PodMonitor', 'ServiceMonitor']) {
      const rules = relabelConfigs(find(manifests, kind, 'maesh'));
      const dropped = new RegExp(
        `^(?:${rules.flatMap(({ action, regex }) => (action === 'labeldrop' ? [regex] : [])).join('|')})$`,
      );
      const kept = rules.flatMap(({ target_label: label = '' }) =>
        dropped.test(label) ? [] : [label],
      );
      assert.deepEqual(
        [...kept, 'instance'].filter((label) => labels.has(label)),
        [],
      );
    }
  },
);
