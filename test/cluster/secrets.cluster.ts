/** Secrets with certificates, and ConfigMaps with CAs, by the rights that the chart gives: served by name, rotated, missing, and gone with a controller. */

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { inspect } from 'node:util';
import { parseCopy } from '../../src/discovery/copy.ts';
import { Pool } from '../../src/discovery/pool.ts';
import type { Problem } from '../../src/model/service.ts';
import { type ServerCertificate, TestCa } from '../support/certificates.ts';
import { KeyBytes } from '../support/key-bytes.ts';
import { appObjects, callerPod, namespaceObjects } from './app-manifests.ts';
import type { Bed } from './bed/bed.ts';
import { MESH, MeshBed } from './mesh/mesh.ts';

/** The chart gives the right to the Secrets of the first one only. */
const [SAFE, BARE] = ['safe', 'bare'];
const HOST = `web.${SAFE}.maesh`;
const ACCOUNT = `system:serviceaccount:${MESH}:maesh-controller`;
const TLS_TARGET = 9_443;
const PORTS = [
  { name: 'plain', port: 80, targetPort: 'http', appProtocol: 'http' },
  { name: 'secure', port: 443, targetPort: 'http', appProtocol: 'http' },
  { name: 'to-tls', port: 8_443, targetPort: TLS_TARGET, appProtocol: 'http' },
];
const ANNOTATIONS = {
  'maesh.dev/port.443.tls-secret': 'web-tls',
  'maesh.dev/port.8443.scheme': 'https',
  'maesh.dev/port.8443.upstream-ca': 'configmap/web-ca',
};
/** Longer than the tests. */
const SERVE_MS = 600_000;
const skip = process.env['MAESH_TEST_EXTERNAL'] === '1' && 'agents are killed in the bed only';
let mesh: MeshBed;
let bed: Bed;
let ca: TestCa;
const keys: KeyBytes[] = [];

/** A Pod of the app speaks TLS on one more port. */
const SERVE = `
  const { cert, key } = JSON.parse(process.argv[1]);
  require('node:https').createServer({ cert, key }, (request, response) => response.end('over TLS'))
    .listen(${TLS_TARGET}, '::');
`;
/**
 * Calls on connections that stay, and on ones of their own, until both have had answers after the new certificate was first shown.
 * Without a name to wait for: once.
 */
const CALL = `
  const https = require('node:https');
  const { host, ca, wanted } = JSON.parse(process.argv[1]);
  const kept = new https.Agent({ keepAlive: true, maxSockets: 1 });
  const result = { kept: 0, fresh: 0, keptSockets: 0, names: [], errors: [] };
  const sockets = new Set();
  const call = (kind, agent) => new Promise((resolve) => {
    const fail = (error) => resolve(result.errors.push(kind + ': ' + (error.code ?? error.message)));
    const request = https.get({ host, path: '/', ca, agent, timeout: 20_000 }, (response) => {
      const { socket } = response;
      const [, name] = socket.getPeerCertificate().subjectaltname.split(', ').map((each) => each.slice(4));
      if (kind === 'kept') result.keptSockets = sockets.add(socket).size;
      else if (!result.names.includes(name)) result.names.push(name);
      response.on('error', fail).resume().on('end', () => {
        if (response.statusCode !== 200) return fail(new Error('status ' + response.statusCode));
        result[kind]++;
        resolve();
      });
    });
    request.on('timeout', () => request.destroy(new Error('timeout'))).on('error', fail);
  });
  (async () => {
    const isOver = () => wanted === undefined || result.names.includes(wanted) || result.errors.length > 50;
    let left = wanted === undefined ? 1 : 20;
    while (left > 0) {
      await Promise.all([call('kept', kept), call('fresh', false)]);
      if (isOver()) left--;
      if (wanted !== undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    console.log(JSON.stringify(result));
    process.exit(0);
  })();
`;

interface Called {
  readonly kept: number;
  readonly fresh: number;
  /** Connections that the kept ones were. */
  readonly keptSockets: number;
  /** Of the certificates that were shown to new connections, in order. */
  readonly names: readonly string[];
  readonly errors: readonly string[];
}

before(async () => {
  if (skip !== false) return;
  ca = await TestCa.make();
  mesh = await MeshBed.start({ nodes: 2 });
  ({ bed } = mesh);
  const app = { name: 'web', replicas: 2, service: { ports: PORTS } };
  await bed.apply(
    ...namespaceObjects(SAFE),
    ...namespaceObjects(BARE),
    ...appObjects({ ...app, namespace: SAFE, serviceAnnotations: ANNOTATIONS }),
    ...appObjects({ ...app, namespace: BARE, serviceAnnotations: ANNOTATIONS }),
    callerPod({ namespace: SAFE, name: 'caller-1', node: 'n1' }),
    callerPod({ namespace: SAFE, name: 'caller-2', node: 'n2' }),
    secret(SAFE, await issued('first')),
    secret(BARE, await issued('bare')),
  );
  await mesh.install('--set', `controller.secretNamespaces={${SAFE}}`);
  for (const namespace of [SAFE, BARE]) await bed.readyPods(namespace, 'app=web', 2);
  for (const name of ['caller-1', 'caller-2']) await mesh.named(`${SAFE}/${name}`, HOST);
});

