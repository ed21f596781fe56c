/** Things that break on a real cluster, and whether the tools say so: `maesh check`, `maesh status` and Events. */

import assert from 'node:assert/strict';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Problem } from '../../src/model/service.ts';
import { appObjects, callerPod, namespaceObjects } from './app-manifests.ts';
import type { Bed } from './bed/bed.ts';
import { type Outcome, run } from './bed/command.ts';
import { MESH, MeshBed } from './mesh/mesh.ts';

const ROOT = join(import.meta.dirname, '../..');
const NS = 'shop';
const skip = process.env['MAESH_TEST_EXTERNAL'] === '1' && 'things are broken in the bed only';
/** The mesh looks at itself every 30 s, and says so after the second time. */
const LONG = { timeoutMs: 240_000 };
let mesh: MeshBed;
let bed: Bed;

before(async () => {
  if (skip !== false) return;
  mesh = await MeshBed.start({ nodes: 2 });
  ({ bed } = mesh);
});

after(async () => {
  if (skip === false) await mesh.stop();
});

/** The CLI of this checkout. */
async function maesh(...args: readonly string[]): Promise<Outcome> {
  const environment = { MAESH_NAMESPACE: MESH };
  return await bed.run([process.execPath, join(ROOT, 'src/cli/main.ts'), ...args], environment);
}

interface Checked {
  readonly code: number;
  readonly errors: number;
  readonly problems: readonly (Problem & { readonly topic: string })[];
}

async function check(): Promise<Checked> {
  const { code, stdout, stderr } = await maesh('check', '-o', 'json');
  assert.ok(stdout.startsWith('{'), stderr);
  return { code, ...(JSON.parse(stdout) as Omit<Checked, 'code'>) };
}

/** Waits until `maesh check` has a problem like this, and has the exit code that goes with it. */
async function found(
  what: string,
  is: (problem: Problem) => boolean,
  each: () => Promise<unknown> = async () => undefined,
): Promise<Problem> {
  let last: Checked | undefined;
  try {
    return await bed.waitFor(
      what,
      async () => {
        await each();
        last = await check();
        const problem = last.problems.find(is);
        assert.equal(last.code, last.errors > 0 ? 1 : 0);
        return problem;
      },
      LONG,
    );
  } catch (error) {
    throw new Error(`${String(error)}: ${JSON.stringify(last, null, 1)}`, { cause: error });
  }
}

async function isWell(): Promise<void> {
  let said = '';
  await bed
    .waitFor(
      'all to be well',
      async () => {
        const { code, stdout } = await maesh('check');
        said = stdout;
        return code === 0 && !/^(error|warning) /m.test(stdout);
      },
      LONG,
    )
    .catch((error: unknown) => {
      throw new Error(`${String(error)}\n${said}`, { cause: error });
    });
}

/** Calls that may fail: statuses, and words where there is none. */
async function call(name = 'web', count = 4): Promise<readonly (number | string)[]> {
  const answers = await bed.fetch(`${NS}/caller`, `http://${name}.shop.maesh/`, {
    count,
    timeoutMs: 12_000,
  });
  return answers.map(({ status, error }) => (status === 0 ? error : status));
}

async function patch(name: string, patched: object): Promise<void> {
  await bed.kubectl(['-n', NS, 'patch', 'service', name, '-p', JSON.stringify(patched)]);
}

/** Waits until each call has this status. */
async function answered(name: string, status: number): Promise<void> {
  const all = async (): Promise<boolean> => (await call(name)).every((each) => each === status);
  await bed.waitFor(`${status} of ${name}`, all, LONG);
}

async function event(reason: string, object = 'service/web', namespace = NS): Promise<void> {
  await bed.waitFor(
    `an Event ${reason} of ${object}`,
    async () => (await bed.kubectl(['-n', namespace, 'events', '--for', object])).includes(reason),
    LONG,
  );
}

test('check and status of a cluster without the mesh say so', { skip }, async () => {
  for (const command of ['check', 'status']) {
    const { code, stdout, stderr } = await maesh(command);
    assert.equal(code, 1, command);
    assert.match(`${stdout}${stderr}`, /(no|a) mesh in (this )?namespace/, command);
  }
});

