import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { exampleEndpoint, exampleService } from '../../../test/support/model.ts';
import { skipWithoutPrograms } from '../../../test/support/programs.ts';
import { type Family, parseMetrics } from '../../../test/support/prometheus-text.ts';
import { ManualClock, systemClock } from '../../base/clock.ts';
import { FAILURE_REASONS } from '../../model/failure.ts';
import type { Problem, Service } from '../../model/service.ts';
import {
  bucketOf,
  ENDPOINT_BUCKETS,
  ENDPOINT_OWN,
  ENDPOINT_WORD,
  METHOD_CELL,
  METHOD_CELLS,
  SERVICE_BUCKETS,
  SERVICE_OWN,
  SERVICE_WORD,
} from '../ledger/layout.ts';
import { Ledger } from '../ledger/ledger.ts';
import { Placement } from '../ledger/placement.ts';
import { MethodCounts } from './method-counts.ts';
import type { MetricLimits } from './metric-rows.ts';
import { SCOPE_LABELS } from './metric.ts';
import { METRICS } from './metric-table.ts';
import type { MetricsSource } from './metrics-source.ts';
import { EventLoopMonitor, readProcessFigures } from './process-figures.ts';
import { renderMetrics } from './prometheus.ts';
import { aboutObject } from '../../model/object-reference.ts';

const BREAKER = {
  text: 'NetworkErrorRatio() > 0.5',
  expression: { kind: 'compare', metric: { kind: 'network-error-ratio' }, op: '>', value: 0.5 },
  checkPeriodMs: 100,
  openMs: 10_000,
  recoveryMs: 10_000,
} as const;

const PROBLEM: Problem = {
  severity: 'warning',
  ...aboutObject('Service', 'shop', 'web'),
  field: 'x',
  value: '',
  message: 'x',
  remedy: 'x',
  location: '',
};

function mesh(services: readonly Service[], threads = 2) {
  const ledger = new Ledger(threads);
  const placement = new Placement(ledger, new ManualClock());
  placement.place({
    version: 1,
    services,
    removedServices: [],
    identities: [],
    removedIdentities: [],
  });
  const source: MetricsSource = {
    ledger,
    services: () => services,
    configVersion: () => 7,
    problems: () => [PROBLEM],
    threads: () => ({ alive: 2, restarts: 1 }),
    identities: () => [{ labels: ['certain'], value: 3 }],
    identityAgeSeconds: () => 0.5,
    listeners: () => services.length,
    callers: () => ({ shed: [3], bytes: 12_288 }),
    brokenRules: () => [{ by: 'caller', rule: 'host_missing', count: 2 }],
    listenFailures: () => [{ service: 's/a' }, { service: 's/a' }],
    defects: () => [['dns', 4]],
    dnsQueries: () => [{ type: 'A', rcode: 'NOERROR', count: 3 }],
    accessLog: () => ({ written: 10, dropped: 2, leftOut: 3 }),
    methods: () => [],
    splicedBytes: () => 7_000,
    sockets: () => [{ thread: 'proxy-0', kind: 'system' }],
    eventLoops: () => [{ thread: 'main', p50Ms: 0.5, p99Ms: 2, maxMs: 10 }],
    process: () => readProcessFigures(systemClock.wallMs()),
    build: () => ({ version: '0.1.0 "x"\\\n', node: process.version }),
  };
  return { ledger, source };
}

async function render(source: MetricsSource, limits?: MetricLimits): Promise<string> {
  let text = '';
  for await (const slice of renderMetrics(source, systemClock, limits)) text += slice;
  return text;
}

function values(family: Family | undefined): Record<string, number> {
  assert.ok(family !== undefined);
  return Object.fromEntries(
    family.series.map(({ name, labels, value }) => [
      [name.slice(family.name.length), ...Object.values(labels)]
        .filter((part) => part !== '')
        .join(' '),
      value,
    ]),
  );
}

function countService(ledger: Ledger, key: string, latencyMs: number): void {
  const slot = ledger.find('service', key) ?? assert.fail();
  const bump = (cell: number, by: number): void =>
    ledger.setOwnCell('service', slot, cell, 0, ledger.ownCell('service', slot, cell, 0) + by);
  bump(SERVICE_OWN.requests + 2, 1);
  bump(SERVICE_OWN.latencySumMs, latencyMs);
  bump(SERVICE_OWN.buckets + bucketOf(latencyMs, 2, SERVICE_BUCKETS), 1);
}