after(async () => {
  if (skip === false) await mesh.stop();
});

/** For the host of the caller, and told apart by a second name. */
async function issued(name: string): Promise<ServerCertificate> {
  const pair = await ca.issue({ names: [HOST, name] });
  keys.push(new KeyBytes(pair.key));
  return pair;
}

function secret(namespace: string, { cert, key }: ServerCertificate): object {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name: 'web-tls', namespace },
    stringData: { 'tls.crt': cert, 'tls.key': key },
  };
}

async function call(caller: 'caller-1' | 'caller-2', wanted?: string): Promise<Called> {
  const spec = JSON.stringify({ host: HOST, ca: ca.pem, wanted });
  const { code, stdout, stderr } = await bed.exec(`${SAFE}/${caller}`, ['node', '-e', CALL, spec]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Called;
}

/** Waits until a caller is shown the certificate with this name. */
async function shown(caller: 'caller-1' | 'caller-2', name: string): Promise<void> {
  await bed.waitFor(`${caller} to be shown ${name}`, async () => {
    const { names, errors } = await call(caller);
    if (errors.length > 0) throw new Error(errors.join());
    return names.join() === name;
  });
}

async function problemsOf(pod: string, object: string): Promise<readonly Problem[]> {
  const { problems } = await mesh.admin<{ problems: Problem[] }>(pod, '/api/problems');
  return problems.filter((problem) => problem.object === object);
}

/** All that is written below folders of the bed. */
function filesBelow(...folders: readonly string[]): Readonly<Record<string, Buffer>> {
  const found = folders.flatMap((folder) =>
    globSync('**/*', { cwd: join(bed.onlyLocal.work, folder), withFileTypes: true }),
  );
  const paths = found
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name));
  const texts = paths.map((path) => [path, textOf(path)] as const);
  return Object.fromEntries(texts.filter(([, text]) => text.length > 0));
}

/** What is in the copies on the disks of agents, which are compressed. */
async function copies(): Promise<readonly string[]> {
  const files = Object.entries(filesBelow('pods')).filter(([path]) => path.endsWith('.copy'));
  const parsed = files.map(async ([, bytes]) => (await parseCopy(bytes, new Pool())).parts);
  const all = { depth: Infinity, maxStringLength: null, maxArrayLength: null };
  return (await Promise.all(parsed)).map((parts) => inspect(parts, all));
}

/** Empty where it is gone: what is written anew has another name until it is whole. */
function textOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}

/** Waits until a port of plain HTTP answers. */
async function answered(caller: string, port: number): Promise<void> {
  await bed.waitFor(`port ${port} to answer ${caller}`, async () => {
    const got = await plain(caller, port);
    if (/^\d+ /.test(got)) throw new Error(got);
    return true;
  });
}

/** What a caller gets from a port of plain HTTP: a body of status 200, or what there is instead. */
async function plain(caller: string, port: number): Promise<string> {
  const [got] = await bed.fetch(`${SAFE}/${caller}`, `http://${HOST}:${port}/`);
  return got?.status === 200 ? got.body : `${got?.status} ${got?.error}${got?.body}`;
}

test(
  'the chart gives the right to list Secrets in the namespaces that it is told, and no other',
  { skip },
  async () => {
    const may = async (namespace: string, verb: string): Promise<string> => {
      const { stdout } = await bed.tryKubectl([
        '-n',
        namespace,
        'auth',
        'can-i',
        verb,
        'secrets',
        `--as=${ACCOUNT}`,
      ]);
      return stdout.trim();
    };
    assert.equal(await may(SAFE, 'list'), 'yes');
    assert.equal(await may(SAFE, 'update'), 'no');
    assert.equal(await may(BARE, 'list'), 'no');
  },
);

test(
  'callers are shown the certificate of a Secret, which is rotated under load without a lost request',
  { skip },
  async (t) => {
    for (const caller of ['caller-1', 'caller-2'] as const) await shown(caller, 'first');
    const before = await mesh.carried('n1', `${SAFE}/web`);
    const called = Promise.all([call('caller-1', 'second'), call('caller-2', 'second')]);
    await bed.waitFor(
      'the load',
      async () => (await mesh.carried('n1', `${SAFE}/web`)) > before + 20,
    );
    await bed.apply(secret(SAFE, await issued('second')));
    for (const { kept, fresh, keptSockets, names, errors } of await called) {
      t.diagnostic(
        `${kept} answers on a connection that stays, ${fresh} on new ones: ${names.join(', then ')}`,
      );
      assert.deepEqual(errors, []);
      assert.deepEqual(names, ['first', 'second']);
      assert.equal(keptSockets, 1);
    }
  },
);

