/** Zero failed requests while endpoints and settings change all the time under full load. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type At, endpoints as endpointsOf, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { EndpointsProcess, LoadProcess, show } from './support/children.ts';
import {
  Loads,
  openAll,
  servicesOf,
  slicesOf,
  UDP_WAY,
  udpServiceOf,
  udpSliceOf,
  WAYS,
} from './support/ways.ts';
import { ownRange } from '../support/ranges.ts';

/** At 100 a second. A busy machine takes longer, as one changes again only once its last change is served. */
const CHANGES = 2_500;
const CHANGES_MIN = 200;
const SECONDS_MAX = 60;
const ENDPOINTS = 100;
const PORT = 20_001;
const ENDPOINT_PORT = 21_000;
const PODS = ownRange();
/** Its endpoints stay, and so do connections to it, whatever changes. */
const STILL = 's/still';
const STILL_CALLERS = 8;
const ASKED = [...WAYS, UDP_WAY];

function at(index: number): At {
  return { address: PODS.host(index + 1), port: ENDPOINT_PORT };
}

/** Alternates between settings, none of which lets a failure be tried again. */
function settings(round: number) {
  const balance = ['least-request', 'round-robin', 'peak-ewma', 'consistent-hash'][round % 4];
  return {
    'maesh.dev/balance': balance ?? '',
    'maesh.dev/timeout-request': `${120 + (round % 7)}s`,
    'maesh.dev/limit-idle-connections-per-endpoint': String(16 + (round % 16)),
  };
}

function still(round: number): object {
  const ports = [{ name: 'http', port: PORT, appProtocol: 'redis' }];
  return service(STILL, PORT, { annotations: settings(round), spec: { ports } });
}

function services(round: number): readonly object[] {
  return [...servicesOf(PORT, settings(round)), still(round), udpServiceOf(PORT, settings(round))];
}

interface Snapshot {
  readonly version: number;
  readonly services: readonly {
    readonly key: string;
    readonly ports: readonly {
      readonly backend: { readonly endpoints: readonly { readonly address: string }[] };
    }[];
  }[];
}

/** The addresses that all Services under load have as endpoints, and those that some have, as all threads serve it. */
async function served(mesh: Mesh): Promise<{ all: Set<string>; some: Set<string> }> {
  const { version, services } = await mesh.json<Snapshot>('/api/snapshot');
  await until('all threads serve it', async () => {
    const { threads } = await mesh.json<{ threads: { configVersion: number }[] }>('/api/threads');
    return threads.every(({ configVersion }) => configVersion >= version);
  });
  const lists = services
    .filter(({ key }) => ASKED.some((way) => way.key === key))
    .flatMap(({ ports }) => ports.map(({ backend }) => backend.endpoints))
    .map((each) => new Set(each.map(({ address }) => address)));
  const some = new Set(lists.flatMap((list) => [...list]));
  const all = new Set([...some].filter((address) => lists.every((list) => list.has(address))));
  return { all, some };
}

/** Endpoints that come and go. One changes again only once what its manifests say is served everywhere. */
class Endpoints {
  readonly servers: EndpointsProcess;
  changes = 0;
  slowestMs = 0;
  readonly #folder: Folder;
  /** Those that are present, or will be. */
  readonly #present = new Set<number>();
  /** Those whose change is not served yet, with when it was made. */
  readonly #changed = new Map<number, number>();
  #next = 0;

  constructor(t: TestContext, folder: Folder) {
    this.servers = new EndpointsProcess(t);
    this.#folder = folder;
  }

