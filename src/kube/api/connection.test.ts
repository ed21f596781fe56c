import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { makeCertificate } from '../../discovery/stream.fixture.ts';
import { FakeApiServer } from './api-server.fixture.ts';
import { KubeClient } from './client.ts';
import { loadConnection } from './connection.ts';

/** Certificates are checked, whatever the environment says. */
const CHECKED = { rejectUnauthorized: true };

function folder(t: TestContext, files: Readonly<Record<string, string>> = {}): string {
  const root = mkdtempSync(join(tmpdir(), 'maesh-kube-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function kubeconfig(parts: {
  readonly cluster?: object;
  readonly user?: object;
  readonly more?: object;
}): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u', namespace: 'shop' } }],
    clusters: [{ name: 'k', cluster: { server: 'https://10.0.0.1:6443/', ...parts.cluster } }],
    users: [{ name: 'u', user: parts.user ?? {} }],
    ...parts.more,
  });
}

async function accessOf(t: TestContext, parts: Parameters<typeof kubeconfig>[0]): Promise<unknown> {
  const root = folder(t, {
    config: kubeconfig(parts),
    'pki/x.pem': 'from a file',
    token: 'word\n',
  });
  const connection = await loadConnection({ kubeconfig: join(root, 'config'), env: {} });
  return connection.access();
}

test('a kubeconfig gives server, namespace, and credentials of each kind', async (t) => {
  const root = folder(t, { config: kubeconfig({}) });
  const path = join(root, 'config');
  const connection = await loadConnection({ kubeconfig: path, env: { KUBECONFIG: '/none' } });
  assert.equal(connection.server, 'https://10.0.0.1:6443');
  assert.equal(connection.namespace, 'shop');
  assert.equal(connection.origin, `kubeconfig "${path}"`);
  const bearer = { authorization: 'Bearer word' };
  assert.deepEqual(await accessOf(t, { user: { token: 'word' } }), {
    headers: bearer,
    tls: CHECKED,
  });
  assert.deepEqual(await accessOf(t, { user: { tokenFile: 'token', token: 'other' } }), {
    headers: bearer,
    tls: CHECKED,
  });
  assert.deepEqual(await accessOf(t, { user: { username: 'a', password: 'b' } }), {
    headers: { authorization: `Basic ${base64('a:b')}` },
    tls: CHECKED,
  });
  const user = { 'client-certificate': 'pki/x.pem', 'client-key-data': base64('KEY') };
  const cluster = { 'certificate-authority-data': base64('CA'), 'tls-server-name': 'kube' };
  assert.deepEqual(await accessOf(t, { cluster, user }), {
    headers: {},
    tls: { ...CHECKED, ca: 'CA', cert: 'from a file', key: 'KEY', servername: 'kube' },
  });
  const insecure = { 'insecure-skip-tls-verify': true, 'certificate-authority': 'gone.pem' };
  assert.deepEqual(await accessOf(t, { cluster: insecure }), {
    headers: {},
    tls: { rejectUnauthorized: false },
  });
});

test('files of KUBECONFIG are merged, the first that says something wins', async (t) => {
  const other = kubeconfig({
    cluster: { server: 'https://other' },
    more: {
      'current-context': 'd',
      contexts: [
        { name: 'c', context: { cluster: 'second', user: 'u' } },
        { name: 'd', context: { cluster: 'second' } },
      ],
      clusters: [
        { name: 'second', cluster: { server: 'https://[fd00::1]:6443/k8s/clusters/c-1' } },
      ],
    },
  });
  const root = folder(t, { one: kubeconfig({}), 'deep/two': other });
  const KUBECONFIG = ['', '/none/such', join(root, 'one'), join(root, 'deep/two')].join(':');
  const first = await loadConnection({ env: { KUBECONFIG } });
  assert.equal(first.server, 'https://10.0.0.1:6443');
  const second = await loadConnection({ env: { KUBECONFIG }, context: 'd' });
  assert.equal(second.server, 'https://[fd00::1]:6443/k8s/clusters/c-1');
  assert.equal(second.namespace, 'default');
});

