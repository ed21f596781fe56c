/** Clients of PostgreSQL that speak TLS from their first byte (`sslnegotiation=direct`), beside those that ask for it first. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import type { Service } from '../../src/model/service.ts';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { TestCa } from '../support/certificates.ts';
import { alpn, clientHello } from '../support/client-hello.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';
import { sni, sniRouted } from '../support/sni.ts';
import { deaf } from '../support/tcp.ts';
import { type TlsEndpoint, tlsEndpoint } from '../support/tls-endpoint.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';

const ca = await TestCa.make();
const PROTOCOL = 'postgresql';
const SSL_REQUEST = '\x00\x00\x00\x08\x04\xd2\x16\x2f';

/** Refuses who does not offer the protocol, as PostgreSQL does with clients that do not ask first. */
async function server(t: TestContext, name: string): Promise<TlsEndpoint> {
  const certificate = await ca.issue({ names: [name] });
  return tlsEndpoint(t, freshAddress(), { ...certificate, ALPNProtocols: [PROTOCOL] });
}

async function connect(called: Service, servername: string): Promise<tls.TLSSocket> {
  const socket = tls.connect({
    host: called.address,
    port: called.ports[0]?.port ?? 0,
    servername,
    ca: ca.pem,
    ALPNProtocols: [PROTOCOL],
  });
  await once(socket, 'secureConnect');
  return socket;
}

test('who speaks TLS at once reaches the server of its name, which is asked nothing', async (t) => {
  const [a, b] = [await server(t, 'a.example'), await server(t, 'b.example')];
  const proxy = new TestProxy(t);
  const one = proxy.service({ key: 'test/a', endpoints: [await deaf(t), a], tcp: true });
  const other = proxy.service({ key: 'test/b', endpoints: [b], tcp: true });
  const called = sniRouted(proxy.service({ key: 'test/db', tcp: true }), [
    [sni('a.example'), one],
    [sni('b.example'), other],
  ]);
  await proxy.apply([one, other, called]);
  const sockets = await Promise.all(
    ['a.example', 'b.example', 'a.example'].map((name) => connect(called, name)),
  );
  for (const { alpnProtocol } of sockets) assert.equal(alpnProtocol, PROTOCOL);
  const secured = (): number => a.connections.length + b.connections.length;
  await eventually(() => secured() === sockets.length, 'the servers to know');
  for (const socket of sockets) socket.destroy();
  const seen = (name: string): string => `${name} ${PROTOCOL} TLSv1.3 whole`;
  assert.deepEqual(a.connections, [seen('a.example'), seen('a.example')]);
  assert.deepEqual(b.connections, [seen('b.example')]);
  await eventually(() => proxy.requests(called, 1) === 3, 'the account');
  assert.equal(proxy.failures(called, 'bad_hello'), 0);
});

test('a route by protocol takes both kinds of clients, and only who asked has its endpoint asked', async (t) => {
  const [database, web] = [
    await RawEndpoint.listen(t, freshAddress()),
    await RawEndpoint.listen(t, freshAddress()),
  ];
  const proxy = new TestProxy(t);
  const one = proxy.service({ key: 'test/db', endpoints: [database], tcp: true });
  const other = proxy.service({ key: 'test/web', endpoints: [web], tcp: true });
  const called = sniRouted(proxy.service({ key: 'test/all', tcp: true }), [
    [{ kind: 'alpn', protocol: PROTOCOL }, one],
    [sni('a.example'), other],
  ]);
  await proxy.apply([one, other, called]);
  const hello = clientHello({ extensions: [alpn([PROTOCOL])] }).toString('latin1');

  const direct = await proxy.call(called);
  direct.write(hello);
  const first = await database.next();
  assert.equal(await first.bytes(hello.length), hello);
  first.write('ServerHello');
  assert.equal(await direct.bytes(11), 'ServerHello');

  const asking = await proxy.call(called);
  asking.write(SSL_REQUEST);
  assert.equal(await asking.bytes(1), 'S');
  asking.write(hello);
  const second = await database.next();
  assert.equal(await second.bytes(SSL_REQUEST.length), SSL_REQUEST);
  second.write('S');
  assert.equal(await second.bytes(hello.length), hello);

  const browser = await proxy.call(called);
  browser.write(clientHello({ protocols: ['h2'] }).toString('latin1'));
  await web.next();
  assert.equal(database.wires.length, 2);
  assert.equal(proxy.figure(called, SERVICE_OWN.retries), 0);
});