test('right after the installation all is soon well', { skip }, async () => {
  await bed.apply(
    ...namespaceObjects(NS),
    ...appObjects({ namespace: NS, name: 'web', replicas: 2 }),
    ...appObjects({ namespace: NS, name: 'empty' }),
    ...appObjects({ namespace: NS, name: 'fuse' }),
    callerPod({ namespace: NS, name: 'caller', node: 'n1' }),
  );
  await bed.readyPods(NS, 'app=web', 2);
  await bed.readyPods(NS, 'app=caller', 1);
  await mesh.install();
  for (const name of ['web', 'empty', 'fuse']) await mesh.published(`${NS}/${name}`);
  await isWell();
  assert.deepEqual(await call(), [200, 200, 200, 200]);
});

test('controllers see that callers are served, through each agent', { skip }, async () => {
  for (const { metadata } of await mesh.controllers()) {
    const pod = `${MESH}/${metadata.name}`;
    await bed.waitFor(
      'the data path to be called',
      async () => {
        const { dataPath, agents } = await mesh.admin<{
          dataPath: string;
          agents: readonly { dataPath: string }[];
        }>(pod, '/api/agents');
        return (
          dataPath === 'works' &&
          agents.every((agent) => agent.dataPath === 'works') &&
          /^maesh_controller_data_path_working 1$/m.test(await mesh.metrics(pod))
        );
      },
      LONG,
    );
  }
});

// Each of them waits for what is seen in half a minute or two, so they wait together.
describe('Services that fail', { concurrency: true, skip }, () => {
  test('a wrong targetPort is an error as soon as somebody calls', async () => {
    await patch('web', { spec: { ports: [{ port: 80, targetPort: 8_099 }] } });
    await answered('web', 502);
    const problem = await found(
      'the wrong targetPort',
      ({ severity, object, value }) =>
        severity === 'error' && object === `Service ${NS}/web` && value === 'connect_failed',
      call,
    );
    assert.match(problem.message, /^every call fails with 502/);
    assert.match(problem.remedy, /targetPort/);
    await bed.waitFor('status to say so', async () => {
      await call();
      return (await maesh('status')).stdout.includes('every call fails with 502');
    });
    await event('CallsFail');
    await patch('web', { spec: { ports: [{ port: 80, targetPort: 'http' }] } });
    await answered('web', 200);
  });

  test('a Service scaled to 0 is a warning, and an error once it is called', async () => {
    const isEmpty = ({ object }: Problem): boolean => object === `Service ${NS}/empty`;
    await bed.kubectl(['-n', NS, 'scale', 'deployment/empty', '--replicas=0']);
    const quiet = await found(
      'no endpoint',
      (problem) => isEmpty(problem) && problem.field === 'ready endpoints',
    );
    assert.equal(quiet.severity, 'warning');
    await event('NoEndpoint', 'service/empty');
    const called = await found(
      'calls that fail',
      (problem) => isEmpty(problem) && problem.value === 'no_endpoint',
      () => call('empty'),
    );
    assert.equal(called.severity, 'error');
    await bed.kubectl(['-n', NS, 'scale', 'deployment/empty', '--replicas=1']);
    await bed.readyPods(NS, 'app=empty', 1);
    await answered('empty', 200);
  });

  test('an open breaker is an error and an Event', async () => {
    const annotate = ['-n', NS, 'annotate', '--overwrite', 'service', 'fuse'];
    const key = 'maesh.dev/circuit-breaker-expression';
    await bed.kubectl([...annotate, `${key}=NetworkErrorRatio() > 0.3`]);
    await patch('fuse', { spec: { ports: [{ port: 80, targetPort: 8_099 }] } });
    const isOpen = ({ field }: Problem): boolean => field === 'circuit breaker';
    const problem = await found('the open breaker', isOpen, () => call('fuse', 20));
    assert.equal(problem.severity, 'error');
    assert.equal(problem.object, `Service ${NS}/fuse`);
    assert.equal(problem.value, 'NetworkErrorRatio() > 0.3');
    await event('BreakerOpen', 'service/fuse');
    await patch('fuse', { spec: { ports: [{ port: 80, targetPort: 'http' }] } });
    await bed.kubectl([...annotate, `${key}-`]);
    await answered('fuse', 200);
  });
});

test('Services that were mended are well again', { skip }, async () => {
  await isWell();
});

