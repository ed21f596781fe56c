/** Failover by real connections: who takes over, when, and how requests come back. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { DEFAULT_FAILOVER, DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { FailoverPolicy, HealthCheckPolicy, Policies } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import { EJECTED, IN_ROTATION } from '../../src/proxy/balance/ejection.ts';
import { ENDPOINT_FLOAT, ENDPOINT_WORD, SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { App, CHECK, ERROR, GrpcApp, twoApps } from '../support/health-checks.ts';
import { freshAddress, GET, OK, TestProxy } from '../support/proxy.ts';
import { type Dialled, RawEndpoint } from '../support/wire.ts';

const PORT = 30_443;
const RETURN_MS = 10_000;

interface Bed {
  readonly proxy: TestProxy;
  /** The Service that is called, with these endpoints. */
  web(endpoints: readonly Dialled[]): Service;
  dr(endpoints: readonly Dialled[], http2?: boolean): Service;
  /** Answers of so many calls, one after the other. */
  calls(count: number): Promise<readonly string[]>;
  /** Requests that the other Service took. */
  failedOver(): number;
  until(ready: () => boolean, what: string): Promise<void>;
}

function bed(
  t: TestContext,
  failover: Partial<FailoverPolicy> = {},
  more: { readonly check?: Partial<HealthCheckPolicy>; readonly policies?: Partial<Policies> } = {},
): Bed {
  const proxy = new TestProxy(t, { manual: true });
  const balance = { ...DEFAULT_POLICIES.balance, algorithm: 'round-robin' } as const;
  const policies = {
    balance,
    ...more.policies,
    failover: { ...DEFAULT_FAILOVER, service: 'test/dr', returnMs: RETURN_MS, ...failover },
    healthCheck: more.check === undefined ? null : { ...CHECK, ...more.check },
  };
  const web = (endpoints: readonly Dialled[]): Service =>
    proxy.service({ key: 'test/web', port: PORT, endpoints, policies });
  return {
    proxy,
    web,
    dr: (endpoints, http2 = false) =>
      proxy.service({ key: 'test/dr', port: PORT, endpoints, policies: { balance }, http2 }),
    async calls(count) {
      const answers: string[] = [];
      for (let i = 0; i < count; i++) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const caller = await proxy.call(web([]));
        caller.write(GET.replace('Host: a', 'Host: a\r\nConnection: close'));
        // oxlint-disable-next-line no-await-in-loop -- as above
        answers.push((await caller.rest()).slice(9, 12));
      }
      return answers;
    },
    failedOver: () => proxy.figure(web([]), SERVICE_OWN.failedOver),
    until: (ready, what) => proxy.advanceUntil(ready, what),
  };
}

/** Once the time of the return is over. */
async function allCameBack(at: Bed, dr: App): Promise<void> {
  at.proxy.advance(RETURN_MS);
  const before = dr.worked;
  await at.calls(10);
  assert.equal(dr.worked, before, 'all came back');
}

test('without an endpoint another Service takes over, and gives back over a time', async (t) => {
  const [web, dr] = await twoApps(t);
  const at = bed(t);
  await at.proxy.apply([at.web([]), at.dr([dr.endpoint])]);
  assert.deepEqual(await at.calls(3), ['200', '200', '200']);
  assert.deepEqual([web.worked, dr.worked, at.failedOver()], [0, 3, 3]);
  const { proxy } = at;
  proxy.advance(1_000);
  await proxy.apply([at.web([web.endpoint])]);
  proxy.advance(RETURN_MS / 2);
  await at.calls(40);
  assert.ok(web.worked > 8 && web.worked < 32, `${web.worked} of 40 came back half way`);
  await allCameBack(at, dr);
});

