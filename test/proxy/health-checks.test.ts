/** Active health checks by real connections: what passes and what fails, who is ejected, who comes back, and when nobody is asked. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { DEFAULT_HEALTH_CHECK, DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { CHECK_RESULTS, type CheckResult } from '../../src/model/health-check.ts';
import type { HealthCheckPolicy, Policies } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import { CHECK_FAILING, CHECK_PASSING } from '../../src/proxy/balance/check-standing.ts';
import { EJECTED, IN_ROTATION } from '../../src/proxy/balance/ejection.ts';
import { ASKED_MS, type CheckEvent } from '../../src/proxy/check/checker.ts';
import { ENDPOINT_OWN, ENDPOINT_WORD, SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, GET, OK, TestProxy } from '../support/proxy.ts';
import { atEnd, blackHole, type Dialled, eventually, RawEndpoint } from '../support/wire.ts';

/** Manual time moves faster than the network: only tests of the time limit have a short one. */
const LONG_MS = 60_000;
const INTERVAL_MS = 1_000;
const CHECK: HealthCheckPolicy = {
  ...DEFAULT_HEALTH_CHECK,
  path: '/health',
  intervalMs: INTERVAL_MS,
  timeoutMs: LONG_MS,
};
const ERROR = OK.replace('200 OK', '500 Oops');

interface Bed {
  readonly proxy: TestProxy;
  readonly service: Service;
  readonly events: CheckEvent[];
  word(endpoint: Dialled, cell: number): number;
  /** Checks so far, with this result or in all. */
  checks(result?: CheckResult): number;
  call(): Promise<string>;
  until(ready: () => boolean, what: string): Promise<void>;
}

