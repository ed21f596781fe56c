/** Checks while everything changes around them: endpoints, policies, Services, the proxy itself. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { HealthCheckPolicy } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import { CHECK_FAILING, CHECK_PASSING } from '../../src/proxy/balance/check-standing.ts';
import { EJECTED, IN_ROTATION } from '../../src/proxy/balance/ejection.ts';
import { ENDPOINT_WORD } from '../../src/proxy/ledger/layout.ts';
import { App, bed, CHECK, ERROR, INTERVAL_MS, twoApps } from '../support/health-checks.ts';
import { exampleEndpoint } from '../support/model.ts';
import { freshAddress, GET, OK } from '../support/proxy.ts';
import { type Dialled, eventually, RawEndpoint } from '../support/wire.ts';

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

/** Waits with its answers until it is told. */
async function held(t: TestContext): Promise<{ endpoint: RawEndpoint; release: () => void }> {
  const { promise, resolve: release } = Promise.withResolvers<void>();
  const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
    const [path = ''] = /\/health\S*/.exec(await wire.head()) ?? [];
    if (path !== '') {
      endpoint.heads.push(path);
      await promise;
    }
    wire.write(OK);
  });
  return { endpoint, release };
}

function withEndpoints(service: Service, endpoints: readonly Dialled[]): Service {
  const [port] = service.ports;
  const of = endpoints.map(({ address, port }) => exampleEndpoint(address, { port }));
  return { ...service, ports: [{ ...port!, backend: { ...port!.backend, endpoints: of } }] };
}

function withCheck(service: Service, check: Partial<HealthCheckPolicy>): Service {
  const { policies } = service;
  const healthCheck = { ...CHECK, ...policies.healthCheck, ...check };
  return { ...service, policies: { ...policies, healthCheck } };
}

test('an endpoint that joins or leaves while others are asked disturbs no check but its own', async (t) => {
  const [first, second] = [await held(t), await held(t)];
  const late = await App.start(t);
  const at = await bed(t, [first.endpoint, second.endpoint]);
  const { checker } = at.proxy.server;
  const caller = await at.proxy.call(at.service);
  caller.write(GET);
  await at.until(() => checker.running === 2, 'two checks that wait');
  await at.proxy.apply([
    withEndpoints(at.service, [first.endpoint, second.endpoint, late.endpoint]),
  ]);
  assert.equal(checker.running, 2);
  await at.proxy.apply([withEndpoints(at.service, [first.endpoint, late.endpoint])]);
  assert.equal(checker.running, 1);
  await eventually(() => second.endpoint.wires.some((wire) => wire.ending !== 'open'), 'its end');
  assert.equal(at.checks(), 0, 'a check that was cut has no result');
  first.release();
  await at.until(() => at.word(first.endpoint, ENDPOINT_WORD.checkState) === CHECK_PASSING, 'it');
  await at.call();
  await at.until(() => late.checked > 0, 'a check of the new one');
});

test('what is asked may change while it is asked: the answer counts, and the next check asks anew', async (t) => {
  const { endpoint, release } = await held(t);
  const at = await bed(t, [endpoint]);
  const { checker } = at.proxy.server;
  const caller = await at.proxy.call(at.service);
  caller.write(GET);
  await at.until(() => checker.running === 1, 'a check that waits');
  await at.proxy.apply([withCheck(at.service, { path: '/health/new', intervalMs: 2_000 })]);
  assert.equal(checker.running, 1);
  release();
  await at.until(() => at.checks('passed') === 1, 'its answer');
  await at.until(() => at.checks('passed') === 2, 'the answer of the next one');
  assert.deepEqual(endpoint.heads, ['/health', '/health/new']);
});

