/** What the access log says of requests that were answered, failed, or never became a request. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessLogOf } from '../support/access-log.ts';
import { freshAddress, GET, OK, post, proxyFor } from '../support/proxy.ts';
import { NO_FILTERS, prefix, routed } from '../support/routes.ts';
import { openWebSocket, webSocketEndpoint } from '../support/websocket.ts';
import { dial, eventually, RawEndpoint } from '../support/wire.ts';

test('one line a request: answered, failed, and refused with the rule it breaks', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const log = accessLogOf(t, proxy);
  // As in a cluster: callers dial the proxy's port, and the log has that of the Service.
  const [port] = service.ports;
  assert(port !== undefined);
  const backend = { ...port.backend, id: 'test/shadowed:80', service: 'test/shadowed' };
  const shadowed = { ...port, port: 80, proxyPort: port.port + 5_000, routes: [], backend };
  await proxy.apply([{ ...service, key: 'test/shadowed', ports: [shadowed] }]);
  const direct = await dial(t, { address: service.address, port: shadowed.proxyPort });
  direct.write(GET);
  await direct.head();
  await eventually(() => log.text.includes('\n'), 'the first line');
  const first = JSON.parse(log.text) as Record<string, unknown>;
  assert.deepEqual([first['service'], first['port']], ['test/shadowed', 80]);
  direct.socket.destroy();
  await proxy.apply([], { removed: ['test/shadowed'] });
  log.text = '';
  const caller = await proxy.call(service);
  caller.write(GET + post('hello'));
  await caller.until('ok');
  await caller.until('ok');
  const bad = await proxy.call(service);
  bad.write('GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n');
  assert.match(await bad.rest(), /^HTTP\/1\.1 400 /);
  await eventually(() => log.text.split('\n').length === 4, 'three lines');
  const lines = log.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const facts = lines.map(({ method, status, failure, rule, tries, requestBytes }) => ({
    method,
    status,
    failure,
    rule,
    tries,
    requestBytes,
  }));
  assert.deepEqual(facts, [
    { method: 'GET', status: 200, failure: '', rule: '', tries: 1, requestBytes: 0 },
    { method: 'POST', status: 200, failure: '', rule: '', tries: 1, requestBytes: 5 },
    {
      method: '',
      status: 400,
      failure: 'bad_request',
      rule: 'content_length_repeated',
      tries: 0,
      requestBytes: 0,
    },
  ]);
});

test('a redirect is a line without a failure or a try, and a rewrite one with the target that was asked for', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const path = { kind: 'full', value: '/new' } as const;
  const redirect = { scheme: '', host: '', port: 0, path, status: 307 } as const;
  const rewrite = { host: '', path };
  await proxy.apply([
    routed(service, [
      { matches: [prefix('/old')], filters: { ...NO_FILTERS, redirect } },
      { filters: { ...NO_FILTERS, rewrite } },
    ]),
  ]);
  const log = accessLogOf(t, proxy);
  const caller = await proxy.call(service);
  caller.write('GET /old HTTP/1.1\r\nHost: a\r\n\r\nGET /other HTTP/1.1\r\nHost: a\r\n\r\n');
  await caller.until('ok');
  await eventually(() => log.text.split('\n').length === 3, 'two lines');
  const lines = log.text.trim().split('\n');
  const facts = lines.map((line) => {
    const { target, status, failure, tries } = JSON.parse(line) as Record<string, unknown>;
    return [target, status, failure, tries];
  });
  assert.deepEqual(facts, [
    ['/old', 307, '', 0],
    ['/other', 200, '', 1],
  ]);
});

test('a WebSocket has status 101, and the method that it was asked for by', async (t) => {
  const endpoint = await webSocketEndpoint(t, 1, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const log = accessLogOf(t, proxy);
  const at = { address: service.address, port: service.ports[0]!.port };
  for (const version of [1, 2] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const caller = await openWebSocket(t, version, at);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    (await endpoint.next()).stream.end();
    caller.stream.end();
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await eventually(() => log.text.split('\n').length === version + 1, 'the line');
  }
  const said = log.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .map(({ method, status, protocol }) => [method, status, protocol]);
  assert.deepEqual(said, [
    ['GET', 101, 'HTTP/1.1'],
    ['CONNECT', 101, 'HTTP/2.0'],
  ]);
});