  async start(): Promise<void> {
    for (let i = 0; i < ENDPOINTS; i += 2) this.#present.add(i);
    await openAll(this.servers, [...this.#present].map(at));
    for (let i = 0; i < ENDPOINTS; i++) this.#write(i);
  }

  /** Changes one, if there is one that may change. */
  async change(): Promise<boolean> {
    for (let tries = 0; tries < ENDPOINTS; tries++) {
      const i = this.#next;
      this.#next = (i + 37) % ENDPOINTS;
      if (this.#changed.has(i)) continue;
      // oxlint-disable-next-line no-await-in-loop -- the only one
      if (!this.#present.has(i)) await openAll(this.servers, [at(i)]);
      if (!this.#present.delete(i)) this.#present.add(i);
      this.#changed.set(i, performance.now());
      this.#write(i);
      this.changes++;
      return true;
    }
    return false;
  }

  /** What left the manifests goes on until no thread knows it any more: as long as a Pod would have to that shuts down. */
  async settle(mesh: Mesh): Promise<void> {
    const { all, some } = await served(mesh);
    for (const [i, changedMs] of this.#changed) {
      const { address } = at(i);
      const isPresent = this.#present.has(i);
      if (isPresent ? !all.has(address) : some.has(address)) continue;
      this.#changed.delete(i);
      this.slowestMs = Math.max(this.slowestMs, performance.now() - changedMs);
      if (!isPresent) this.servers.tell({ close: [address] });
    }
  }

  #write(i: number): void {
    const isPresent = this.#present.has(i);
    const slices = [...slicesOf(i, at(i), isPresent), udpSliceOf(i, at(i), isPresent)];
    this.#folder.put(`slice-${i}.yaml`, ...slices);
  }
}

test('no request fails while 100 endpoint changes and 10 updates a second arrive under full load', async (t) => {
  const folder = new Folder();
  const endpoints = new Endpoints(t, folder);
  await endpoints.start();
  const stay = [201, 202].map((last) => ({ address: PODS.host(last), port: ENDPOINT_PORT }));
  await endpoints.servers.open(stay.map((each) => ({ ...each, speaks: 'tcp' })));
  folder.put('still.yaml', endpointsOf(STILL, stay));
  folder.put('service.yaml', ...services(0));
  const mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 2 });
  t.after(async () => {
    await mesh.stop();
    folder.remove();
  });
  const load = await Loads.start(t, {
    at: async (key) => ({ host: await mesh.addressOf(key), port: PORT }),
    keepAlive: 32,
    newPerSecond: 200,
    thinkMs: 0,
    ways: ASKED,
  });
  const untouched = new LoadProcess({
    host: await mesh.addressOf(STILL),
    port: PORT,
    speaks: 'tcp',
    keepAlive: STILL_CALLERS,
    newPerSecond: 0,
    thinkMs: 5,
  });
  t.after(() => untouched.kill());

  let updates = 0;
  let settling: Promise<void> | null = null;
  const startMs = performance.now();
  // oxlint-disable no-await-in-loop -- in order
  for (;;) {
    const elapsedMs = performance.now() - startMs;
    const { changes } = endpoints;
    if (changes >= CHANGES || (changes >= CHANGES_MIN && elapsedMs > SECONDS_MAX * 1_000)) break;
    settling ??= endpoints.settle(mesh).then(() => void (settling = null));
    while (endpoints.changes < elapsedMs / 10) if (!(await endpoints.change())) break;
    for (; updates < elapsedMs / 100; updates++) {
      folder.put('service.yaml', ...services(updates));
      if (updates % 2 === 0) folder.put('other.yaml', service('s/other', 20_002));
      else folder.put('other.yaml', service('s/another', 20_003));
    }
    await sleep(2);
  }
  // oxlint-enable no-await-in-loop
  await settling;
  const { version } = await mesh.json<{ version: number }>('/api/snapshot');
  const { changes, slowestMs } = endpoints;
  const seconds = (performance.now() - startMs) / 1_000;
  t.diagnostic(
    `${changes} endpoint changes in ${seconds.toFixed(1)} s, the slowest of them served after ${slowestMs.toFixed(0)} ms; ${updates} updates, ${version} versions served`,
  );
  const report = await untouched.stop();
  t.diagnostic(`connections of TCP to endpoints that stay: ${show(report)}`);
  assert.deepEqual(report.failed, []);
  assert.deepEqual([report.opened, report.ok], [STILL_CALLERS, report.sent]);
  await load.stopWithoutFailure(t);
  // Changes that come within 15 ms are served as one version.
  assert.ok(version >= changes / 10, `${version} versions`);
});