test('the same endpoint that left and comes back gets its requests back over a time', async (t) => {
  const [web, dr] = await twoApps(t);
  const at = bed(t);
  const { proxy } = at;
  await proxy.apply([at.web([web.endpoint]), at.dr([dr.endpoint])]);
  await at.calls(2);
  proxy.advance(60_000);
  await proxy.apply([at.web([])]);
  await at.calls(2);
  assert.deepEqual([web.worked, dr.worked], [2, 2]);
  await proxy.apply([at.web([web.endpoint])]);
  proxy.advance(1_000);
  await at.calls(40);
  assert.ok(web.worked < 22, `${web.worked - 2} of 40 came back after a tenth of the time`);
  await allCameBack(at, dr);
});

test('endpoints that were all ejected and are in rotation again get their requests back over a time', async (t) => {
  const [web, dr] = await twoApps(t);
  const at = bed(t);
  const { proxy } = at;
  await proxy.apply([at.web([web.endpoint]), at.dr([dr.endpoint])]);
  await at.calls(2);
  const slot = proxy.endpointSlot(at.web([]), web.endpoint);
  const untilMs = proxy.clock.nowMs() + 120_000;
  proxy.ledger.setFloat('endpoint', slot, ENDPOINT_FLOAT.ejectedUntilMs, untilMs);
  proxy.ledger.setWord('endpoint', slot, ENDPOINT_WORD.health, EJECTED);
  for (let i = 0; i < 3; i++) {
    proxy.advance(20_000);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await at.calls(5);
  }
  assert.deepEqual([web.worked, dr.worked], [2, 15]);
  proxy.ledger.setWord('endpoint', slot, ENDPOINT_WORD.health, IN_ROTATION);
  proxy.advance(1_000);
  await at.calls(40);
  assert.ok(web.worked < 22, `${web.worked - 2} of 40 came back after a tenth of the time`);
  await allCameBack(at, dr);
});

test('an update that replaces the one endpoint sends nothing to the other Service', async (t) => {
  const [web, dr] = await twoApps(t);
  const at = bed(t);
  const { proxy } = at;
  const next = await App.start(t);
  await proxy.apply([at.web([web.endpoint]), at.dr([dr.endpoint])]);
  await at.calls(2);
  proxy.advance(60_000);
  await proxy.apply([at.web([next.endpoint])]);
  await at.calls(10);
  await proxy.apply([at.web([next.endpoint, web.endpoint])]);
  proxy.advance(1_000);
  await proxy.apply([at.web([web.endpoint])]);
  await at.calls(10);
  assert.deepEqual([web.worked, next.worked, dr.worked], [12, 10, 0]);
});

test('when all endpoints fail their checks another Service takes over; they are asked on, and come back', async (t) => {
  const [one, two] = await twoApps(t);
  const dr = await App.start(t);
  const at = bed(t, {}, { check: { failures: 1, successes: 1 } });
  await at.proxy.apply([at.web([one.endpoint, two.endpoint]), at.dr([dr.endpoint])]);
  await at.calls(2);
  assert.equal(dr.worked, 0);
  one.health = two.health = ERROR;
  one.work = two.work = ERROR;
  await at.until(() => one.checked > 2 && two.checked > 2, 'checks of both');
  at.proxy.advance(100);
  const before = one.worked + two.worked;
  assert.deepEqual(new Set(await at.calls(10)), new Set(['200']));
  assert.equal(one.worked + two.worked, before);
  one.health = two.health = OK;
  one.work = two.work = OK;
  // Nobody but the checks can find that out.
  const [slot] = [at.proxy.endpointSlot(at.web([]), one.endpoint)];
  const shortAtMs = (): number => at.proxy.ledger.float('endpoint', slot, ENDPOINT_FLOAT.shortAtMs);
  assert.ok(shortAtMs() > 0);
  const asked = one.checked;
  await at.until(() => one.checked > asked + 2 && two.checked > asked, 'checks that pass');
  at.proxy.advance(2 * RETURN_MS);
  const after = dr.worked;
  await at.calls(4);
  assert.equal(dr.worked, after);
});

