/** A proxy whose endpoints are checked, on a clock that the test moves, and endpoints that answer checks as they are told. */

import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type TestContext } from 'node:test';
import { DEFAULT_HEALTH_CHECK, DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { CHECK_RESULTS, type CheckResult } from '../../src/model/health-check.ts';
import type { HealthCheckPolicy, Policies } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import { type CheckEvent } from '../../src/proxy/check/checker.ts';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, GET, OK, TestProxy } from './proxy.ts';
import { atEnd, type Dialled, RawEndpoint } from './wire.ts';

/** Manual time moves faster than the network: only tests of the time limit have a short one. */
const LONG_MS = 60_000;
export const INTERVAL_MS = 1_000;
export const CHECK: HealthCheckPolicy = {
  ...DEFAULT_HEALTH_CHECK,
  path: '/health',
  intervalMs: INTERVAL_MS,
  timeoutMs: LONG_MS,
};
export const ERROR = OK.replace('200 OK', '500 Oops');

export interface Bed {
  readonly proxy: TestProxy;
  readonly service: Service;
  readonly events: CheckEvent[];
  word(endpoint: Dialled, cell: number): number;
  /** Checks so far, with this result or in all. */
  checks(result?: CheckResult): number;
  call(): Promise<string>;
  until(ready: () => boolean, what: string): Promise<void>;
}

export async function bed(
  t: TestContext,
  endpoints: readonly Dialled[],
  check: Partial<HealthCheckPolicy> | null = {},
  more: { readonly policies?: Partial<Policies>; readonly http2?: boolean } = {},
): Promise<Bed> {
  const proxy = new TestProxy(t, { manual: true });
  const events: CheckEvent[] = [];
  proxy.server.checker.onEvent = (event) => events.push(event);
  const service = proxy.service({
    endpoints,
    http2: more.http2 === true,
    policies: {
      balance: { ...DEFAULT_POLICIES.balance, algorithm: 'round-robin' },
      ...more.policies,
      healthCheck: check === null ? null : { ...CHECK, ...check },
    },
  });
  await proxy.apply([service]);
  const cell = (result: CheckResult): number => SERVICE_OWN.checks + CHECK_RESULTS.indexOf(result);
  const at = {
    proxy,
    service,
    events,
    word: (endpoint: Dialled, word: number) => proxy.endpointWord(service, endpoint, word),
    checks: (result?: CheckResult) =>
      (result === undefined ? CHECK_RESULTS : [result])
        .map((each) => proxy.figure(service, cell(each)))
        .reduce((sum, count) => sum + count, 0),
    call: async () => {
      const caller = await proxy.call(service);
      caller.write(GET.replace('Host: a', 'Host: a\r\nConnection: close'));
      return caller.head();
    },
    until: (ready: () => boolean, what: string) => proxy.advanceUntil(ready, what),
  };
  return at;
}

/** An endpoint that answers requests with 200, and checks with what it is told. */
export class App {
  endpoint!: RawEndpoint;
  health = OK;
  work = OK;
  checked = 0;
  worked = 0;

  static async start(t: TestContext): Promise<App> {
    const app = new App();
    app.endpoint = await RawEndpoint.answering(t, freshAddress(), (head) => {
      if (!head.startsWith('GET /health ')) {
        app.worked++;
        return app.work;
      }
      app.checked++;
      return app.health;
    });
    return app;
  }
}

export async function twoApps(t: TestContext): Promise<[App, App]> {
  return [await App.start(t), await App.start(t)];
}

/** A server of gRPC that has a health service, and 200 for everything else. */
export class GrpcApp implements Dialled {
  readonly address = freshAddress();
  port = 0;
  /** Serving status, or the status of a call that fails (below 0). */
  says = 1;
  asked: string[] = [];
  raw: Buffer | null = null;
  /** Instead of all that. */
  answer: ((stream: http2.ServerHttp2Stream) => void) | null = null;
  readonly #server = http2.createServer();

  static async start(t: TestContext): Promise<GrpcApp> {
    const app = new GrpcApp();
    app.#server.on('stream', (stream: http2.ServerHttp2Stream, fields) =>
      app.#answer(stream, fields),
    );
    app.#server.listen(0, app.address);
    await once(app.#server, 'listening');
    app.port = (app.#server.address() as AddressInfo).port;
    atEnd(t, () => void app.#server.close());
    return app;
  }

  #answer(stream: http2.ServerHttp2Stream, fields: http2.IncomingHttpHeaders): void {
    const head = { ':status': 200, 'content-type': 'application/grpc' };
    stream.on('error', () => undefined);
    if (this.answer !== null) return this.answer(stream);
    if (fields[':path'] !== '/grpc.health.v1.Health/Check') {
      stream.respond({ ':status': 200 });
      stream.end('ok');
      return;
    }
    const parts: Buffer[] = [];
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('end', () => {
      this.asked.push(Buffer.concat(parts).toString('hex'));
      if (this.says < 0) return stream.respond({ ...head, 'grpc-status': -this.says }, ENDED);
      stream.respond(head, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(this.raw ?? Buffer.from([0, 0, 0, 0, 2, 8, this.says]));
    });
  }
}
const ENDED = { endStream: true };
