/** Active health checks with several proxy threads: one of them asks an endpoint, and all of them balance by what it found. */

import assert from 'node:assert/strict';
import type http from 'node:http';
import { test, type TestContext } from 'node:test';
import { CHECK_RESULTS } from '../../src/model/health-check.ts';
import { IN_ROTATION } from '../../src/proxy/balance/ejection.ts';
import { ENDPOINT_WORD, SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { ownRange } from '../support/ranges.ts';
import { call } from './support/call.ts';
import { EndpointServer } from './support/endpoint.ts';
import { InProcess } from './support/in-process.ts';
import { endpoints, Folder, service } from './support/manifests.ts';
import { until } from './support/until.ts';

const PORT = 20_001;
const INTERVAL_MS = 1_000;
/** Intervals differ by a tenth. */
const INTERVAL_MS_MIN = 0.9 * INTERVAL_MS;
const THREADS = 2;

/** Counts checks and calls apart. */
class App {
  readonly server: EndpointServer;
  isWell = true;
  calls = 0;
  /** When checks came. */
  readonly checks: number[] = [];

  constructor(name: string, address: string) {
    this.server = new EndpointServer(name, address, (request, response) => {
      this.#answer(request, response);
    });
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const isCheck = request.url === '/healthz';
    if (isCheck) this.checks.push(performance.now());
    else this.calls++;
    response.statusCode = isCheck && !this.isWell ? 503 : 200;
    response.end(this.server.name);
  }
}

interface Bed {
  readonly mesh: InProcess;
  readonly apps: readonly App[];
  /** Each on a connection of its own: the kernel spreads them over the threads. */
  readonly calls: (count: number) => Promise<void>;
}

async function bed(t: TestContext, sockets: 'system' | 'runtime'): Promise<Bed> {
  const range = ownRange();
  const apps = [1, 2, 3, 4].map((i) => new App(`app-${i}`, range.host(i)));
  await Promise.all(apps.map(({ server }) => server.listen()));
  const folder = new Folder();
  const annotations = {
    'maesh.dev/health-check': 'http',
    'maesh.dev/health-check-path': '/healthz',
    'maesh.dev/health-check-interval': `${INTERVAL_MS}ms`,
    'maesh.dev/health-check-failures': '1',
    'maesh.dev/health-check-successes': '1',
    'maesh.dev/balance': 'round-robin',
  };
  const all = apps.map(({ server }) => server);
  folder.put('all.yaml', service('s/web', PORT, { annotations }), endpoints('s/web', all));
  const { cidr } = ownRange();
  const proxy = { sockets };
  const mesh = await InProcess.start({ paths: [folder.path], cidr, threads: THREADS, proxy });
  t.after(async () => {
    await mesh.stop();
    for (const { server } of apps) server.stop();
    folder.remove();
  });
  const one = async (): Promise<void> => {
    const { status } = await call({ address: mesh.addressOf('s/web'), port: PORT });
    assert.equal(status, 200);
  };
  const calls = async (count: number) =>
    void (await Promise.all(Array.from({ length: count }, one)));
  return { mesh, apps, calls };
}

function checksBy({ agent: { ledger } }: InProcess, thread: number): number {
  const slot = ledger.find('service', 's/web') ?? assert.fail();
  const counts = CHECK_RESULTS.map((_, i) =>
    ledger.ownCell('service', slot, SERVICE_OWN.checks + i, thread),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

for (const sockets of ['system', 'runtime'] as const) {
  test(`of two threads with ${sockets} sockets one checks an endpoint, both are told, and a dead one is replaced`, async (t) => {
    const { apps, mesh, calls } = await bed(t, sockets);
    const [sick] = apps as [App, ...App[]];
    const begunMs = performance.now();
    await calls(20);
    await until('each is checked four times', () => apps.every(({ checks }) => checks.length >= 4));
    const passedMs = performance.now() - begunMs;
    // Two threads that both ask would ask twice as often.
    for (const { checks } of apps)
      assert.ok(checks.length <= 1 + passedMs / INTERVAL_MS_MIN, `${checks.length} checks`);
    for (let thread = 0; thread < THREADS; thread++) assert.ok(checksBy(mesh, thread) > 0);

    sick.isWell = false;
    await until('it is out', () => isOut(mesh, sick));
    const before = sick.calls;
    await calls(60);
    assert.equal(sick.calls, before, 'no thread calls it');

    // Whoever checks it is dead for a moment, and goes on from what the memory says.
    for (let thread = 0; thread < THREADS; thread++) {
      const asked = sick.checks.length;
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await mesh.agent.threads.kill(thread);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await until('it is replaced, and checks go on', () => {
        return mesh.agent.readiness().ready && sick.checks.length > asked + 1;
      });
    }
    assert.equal(sick.calls, before);
    assert.ok(isOut(mesh, sick));
    sick.isWell = true;
    await until('it is back', () => !isOut(mesh, sick));
    await calls(40);
    assert.ok(sick.calls > before);
  });
}

function isOut({ agent: { ledger } }: InProcess, { server }: App): boolean {
  const key = `s/web:${PORT} ${server.address}:${server.port}`;
  const slot = ledger.find('endpoint', key) ?? assert.fail();
  return ledger.word('endpoint', slot, ENDPOINT_WORD.health) !== IN_ROTATION;
}
