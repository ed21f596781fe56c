/** The ways that callers and endpoints speak to each other, each under load: a fault is to be survived on all of them. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type At, endpoints, service } from '../../e2e/support/manifests.ts';
import { type EndpointsProcess, LoadProcess, show, showFailed } from './children.ts';
import type { LoadOptions, LoadReport, Spoken } from './figures.ts';

/** Endpoints of HTTP/2 listen on the port behind that of HTTP/1.1, those of TCP and WebSocket on the next ones. */
export const SERVICES = [
  { key: 's/web', appProtocol: 'http', portOffset: 0 },
  { key: 's/two', appProtocol: 'kubernetes.io/h2c', portOffset: 1 },
  { key: 's/grpc', appProtocol: 'grpc', portOffset: 1 },
  { key: 's/tcp', appProtocol: 'redis', portOffset: 2 },
  { key: 's/ws', appProtocol: 'kubernetes.io/ws', portOffset: 3 },
] as const;

export interface Way {
  readonly name: string;
  /** Of `SERVICES`. */
  readonly key: string;
  readonly speaks: Spoken;
}

/** With requests that a proxy reads: it may tell callers to go between two of them. */
export const HTTP_WAYS: readonly Way[] = [
  { name: 'HTTP/1.1', key: 's/web', speaks: 'http1' },
  { name: 'HTTP/2', key: 's/two', speaks: 'http2' },
  { name: 'HTTP/2 to HTTP/1.1', key: 's/web', speaks: 'http2' },
  { name: 'HTTP/1.1 to HTTP/2', key: 's/two', speaks: 'http1' },
  { name: 'gRPC', key: 's/grpc', speaks: 'grpc' },
];

export const TCP_WAY: Way = { name: 'TCP', key: 's/tcp', speaks: 'tcp' };

export const WEBSOCKET_WAY: Way = { name: 'WebSocket', key: 's/ws', speaks: 'websocket' };

/** With a Service and endpoints of its own: `udpManifestsOf`. */
export const UDP_WAY: Way = { name: 'UDP', key: 's/datagrams', speaks: 'udp' };
/** Behind the ports of the others. */
export const UDP_OFFSET = 4;

export const WAYS: readonly Way[] = [...HTTP_WAYS, TCP_WAY, WEBSOCKET_WAY];

/** Opens endpoints of all kinds at each of these. */
export function openAll(servers: EndpointsProcess, all: readonly At[]): Promise<void> {
  return servers.open(
    all.flatMap(({ address, port }) => [
      { address, port },
      { address, port: port + 1, speaks: 'http2' },
      { address, port: port + 2, speaks: 'tcp' },
      { address, port: port + 3, speaks: 'websocket' },
      { address, port: port + UDP_OFFSET, speaks: 'udp' },
    ]),
  );
}

/** The Service of UDP, without endpoints. */
export function udpServiceOf(
  port: number,
  annotations: Readonly<Record<string, string>> = {},
): object {
  const ports = [{ name: 'http', port, protocol: 'UDP' }];
  return service(UDP_WAY.key, port, { annotations, spec: { ports } });
}

/** The Service of UDP with endpoints there. */
export function udpManifestsOf(
  port: number,
  all: readonly At[],
  annotations: Readonly<Record<string, string>> = {},
): readonly object[] {
  return [udpServiceOf(port, annotations), ...all.map((at, i) => udpSliceOf(i, at, true))];
}

/** As one of `slicesOf`. */
export function udpSliceOf(index: number, at: At, isPresent: boolean): object {
  const port = { name: 'http', port: at.port + UDP_OFFSET, protocol: 'UDP' };
  return sliceOf(UDP_WAY.key, index, { address: at.address, port, isPresent });
}

/** The Services, without endpoints. */
export function servicesOf(
  port: number,
  annotations: Readonly<Record<string, string>> = {},
): readonly object[] {
  return SERVICES.map(({ key, appProtocol }) =>
    service(key, port, { annotations, spec: { ports: [{ name: 'http', port, appProtocol }] } }),
  );
}

/** The Services, each with endpoints of its own kind there. */
export function manifestsOf(
  port: number,
  all: readonly At[],
  annotations: Readonly<Record<string, string>> = {},
): readonly object[] {
  return [
    ...servicesOf(port, annotations),
    ...SERVICES.map(({ key, portOffset }) =>
      endpoints(
        key,
        all.map((at) => ({ ...at, port: at.port + portOffset })),
      ),
    ),
  ];
}

