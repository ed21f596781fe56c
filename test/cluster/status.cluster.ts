/** `maesh status`, `explain` and `hosts` on a real cluster: as its administrator, with the role of the chart, and with Kubernetes' own `view`. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Explanation } from '../../src/explain/explanation.ts';
import type { ServiceStatus } from '../../src/install/service-status.ts';
import type { ServicesStatus } from '../../src/install/services-status.ts';
import type { ClusterStatus } from '../../src/install/status.ts';
import { appObjects, callerPod, Load, namespaceObjects } from './app-manifests.ts';
import type { Outcome } from './bed/command.ts';
import { MeshBed } from './mesh/mesh.ts';

const NS = 'shop';
/** Of four Pods, each with an endpoint for either port of the Service. */
const ENDPOINTS = 8;
const URL_OF_WEB = 'http://web.shop.maesh/';
const MAESH = join(import.meta.dirname, '../../bin/kubectl-maesh');
let mesh: MeshBed;
let load: Load;
/** Kubeconfigs by user. */
const users = new Map<string, string>();

before(async () => {
  mesh = await MeshBed.start({ nodes: 2 });
  const { bed } = mesh;
  await bed.apply(
    ...namespaceObjects(NS),
    ...appObjects({ namespace: NS, name: 'web', replicas: 4 }),
    ...appObjects({
      namespace: NS,
      name: 'left',
      serviceAnnotations: { 'maesh.dev/mesh': 'disabled' },
    }),
    callerPod({ namespace: NS, name: 'caller-1', node: 'n1' }),
    callerPod({ namespace: NS, name: 'caller-2', node: 'n2' }),
  );
  await mesh.install();
  await bed.readyPods(NS, 'app=web', 4);
  for (const name of ['caller-1', 'caller-2']) {
    await bed.readyPods(NS, `app=${name}`, 1);
    await mesh.named(`${NS}/${name}`, new URL(URL_OF_WEB).hostname);
  }
  for (const name of ['watcher', 'viewer']) await addUser(name);
  const viewer = ['--clusterrole=view', `--serviceaccount=${NS}:viewer`];
  await bed.kubectl(['create', 'clusterrolebinding', 'viewer', ...viewer]);
  load = await Load.start(bed, {
    namespace: NS,
    name: 'load',
    spec: { url: URL_OF_WEB, connections: 4, thinkMs: 20 },
  });
});

after(async () => {
  await load.stop();
  await mesh.stop();
});

/** A ServiceAccount, and a kubeconfig with its token. */
async function addUser(name: string): Promise<void> {
  const { bed } = mesh;
  await bed.kubectl(['-n', NS, 'create', 'serviceaccount', name]);
  const token = await bed.kubectl(['-n', NS, 'create', 'token', name]);
  const config = JSON.parse(await bed.kubectl(['config', 'view', '--raw', '-o', 'json'])) as {
    users: { user: object }[];
  };
  config.users = config.users.map((user) => ({ ...user, user: { token: token.trim() } }));
  const path = join(mesh.imageFolder, `${name}.kubeconfig`);
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  users.set(name, path);
}

/** As the administrator, or as one of the users. */
async function run(user: string, ...args: readonly string[]): Promise<Outcome> {
  const path = users.get(user);
  return mesh.bed.run([MAESH, ...args], path === undefined ? {} : { KUBECONFIG: path });
}

async function ask(
  user: string,
  ...args: readonly string[]
): Promise<{ code: number; said: unknown }> {
  const { code, stdout, stderr } = await run(user, ...args, '-o', 'json');
  assert.equal(stderr, '');
  return { code, said: JSON.parse(stdout) as unknown };
}

async function explained(user: string, from: string): Promise<Explanation> {
  return (await ask(user, 'explain', URL_OF_WEB, '--from', from)).said as Explanation;
}

/** Readable on a terminal of 100 columns. */
function assertNarrow(text: string): void {
  const wide = text.split('\n').filter((line) => line.length > 100);
  assert.deepEqual(wide, [], text);
}

/** Whoever sees all of the mesh is shown the same. */
async function seesEverything(user: string): Promise<void> {
  const { code, said } = await ask(user, 'status');
  const { agents, controllers, unknown, errors } = said as ClusterStatus & { errors: number };
  assert.deepEqual(unknown, []);
  assert.equal(code, errors === 0 ? 0 : 1);
  assert.deepEqual(
    agents.map(({ node, ready, configuration }) => [node, ready, configuration]),
    [
      ['n1', true, 'up to date'],
      ['n2', true, 'up to date'],
    ],
  );
  assert.deepEqual(controllers.map(({ role }) => role).sort(), ['leader', 'standby']);
  assert.ok(agents.every(({ build }) => build === controllers[0]?.build));
}

test('an administrator sees the whole mesh, without an error', async (context) => {
  await mesh.bed.waitFor('no error', async () => (await run('', 'status')).code === 0);
  await seesEverything('');
  const { stdout } = await run('', 'status');
  context.diagnostic(stdout);
  assert.match(stdout, /^Problems: none$/m);
  assertNarrow(stdout);
});

