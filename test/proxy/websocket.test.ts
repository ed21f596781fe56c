/** WebSockets through every pairing of the versions of HTTP: the handshake, and the bytes behind it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RULE_NAMES } from '../../src/proxy/head/rule.ts';
import { ENDPOINT_WORD, SERVICE_OWN, SERVICE_WORD } from '../../src/proxy/ledger/layout.ts';
import type { Service } from '../../src/model/service.ts';
import {
  freshAddress,
  TestProxy,
  type ProxyOptions,
  type ServiceOptions,
} from '../support/proxy.ts';
import {
  type At,
  openWebSocket,
  type Piped,
  type Version,
  webSocketEndpoint,
} from '../support/websocket.ts';
import { EXTENDED_CONNECT } from '../support/websocket-heads.ts';
import { headers, Http2Peer } from '../support/http2-peer.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';

type Context = ConstructorParameters<typeof TestProxy>[0];

const PAIRS: readonly (readonly [Version, Version])[] = [
  [1, 1],
  [1, 2],
  [2, 1],
  [2, 2],
];

export function atOf(service: Service): At {
  return { address: service.address, port: (service.ports[0] as { port: number }).port };
}

async function setUp(
  t: Context,
  [of, to]: readonly [Version, Version],
  options: ProxyOptions & Pick<ServiceOptions, 'policies'> = {},
) {
  const endpoint = await webSocketEndpoint(t, to, freshAddress());
  const proxy = new TestProxy(t, options);
  const service = proxy.service({
    endpoints: [endpoint],
    http2: to === 2,
    ...(options.policies === undefined ? {} : { policies: options.policies }),
  });
  await proxy.apply([service]);
  const open = async (): Promise<{ caller: Piped; server: Piped }> => {
    const caller = await openWebSocket(t, of, atOf(service));
    return { caller, server: await endpoint.next() };
  };
  return { proxy, service, open, endpoint };
}

for (const pair of PAIRS) {
  const name = `HTTP/${pair[0]} to HTTP/${pair[1]}`;

  test(`${name}: each side gets the handshake of its version, and all bytes`, async (t) => {
    const { proxy, service, open, endpoint } = await setUp(t, pair);
    const { caller, server } = await open();
    assert.equal(server.fields[':method'], pair[1] === 1 ? 'GET' : 'CONNECT');
    assert.equal(server.fields[':protocol'], pair[1] === 1 ? undefined : 'websocket');
    assert.equal(server.fields.upgrade, pair[1] === 1 ? 'websocket' : undefined);
    assert.equal(server.fields['sec-websocket-version'], '13');
    if (pair[1] === 2) assert.equal(server.fields['sec-websocket-key'], undefined);
    assert.equal(String(caller.fields[':status']), pair[0] === 1 ? '101' : '200');
    assert.equal(caller.fields['sec-websocket-protocol'], 'chat');
    if (pair[0] === 2) assert.equal(caller.fields['sec-websocket-accept'], undefined);
    assert.equal(proxy.figure(service, SERVICE_OWN.upgradesActive), 1);
    assert.equal(proxy.word(service, SERVICE_WORD.inFlight), 1);
    assert.equal(proxy.endpointWord(service, endpoint, ENDPOINT_WORD.connections), 1);
    caller.stream.write(Buffer.from('8180000000018a', 'hex'));
    assert.equal(await server.bytes(7), '8180000000018a');
    const large = Buffer.alloc(1_000_000, 7);
    server.stream.write(large);
    caller.stream.write(large);
    assert.equal(await caller.bytes(large.length), large.toString('hex'));
    assert.equal(await server.bytes(large.length), large.toString('hex'));
    caller.stream.end();
    await eventually(() => server.ended, 'the end of the caller');
    server.stream.end('bye');
    assert.equal(await caller.bytes(3), Buffer.from('bye').toString('hex'));
    await eventually(() => proxy.requests(service, 1) === 1, 'the account');
    assert.equal(proxy.figure(service, SERVICE_OWN.upgradesActive), 0);
    assert.equal(proxy.figure(service, SERVICE_OWN.requestBytes), 7 + large.length);
    assert.equal(proxy.figure(service, SERVICE_OWN.responseBytes), large.length + 3);
  });
}

test('an answer of HTTP/2 keeps its fields while the request of HTTP/1.1 is read again', async (t) => {
  const endpoint = await webSocketEndpoint(t, 2, freshAddress());
  const proxy = new TestProxy(t);
  const service = proxy.service({ endpoints: [endpoint], http2: true });
  await proxy.apply([service]);
  // Requests of both versions share the heads of their thread.
  const first = await openWebSocket(t, 2, atOf(service));
  (await endpoint.next()).stream.end();
  first.stream.end();
  const caller = await openWebSocket(t, 1, atOf(service));
  (await endpoint.next()).stream.end();
  assert.deepEqual(Object.keys(caller.fields).toSorted(), [
    ':status',
    'connection',
    'date',
    'sec-websocket-accept',
    'sec-websocket-protocol',
    'upgrade',
  ]);
  assert.equal(caller.fields['sec-websocket-protocol'], 'chat');
});

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';
for (const [what, answer, reason, rule] of [
  ['a 101 without proof', `${SWITCH}\r\n`, 'bad_response', 'upgrade_unproved'],
  [
    'a 101 with a wrong proof',
    `${SWITCH}Sec-WebSocket-Accept: x\r\n\r\n`,
    'bad_response',
    'upgrade_unproved',
  ],
  [
    'a success without a switch',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    'upgrade_not_offered',
    '',
  ],
] as const)
  test(`to an Extended CONNECT, ${what} is ${reason}`, async (t) => {
    const endpoint = await RawEndpoint.answering(t, freshAddress(), () => answer);
    const proxy = new TestProxy(t);
    const service = proxy.service({ endpoints: [endpoint] });
    await proxy.apply([service]);
    const peer = await Http2Peer.connect(t, atOf(service));
    peer.write(headers(1, EXTENDED_CONNECT));
    const { payload } = await peer.next(0, 1);
    assert.match(payload.toString(), new RegExp(`^maesh: ${reason}: `));
    assert.equal(proxy.failures(service, reason), 1);
    // Two counters each: by callers, by endpoints.
    const broken = RULE_NAMES.filter((_, i) => (proxy.context.rules.counts[2 * i + 1] ?? 0) > 0);
    assert.deepEqual(broken, rule === '' ? [] : [rule]);
  });

test('an Extended CONNECT for another protocol is unsupported_upgrade', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => SWITCH);
  const proxy = new TestProxy(t);
  const service = proxy.service({ endpoints: [endpoint] });
  await proxy.apply([service]);
  const peer = await Http2Peer.connect(t, atOf(service));
  const fields = EXTENDED_CONNECT.map(([name, value]) => [
    name,
    name === ':protocol' ? 'connect-udp' : value,
  ]) as [string, string][];
  peer.write(headers(1, fields));
  const { payload } = await peer.next(0, 1);
  assert.match(payload.toString(), /^maesh: unsupported_upgrade: /);
});