test('a change of what is asked takes effect within seconds, however long the interval was', async (t) => {
  const app = await App.start(t);
  app.health = ERROR;
  const HOUR_MS = 3_600_000;
  const at = await bed(t, [app.endpoint], { intervalMs: HOUR_MS, failures: 1 });
  await at.call();
  await at.until(() => at.word(app.endpoint, ENDPOINT_WORD.checkState) === CHECK_FAILING, 'it');
  const asked = app.checked;
  // The same once more, as with each change of endpoints, is no change.
  await at.proxy.apply([withCheck(at.service, { intervalMs: HOUR_MS, failures: 1 })]);
  at.proxy.advance(60_000);
  assert.equal(at.proxy.server.checker.running, 0);
  assert.equal(app.checked, asked);
  const begunMs = at.proxy.clock.nowMs();
  await at.proxy.apply([
    withCheck(at.service, { intervalMs: HOUR_MS, failures: 1, statuses: ['500'] }),
  ]);
  await at.until(() => at.checks('passed') > 0, 'a check by the new rules');
  assert.ok(at.proxy.clock.nowMs() - begunMs <= 11_000);
});

test('a kind of check may become another, and ejection by checks may end, while an endpoint is out', async (t) => {
  const [sick, well] = await twoApps(t);
  sick.health = ERROR;
  const at = await bed(t, [sick.endpoint, well.endpoint]);
  await at.call();
  await at.until(() => at.word(sick.endpoint, ENDPOINT_WORD.health) === EJECTED, 'the ejection');
  await at.proxy.apply([withCheck(at.service, { ejects: false })]);
  assert.equal(at.word(sick.endpoint, ENDPOINT_WORD.health), EJECTED, 'until checks pass');
  const asked = well.checked;
  await at.proxy.apply([withCheck(at.service, { ejects: false, kind: 'tcp' })]);
  await at.until(() => at.word(sick.endpoint, ENDPOINT_WORD.health) === IN_ROTATION, 'the return');
  assert.equal(well.checked, asked, 'what is in rotation is not asked any more');
});

test('a Service that goes takes with it what is known of its endpoints by checks', async (t) => {
  const app = await App.start(t);
  const at = await bed(t, [app.endpoint]);
  await at.call();
  await at.until(
    () => at.word(app.endpoint, ENDPOINT_WORD.checkState) === CHECK_PASSING,
    'a check',
  );
  await at.proxy.apply([], { removed: [at.service.key] });
  const { policies } = at.service;
  await at.proxy.apply([{ ...at.service, policies: { ...policies, healthCheck: null } }]);
  assert.equal(at.word(app.endpoint, ENDPOINT_WORD.checkState), 0);
});

test('a drain ends the checks, and what they have ejected stays out for the requests that still come', async (t) => {
  const [sick, well] = await twoApps(t);
  sick.health = ERROR;
  const at = await bed(t, [sick.endpoint, well.endpoint]);
  const caller = await at.proxy.call(at.service);
  caller.write(GET);
  await caller.head();
  await at.until(() => at.word(sick.endpoint, ENDPOINT_WORD.health) === EJECTED, 'the ejection');
  void at.proxy.server.drain(5_000);
  const worked = sick.worked;
  const asked = sick.checked;
  caller.write(GET);
  assert.match(await caller.until('ok'), /200|ok/);
  assert.equal(sick.worked, worked);
  at.proxy.advance(3 * INTERVAL_MS);
  assert.equal(at.proxy.server.checker.running, 0);
  assert.equal(sick.checked, asked);
  assert.equal(at.word(sick.endpoint, ENDPOINT_WORD.checkState), CHECK_FAILING);
});

test('when all fail, as many are ejected as may be, the others serve, and each is still asked', async (t) => {
  const apps = [...(await twoApps(t)), ...(await twoApps(t))];
  for (const app of apps) app.health = ERROR;
  const at = await bed(
    t,
    apps.map(({ endpoint }) => endpoint),
  );
  await at.call();
  const out = (): App[] =>
    apps.filter(({ endpoint }) => at.word(endpoint, ENDPOINT_WORD.health) !== IN_ROTATION);
  await at.until(() => apps.every(({ checked }) => checked > 5), 'checks of all');
  assert.equal(out().length, 2, 'half of them');
  for (let i = 0; i < 8; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.match(await at.call(), / 200 /);
  }
  // One that is well again comes back, and makes room for one that is not.
  const [first] = out() as [App];
  first.health = OK;
  await at.until(() => at.word(first.endpoint, ENDPOINT_WORD.health) === IN_ROTATION, 'its return');
  await at.until(() => out().length === 2 && !out().includes(first), 'another one to go');
});
