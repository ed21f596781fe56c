/** Connections that outlast their Service: what they count on is nobody else's meanwhile. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ENDPOINT_OWN,
  ENDPOINT_WORD,
  SERVICE_OWN,
  SERVICE_WORD,
} from '../../src/proxy/ledger/layout.ts';
import { freshAddress } from '../support/proxy.ts';
import { piped } from '../support/tcp.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';

test('a connection that outlasts its Service by hours is not taken off the figures of another one', async (t) => {
  const { proxy, service, caller, wire, endpoint } = await piped(t, { manual: true });
  await proxy.apply([], { removed: [service.key] });
  for (let i = 0; i < 3; i++) {
    proxy.advance(601_000);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await proxy.apply([]);
  }
  const fresh = await RawEndpoint.listen(t, freshAddress());
  const other = proxy.service({ key: 'test/other', tcp: true, endpoints: [fresh] });
  await proxy.apply([other]);
  const second = await proxy.call(other);
  const answering = await fresh.next();
  await eventually(() => proxy.requests(other, 1) === 1, 'the second connection to stand');
  caller.write('still');
  assert.equal(await wire.bytes(5), 'still');
  caller.end();
  wire.end();
  assert.equal(await caller.rest(), '');
  await eventually(
    () =>
      proxy.word(service, SERVICE_WORD.inFlight) === 0 &&
      proxy.figure(service, SERVICE_OWN.callerConnectionsActive) === 0 &&
      proxy.endpointWord(service, endpoint, ENDPOINT_WORD.connections) === 0,
    'the account of the first',
  );
  assert.equal(proxy.word(other, SERVICE_WORD.inFlight), 1);
  assert.equal(proxy.figure(other, SERVICE_OWN.callerConnectionsActive), 1);
  assert.equal(proxy.endpointWord(other, fresh, ENDPOINT_WORD.inFlight), 1);
  assert.equal(proxy.endpointWord(other, fresh, ENDPOINT_WORD.connections), 1);
  assert.equal(proxy.endpointFigure(other, fresh, ENDPOINT_OWN.requests + 1), 1);
  proxy.advance(601_000);
  await proxy.apply([]);
  assert.deepEqual([...proxy.ledger.entries('service').keys()], [other.key], 'it ended');
  second.write('on');
  assert.equal(await answering.bytes(2), 'on');
});
