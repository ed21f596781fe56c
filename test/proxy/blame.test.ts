/** Whom a failure counts against: breaker, ejection, retry budget and status classes go by the table of FAILURES. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { ENDPOINT_OWN, SERVICE_WORD } from '../../src/proxy/ledger/layout.ts';
import { BREAKER_CLOSED } from '../../src/proxy/policy/breaker.ts';
import { exampleBreaker } from '../support/model.ts';
import { freshAddress, GET, OK, proxyFor } from '../support/proxy.ts';
import { RawEndpoint } from '../support/wire.ts';

const BROKEN_CHUNK = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabroken';

test('callers that break their own chunks open no breaker, eject no endpoint and are no errors of the Service', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: {
      breaker: exampleBreaker({ openMs: 5_000, recoveryMs: 5_000 }),
      ejection: { ...DEFAULT_POLICIES.ejection, consecutiveFailures: 1 },
    },
    manual: true,
  });
  for (let i = 0; i < 3; i++) {
    // oxlint-disable no-await-in-loop -- one after the other
    const caller = await proxy.call(service);
    caller.write(BROKEN_CHUNK);
    assert.match(await caller.rest(), /^HTTP\/1\.1 400 /);
    // oxlint-enable no-await-in-loop
  }
  for (let passed = 0; passed < 1_000; passed += 100) {
    proxy.advance(100);
    proxy.governor.tick();
  }
  assert.equal(proxy.word(service, SERVICE_WORD.breakerState), BREAKER_CLOSED);
  const caller = await proxy.call(service);
  caller.write(GET);
  assert.match(await caller.until('ok'), /^HTTP\/1\.1 200 /);
  assert.equal(proxy.requests(service, 4), 3);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 0);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.requests), 0);
});