/** EndpointSlices of one endpoint, one for each Service; of none where it is not present. */
export function slicesOf(index: number, at: At, isPresent: boolean): readonly object[] {
  return SERVICES.map(({ key, portOffset }) => {
    const port = { name: 'http', port: at.port + portOffset };
    return sliceOf(key, index, { address: at.address, port, isPresent });
  });
}

function sliceOf(
  key: string,
  index: number,
  {
    address,
    port,
    isPresent,
  }: { readonly address: string; readonly port: object; readonly isPresent: boolean },
): object {
  const [namespace, name] = key.split('/');
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace,
      name: `${name}-${index}`,
      labels: { 'kubernetes.io/service-name': name },
    },
    addressType: 'IPv4',
    ports: [port],
    endpoints: isPresent ? [{ addresses: [address], conditions: { ready: true } }] : [],
  };
}

/** Datagrams that the kernel has dropped so far because a buffer was full, of all sockets of this network. */
function droppedByKernel(): number {
  const lines = readFileSync('/proc/net/snmp', 'latin1')
    .split('\n')
    .filter((line) => line.startsWith('Udp: '))
    .map((line) => line.split(' '));
  const [names = [], values = []] = lines;
  return ['InErrors', 'SndbufErrors']
    .map((name) => Number(values[names.indexOf(name)] ?? 0))
    .reduce((sum, value) => sum + value, 0);
}

type Destination = Pick<LoadOptions, 'host' | 'port'>;
type Amount = Omit<LoadOptions, 'host' | 'port' | 'speaks'>;

interface LoadsOptions extends Amount {
  /** Where a Service is called. */
  readonly at: (key: string) => Destination | Promise<Destination>;
  /** Of the others than HTTP/1.1 to HTTP/1.1. Their peers take more of the processor than the mesh does. */
  readonly others?: Amount;
  readonly ways?: readonly Way[];
}

/** How long a busy machine may take to begin with all loads. */
const RUNS_MS = 60_000;
const OTHERS: Amount = { keepAlive: 3, newPerSecond: 15, thinkMs: 4 };

/** A load for each way. */
export class Loads {
  readonly #ways: readonly Way[];
  /** The first way has a process of its own, the others share one. */
  readonly #processes: readonly LoadProcess[];
  readonly #droppedBefore = droppedByKernel();

  private constructor(ways: readonly Way[], processes: readonly LoadProcess[]) {
    this.#ways = ways;
    this.#processes = processes;
  }

  /** Resolves once all of them run: what is to happen to them may begin. */
  static async start(t: TestContext, options: LoadsOptions): Promise<Loads> {
    const { at, others = OTHERS, ways = WAYS, ...amount } = options;
    const [first, ...rest] = await Promise.all(
      ways.map(async ({ key, speaks }, i) => ({
        ...(await at(key)),
        speaks,
        ...(i === 0 ? amount : others),
      })),
    );
    const processes = [new LoadProcess(first as LoadOptions)];
    if (rest.length > 0) processes.push(new LoadProcess(...rest));
    const loads = new Loads(ways, processes);
    t.after(() => loads.kill());
    // Where none is answered, the figures say why.
    await Promise.race([
      Promise.all(processes.map((each) => each.runs)),
      sleep(RUNS_MS, null, { ref: false }),
    ]);
    return loads;
  }

  /** Lets what runs finish; the figures of each way, which it says. */
  async stop(t: TestContext): Promise<ReadonlyMap<Way, LoadReport>> {
    const all = (await Promise.all(this.#processes.map((each) => each.stopAll()))).flat();
    const reports = this.#ways.map((way, i) => [way, all[i] as LoadReport] as const);
    for (const [{ name }, report] of reports) {
      t.diagnostic(`${name}: ${show(report)}`);
      if (report.failed.length > 0) t.diagnostic(`${name}: ${showFailed(report)}`);
    }
    return new Map(reports);
  }

  /** As `stop`, where none may fail. */
  async stopWithoutFailure(t: TestContext, okMin = 20): Promise<ReadonlyMap<Way, LoadReport>> {
    const reports = await this.stop(t);
    for (const [{ name }, report] of reports) {
      assert.equal(report.failed.length, 0, `${name}: ${showFailed(report)}`);
      assert.equal(report.ok + report.unseen + report.lost, report.sent, name);
      const dropped = droppedByKernel() - this.#droppedBefore;
      assert.ok(
        report.lost <= dropped,
        `${name}: ${report.lost} datagrams lost, ${dropped} by the kernel`,
      );
      assert.ok(report.ok >= okMin, `${name}: only ${report.ok} answered`);
    }
    return reports;
  }

  kill(): void {
    for (const each of this.#processes) each.kill();
  }
}