test(
  'a namespace without the right has a problem that says what to give, and its port is closed',
  { skip },
  async () => {
    const [problem] = await bed.waitFor('the problem', async () => {
      const found = await problemsOf(await mesh.leader(), `Service ${BARE}/web`);
      return (
        found.some(({ field }) => field.includes('tls-secret')) &&
        found.filter(({ field }) => field.includes('tls-secret'))
      );
    });
    assert.equal(problem?.severity, 'error');
    assert.match(problem.message, /no right to read Secrets of namespace bare$/);
    assert.match(problem.remedy, /add bare to controller\.secretNamespaces/);
    await bed.waitFor('the Event', async () =>
      (await bed.kubectl(['-n', BARE, 'events', '--for', 'service/web'])).includes(
        'no right to read Secrets',
      ),
    );
    const [got] = await bed.fetch(`${SAFE}/caller-1`, `http://web.${BARE}.maesh:443/`);
    assert.equal(got?.error, 'ECONNREFUSED');
  },
);

test('Pods are verified by the CA of a ConfigMap, once it has its label', { skip }, async () => {
  const server = JSON.stringify(await ca.issue({ names: [`web.${SAFE}.svc`] }));
  // They run until the Pods end.
  for (const { metadata } of await bed.pods(SAFE, 'app=web'))
    void bed.exec(`${SAFE}/${metadata.name}`, ['node', '-e', SERVE, server], {
      timeoutMs: SERVE_MS,
    });
  const configMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'web-ca', namespace: SAFE },
    data: { 'ca.crt': ca.pem },
  };
  await bed.apply(configMap);
  await bed.waitFor('502', async () => (await plain('caller-1', 8_443)).startsWith('502'));
  await bed.kubectl(['-n', SAFE, 'label', 'configmap', 'web-ca', 'maesh.dev/upstream-ca=true']);
  for (const caller of ['caller-1', 'caller-2']) {
    await answered(caller, 8_443);
    assert.equal(await plain(caller, 8_443), 'over TLS');
  }
});

test(
  'an agent that starts while no controller is there serves all but what needs the key, and says so',
  { skip },
  async () => {
    await bed.kubectl(['-n', MESH, 'scale', 'deployment/maesh-controller', '--replicas=0']);
    await bed.readyPods(MESH, 'app.kubernetes.io/component=controller', 0);
    const agent = await mesh.agentOn('n1');
    // Agents write what they know seconds later; what is not written yet is gone with the process.
    const line = ca.pem.split('\n')[1] ?? '';
    await bed.waitFor('the CA to be in the copies of both agents', async () => {
      const found = (await copies()).filter((text) => text.includes(line));
      return found.length === 2;
    });
    await bed.killProcess(agent, 'SIGKILL');
    const missing = await bed.waitFor('the agent to say so', async () => {
      const [found] = await problemsOf(agent, `Service ${SAFE}/web`);
      return found;
    });
    assert.match(missing.message, /the certificate of its Secret is not here$/);
    assert.match(missing.remedy, /next controller/);
    await bed.waitFor(
      'the agent to be ready',
      async () => (await bed.readyPods(MESH, 'app.kubernetes.io/component=agent', 2)).length === 2,
    );
    for (const port of [80, 8_443]) await answered('caller-1', port);
    await bed.waitFor('port 443 to be closed', async () => {
      const { errors } = await call('caller-1');
      return errors.length > 0 && errors.every((error) => error.endsWith('ECONNREFUSED'));
    });
    // The agent of another node has not started.
    await shown('caller-2', 'second');
    const [first = '', second = ''] = await copies();
    const told = { ...filesBelow('pods', 'logs'), first, second };
    for (const key of keys) key.assertInNone(told);
    // It comes back with the right to the other namespace, too.
    await mesh.upgrade(
      '--force-conflicts',
      '--set',
      `controller.secretNamespaces={${SAFE},${BARE}}`,
    );
    await bed.kubectl(['-n', MESH, 'scale', 'deployment/maesh-controller', '--replicas=2']);
    await mesh.ready();
    await shown('caller-1', 'second');
    await bed.waitFor('the port of the other namespace to speak TLS', async () => {
      const [got] = await bed.fetch(`${SAFE}/caller-1`, `http://web.${BARE}.maesh:443/`);
      return got?.status === 400 && got.body.includes('tls_expected');
    });
  },
);
