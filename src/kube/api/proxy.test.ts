import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { systemClock } from '../../base/clock.ts';
import { makeCertificate } from '../../discovery/stream.fixture.ts';
import { FakeApiServer } from './api-server.fixture.ts';
import { KubeClient } from './client.ts';
import { loadConnection } from './connection.ts';
import { startConnectProxy, startSocksProxy } from './proxy.fixture.ts';
import type { RunningProxy } from './proxy.fixture.ts';

/** A client of a kubeconfig with this proxy. */
async function clientOf(
  t: TestContext,
  server: FakeApiServer,
  proxyUrl: string,
): Promise<KubeClient> {
  const root = mkdtempSync(join(tmpdir(), 'maesh-proxy-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const cluster = {
    server: server.url,
    'proxy-url': proxyUrl,
    'insecure-skip-tls-verify': true,
  };
  const config = {
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
    clusters: [{ name: 'k', cluster }],
    users: [{ name: 'u', user: { token: 'word' } }],
  };
  writeFileSync(join(root, 'config'), JSON.stringify(config));
  const connection = await loadConnection({ kubeconfig: join(root, 'config'), env: {} });
  const client = new KubeClient(connection, { clock: systemClock });
  t.after(() => client.close());
  return client;
}

async function startServers(t: TestContext, proxy: Promise<RunningProxy>) {
  const { certPem: cert, keyPem: key } = await makeCertificate('kube');
  const overTls = await FakeApiServer.start({ tls: { cert, key } });
  const plain = await FakeApiServer.start();
  const running = await proxy;
  t.after(async () => {
    await overTls.stop();
    await plain.stop();
    await running.stop();
  });
  const hostOf = (server: FakeApiServer): string => new URL(server.url).host;
  return { overTls, plain, proxy: running, hostOf };
}

test('requests and watches go through an HTTP proxy, and connections are used again', async (t) => {
  const { overTls, plain, proxy, hostOf } = await startServers(t, startConnectProxy());
  const client = await clientOf(t, overTls, `http://us%40er:pass@${proxy.host}`);
  await client.get('/version');
  await client.get('/version');
  assert.deepEqual(proxy.asked, [`CONNECT ${hostOf(overTls)} us@er:pass`]);
  assert.equal(overTls.requests.at(-1)?.headers['authorization'], 'Bearer word');
  assert.equal(overTls.requests.at(-1)?.headers['proxy-authorization'], undefined);
  const values: unknown[] = [];
  const ended = new AbortController();
  const streaming = client.stream({
    path: '/api/v1/services',
    query: { watch: true, resourceVersion: '1000' },
    signal: ended.signal,
    silenceMs: 60_000,
    onOpen: () => overTls.sendLine('{"a":1}\n'),
    onValue: (value) => {
      values.push(value);
      ended.abort(new Error('seen'));
    },
  });
  await assert.rejects(streaming, /seen/);
  assert.deepEqual(values, [{ a: 1 }]);
  await (await clientOf(t, plain, `http://${proxy.host}`)).get('/version');
  assert.equal(proxy.asked.at(-1), `GET ${plain.url}/version`);
});

test('a proxy may speak TLS, checked against the authorities of the system', async (t) => {
  const { certPem: cert, keyPem: key } = await makeCertificate('proxy', '127.0.0.1');
  const { overTls, proxy, hostOf } = await startServers(
    t,
    startConnectProxy({ tls: { cert, key } }),
  );
  const client = await clientOf(t, overTls, `https://${proxy.host}`);
  await assert.rejects(client.get('/version'), /through the proxy ".*": self-signed certificate/);
  const before = getCACertificates('default');
  t.after(() => setDefaultCACertificates(before));
  setDefaultCACertificates([...before, cert]);
  const trusting = await clientOf(t, overTls, `https://${proxy.host}`);
  await trusting.get('/version');
  assert.deepEqual(proxy.asked, [`CONNECT ${hostOf(overTls)}`]);
});

test('requests go through a SOCKS5 proxy, which resolves names', async (t) => {
  const { overTls, plain, proxy, hostOf } = await startServers(t, startSocksProxy());
  const client = await clientOf(t, overTls, `socks5://user:pass@${proxy.host}`);
  await client.get('/version');
  await client.get('/version');
  assert.deepEqual(proxy.asked, [`SOCKS ${hostOf(overTls)} user:pass`]);
  await (await clientOf(t, plain, `socks5://${proxy.host}`)).get('/version');
  assert.equal(proxy.asked.at(-1), `SOCKS ${hostOf(plain)}`);
});

test('a proxy that refuses or is gone is named, without its password', async (t) => {
  const { overTls, proxy } = await startServers(t, startConnectProxy({ refuses: true }));
  for (const url of [
    `http://user:s3cret@${proxy.host}`,
    'http://user:s3cret@127.0.0.1:1',
    'socks5://user:s3cret@127.0.0.1:1',
  ]) {
    const client = await clientOf(t, overTls, url);
    await assert.rejects(client.get('/version'), (error: Error) => {
      assert.match(error.message, /through the proxy ".*127\.0\.0\.1:\d+": .*; check "proxy-url"/);
      assert.doesNotMatch(error.message, /s3cret/);
      return true;
    });
  }
});
