/** TLS from callers, from a Secret in manifests on and with several threads: looked at with openssl and curl, and rotated under load. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { connect } from 'node:tls';
import { maesh } from '../../src/cli/maesh.fixture.ts';
import { FAILURE_REASONS } from '../../src/model/failure.ts';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { type ServerCertificate, TestCa } from '../support/certificates.ts';
import { freshAddress } from '../support/proxy.ts';
import { ownRange } from '../support/ranges.ts';
import { OK } from '../support/proxy.ts';
import { RawEndpoint } from '../support/wire.ts';
import { InProcess } from './support/in-process.ts';
import { endpoints, Folder, service } from './support/manifests.ts';
import { skipWithoutPrograms } from '../support/programs.ts';
import { until } from './support/until.ts';

const PORT = 20_001;
const NAME = 'web.s.maesh';

function secret({ cert, key }: ServerCertificate): object {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name: 'web-tls', namespace: 's' },
    data: { 'tls.crt': base64(cert), 'tls.key': base64(key) },
  };
}

interface Output {
  readonly code: number;
  readonly text: string;
}

/** Without a shell; `input` is written and then ended. */
function run(command: string, args: readonly string[], input = ''): Promise<Output> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: 120_000 });
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('latin1').on('data', (data: string) => (text += data));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.on('close', (code) => resolve({ code: code ?? -1, text }));
  });
}

async function meshOf(t: TestContext, sockets: 'system' | 'runtime', issued: ServerCertificate) {
  const app = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const folder = new Folder();
  const annotations = { 'maesh.dev/tls-secret': 'web-tls' };
  folder.put('web.yaml', service('s/web', PORT, { annotations }), endpoints('s/web', [app]));
  folder.put('secret.yaml', secret(issued));
  const mesh = await InProcess.start({
    paths: [folder.path],
    cidr: ownRange().cidr,
    threads: 2,
    proxy: { sockets },
  });
  const files = mkdtempSync(join(tmpdir(), 'maesh-tls-'));
  t.after(async () => {
    await mesh.stop();
    folder.remove();
    rmSync(files, { recursive: true });
  });
  const address = mesh.addressOf('s/web');
  return { app, folder, mesh, files, address };
}