test('what cannot be used is named with a way out, and never quotes a key', async (t) => {
  const cases: readonly (readonly [text: string, message: RegExp, context?: string])[] = [
    [kubeconfig({}), /Cannot find "x" under "contexts" .*: there are "c"$/, 'x'],
    [kubeconfig({ more: { 'current-context': '' } }), /"current-context" is not set/],
    [kubeconfig({ more: { clusters: {} } }), /Cannot read "clusters" of .*: it must be a list/],
    [kubeconfig({ more: { users: [] } }), /Cannot find "u" under "users" .*: there is none/],
    [kubeconfig({ cluster: { server: 'ftp://x' } }), /write a URL such as/],
    [kubeconfig({ cluster: { server: 7 } }), /"server" of "k" .* must be a string/],
    [kubeconfig({ cluster: { 'proxy-url': 'ftp://p:s3cret@h' } }), /"proxy-url" of "k" .* such as/],
    [kubeconfig({ user: { 'auth-provider': { name: 'gcp' } } }), /"auth-provider" was removed/],
    [kubeconfig({ user: { exec: { command: 'x', apiVersion: 'v0' } } }), /its apiVersion is "v0"/],
    [
      kubeconfig({ user: { exec: { command: 'x', interactiveMode: 'always' } } }),
      /"interactiveMode" of "u\.exec" .*: it is "always"; write one of Never, IfAvailable, Always/,
    ],
    ['- a list', /it must be a mapping/],
    ['users:\n  token: "s3cret\n', /is not valid YAML at line \d+, column \d+$/],
  ];
  for (const [text, message, context] of cases) {
    const root = folder(t, { config: text });
    const loading = loadConnection({ kubeconfig: join(root, 'config'), context, env: {} });
    await assert.rejects(loading, (error: Error) => {
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /s3cret/);
      return true;
    });
  }
  const none = { env: {}, home: '/none', serviceAccountFolder: '/none' };
  await assert.rejects(loadConnection({ ...none, kubeconfig: '/none/config' }), {
    code: 'invalid_setting',
    message: /Cannot read the kubeconfig "\/none\/config": no such file/,
  });
  await assert.rejects(loadConnection(none), /Cannot find a cluster: there is no "\/none\/.kube/);
  await assert.rejects(accessOf(t, { user: { token: 'two words' } }), /must be one word/);
  await assert.rejects(accessOf(t, { user: { tokenFile: 'gone' } }), {
    code: 'not_found',
    message: /^Cannot read the token ".*gone": ENOENT/,
  });
});

test('a pod is found by its environment, and its renewed token within a minute', async (t) => {
  const root = folder(t, { token: 'first', 'ca.crt': 'CA', namespace: 'maesh\n' });
  const clock = new ManualClock();
  const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
  const connection = await loadConnection({ env, clock, serviceAccountFolder: root });
  assert.equal(connection.server, 'https://[fd00::1]');
  assert.equal(connection.namespace, 'maesh');
  const token = async (): Promise<string | undefined> =>
    (await connection.access()).headers['authorization'];
  assert.deepEqual(await connection.access(), {
    headers: { authorization: 'Bearer first' },
    tls: { ...CHECKED, ca: 'CA' },
  });
  writeFileSync(join(root, 'token'), 'second');
  clock.advance(59_000);
  assert.equal(await token(), 'Bearer first');
  clock.advance(1_000);
  assert.equal(await token(), 'Bearer second');
  writeFileSync(join(root, 'token'), 'third');
  connection.forget();
  assert.equal(await token(), 'Bearer third');
  rmSync(join(root, 'token'));
  clock.advance(60_000);
  assert.equal(await token(), 'Bearer third');
  connection.forget();
  await assert.rejects(token(), /Cannot read the token of the service account/);
  await assert.rejects(
    loadConnection({ env, clock, serviceAccountFolder: root }),
    /set "automountServiceAccountToken: true"/,
  );
});

const PLUGIN = `#!/bin/sh
echo run >> runs
echo "$KUBERNETES_EXEC_INFO" > info
cat answer
test ! -e complaint || { cat complaint >&2; exit 3; }
`;

test('a plugin is asked once until its credentials end, and its failures are told', async (t) => {
  const clock = new ManualClock();
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: './plugin',
    args: ['token'],
    env: [{ name: 'EXTRA', value: 'x' }],
    provideClusterInfo: true,
  };
  const answer = (status: object): string =>
    JSON.stringify({ apiVersion: exec.apiVersion, kind: 'ExecCredential', status });
  const inTwoMinutes = new Date(clock.wallMs() + 120_000).toISOString();
  const root = folder(t, {
    config: kubeconfig({ user: { exec } }),
    plugin: PLUGIN,
    answer: answer({ token: 'issued', expirationTimestamp: inTwoMinutes }),
  });
  chmodSync(join(root, 'plugin'), 0o755);
  const env = { PATH: process.env['PATH'] };
  const config = { kubeconfig: join(root, 'config'), hasTerminal: false };
  const connection = await loadConnection({ ...config, env, clock });
  const runs = (): number => readFileSync(join(root, 'runs'), 'utf8').split('\n').length - 1;
  const [access] = await Promise.all([connection.access(), connection.access()]);
  assert.deepEqual(access, { headers: { authorization: 'Bearer issued' }, tls: CHECKED });
  clock.advance(109_000);
  await connection.access();
  assert.equal(runs(), 1);
  const info: unknown = JSON.parse(readFileSync(join(root, 'info'), 'utf8'));
  assert.deepEqual(info, {
    apiVersion: exec.apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: false, cluster: { server: 'https://10.0.0.1:6443/' } },
  });
  writeFileSync(
    join(root, 'answer'),
    answer({ clientCertificateData: 'CERT', clientKeyData: 'KEY' }),
  );
  clock.advance(1_000);
  assert.deepEqual(await connection.access(), {
    headers: {},
    tls: { ...CHECKED, cert: 'CERT', key: 'KEY' },
  });
  assert.equal(runs(), 2);
  for (const text of ['no json', '{}', answer({}), answer({ clientCertificateData: 'CERT' })]) {
    connection.forget();
    writeFileSync(join(root, 'answer'), text);
    await assert.rejects(connection.access(), /must be an ExecCredential of/);
  }
  writeFileSync(join(root, 'complaint'), 'log in first\n');
  await assert.rejects(connection.access(), /it ended with code 3: log in first$/);
  rmSync(join(root, 'plugin'));
  await assert.rejects(connection.access(), /there is no such program; install it/);
});

