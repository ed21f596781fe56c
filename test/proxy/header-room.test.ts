/** A gateway that speaks for many clients has the room of one caller, whatever its headers say. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { headerOf } from '../../src/proxy/net/proxy-protocol/header.ts';
import { freshAddress, GET, OK, TestProxy } from '../support/proxy.ts';
import { eventually, RawEndpoint, type Wire } from '../support/wire.ts';

const GATEWAY = '127.77.0.1';
const POD = '127.78.0.1';
const ROOM = 4;

test('clients behind a gateway have its part of the room, and do not push out other callers', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const proxy = new TestProxy(t, {
    settings: { trustedSources: ['127.77.0.0/16'], callerConnectionsMax: ROOM },
  });
  const proxyProtocol = { ...DEFAULT_POLICIES.proxyProtocol, accept: true };
  const service = proxy.service({ endpoints: [endpoint], policies: { proxyProtocol } });
  await proxy.apply([service]);
  const { room } = proxy.context;
  let clients = 0;
  const client = async (): Promise<Wire> => {
    const address = `203.0.113.${++clients}`;
    const wire = await proxy.call(service, GATEWAY);
    const of = { address, port: 40_000, toAddress: '198.51.100.1', toPort: 443 };
    wire.write(Buffer.concat([headerOf('v2', of), Buffer.from(GET)]));
    return wire;
  };
  for (let i = 0; i < ROOM; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await (await client()).until('ok');
  }
  // One caller beside the gateway is below its share: the gateway makes room.
  const pod = await proxy.call(service, POD);
  pod.write(GET);
  await pod.until('ok');
  assert.equal(room.count('connections', 'idle'), 1);
  // It has all others: a client that has come with none before gets none.
  const refused = await client();
  assert.match(await refused.gone(), /ended|reset/);
  assert.equal(room.count('connections', 'refused'), 1);
  pod.write(GET);
  await pod.until('ok');
  const second = await proxy.call(service, POD);
  second.write(GET);
  await second.until('ok');
  await eventually(() => room.count('connections', 'idle') === 2, 'the gateway to give way again');
});