test('renderMetrics() sums the threads and reads every cell of a Service', async () => {
  const { ledger, source } = mesh([exampleService('shop/web', { policies: { breaker: BREAKER } })]);
  const slot = ledger.find('service', 'shop/web') ?? assert.fail();
  for (const thread of [0, 1]) {
    for (let i = 0; i < 6; i++)
      ledger.setOwnCell('service', slot, SERVICE_OWN.requests + i, thread, 10 + i);
    ledger.setOwnCell('service', slot, SERVICE_OWN.retries, thread, 3);
    ledger.setOwnCell('service', slot, SERVICE_OWN.retriesDenied, thread, 4);
    ledger.setOwnCell('service', slot, SERVICE_OWN.requestBytes, thread, 5);
    ledger.setOwnCell('service', slot, SERVICE_OWN.responseBytes, thread, 6);
    ledger.setOwnCell('service', slot, SERVICE_OWN.callerConnectionsOpened, thread, 7);
    ledger.setOwnCell('service', slot, SERVICE_OWN.callerConnectionsActive, thread, 8);
    ledger.setOwnCell('service', slot, SERVICE_OWN.upgradesActive, thread, 9);
    const limited = SERVICE_OWN.failures + FAILURE_REASONS.indexOf('rate_limited');
    ledger.setOwnCell('service', slot, limited, thread, 11);
    const internal = SERVICE_OWN.failures + FAILURE_REASONS.length - 1;
    ledger.setOwnCell('service', slot, internal, thread, 1);
  }
  ledger.setWord('service', slot, SERVICE_WORD.inFlight, 12);
  ledger.setWord('service', slot, SERVICE_WORD.breakerState, 2);
  const families = parseMetrics(await render(source));
  const web = (name: string): Record<string, number> => values(families.get(name));
  assert.deepEqual(web('maesh_requests_total'), {
    'shop/web none': 20,
    'shop/web 1xx': 22,
    'shop/web 2xx': 24,
    'shop/web 3xx': 26,
    'shop/web 4xx': 28,
    'shop/web 5xx': 30,
  });
  assert.deepEqual(web('maesh_failures_total'), {
    'shop/web rate_limited': 22,
    'shop/web internal': 2,
  });
  assert.deepEqual(web('maesh_retries_total'), { 'shop/web': 6 });
  assert.deepEqual(web('maesh_retries_denied_total'), { 'shop/web': 8 });
  assert.deepEqual(web('maesh_request_bytes_total'), { 'shop/web': 10 });
  assert.deepEqual(web('maesh_response_bytes_total'), { 'shop/web': 12 });
  assert.deepEqual(web('maesh_caller_connections_opened_total'), { 'shop/web': 14 });
  assert.deepEqual(web('maesh_caller_connections'), { 'shop/web': 16 });
  assert.deepEqual(web('maesh_upgrades'), { 'shop/web': 18 });
  assert.deepEqual(web('maesh_requests_in_flight'), { 'shop/web': 12 });
  assert.deepEqual(web('maesh_breaker_state'), {
    'shop/web closed': 0,
    'shop/web open': 0,
    'shop/web recovering': 1,
  });
});