for (const sockets of ['system', 'runtime'] as const) {
  const title = `openssl and curl find nothing weak at a port with a certificate (${sockets} sockets)`;
  test(title, { skip: skipWithoutPrograms('openssl', 'curl') }, async (t) => {
    const ca = await TestCa.make();
    const between = await ca.intermediate('between');
    const { files, address } = await meshOf(t, sockets, await between.issue({ names: [NAME] }));
    const caFile = join(files, 'ca.pem');
    writeFileSync(caFile, ca.pem);
    const openssl = (...args: readonly string[]): Promise<Output> =>
      run('openssl', ['s_client', '-connect', `${address}:${PORT}`, '-servername', NAME, ...args]);
    const weak = 'ALL:@SECLEVEL=0';
    for (const version of ['-tls1', '-tls1_1'])
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      assert.match((await openssl(version, '-cipher', weak)).text, /alert protocol version/);
    for (const version of ['-tls1_2', '-tls1_3']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { code, text } = await openssl(
        version,
        '-CAfile',
        caFile,
        '-verify_return_error',
        '-verify_hostname',
        NAME,
      );
      assert.equal(code, 0, text);
      assert.match(text, /Verify return code: 0 \(ok\)/);
      assert.match(text, /Compression: NONE/);
      assert.match(
        text,
        version === '-tls1_2' ? /ECDHE-ECDSA-AES128-GCM-SHA256/ : /TLS_AES_128_GCM_SHA256/,
      );
    }
    for (const cipher of [
      'kRSA',
      'DHE',
      'SHA1',
      'NULL',
      'RC4:3DES',
      'ECDHE+AES:!AESGCM',
      'aNULL',
      'PSK',
    ])
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      assert.notEqual(
        (await openssl('-tls1_2', '-cipher', `${cipher}:@SECLEVEL=0`)).code,
        0,
        cipher,
      );
    const renewed = await run(
      'openssl',
      ['s_client', '-connect', `${address}:${PORT}`, '-tls1_2', '-legacy_renegotiation'],
      'R\n',
    );
    assert.match(renewed.text, /no renegotiation/i);
    const session = join(files, 'session');
    await run(
      'openssl',
      ['s_client', '-connect', `${address}:${PORT}`, '-tls1_3', '-ign_eof', '-sess_out', session],
      `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    );
    const resumed = await openssl('-tls1_3', '-sess_in', session, '-early_data', caFile);
    assert.match(resumed.text, /Reused, TLSv1\.3/, 'also by the other thread');
    assert.match(resumed.text, /Early data was (not sent|rejected)/);
    const curl = (...args: readonly string[]): Promise<Output> =>
      run('curl', [
        '-sS',
        '--resolve',
        `${NAME}:${PORT}:${address}`,
        '--resolve',
        `other.s.maesh:${PORT}:${address}`,
        ...args,
      ]);
    const url = `https://${NAME}:${PORT}/`;
    const version = ['-w', ' %{http_version}'];
    assert.equal((await curl('--cacert', caFile, '--http1.1', ...version, url)).text, 'ok 1.1');
    assert.equal((await curl('--cacert', caFile, '--http2', ...version, url)).text, 'ok 2');
    assert.equal(
      (await curl('--cacert', caFile, `https://other.s.maesh:${PORT}/`)).code,
      60,
      'another name',
    );
    assert.equal((await curl(url)).code, 60, 'an unknown issuer');
    const plain = await curl(`http://${NAME}:${PORT}/`);
    assert.match(plain.text, /tls_expected.*https/);
  });

  test(`a rotation under load loses no request (${sockets} sockets)`, async (t) => {
    const ca = await TestCa.make();
    const { folder, mesh, address } = await meshOf(
      t,
      sockets,
      await ca.issue({ names: [NAME, 'first'] }),
    );
    const names = new Set<string>();
    const over = new AbortController();
    const caller = async (): Promise<void> => {
      while (!over.signal.aborted)
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        names.add(await askOnce(address, ca.pem));
    };
    const callers = Promise.all([1, 2, 3].map(caller));
    for (const name of ['first', 'second', 'third', 'fourth']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      if (name !== 'first')
        folder.put('secret.yaml', secret(await ca.issue({ names: [NAME, name] })));
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await until(`${name} is shown`, () => [...names].some((each) => each.includes(name)));
    }
    over.abort();
    await callers;
    const { ledger } = mesh.agent;
    const slot = ledger.find('service', 's/web') ?? -1;
    for (const reason of ['caller_tls_failed', 'tls_no_certificate'] as const)
      assert.equal(
        ledger.sum('service', slot, SERVICE_OWN.failures + FAILURE_REASONS.indexOf(reason)),
        0,
      );
    folder.delete('secret.yaml');
    await until(
      'nobody listens',
      async () =>
        (await askOnce(address, ca.pem).catch((error: NodeJS.ErrnoException) => error.code)) ===
        'ECONNREFUSED',
    );
    folder.put('secret.yaml', secret(await ca.issue({ names: [NAME] })));
    await until('calls go on', async () => (await askOnce(address, ca.pem).catch(() => '')) !== '');
  });
}

test('maesh explain knows which of its ports speak TLS', async (t) => {
  const folder = new Folder();
  t.after(() => folder.remove());
  const app = { address: freshAddress(), port: 8_080 };
  const annotations = { 'maesh.dev/tls-secret': 'web-tls' };
  folder.put('web.yaml', service('s/web', PORT, { annotations }), endpoints('s/web', [app]));
  folder.put('plain.yaml', service('s/plain', PORT), endpoints('s/plain', [app]));
  folder.put('secret.yaml', secret(await (await TestCa.make()).issue({ names: [NAME] })));
  for (const [url, expected, text] of [
    [
      `https://web.s.maesh:${PORT}/`,
      0,
      /in TLS of its callers by the certificate of Secret s\/web-tls/,
    ],
    [
      `wss://web.s.maesh:${PORT}/`,
      0,
      /in TLS of its callers by the certificate of Secret s\/web-tls/,
    ],
    [`http://web.s.maesh:${PORT}/`, 1, /400 tls_expected/],
    [`tls://web.s.maesh:${PORT}`, 1, /: ask about https:\/\/web\.s\.maesh:/],
    [`tcp://plain.s.maesh:${PORT}`, 1, /^tcp:[^]*: ask about http:\/\/plain\.s\.maesh:/],
    [`udp://web.s.maesh:${PORT}`, 1, /^udp:[^]*has no port \d+ for datagrams/],
    [`https://plain.s.maesh:${PORT}/`, 1, /400 tls_unexpected/],
    [`web.s.maesh:${PORT}/`, 0, /forwarded/],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { code, out } = await maesh(['explain', '-f', folder.path, url]);
    assert.match(out, text, url);
    assert.equal(code, expected, url);
  }
});

/** A verified request on a connection of its own: the names in the certificate. */
function askOnce(address: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port: PORT, servername: NAME, ca });
    let text = '';
    socket.on('secureConnect', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'));
    socket.setEncoding('latin1').on('data', (data: string) => {
      text += data;
      if (!text.endsWith('ok')) return;
      resolve(socket.getPeerCertificate().subjectaltname ?? '');
      socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`closed after "${text}"`)));
  });
}