/** Asks for a word at the terminal and makes a token of it. */
const ASKING_PLUGIN = `#!/bin/sh
echo "$KUBERNETES_EXEC_INFO" > info
if test -t 0; then echo "Password:" >&2; read -r word; else word=none; fi
printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}' "$word"
`;

/** Prints what a connection shows; run in a terminal of its own. */
const SHOW_ACCESS = `
import { loadConnection } from ${JSON.stringify(new URL('connection.ts', import.meta.url).href)};
const connection = await loadConnection({ kubeconfig: process.argv[2], env: process.env });
const { headers } = await connection.access();
console.log('header', headers.authorization);
`;

test('a plugin gets the terminal when it may ask and there is one', async (t) => {
  if (spawnSync('script', ['--version']).error !== undefined) {
    t.skip('script is missing: install it (Debian package bsdutils)');
    return;
  }
  const apiVersion = 'client.authentication.k8s.io/v1';
  const configOf = (interactiveMode: string): string =>
    kubeconfig({ user: { exec: { apiVersion, command: './plugin', interactiveMode } } });
  const root = folder(t, {
    plugin: ASKING_PLUGIN,
    'show.mjs': SHOW_ACCESS,
    Never: configOf('Never'),
    IfAvailable: configOf('IfAvailable'),
    Always: configOf('Always'),
  });
  chmodSync(join(root, 'plugin'), 0o755);
  const interactive = (): unknown =>
    (JSON.parse(readFileSync(join(root, 'info'), 'utf8')) as { spec: { interactive: boolean } })
      .spec.interactive;
  for (const [mode, isAsked] of [
    ['IfAvailable', true],
    ['Always', true],
    ['Never', false],
  ] as const) {
    const command = [process.execPath, join(root, 'show.mjs'), join(root, mode)].join(' ');
    const { stdout } = spawnSync('script', ['-qec', command, '/dev/null'], {
      input: 'typed\n',
      encoding: 'utf8',
    });
    assert.match(stdout, new RegExp(`header Bearer ${isAsked ? 'typed' : 'none'}`));
    assert.equal(stdout.includes('Password:'), isAsked);
    assert.equal(interactive(), isAsked);
  }
  const ask = async (mode: string): Promise<unknown> => {
    const kubeconfigPath = join(root, mode);
    const options = { kubeconfig: kubeconfigPath, env: process.env, hasTerminal: false };
    return (await loadConnection(options)).access();
  };
  assert.deepEqual(await ask('IfAvailable'), {
    headers: { authorization: 'Bearer none' },
    tls: CHECKED,
  });
  assert.equal(interactive(), false);
  await assert.rejects(ask('Always'), /"\.?.*plugin": it asks a person .*; run this in a terminal/);
});

test('a server over TLS is checked against the authority and may be called by another name', async (t) => {
  const root = folder(t);
  const { certPem: cert, keyPem: key } = await makeCertificate('kube');
  writeFileSync(join(root, 'cert.pem'), cert);
  const server = await FakeApiServer.start({ tls: { cert, key } });
  t.after(() => server.stop());
  const ask = async (cluster: object): Promise<unknown> => {
    writeFileSync(
      join(root, 'config'),
      kubeconfig({ cluster: { ...cluster, server: server.url } }),
    );
    const connection = await loadConnection({ kubeconfig: join(root, 'config'), env: {} });
    const client = new KubeClient(connection, { clock: new ManualClock() });
    return client.get('/version').finally(() => client.close());
  };
  await ask({ 'certificate-authority': 'cert.pem', 'tls-server-name': 'maesh-controller' });
  await ask({ 'insecure-skip-tls-verify': true });
  await assert.rejects(ask({}), /self-signed certificate; give its authority as/);
  await assert.rejects(ask({ 'certificate-authority': 'cert.pem' }), /set "tls-server-name" to/);
});
