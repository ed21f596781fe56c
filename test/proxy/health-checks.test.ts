/** Active health checks by real connections: who is ejected, who comes back, and when nobody is asked. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { Policies } from '../../src/model/policy.ts';
import { CHECK_FAILING } from '../../src/proxy/balance/check-standing.ts';
import { EJECTED, IN_ROTATION } from '../../src/proxy/balance/ejection.ts';
import { ASKED_MS } from '../../src/proxy/check/checker.ts';
import { ENDPOINT_OWN, ENDPOINT_WORD } from '../../src/proxy/ledger/layout.ts';
import { OK } from '../support/proxy.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';
import { App, bed, CHECK, ERROR, INTERVAL_MS, twoApps } from '../support/health-checks.ts';

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
