/** A port whose callers speak TLS is listened on as long as it has a certificate, and no longer; what is missing is told where it helps. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Certificate } from '../../src/model/credential.ts';
import type { Service } from '../../src/model/service.ts';
import { NO_CERTIFICATE } from '../../src/proxy/thread/message.ts';
import { refusedDial, secureDial } from '../support/caller-tls.ts';
import { TestCa } from '../support/certificates.ts';
import { freshAddress, GET, TestProxy } from '../support/proxy.ts';
import { RawEndpoint } from '../support/wire.ts';

const ca = await TestCa.make();
const pair = await ca.issue({ names: ['a.example'] });
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

function certificate(secret: string, digest: string): Certificate {
  return { secret, digest, names: ['a.example'], notBeforeMs: 0, notAfterMs: 1e13 };
}

function placeOf({ address, ports }: Service) {
  return { address, port: ports[0]!.port };
}

function failuresOf(proxy: TestProxy): string[] {
  return proxy.server.failures.map(({ service, code }) => `${service} ${code}`);
}

test('the first certificate that can be used opens the port, and the last one that goes closes it', async (t) => {
  const proxy = new TestProxy(t);
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const certificates = [certificate('s/a', 'd'), certificate('s/b', 'd')];
  const service = proxy.service({ key: 's/web', endpoints: [endpoint], certificates });
  const plain = proxy.service({ key: 's/plain', endpoints: [endpoint] });
  const { port } = placeOf(service);
  await proxy.apply([service, plain], { failures: [`s/web:${port}`] });
  assert.deepEqual(failuresOf(proxy), [`s/web ${NO_CERTIFICATE}`]);
  assert.equal(await refusedDial(t, placeOf(service)), 'ECONNREFUSED');
  const other = await proxy.call(plain);
  other.write(GET);
  await other.until('ok');

  const sent = (key: string) => ({ key, chain: pair.cert, privateKey: pair.key, digest: 'd' });
  const told = (changed: readonly string[], removed: readonly string[] = []): Promise<void> =>
    proxy.server.applyCredentials({ changed: changed.map(sent), removed });
  await told(['s/b', 's/none']);
  assert.deepEqual(failuresOf(proxy), []);
  await secureDial(t, placeOf(service));
  await told(['s/a'], ['s/b']);
  await secureDial(t, placeOf(service));
  await told([], ['s/a']);
  assert.equal(await refusedDial(t, placeOf(service)), 'ECONNREFUSED');
  assert.deepEqual(failuresOf(proxy), [`s/web ${NO_CERTIFICATE}`]);
  await told(['s/a']);
  await secureDial(t, placeOf(service));
});

test('a Secret that cannot be used closes the port whatever there was, and is told by the compiler alone', async (t) => {
  const proxy = new TestProxy(t);
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const make = (digest: string): Service =>
    proxy.service({
      key: 's/web',
      endpoints: [endpoint],
      certificates: [certificate('s/a', digest)],
    });
  const sent = { key: 's/a', chain: pair.cert, privateKey: pair.key, digest: 'd' };
  await proxy.server.applyCredentials({ changed: [sent], removed: [] });
  const service = make('d');
  await proxy.apply([service]);
  await secureDial(t, placeOf(service));
  await proxy.apply([make('')]);
  assert.equal(await refusedDial(t, placeOf(service)), 'ECONNREFUSED');
  assert.deepEqual(failuresOf(proxy), []);
  await proxy.apply([make('d')]);
  await secureDial(t, placeOf(service));
});

test('plain callers are never taken where TLS is asked for, nor the other way round', async (t) => {
  const proxy = new TestProxy(t);
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const plain = proxy.service({ key: 's/web', endpoints: [endpoint] });
  await proxy.apply([plain]);
  const caller = await proxy.call(plain);
  caller.write(GET);
  await caller.until('ok');
  const secured = proxy.service({
    key: 's/web',
    endpoints: [endpoint],
    certificates: [certificate('s/a', 'd')],
  });
  const { port } = placeOf(secured);
  await proxy.apply([secured], { failures: [`s/web:${port}`] });
  assert.equal(await refusedDial(t, placeOf(secured)), 'ECONNREFUSED');
  await caller.gone();
  const sent = { key: 's/a', chain: pair.cert, privateKey: pair.key, digest: 'd' };
  await proxy.server.applyCredentials({ changed: [sent], removed: [] });
  await secureDial(t, placeOf(secured));
  await proxy.apply([plain]);
  const again = await proxy.call(plain);
  again.write(GET);
  await again.until('ok');
});