test('renderMetrics() reads every cell of an endpoint and tells two ports with one endpoint apart', async () => {
  const endpoints = [exampleEndpoint('127.2.0.1'), exampleEndpoint('::1')];
  const { ledger, source } = mesh([exampleService('shop/web', { ports: [80, 81], endpoints })]);
  for (const [key, slot] of ledger.entries('endpoint')) {
    if (key.includes('::1')) continue;
    for (let i = 0; i < 6; i++)
      ledger.setOwnCell('endpoint', slot, ENDPOINT_OWN.requests + i, 1, i);
    ledger.setOwnCell('endpoint', slot, ENDPOINT_OWN.connectFailures, 1, 7);
    ledger.setOwnCell('endpoint', slot, ENDPOINT_OWN.resets, 1, 8);
    ledger.setOwnCell('endpoint', slot, ENDPOINT_OWN.timeouts, 1, 9);
    ledger.setOwnCell('endpoint', slot, ENDPOINT_OWN.connectionsOpened, 1, 10);
    ledger.setOwnCell('endpoint', slot, ENDPOINT_OWN.failed, 1, 11);
    ledger.setOwnCell('endpoint', slot, ENDPOINT_OWN.latencySumMs, 1, 1500);
    ledger.setOwnCell(
      'endpoint',
      slot,
      ENDPOINT_OWN.buckets + bucketOf(1500, 0, ENDPOINT_BUCKETS),
      1,
      1,
    );
    ledger.setWord('endpoint', slot, ENDPOINT_WORD.inFlight, -1);
    ledger.setWord('endpoint', slot, ENDPOINT_WORD.ejections, 12);
    ledger.setWord('endpoint', slot, ENDPOINT_WORD.health, 2);
    ledger.setWord('endpoint', slot, ENDPOINT_WORD.connections, 13);
  }
  const families = parseMetrics(await render(source));
  const both = (more: string, value: number): Record<string, number> => ({
    [`shop/web 80 127.2.0.1:8080${more}`]: value,
    [`shop/web 81 127.2.0.1:8080${more}`]: value,
  });
  const read = (name: string): Record<string, number> =>
    values(families.get(`maesh_endpoint_${name}`));
  assert.deepEqual(read('errors_total'), {
    ...both(' connect', 7),
    ...both(' reset', 8),
    ...both(' timeout', 9),
  });
  assert.equal(read('requests_total')['shop/web 80 127.2.0.1:8080 5xx'], 5);
  assert.deepEqual(read('failed_total'), both('', 11));
  assert.deepEqual(read('ejections_total'), both('', 12));
  assert.deepEqual(read('healthy'), both('', 0));
  assert.deepEqual(read('requests_in_flight'), both('', 0));
  assert.deepEqual(read('connections'), both('', 13));
  assert.deepEqual(read('connections_opened_total'), both('', 10));
  const durations = read('request_duration_seconds');
  assert.equal(durations['_sum shop/web 80 127.2.0.1:8080'], 1.5);
  assert.equal(durations['_bucket shop/web 80 127.2.0.1:8080 1.048576'], 0);
  assert.equal(durations['_bucket shop/web 80 127.2.0.1:8080 2.097152'], 1);
});

test('renderMetrics() puts every latency below an edge into the bucket of that edge', async () => {
  const { ledger, source } = mesh([exampleService('shop/web')]);
  const latency = fc.oneof(
    fc.double({ min: 0, max: 200_000, noNaN: true }),
    fc.constantFrom(0, 0.064, 67_108.864),
  );
  const counted: number[] = [];
  await fc.assert(
    fc.asyncProperty(fc.array(latency, { minLength: 1, maxLength: 20 }), async (latencies) => {
      for (const ms of latencies) countService(ledger, 'shop/web', ms);
      counted.push(...latencies);
      const histogram = parseMetrics(await render(source)).get('maesh_request_duration_seconds');
      assert.equal(histogram?.series.filter(({ name }) => name.endsWith('_bucket')).length, 22);
      for (const { name, labels, value } of histogram.series) {
        if (!name.endsWith('_bucket')) continue;
        const edgeMs = Number(labels['le']?.replace('Inf', 'Infinity')) * 1000;
        const micros = (ms: number): number => (ms < 2_000_000 ? Math.floor(ms * 1000) / 1000 : ms);
        assert.equal(
          value,
          counted.filter((ms) => micros(ms) < edgeMs).length,
          `le=${labels['le']}`,
        );
      }
    }),
    { numRuns: 30 },
  );
});