test('nobody takes over who is not there, or is not well himself', async (t) => {
  const [web, dr] = await twoApps(t);
  const at = bed(t);
  const { proxy } = at;
  await proxy.apply([at.web([])]);
  assert.deepEqual(await at.calls(1), ['503']);
  await proxy.apply([at.dr([])]);
  assert.deepEqual(await at.calls(1), ['503']);
  await proxy.apply([at.dr([dr.endpoint])]);
  assert.deepEqual(await at.calls(1), ['200']);
  proxy.ledger.setWord(
    'endpoint',
    proxy.endpointSlot(at.dr([]), dr.endpoint),
    ENDPOINT_WORD.health,
    EJECTED,
  );
  assert.deepEqual(await at.calls(1), ['503']);
  await proxy.apply([at.web([web.endpoint])], { removed: ['test/dr'] });
  assert.deepEqual(await at.calls(2), ['200', '200']);
  assert.equal(web.worked, 2);
});

test('below a share of usable endpoints another Service takes over, and a probe that is due still goes home', async (t) => {
  const [one, two] = await twoApps(t);
  const dr = await App.start(t);
  const ejection = { ...DEFAULT_POLICIES.ejection, consecutiveFailures: 1, baseMs: 5_000 };
  const at = bed(t, { below: 0.6, returnMs: 0 }, { policies: { ejection } });
  await at.proxy.apply([at.web([one.endpoint, two.endpoint]), at.dr([dr.endpoint])]);
  one.work = ERROR.replace('500', '503');
  await at.calls(2);
  const health = (): number =>
    at.proxy.endpointWord(at.web([]), one.endpoint, ENDPOINT_WORD.health);
  assert.equal(health(), EJECTED);
  at.proxy.advance(100);
  const before = [one.worked, two.worked];
  await at.calls(6);
  assert.deepEqual([one.worked, two.worked, dr.worked], [...before, 6]);
  one.work = OK;
  at.proxy.advance(5_000);
  await at.calls(1);
  assert.equal(one.worked, before[0]! + 1, 'the probe');
  assert.equal(health(), IN_ROTATION);
  at.proxy.advance(100);
  await at.calls(4);
  assert.equal(dr.worked, 6);
});

test('who takes over may speak HTTP/2, and have its own breaker and limits', async (t) => {
  const dr = await GrpcApp.start(t);
  const at = bed(t);
  await at.proxy.apply([at.web([]), at.dr([dr], true)]);
  assert.deepEqual(await at.calls(2), ['200', '200']);
  assert.equal(at.failedOver(), 2);
});

test('two Services that name each other do not pass a request on and on', async (t) => {
  const at = bed(t);
  const dr = at.dr([]);
  const failover = { ...DEFAULT_FAILOVER, service: 'test/web' };
  await at.proxy.apply([at.web([]), { ...dr, policies: { ...dr.policies, failover } }]);
  assert.deepEqual(await at.calls(2), ['503', '503']);
});

test('connections of TCP fail over, too, and only to a port of TCP', async (t) => {
  const proxy = new TestProxy(t);
  const dr = await RawEndpoint.listen(t, freshAddress(), (wire) => wire.write('hello'));
  const failover = { ...DEFAULT_FAILOVER, service: 'test/dr' };
  const of = (key: string, endpoints: readonly Dialled[], tcp: boolean): Service =>
    proxy.service({
      key,
      port: PORT,
      endpoints,
      tcp,
      policies: key === 'test/db' ? { failover } : {},
    });
  const db = of('test/db', [], true);
  await proxy.apply([db, of('test/dr', [dr], false)]);
  // It may be reset before it is seen to stand.
  const refused = await proxy.call(db).catch(() => null);
  await refused?.gone();
  assert.equal(dr.wires.length, 0);
  await proxy.apply([of('test/dr', [dr], true)]);
  const caller = await proxy.call(db);
  assert.equal(await caller.until('hello'), 'hello');
  assert.equal(proxy.figure(db, SERVICE_OWN.failedOver), 1);
});
