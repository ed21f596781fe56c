/** When a try has gone well: not with the head of its response, but when that is whole or has gone on for long. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { Policies } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import { EJECTED, IN_ROTATION, PROBING } from '../../src/proxy/balance/ejection.ts';
import { STEADY_MS } from '../../src/proxy/balance/health.ts';
import { ENDPOINT_OWN, ENDPOINT_WORD } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, GET, OK, proxyFor, type TestProxy } from '../support/proxy.ts';
import { RawEndpoint, type Wire } from '../support/wire.ts';

const HALF = 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf';
const CUTS = 3;
const BASE_MS = 5_000;
const POLICIES: Partial<Policies> = {
  ejection: { ...DEFAULT_POLICIES.ejection, consecutiveFailures: CUTS, baseMs: BASE_MS },
  balance: { ...DEFAULT_POLICIES.balance, algorithm: 'round-robin' },
};

interface Bed {
  readonly proxy: TestProxy;
  readonly service: Service;
  readonly cutter: RawEndpoint;
  /** What the endpoint does with requests from now on: cut in the body, answer, or begin a stream. */
  set(how: 'cut' | 'ok' | 'stream'): void;
  /** Sends requests until one reaches the endpoint; gives back its caller. */
  readonly reach: () => Promise<Wire>;
  health(): number;
}

/** An endpoint beside a sibling that is always well. */
async function bed(t: TestContext): Promise<Bed> {
  let how = 'cut';
  const cutter = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
    await wire.head();
    cutter.heads.push('');
    wire.write(how === 'ok' ? OK : HALF);
    if (how !== 'stream') wire.end();
  });
  const well = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [cutter, well], {
    policies: POLICIES,
    manual: true,
  });
  return {
    proxy,
    service,
    cutter,
    set: (next) => (how = next),
    health: () => proxy.endpointWord(service, cutter, ENDPOINT_WORD.health),
    reach: async () => {
      const before = cutter.heads.length;
      for (let i = 0; i < 10; i++) {
        // oxlint-disable no-await-in-loop -- one after the other
        const caller = await proxy.call(service);
        caller.write(GET);
        await caller.head();
        await caller.until(how === 'ok' || cutter.heads.length === before ? 'ok' : 'half');
        if (cutter.heads.length > before) return caller;
        // oxlint-enable no-await-in-loop
      }
      throw new Error('ten requests in turn did not reach it');
    },
  };
}

async function cutOff({ reach }: Bed, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await (await reach()).gone();
  }
}

test('an endpoint that cuts each of its responses in the body is ejected', async (t) => {
  const at = await bed(t);
  await cutOff(at, CUTS);
  assert.equal(at.health(), EJECTED);
  assert.equal(at.proxy.endpointFigure(at.service, at.cutter, ENDPOINT_OWN.failed), CUTS);
});

test('a whole response ends the row of failures', async (t) => {
  const at = await bed(t);
  await cutOff(at, CUTS - 1);
  at.set('ok');
  await at.reach();
  at.set('cut');
  await cutOff(at, CUTS - 1);
  assert.equal(at.health(), IN_ROTATION);
});

test('a response that goes on for long ends it too', async (t) => {
  const at = await bed(t);
  await cutOff(at, CUTS - 1);
  at.set('stream');
  await at.reach();
  at.proxy.advance(STEADY_MS + 100);
  at.set('cut');
  await cutOff(at, CUTS - 1);
  assert.equal(at.health(), IN_ROTATION);
});

test('a probe that is cut in its body ejects again; one that goes on for long brings the endpoint back', async (t) => {
  const at = await bed(t);
  await cutOff(at, CUTS);
  at.proxy.advance(BASE_MS);
  await cutOff(at, 1);
  assert.equal(at.health(), EJECTED);
  at.set('stream');
  at.proxy.advance(2 * BASE_MS);
  await at.reach();
  assert.equal(at.health(), PROBING);
  at.proxy.advance(STEADY_MS - 1_000);
  assert.equal(at.health(), PROBING);
  at.proxy.advance(1_100);
  assert.equal(at.health(), IN_ROTATION);
});

test('a probe whose response is whole brings the endpoint back', async (t) => {
  const at = await bed(t);
  await cutOff(at, CUTS);
  at.proxy.advance(BASE_MS);
  at.set('ok');
  await at.reach();
  assert.equal(at.health(), IN_ROTATION);
});