/** A mesh in which every metric has a value. */
function busyMesh(): MetricsSource {
  const { ledger, source } = mesh([
    exampleService('shop/web', {
      policies: { breaker: BREAKER },
      endpoints: [exampleEndpoint('127.2.0.1')],
    }),
  ]);
  countService(ledger, 'shop/web', 1);
  const slot = ledger.find('service', 'shop/web') ?? assert.fail();
  ledger.setOwnCell('service', slot, SERVICE_OWN.failures, 0, 1);
  ledger.setOwnCell('service', slot, SERVICE_OWN.mirrored, 0, 1);
  ledger.setOwnCell('service', slot, SERVICE_OWN.checks, 0, 1);
  ledger.setOwnCell('service', slot, SERVICE_OWN.failedOver, 0, 1);
  ledger.setOwnCell('service', slot, SERVICE_OWN.handshakes, 0, 1);
  ledger.setOwnCell('service', slot, SERVICE_OWN.handshakeBuckets, 0, 1);
  for (const cell of ['sessionsEnded', 'datagrams', 'datagramsDropped'] as const)
    ledger.setOwnCell('service', slot, SERVICE_OWN[cell], 0, 1);
  const endpoint = ledger.find('endpoint', 'shop/web:80 127.2.0.1:8080') ?? assert.fail();
  ledger.setOwnCell('endpoint', endpoint, ENDPOINT_OWN.handshakes, 0, 1);
  ledger.setOwnCell('endpoint', endpoint, ENDPOINT_OWN.requests + 2, 0, 1);
  ledger.setOwnCell('endpoint', endpoint, ENDPOINT_OWN.buckets, 0, 1);
  const cells = new Float64Array(METHOD_CELLS).fill(1);
  const services = (): Service[] => [...source.services()].map(secured);
  return { ...source, services, methods: () => [{ method: 'a.B/C', cells }] };
}

/** Both its ports name the same Secret. */
function secured(service: Service): Service {
  const certificate = {
    secret: 'shop/tls',
    digest: 'd',
    names: [],
    notBeforeMs: 0,
    notAfterMs: 5_000,
  };
  const callerTls = {
    certificates: [certificate, { ...certificate, secret: 'shop/bad', digest: '' }],
  };
  return { ...service, ports: service.ports.map((port) => ({ ...port, callerTls })) };
}

test('renderMetrics() says when certificates are over, of each Secret that can be used once', async () => {
  const families = parseMetrics(await render(busyMesh()));
  const found = values(families.get('maesh_certificate_expiry_timestamp_seconds'));
  const ofTls = Object.entries(found).map(([labels, value]) => [labels.split(' ').at(-1), value]);
  assert.deepEqual(Object.fromEntries(ofTls), { 'shop/tls': 5 });
});

test('renderMetrics() shows every metric of the table with its type, labels and help', async () => {
  const source = busyMesh();
  const families = parseMetrics(await render(source));
  assert.deepEqual([...families.keys()], METRICS.map((metric) => metric.name).sort());
  for (const metric of METRICS) {
    const family = families.get(metric.name);
    assert.equal(family?.type, metric.type, metric.name);
    assert.equal(family.help, metric.help, metric.name);
    assert.ok(family.series.length > 0, `${metric.name} has a series`);
    const expected = [...SCOPE_LABELS[metric.scope], ...metric.labels];
    for (const { labels } of family.series) {
      assert.deepEqual(
        Object.keys(labels).filter((label) => label !== 'le'),
        expected,
        metric.name,
      );
    }
    const base = metric.name.replace(/_total$/, '');
    if (metric.unit !== '')
      assert.ok(base.endsWith(`_${metric.unit}`), `${metric.name} ends with its unit`);
  }
});

test('renderMetrics() escapes label values', async () => {
  const { source } = mesh([]);
  const info = parseMetrics(await render(source)).get('maesh_build_info');
  assert.equal(info?.series[0]?.labels['version'], '0.1.0 "x"\\\n');
});

test('renderMetrics() leaves idle Services and endpoints out, and counts what its limits leave out', async () => {
  const endpoints = [1, 2, 3].map((i) => exampleEndpoint(`127.2.0.${i}`));
  const { ledger, source } = mesh(
    ['a/a', 'a/b', 'a/c', 'a/idle'].map((key) => exampleService(key, { endpoints })),
  );
  for (const key of ['a/c', 'a/b', 'a/a']) countService(ledger, key, 1);
  for (const slot of ledger.entries('endpoint').values()) {
    ledger.setOwnCell('endpoint', slot, ENDPOINT_OWN.requests + 2, 0, 1);
  }
  const families = parseMetrics(await render(source, { services: 2, endpoints: 5 }));
  assert.deepEqual(Object.keys(values(families.get('maesh_retries_total'))), ['a/a', 'a/b']);
  assert.equal(families.get('maesh_endpoint_failed_total')?.series.length, 5);
  assert.deepEqual(values(families.get('maesh_metrics_omitted')), { endpoint: 7, service: 1 });
});

