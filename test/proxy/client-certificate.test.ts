/** What the proxy proves itself with to endpoints that ask for it: real certificates, real servers, and a rotation under load. */

import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { suite, test, type TestContext } from 'node:test';
import type { Certificate } from '../../src/model/credential.ts';
import type { EndpointTls } from '../../src/model/endpoint-tls.ts';
import { ENDPOINT_OWN } from '../../src/proxy/ledger/layout.ts';
import type { SentCredential } from '../../src/proxy/net/tls/credentials.ts';
import { type ServerCertificate, TestCa } from '../support/certificates.ts';
import { freshAddress, GET, TestProxy } from '../support/proxy.ts';
import { tlsEndpoint, type TlsEndpoint } from '../support/tls-endpoint.ts';
import type { Service } from '../../src/model/service.ts';

const NAME = 'web.shop.svc';
const servers = await TestCa.make('servers');
const clients = await TestCa.make('clients');
const strangers = await TestCa.make('strangers');
const server = await servers.issue({ names: [NAME] });
const SECRET = 'shop/web-client';

function certificate(digest: string): Certificate {
  return { secret: SECRET, digest, names: [], notBeforeMs: 0, notAfterMs: 1e13 };
}

function tls(client: Certificate | null): EndpointTls {
  return { serverName: NAME, trust: 'given', ca: servers.pem, client };
}

function credential({ cert, key }: ServerCertificate, digest: string): SentCredential {
  return { key: SECRET, chain: cert, privateKey: key, digest };
}

interface Peer extends TlsEndpoint {
  /** The common name of who issued the certificate of each connection. */
  readonly issuers: string[];
}

async function peer(t: TestContext, options: object = {}): Promise<Peer> {
  const endpoint = await tlsEndpoint(t, freshAddress(), {
    ...server,
    requestCert: true,
    rejectUnauthorized: true,
    ca: clients.pem,
    answer: (_, response) => {
      response.setHeader('Content-Length', 2);
      response.end('ok');
    },
    ...options,
  });
  const issuers: string[] = [];
  endpoint.server.on('secureConnection', (socket: TLSSocket) => {
    issuers.push(socket.getPeerCertificate().fingerprint256);
  });
  return { ...endpoint, issuers };
}

async function ask(proxy: TestProxy, service: Service): Promise<string> {
  const caller = await proxy.call(service);
  caller.write(GET);
  const head = await caller.head();
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
  const body = await caller.bytes(length);
  caller.socket.destroy();
  return `${head.split(' ')[1]} ${body}`;
}

async function mesh(
  t: TestContext,
  endpoint: TlsEndpoint,
  client: Certificate | null,
  http2 = false,
) {
  const proxy = new TestProxy(t);
  const service = proxy.service({ endpoints: [endpoint], tls: tls(client), http2 });
  return { proxy, service, apply: () => proxy.apply([service]) };
}

for (const http2 of [false, true])
  test(`an endpoint that asks for a certificate gets it (HTTP/${http2 ? '2' : '1.1'})`, async (t) => {
    const endpoint = await peer(t, { http2 });
    const { proxy, service, apply } = await mesh(t, endpoint, certificate('d1'), http2);
    const good = await clients.issue({ names: ['proxy'] });
    await proxy.server.applyCredentials({ changed: [credential(good, 'd1')], removed: [] });
    await apply();
    assert.equal(await ask(proxy, service), '200 ok');
    assert.equal(endpoint.requests.length, 1);
  });

suite('a certificate that the endpoint does not take', () => {
  // A server of Node hangs up without an alert once it has looked, which TLS 1.3 leaves until after the handshake.
  const cases: readonly [what: string, made: () => Promise<ServerCertificate> | null][] = [
    ['of another issuer', () => strangers.issue({ names: ['proxy'] })],
    ['that expired', () => clients.issue({ names: ['proxy'], lastsMs: -1_000 })],
    ['that is not there', () => null],
  ];
  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const)
    for (const [what, made] of cases)
      test(`${what}: no request is answered, and the failure is one of TLS (${maxVersion})`, async (t) => {
        const endpoint = await peer(t, { maxVersion });
        const shown = await made();
        const client = shown === null ? null : certificate('d1');
        const { proxy, service, apply } = await mesh(t, endpoint, client);
        if (shown !== null)
          await proxy.server.applyCredentials({ changed: [credential(shown, 'd1')], removed: [] });
        await apply();
        const isLate = maxVersion === 'TLSv1.3' && shown !== null;
        const reason = isLate ? 'endpoint_reset' : 'tls_handshake_failed';
        assert.match(await ask(proxy, service), new RegExp(`^502 .*${reason}`, 's'));
        assert.deepEqual(endpoint.requests, []);
        assert.equal(proxy.failures(service, reason), 1);
      });
});

test('without its credential no endpoint is dialled, none is blamed, and calls go on once it is there', async (t) => {
  const endpoint = await peer(t);
  const { proxy, service, apply } = await mesh(t, endpoint, certificate('d1'));
  await apply();
  for (let i = 0; i < 10; i++)
    assert.match(await ask(proxy, service), /^502 .*tls_no_client_certificate/s);
  assert.equal(endpoint.accepted(), 0);
  assert.equal(proxy.failures(service, 'tls_no_client_certificate'), 10);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.connectFailures), 0);
  const good = await clients.issue({ names: ['proxy'] });
  await proxy.server.applyCredentials({ changed: [credential(good, 'd1')], removed: [] });
  assert.equal(await ask(proxy, service), '200 ok');
});

test('as long as its Secret cannot be used, nothing is dialled, whatever there was before', async (t) => {
  const endpoint = await peer(t);
  const { proxy, service, apply } = await mesh(t, endpoint, certificate(''));
  const good = await clients.issue({ names: ['proxy'] });
  await proxy.server.applyCredentials({ changed: [credential(good, 'd1')], removed: [] });
  await apply();
  assert.match(await ask(proxy, service), /^502 .*tls_no_client_certificate/s);
  assert.equal(endpoint.accepted(), 0);
});

test('a rotation closes no request, and new connections show the new one', async (t) => {
  const waiting: (() => void)[] = [];
  const endpoint = await peer(t, {
    answer: (request: IncomingMessage, response: ServerResponse) => {
      response.setHeader('Content-Length', 2);
      if (request.url === '/slow') waiting.push(() => void response.end('ok'));
      else response.end('ok');
    },
  });
  const { proxy, service, apply } = await mesh(t, endpoint, certificate('d1'));
  const [before, after] = [
    await clients.issue({ names: ['before'] }),
    await clients.issue({ names: ['after'] }),
  ];
  await proxy.server.applyCredentials({ changed: [credential(before, 'd1')], removed: [] });
  await apply();
  const slow = await proxy.call(service);
  slow.write(GET.replace('GET / ', 'GET /slow '));
  while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await proxy.server.applyCredentials({ changed: [credential(after, 'd2')], removed: [] });
  const rotated = proxy.service({
    key: service.key,
    endpoints: [endpoint],
    tls: tls(certificate('d2')),
  });
  await proxy.apply([rotated]);
  assert.equal(await ask(proxy, rotated), '200 ok');
  for (const answer of waiting) answer();
  assert.match(await slow.head(), /^HTTP\/1\.1 200 /);
  assert.equal(await slow.bytes(2), 'ok');
  assert.equal(new Set(endpoint.issuers).size, 2);
  // The old connection takes no other request.
  assert.equal(await ask(proxy, rotated), '200 ok');
  assert.equal(endpoint.issuers.length, 2);
});