test('status -A has the figures of what callers do, and why a Service has no mesh name', async (context) => {
  const row = await mesh.bed.waitFor('figures', async () => {
    const { said } = await ask('', 'status', '-A');
    const { services, outside } = said as ServicesStatus;
    assert.ok(
      outside?.some(({ service }) => service === `${NS}/left`),
      JSON.stringify(outside),
    );
    const web = services.find(({ service }) => service === `${NS}/web`);
    return (web?.figures?.requestsPerSecond ?? 0) > 10 && web;
  });
  assert.deepEqual(row.endpoints, { healthy: ENDPOINTS, total: ENDPOINTS });
  assert.equal(row.figures?.successRatio, 1);
  const { stdout } = await run('', 'status', '-A');
  context.diagnostic(stdout);
  assertNarrow(stdout);
});

test('status of a Service has each endpoint and each node', async (context) => {
  const { said } = await ask('', 'status', 'svc/web', '-n', NS);
  const { names, endpoints, nodes, state } = said as ServiceStatus;
  assert.equal(state, 'published');
  assert.ok(names.includes('web.shop.maesh'));
  assert.equal(endpoints.length, ENDPOINTS);
  assert.deepEqual(
    nodes.map(({ node, note }) => [node, note]),
    [
      ['n1', ''],
      ['n2', ''],
    ],
  );
  const { stdout } = await run('', 'status', 'svc/web', '-n', NS);
  context.diagnostic(stdout);
  assertNarrow(stdout);
});

test('explain and hosts by kubeconfig alone: the state is that of the node of the caller', async () => {
  for (const [caller, node] of [
    ['caller-1', 'n1'],
    ['caller-2', 'n2'],
  ]) {
    const said = await explained('', `${NS}/${caller}`);
    assert.equal(said.forwarded, true);
    assert.match(said.asked, new RegExp(`on node ${node} of `));
    assert.equal(said.caller.identity?.node, node);
    assert.equal(said.backends[0]?.endpoints.length, 4);
  }
  const { code, stdout } = await run('', 'hosts');
  assert.equal(code, 0);
  const shadow = await mesh.shadow(`${NS}/web`);
  assert.ok(
    stdout.split('\n').some((line) => line.startsWith(`${shadow?.spec.clusterIP} web.shop.`)),
  );
});

test('a user with the Role of the chart asks all but nodes, and with its ClusterRole these too', async () => {
  const { bed } = mesh;
  const bind = [`--serviceaccount=${NS}:watcher`];
  const denied = await run('watcher', 'status');
  assert.equal(denied.code, 3, denied.stderr);
  await bed.kubectl([
    '-n',
    'maesh',
    'create',
    'rolebinding',
    'watcher',
    '--role=maesh-view',
    ...bind,
  ]);
  const partly = await bed.waitFor('the binding', async () => {
    const { said } = await ask('watcher', 'status');
    const { unknown } = said as ClusterStatus;
    return unknown.length === 1 && unknown[0]?.what.length === 1 && unknown;
  });
  assert.deepEqual(partly[0]?.permissions, ['list nodes']);
  assert.equal((await explained('watcher', `${NS}/caller-2`)).forwarded, true);
  await bed.kubectl([
    'create',
    'clusterrolebinding',
    'watcher',
    '--clusterrole=maesh-view',
    ...bind,
  ]);
  await bed.waitFor('the binding', async () => (await run('watcher', 'status')).code === 0);
  const check = await run('watcher', 'check');
  assert.equal(check.code, 0, check.stdout);
  await seesEverything('watcher');
});

test('a user with the role view is told what is unknown, and which permission is missing', async (context) => {
  const { code, stdout } = await run('viewer', 'status');
  context.diagnostic(stdout);
  assert.equal(code, 3);
  assert.equal((await run('viewer', 'check')).code, 3);
  assert.doesNotMatch(stdout, /not connected/);
  assert.match(stdout, /^n1 +maesh-agent-\w+ +yes +unknown +unknown$/m);
  assert.match(stdout, /^Problems: none known; some parts could not be checked$/m);
  assert.match(stdout, /missing permissions: .*get pods\/proxy in maesh/);
  assert.equal(stdout.match(/bind "maesh-view"/g)?.length, 1);
  const explain = await run('viewer', 'explain', URL_OF_WEB);
  assert.equal(explain.code, 1);
  assert.match(explain.stderr, /pods\/proxy.+bind "maesh-view"/s);
});

test('an open breaker is seen by status and explained to callers', async () => {
  const { bed } = mesh;
  const behave = async (behaviour: object): Promise<void> => {
    for (const { status } of await bed.pods(NS, 'app=web')) {
      const url = `http://${status.podIP}:8080/behave`;
      await bed.fetch(`${NS}/caller-1`, url, { method: 'POST', body: JSON.stringify(behaviour) });
    }
  };
  const breaker = 'ResponseCodeRatio(500, 600, 0, 600) > 0.5';
  const annotations = ['breaker-open=5m', `circuit-breaker-expression=${breaker}`];
  const pairs = annotations.map((each) => `maesh.dev/${each}`);
  await bed.kubectl(['-n', NS, 'annotate', 'service', 'web', ...pairs]);
  await behave({ failPercent: 100, status: 500 });
  await bed.waitFor('the breaker to open for callers on n1', async () => {
    await bed.fetch(`${NS}/caller-1`, URL_OF_WEB, { count: 40 });
    const [outcome] = (await explained('', `${NS}/caller-1`)).outcomes;
    return outcome?.kind === 'answered' && outcome.reason === 'breaker_open';
  });
  await bed.waitFor('status to show it', async () => {
    const { said } = await ask('', 'status', '-n', NS);
    const web = (said as ServicesStatus).services.find(({ service }) => service === `${NS}/web`);
    return web?.breaker === 'open';
  });
});