test('agents that callers cannot reach are an error that names them', { skip }, async () => {
  await filter('n1', `tcp dport 10000-29999 drop`);
  await filter('n2', `tcp dport 10000-29999 drop`);
  const byName = await found(
    'the path by name',
    ({ field, object }) => field === 'data path' && object === `Service ${MESH}/maesh-probe`,
  );
  assert.match(byName.message, /cannot reach the agents/);
  const byAgent = await found(
    'the path by an agent',
    ({ field, object }) => field === 'data path' && object.startsWith(`Pod ${MESH}/maesh-agent-`),
  );
  assert.match(byAgent.message, /cannot be reached by callers/);
  const { code, stdout } = await maesh('status');
  assert.match(stdout, /cannot reach the agents/, String(code));
  await filter('n1', '');
  await filter('n2', '');
  await isWell();
});

test('agents that do not reach Pods are an error', { skip }, async () => {
  const agents = (await mesh.agents()).map(({ status }) => status.podIP).join(', ');
  for (const node of ['n1', 'n2']) {
    await filter(node, `ip saddr { ${agents} } tcp dport { 9002, 8080 } drop`);
  }
  const path = await found(
    'the path by name',
    ({ field, message }) => field === 'data path' && message.includes('do not reach Pods'),
  );
  assert.equal(path.severity, 'error');
  for (const node of ['n1', 'n2']) await filter(node, '');
  await isWell();
});

test('an upgrade that does not get on is a finding that leads to describe', { skip }, async () => {
  await mesh.upgrade('--set', 'image.repository=nowhere/maesh');
  const problem = await found(
    'the upgrade',
    ({ object, value, message }) =>
      object.includes('maesh-agent') &&
      /of/.test(value) &&
      /Err|BackOff|Invalid|fail/i.test(message),
  );
  assert.match(problem.remedy, /kubectl -n maesh describe pod maesh-agent-/);
  await bed.helm(['rollback', 'maesh', '-n', MESH]);
  await mesh.ready();
  await isWell();
});

test('a stanza that is taken out of the cluster DNS is put back and told', { skip }, async () => {
  const corefile = await mesh.corefile();
  const without = corefile.replace(/^.*maesh: begin[^]*maesh: end.*\n/m, '');
  assert.notEqual(without, corefile);
  const data = JSON.stringify({ data: { Corefile: without } });
  await bed.kubectl(['-n', 'kube-system', 'patch', 'configmap', 'coredns', '-p', data]);
  await bed.waitFor('the stanza', async () => (await mesh.corefile()) === corefile, LONG);
  await found('the revert', ({ value }) => value === 'rewritten');
  await event('ClusterDns', 'configmap/coredns', 'kube-system');
});

test(
  'maesh install ends when callers are served, and uninstall when the namespace is gone',
  { skip },
  async () => {
    await mesh.uninstall();
    await bed.kubectl(['delete', 'namespace', MESH]);
    const pre = await maesh('check', '--pre');
    assert.equal(pre.code, 0, pre.stdout);
    assert.match(
      pre.stdout,
      /^ok +cluster DNS +kubernetes: ConfigMap kube-system\/coredns Corefile gets/m,
    );
    const installed = await maesh('install');
    assert.equal(installed.code, 0, installed.stderr);
    const { code, errors, problems } = await check();
    assert.deepEqual([code, errors], [0, 0], JSON.stringify(problems));
    assert.deepEqual(await call(), [200, 200, 200, 200]);
    const again = await maesh('check', '--pre');
    assert.equal(again.code, 1);
    assert.match(again.stdout, /^error +mesh +Namespace maesh is "installed"/m);
    const gone = await maesh('uninstall', '--yes', '--leave', '5s', '--delete-namespace');
    assert.equal(gone.code, 0, gone.stderr);
    assert.match(gone.stdout, /^Namespace maesh deleted$/m);
    const left = await bed.tryKubectl(['get', 'namespace', MESH]);
    assert.match(left.stderr, /not found/);
  },
);

/** Drops what is forwarded on a node and fits; '' drops nothing. A stand-in for a NetworkPolicy. */
async function filter(node: string, rule: string): Promise<void> {
  const netns = `${basename(bed.onlyLocal.work)}-${node}`;
  const chain = ['chain f {', 'type filter hook forward priority 10; policy accept', rule, '}'];
  const lines = ['table inet broken', 'delete table inet broken', 'table inet broken {'];
  const input = `${[...lines, ...(rule === '' ? [] : chain), '}'].join('\n')}\n`;
  await run(['nft', '-f', '-'], { netns, input });
}