async function bed(
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
class App {
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

async function twoApps(t: TestContext): Promise<[App, App]> {
  return [await App.start(t), await App.start(t)];
}

test('an endpoint whose check fails is ejected after so many failures, and comes back after so many successes', async (t) => {
  const [sick, well] = await twoApps(t);
  const at = await bed(t, [sick.endpoint, well.endpoint]);
  await at.call();
  sick.health = ERROR;
  await at.until(() => at.word(sick.endpoint, ENDPOINT_WORD.health) === EJECTED, 'the ejection');
  assert.equal(sick.checked, CHECK.failures);
  assert.equal(at.word(sick.endpoint, ENDPOINT_WORD.checkState), CHECK_FAILING);
  const before = sick.worked;
  for (let i = 0; i < 6; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await at.call();
  }
  assert.equal(sick.worked, before, 'no request goes there');
  const failed = sick.checked;
  sick.health = OK;
  await at.until(() => at.word(sick.endpoint, ENDPOINT_WORD.health) === IN_ROTATION, 'the return');
  assert.ok(sick.checked >= failed + CHECK.successes);
  await at.call();
  await at.call();
  assert.equal(sick.worked, before + 1, 'requests go there again');
  const told = at.events.map(({ change, endpoint, outcome }) => [change, endpoint, outcome.detail]);
  const name = `${sick.endpoint.address}:${sick.endpoint.port}`;
  assert.deepEqual(told, [
    ['ejected', name, 500],
    ['readmitted', name, 200],
  ]);
});

test('checks are in no figure of requests, and have connections of their own', async (t) => {
  const [one, two] = await twoApps(t);
  const at = await bed(t, [one.endpoint, two.endpoint]);
  await at.call();
  await at.until(() => at.checks('passed') >= 4, 'four checks');
  assert.equal(at.proxy.requests(at.service, 2), 1);
  const tries = [one, two].map(({ endpoint }) =>
    at.proxy.endpointFigure(at.service, endpoint, ENDPOINT_OWN.requests + 2),
  );
  assert.equal(tries[0]! + tries[1]!, 1);
  const opened = [one, two].map(({ endpoint }) =>
    at.proxy.endpointFigure(at.service, endpoint, ENDPOINT_OWN.connectionsOpened),
  );
  assert.equal(opened[0]! + opened[1]!, 1);
  // Each check closes what it opened.
  await eventually(() => at.proxy.server.checker.running === 0, 'no check under way');
  assert.equal(at.proxy.context.room.copies, 0);
  const [head = ''] = one.endpoint.heads.filter((each) => each.startsWith('GET /health'));
  assert.match(head, /^Host: s0\.test\r$/m);
  assert.match(head, /^User-Agent: maesh-health-check\r$/m);
  assert.doesNotMatch(head, /forwarded/i);
});

test('never all are ejected, whatever their checks say', async (t) => {
  const [one, two] = await twoApps(t);
  one.health = two.health = ERROR;
  const at = await bed(t, [one.endpoint, two.endpoint]);
  await at.call();
  await at.until(() => one.checked > 5 && two.checked > 5, 'checks of both');
  const out = [one, two].filter(
    ({ endpoint }) => at.word(endpoint, ENDPOINT_WORD.health) !== IN_ROTATION,
  );
  assert.equal(out.length, 1);
  assert.match(await at.call(), / 200 /);
});

test('nobody is asked while nobody calls; the next call begins the checks again', async (t) => {
  const [one, two] = await twoApps(t);
  const at = await bed(t, [one.endpoint, two.endpoint]);
  at.proxy.advance(10 * INTERVAL_MS);
  assert.equal(at.proxy.server.checker.running, 0);
  await at.call();
  await at.until(() => one.checked > 0 && two.checked > 0, 'the first checks');
  await at.until(() => at.proxy.server.checker.running === 0, 'their ends');
  // Time passes without the network: a check that begins would be under way.
  at.proxy.advance(ASKED_MS);
  await eventually(() => at.proxy.server.checker.running === 0, 'what had begun by then');
  const before = at.checks();
  at.proxy.advance(20 * INTERVAL_MS);
  assert.equal(at.proxy.server.checker.running, 0);
  assert.equal(at.checks(), before);
  await at.call();
  await at.until(() => at.checks() > before, 'checks again');
});

test('without ejection by checks, only what requests have ejected is checked, and comes back by that without a probe', async (t) => {
  const [sick, well] = await twoApps(t);
  sick.work = ERROR.replace('500', '503');
  sick.health = ERROR;
  const ejection = { ...DEFAULT_POLICIES.ejection, consecutiveFailures: 2, baseMs: 5_000 };
  const at = await bed(
    t,
    [sick.endpoint, well.endpoint],
    { ejects: false },
    { policies: { ejection } },
  );
  for (let i = 0; i < 4; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await at.call();
  }
  assert.equal(at.word(sick.endpoint, ENDPOINT_WORD.health), EJECTED);
  await at.until(() => sick.checked > 8, 'checks of what is ejected');
  assert.equal(well.checked, 0);
  const before = sick.worked;
  await at.call();
  await at.call();
  assert.equal(sick.worked, before, 'no request is a probe, long after its time is over');
  sick.health = OK;
  sick.work = OK;
  await at.until(() => at.word(sick.endpoint, ENDPOINT_WORD.health) === IN_ROTATION, 'the return');
  assert.equal(at.word(sick.endpoint, ENDPOINT_WORD.ejectionsInRow), 1, 'kept for the next one');
  await at.call();
  await at.call();
  assert.equal(sick.worked, before + 1);
  await eventually(
    () => at.word(sick.endpoint, ENDPOINT_WORD.ejectionsInRow) === 0,
    'a request that went well to end the row',
  );
});

test('what requests have ejected stays out for its time, however well its checks are', async (t) => {
  const [sick, well] = await twoApps(t);
  sick.work = ERROR.replace('500', '503');
  const ejection = { ...DEFAULT_POLICIES.ejection, consecutiveFailures: 2, baseMs: 8_000 };
  const at = await bed(t, [sick.endpoint, well.endpoint], {}, { policies: { ejection } });
  for (let i = 0; i < 4; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await at.call();
  }
  assert.equal(at.word(sick.endpoint, ENDPOINT_WORD.health), EJECTED);
  const endMs = at.proxy.clock.nowMs() + ejection.baseMs;
  await at.until(() => at.word(sick.endpoint, ENDPOINT_WORD.health) === IN_ROTATION, 'the return');
  assert.ok(at.proxy.clock.nowMs() >= endMs);
  assert.ok(sick.checked > CHECK.successes);
});

interface Case {
  readonly what: string;
  readonly result: CheckResult;
  readonly check?: Partial<HealthCheckPolicy>;
  readonly endpoint: (t: TestContext) => Promise<Dialled>;
}

const answering =
  (text: string) =>
  (t: TestContext): Promise<Dialled> =>
    RawEndpoint.answering(t, freshAddress(), (head) =>
      head.startsWith('GET /health') ? text : OK,
    );

/** Sends something on each connection and leaves it open. */
const saying =
  (text: string) =>
  (t: TestContext): Promise<Dialled> =>
    RawEndpoint.listen(t, freshAddress(), async (wire) => {
      await wire.head();
      wire.write(text);
    });

async function closedPort(t: TestContext): Promise<Dialled> {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  endpoint.stop();
  return endpoint;
}

const SHORT = { timeoutMs: 300 };
const CASES: readonly Case[] = [
  { what: '200', result: 'passed', endpoint: answering(OK) },
  { what: '399', result: 'passed', endpoint: answering(OK.replace('200', '399')) },
  { what: '404', result: 'bad_status', endpoint: answering(OK.replace('200', '404')) },
  {
    what: 'a status that is asked for',
    result: 'passed',
    check: { statuses: ['200', '401-403'] },
    endpoint: answering(OK.replace('200', '402')),
  },
  {
    what: 'a status that is not',
    result: 'bad_status',
    check: { statuses: ['204', '401-403'] },
    endpoint: answering(OK),
  },
  {
    what: 'a body longer than anybody reads',
    result: 'passed',
    endpoint: saying(`HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(200_000)}`),
  },
  {
    what: 'an interim answer first',
    result: 'passed',
    endpoint: answering(`HTTP/1.1 103 Early Hints\r\n\r\n${OK}`),
  },
  { what: 'an upgrade', result: 'bad_status', endpoint: saying('HTTP/1.1 101 Yes\r\n\r\n') },
  { what: 'no HTTP', result: 'bad_answer', endpoint: saying('220 mail ready\r\n\r\n') },
  { what: 'a port that is closed', result: 'connect_failed', endpoint: closedPort },
  {
    what: 'a connection that is closed without an answer',
    result: 'connect_failed',
    endpoint: (t) => RawEndpoint.listen(t, freshAddress(), (wire) => wire.end()),
  },
  {
    what: 'a body that is cut',
    result: 'connect_failed',
    endpoint: (t) =>
      RawEndpoint.listen(t, freshAddress(), async (wire) => {
        await wire.head();
        wire.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf');
        wire.end();
      }),
  },
  { what: 'no answer', result: 'timed_out', check: SHORT, endpoint: saying('') },
  {
    what: 'an answer that never ends',
    result: 'timed_out',
    check: SHORT,
    endpoint: saying('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'),
  },
  {
    what: 'an address that says nothing',
    result: 'timed_out',
    check: SHORT,
    endpoint: (t) => blackHole(t, freshAddress()),
  },
  {
    what: 'TCP, a server that says nothing',
    result: 'passed',
    check: { kind: 'tcp' },
    endpoint: (t) => RawEndpoint.listen(t, freshAddress()),
  },
  {
    what: 'TCP, a server that speaks first',
    result: 'passed',
    check: { kind: 'tcp' },
    endpoint: (t) => RawEndpoint.listen(t, freshAddress(), (wire) => wire.write('220 hello\r\n')),
  },
  {
    what: 'TCP, a closed port',
    result: 'connect_failed',
    check: { kind: 'tcp' },
    endpoint: closedPort,
  },
  {
    what: 'TCP, an address that says nothing',
    result: 'timed_out',
    check: { kind: 'tcp', ...SHORT },
    endpoint: (t) => blackHole(t, freshAddress()),
  },
];

for (const { what, result, check, endpoint } of CASES) {
  test(`a check is "${result}": ${what}`, async (t) => {
    const at = await bed(t, [await endpoint(t)], check ?? {});
    // Somebody calls the Service, however that ends.
    const caller = await at.proxy.call(at.service);
    caller.write(GET);
    await at.until(() => at.checks() > 0, 'a check');
    assert.deepEqual(
      CHECK_RESULTS.filter((each) => at.checks(each) > 0),
      [result],
    );
  });
}

test('another port than that of the endpoint is checked where asked for', async (t) => {
  const app = await App.start(t);
  const probe = await RawEndpoint.answering(t, app.endpoint.address, () => OK);
  const at = await bed(t, [app.endpoint], { port: probe.port, host: 'shop.example' });
  await at.call();
  await at.until(() => at.checks('passed') > 0, 'a check');
  assert.equal(app.checked, 0);
  assert.match(probe.heads[0] ?? '', /^GET \/health HTTP\/1.1\r\nHost: shop.example\r\n/);
});

test('a port may be checked otherwise than its Service', async (t) => {
  const app = await App.start(t);
  const at = await bed(t, [app.endpoint], null);
  const [port] = at.service.ports;
  const policies: Policies = {
    ...at.service.policies,
    healthCheck: { ...CHECK, path: '/health?port' },
  };
  await at.proxy.apply([{ ...at.service, ports: [{ ...port!, policies }] }]);
  await at.call();
  const asked = (): boolean =>
    app.endpoint.heads.some((head) => head.startsWith('GET /health?port '));
  await at.until(asked, 'a check');
  assert.ok(at.checks('passed') + at.proxy.server.checker.running > 0);
});

test('checks end with their endpoint, with their Service and with the drain, wherever they are', async (t) => {
  const silent = await RawEndpoint.listen(t, freshAddress());
  const app = await App.start(t);
  const at = await bed(t, [silent, app.endpoint]);
  const { checker } = at.proxy.server;
  const caller = await at.proxy.call(at.service);
  caller.write(GET);
  await at.until(() => checker.running === 1 && app.checked > 0, 'a check that waits');
  const checked = silent.wires.length;
  await at.proxy.apply([{ ...at.service, ports: [] }]);
  assert.equal(checker.running, 0);
  await at.proxy.apply([at.service]);
  const another = await at.proxy.call(at.service);
  another.write(GET);
  await at.until(() => silent.wires.length > checked + 1, 'a check after its return');
  void at.proxy.server.drain(0);
  assert.equal(checker.running, 0);
  at.proxy.advance(10 * INTERVAL_MS);
  assert.equal(checker.running, 0);
});

test('a policy that goes leaves an ejected endpoint to a probe', async (t) => {
  const [sick, well] = await twoApps(t);
  sick.health = ERROR;
  const at = await bed(t, [sick.endpoint, well.endpoint]);
  await at.call();
  await at.until(() => at.word(sick.endpoint, ENDPOINT_WORD.health) === EJECTED, 'the ejection');
  const { policies } = at.service;
  await at.proxy.apply([{ ...at.service, policies: { ...policies, healthCheck: null } }]);
  assert.equal(at.word(sick.endpoint, ENDPOINT_WORD.checkState), 0);
  const before = sick.worked;
  await at.call();
  assert.equal(sick.worked, before + 1, 'the next request is its probe');
  await eventually(
    () => at.word(sick.endpoint, ENDPOINT_WORD.health) === IN_ROTATION,
    'the return',
  );
});

/** A server of gRPC that has a health service, and 200 for everything else. */
class GrpcApp implements Dialled {
  readonly address = freshAddress();
  port = 0;
  /** Serving status, or the status of a call that fails (below 0). */
  says = 1;
  asked: string[] = [];
  raw: Buffer | null = null;
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

test('a gRPC endpoint that does not serve is taken out; when it serves, it comes back', async (t) => {
  const [sick, well] = [await GrpcApp.start(t), await GrpcApp.start(t)];
  const check = { kind: 'grpc', grpcService: 'shop.Cart' } as const;
  const at = await bed(t, [sick, well], check, { http2: true });
  await at.call();
  await at.until(() => sick.asked.length > 0 && well.asked.length > 0, 'checks of both');
  assert.equal(sick.asked[0], `000000000b0a09${Buffer.from('shop.Cart').toString('hex')}`);
  assert.equal(at.word(sick, ENDPOINT_WORD.checkState), CHECK_PASSING);
  sick.says = 2;
  await at.until(() => at.word(sick, ENDPOINT_WORD.health) === EJECTED, 'the ejection');
  assert.equal(at.checks('not_serving') >= CHECK.failures, true);
  sick.says = 1;
  await at.until(() => at.word(sick, ENDPOINT_WORD.health) === IN_ROTATION, 'the return');
});

const GRPC_CASES: readonly (readonly [string, CheckResult, Partial<GrpcApp>])[] = [
  ['SERVICE_UNKNOWN', 'not_serving', { says: 3 }],
  ['UNKNOWN', 'not_serving', { raw: Buffer.from([0, 0, 0, 0, 0]) }],
  ['UNIMPLEMENTED', 'grpc_failed', { says: -12 }],
  ['no message', 'bad_answer', { raw: Buffer.alloc(0) }],
  ['two messages', 'bad_answer', { raw: Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) }],
  ['too long', 'bad_answer', { raw: Buffer.alloc(5_000) }],
];

for (const [what, result, app] of GRPC_CASES) {
  test(`a gRPC check is "${result}": ${what}`, async (t) => {
    const endpoint = Object.assign(await GrpcApp.start(t), app);
    // Its requests are plain HTTP/1.1 as far as the mesh knows: the check speaks HTTP/2 all the same.
    const at = await bed(t, [endpoint], { kind: 'grpc' });
    const caller = await at.proxy.call(at.service);
    caller.write(GET);
    await at.until(() => at.checks() > 0, 'a check');
    assert.equal(at.checks(result), at.checks());
  });
}

test('an endpoint of HTTP/2 is asked in HTTP/2', async (t) => {
  const app = await GrpcApp.start(t);
  const at = await bed(t, [app], {}, { http2: true });
  await at.call();
  await at.until(() => at.checks('passed') > 1, 'two checks');
});