test('renderMetrics() of 10,000 Services with 100,000 endpoints holds no turn of the event loop for long', async () => {
  const endpoints = Array.from({ length: 10 }, (_, i) => exampleEndpoint(`127.2.0.${i}`));
  const services = Array.from({ length: 10_000 }, (_, i) =>
    exampleService(`shop/service-${i}`, { endpoints }),
  );
  const { ledger, source } = mesh(services, 1);
  for (let i = 0; i < services.length; i += 20) countService(ledger, `shop/service-${i}`, i);
  await render(source);
  const turn = { running: true, longestMs: 0, cpu: process.threadCpuUsage() };
  const look = (): void => {
    const spent = process.threadCpuUsage(turn.cpu);
    turn.longestMs = Math.max(turn.longestMs, (spent.user + spent.system) / 1000);
    turn.cpu = process.threadCpuUsage();
    if (turn.running) setImmediate(look);
  };
  setImmediate(look);
  let chars = 0;
  for await (const slice of renderMetrics(source, systemClock)) chars += slice.length;
  turn.running = false;
  assert.ok(chars > 500 * 40 * 50, `the page has ${chars} characters`);
  assert.ok(turn.longestMs < 50, `one turn took ${turn.longestMs} ms of processor time`);
});

test('EventLoopMonitor reads what happened since the last read', () => {
  const monitor = new EventLoopMonitor();
  assert.deepEqual(monitor.read(), { p50Ms: 0, p99Ms: 0, maxMs: 0 });
  monitor.stop();
});

/** Prometheus' own checker. */
const CHECKER = 'promtool';

test('renderMetrics() passes promtool', { skip: skipWithoutPrograms(CHECKER) }, async () => {
  const input = await render(busyMesh());
  const check = spawnSync(CHECKER, ['check', 'metrics'], { input, encoding: 'utf8' });
  assert.equal(`${check.stdout}${check.stderr}`, '');
  assert.equal(check.status, 0);
});

test('renderMetrics() shows the calls of a method by status, and how long they took', async () => {
  const { ledger, source } = mesh([exampleService('shop/web')]);
  countService(ledger, 'shop/web', 1);
  const counts = new MethodCounts(10);
  const shared = new SharedArrayBuffer(8 * METHOD_CELLS);
  const cells = new Float64Array(shared);
  cells[METHOD_CELL.calls] = 3;
  cells[METHOD_CELL.calls + 14] = 2;
  cells[METHOD_CELL.latencySumMs] = 1_500;
  cells[METHOD_CELL.buckets + bucketOf(0.1, 0, ENDPOINT_BUCKETS)] = 4;
  cells[METHOD_CELL.buckets + ENDPOINT_BUCKETS - 1] = 1;
  counts.add(0, 'shop/web', 'a.B/C', shared);
  counts.add(0, 'shop/web', 'other', new SharedArrayBuffer(8 * METHOD_CELLS));
  const text = await render({ ...source, methods: (service) => counts.of(service) });
  const families = parseMetrics(text);
  assert.deepEqual(values(families.get('maesh_grpc_calls_total')), {
    'shop/web a.B/C OK': 3,
    'shop/web a.B/C UNAVAILABLE': 2,
  });
  const durations = values(families.get('maesh_grpc_call_duration_seconds'));
  assert.equal(durations['_bucket shop/web a.B/C 0.000064'], 0);
  assert.equal(durations['_bucket shop/web a.B/C 0.000128'], 4);
  assert.equal(durations['_bucket shop/web a.B/C +Inf'], 5);
  assert.equal(durations['_count shop/web a.B/C'], 5);
  assert.equal(durations['_sum shop/web a.B/C'], 1.5);
  // Nothing of what was never called.
  assert.doesNotMatch(text, /method="other"/);
});
