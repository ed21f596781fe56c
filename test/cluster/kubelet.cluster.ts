/** The bed's own kubelet: what pods may ask of it holds, and what it does not know it refuses. */

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import type { Answer } from './app.ts';
import { callerPod, namespaceObjects } from './app-manifests.ts';
import { ApiError } from './bed/api.ts';
import { Bed, type PodObject } from './bed/bed.ts';
import { run } from './bed/command.ts';

const NS = 'pods';
const skip = process.env['MAESH_TEST_EXTERNAL'] === '1' && 'these are tests of the bed';
let bed: Bed;
let root: string;

before(async () => {
  if (skip !== false) return;
  // An image with a root folder of its own: nothing in it but Node's libraries, and one file.
  root = mkdtempSync(join(tmpdir(), 'maesh-root-'));
  mkdirSync(join(root, 'data'));
  writeFileSync(join(root, 'data/hello'), 'from the image');
  for (const [, library = ''] of (await run(['ldd', process.execPath])).matchAll(/(\/\S+) \(0x/g)) {
    cpSync(library, join(root, library), { dereference: true, recursive: true });
  }
  bed = await Bed.start({
    nodes: 1,
    images: {
      'test/shell:': { entrypoint: ['/bin/sh', '-c'] },
      'test/root:': {
        root,
        binds: [{ from: process.execPath, to: '/node' }],
        entrypoint: ['/node', '-p'],
        user: 1_234,
        workingDir: '/data',
      },
    },
  });
  await bed.apply(...namespaceObjects(NS), callerPod({ namespace: NS, name: 'caller' }));
  await bed.readyPods(NS, 'app=caller', 1);
});

after(async () => {
  if (skip !== false) return;
  await bed.stop();
  rmSync(root, { recursive: true });
});

/** Makes a pod of one shell; the last two go over its spec and over that of its container. */
async function make(
  t: TestContext,
  name: string,
  script: string,
  ...[fields = {}, container = {}]: readonly object[]
): Promise<void> {
  await bed.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: NS, labels: { app: name } },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'main', image: 'test/shell:1', args: [script], ...container }],
      ...fields,
    },
  });
  t.after(() =>
    bed.kubectl(['-n', NS, 'delete', 'pod', name, '--wait=false', '--ignore-not-found']),
  );
}

async function pod(name: string): Promise<PodObject> {
  return await bed.api.get<PodObject>(`/api/v1/namespaces/${NS}/pods/${name}`);
}

async function phase(name: string, wanted: string): Promise<PodObject> {
  return await bed.waitFor(`${name} to be ${wanted}`, async () => {
    const found = await pod(name);
    return found.status.phase === wanted && found;
  });
}

async function written(name: string, wanted: RegExp): Promise<string> {
  return await bed.waitFor(`${name} to write ${wanted.source}`, async () => {
    const text = await bed.logs(`${NS}/${name}`);
    return wanted.test(text) && text;
  });
}

/** What a token says about its holder. */
function claimsOf(token: string): {
  readonly aud: readonly string[];
  readonly exp: number;
  readonly iat: number;
  readonly 'kubernetes.io': { readonly pod: { readonly name: string } };
} {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}

/** A shell that waits, and ends at once when told. */
const WAIT = 'trap "exit 0" TERM; while :; do sleep 0.05; done';

test('init containers come first, in order, and share an emptyDir', { skip }, async (t) => {
  const volumeMounts = [{ name: 'work', mountPath: '/work' }];
  const init = (name: string, script: string): object => ({
    name,
    image: 'test/shell:1',
    args: [script],
    volumeMounts,
  });
  await make(
    t,
    'init',
    'cat /work/file',
    {
      volumes: [{ name: 'work', emptyDir: {} }],
      initContainers: [init('one', 'echo one >/work/file'), init('two', 'echo two >>/work/file')],
    },
    { volumeMounts },
  );
  await phase('init', 'Succeeded');
  assert.equal(await bed.kubectl(['-n', NS, 'logs', 'init']), 'one\ntwo\n');
});

test('a changed ConfigMap is in the files of its pods within seconds', { skip }, async (t) => {
  const config = (value: string): object => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'config', namespace: NS },
    data: { key: value },
  });
  await bed.apply(config('old'));
  await make(
    t,
    'reader',
    'while :; do read -r x </config/key; [ "$x" = "$y" ] || echo "$x"; y=$x; sleep 0.05; done',
    { volumes: [{ name: 'config', configMap: { name: 'config' } }] },
    { volumeMounts: [{ name: 'config', mountPath: '/config' }] },
  );
  await written('reader', /^old\n$/);
  await bed.apply(config('new'));
  await written('reader', /^old\nnew\n$/);
});

test('a pod waits for a ConfigMap that is not there yet', { skip }, async (t) => {
  await make(
    t,
    'waits',
    'cat /config/key',
    { volumes: [{ name: 'config', configMap: { name: 'late' } }] },
    { volumeMounts: [{ name: 'config', mountPath: '/config' }] },
  );
  await bed.waitFor('an event', async () => {
    const events = await bed.kubectl([
      '-n',
      NS,
      'get',
      'events',
      '-o',
      'jsonpath={.items[*].message}',
    ]);
    return events.includes('configMap "late" not found');
  });
  assert.equal((await pod('waits')).status.phase, 'Pending');
  await bed.kubectl(['-n', NS, 'create', 'configmap', 'late', '--from-literal=key=there']);
  await phase('waits', 'Succeeded');
  assert.equal(await bed.logs(`${NS}/waits`), 'there');
});

test(
  'a projected volume has a token for its audience, the CA and the labels, for the group of the pod',
  { skip },
  async (t) => {
    const sources = [
      {
        serviceAccountToken: { path: 'token', audience: 'maesh-discovery', expirationSeconds: 600 },
      },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'tls/ca.crt' }] } },
      { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
    ];
    await make(
      t,
      'projected',
      [
        'id -u; id -G; stat -L -c %a:%g /p/token; cat /p/labels; echo; head -n1 /p/tls/ca.crt',
        'cat /p/token; echo; cat /var/run/secrets/kubernetes.io/serviceaccount/token',
      ].join(';'),
      {
        securityContext: { runAsUser: 1_000, runAsGroup: 1_000, fsGroup: 2_000 },
        volumes: [{ name: 'p', projected: { sources } }],
      },
      { volumeMounts: [{ name: 'p', mountPath: '/p', readOnly: true }] },
    );
    await phase('projected', 'Succeeded');
    const lines = (await bed.logs(`${NS}/projected`)).split('\n');
    const expected = [
      '1000',
      '1000 2000',
      '640:2000',
      'app="projected"',
      // Real Kubernetes gives pods the zone of their node as labels.
      'topology.kubernetes.io/region="r"',
      'topology.kubernetes.io/zone="a"',
      '-----BEGIN CERTIFICATE-----',
    ];
    assert.deepEqual(lines.slice(0, -2), expected);
    const [claims, own] = lines.slice(-2).map(claimsOf);
    assert.deepEqual(claims?.aud, ['maesh-discovery']);
    assert.equal(claims.exp - claims.iat, 600);
    assert.equal(claims['kubernetes.io'].pod.name, 'projected');
    assert.deepEqual(own?.aud, ['https://kubernetes.default.svc']);
  },
);

test('variables come from fields, objects, Services and each other', { skip }, async (t) => {
  await bed.kubectl(['-n', NS, 'create', 'secret', 'generic', 'env', '--from-literal=a.b=hidden']);
  await bed.kubectl(['-n', NS, 'create', 'service', 'clusterip', 'my-web', '--tcp=80:8080']);
  const env = [
    { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
    { name: 'NAME', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
    { name: 'SECRET', valueFrom: { secretKeyRef: { name: 'env', key: 'a.b' } } },
    { name: 'ALL', value: '$(NAME)/$(SECRET) $$(NAME) $(NONE)' },
  ];
  await make(
    t,
    'env',
    'echo "$ALL"; echo "$IP"; hostname; echo $(NAME); echo $MY_WEB_PORT $KUBERNETES_SERVICE_PORT',
    {},
    { env },
  );
  const { status } = await phase('env', 'Succeeded');
  const [all, ip, hostname, argument, links] = (await bed.logs(`${NS}/env`)).split('\n');
  assert.equal(all, 'env/hidden $(NAME) $(NONE)');
  assert.equal(ip, status.podIP);
  assert.equal(hostname, 'env');
  assert.equal(argument, 'env');
  assert.match(links ?? '', /^tcp:\/\/10\.96\.\d+\.\d+:80 443$/);
  await make(t, 'unlinked', 'echo "[$MY_WEB_PORT]"', { enableServiceLinks: false });
  await phase('unlinked', 'Succeeded');
  assert.equal(await bed.logs(`${NS}/unlinked`), '[]\n');
});

test(
  'a liveness probe that fails restarts the container, and a startup probe holds it back',
  { skip },
  async (t) => {
    const exec = (command: string): object => ({
      exec: { command: ['/bin/sh', '-c', command] },
      periodSeconds: 1,
      // On a busy machine a shell may take its time to start.
      timeoutSeconds: 10,
      failureThreshold: 1,
    });
    await make(
      t,
      'alive',
      `echo begin; touch /tmp/up; ${WAIT}`,
      { restartPolicy: 'Always' },
      {
        startupProbe: { ...exec('[ -e /tmp/up ]'), failureThreshold: 5 },
        livenessProbe: exec('[ ! -e /tmp/bad ]'),
      },
    );
    await bed.readyPods(NS, 'app=alive', 1);
    await bed.exec(`${NS}/alive`, ['/bin/touch', '/tmp/bad']);
    await written('alive', /^begin\nbegin\n$/);
    const [ready] = await bed.readyPods(NS, 'app=alive', 1);
    assert.equal(ready?.status.containerStatuses?.[0]?.restartCount, 1);
  },
);

test('a container that ends again and again waits longer each time', { skip }, async (t) => {
  await make(t, 'crash', 'echo once; exit 3', { restartPolicy: 'Always' });
  await written('crash', /^(once\n){3}/);
  const found = await bed.kubectl([
    '-n',
    NS,
    'get',
    'pod',
    'crash',
    '-o',
    'jsonpath={.status.containerStatuses[0]}',
  ]);
  assert.match(found, /"exitCode":3/);
  assert.match(found, /CrashLoopBackOff|"terminated"/);
});

test(
  'deletion runs preStop, then sends SIGTERM, then kills when the grace is over',
  { skip },
  async (t) => {
    const preStop = { exec: { command: ['/bin/sh', '-c', 'echo hook >/proc/1/fd/1'] } };
    await make(
      t,
      'ends',
      'trap "echo term" TERM; echo up; while :; do sleep 0.05; done',
      { terminationGracePeriodSeconds: 2 },
      { lifecycle: { preStop } },
    );
    await written('ends', /^up\n$/);
    const started = performance.now();
    await bed.kubectl(['-n', NS, 'delete', 'pod', 'ends']);
    const tookMs = performance.now() - started;
    assert.equal(await bed.logs(`${NS}/ends`), 'up\nhook\nterm\n');
    assert.ok(tookMs > 1_900, `${tookMs} ms`);
  },
);

test(
  'an image with a root folder shows nothing of this machine, read-only where asked',
  { skip },
  async (t) => {
    const script = `const fs = require('fs'); const names = fs.readdirSync('/').filter((n) => n !== '.bed').sort().join();
    let write; try { fs.writeFileSync('/data/x', ''); write = 'written'; } catch (e) { write = e.code; }
    [names, fs.readFileSync('hello', 'utf8'), process.getuid(), process.pid, write].join('|')`;
    for (const [name, readOnlyRootFilesystem, outcome] of [
      ['root-rw', false, 'EACCES'],
      ['root-ro', true, 'EROFS'],
    ] as const) {
      await make(
        t,
        name,
        script,
        {},
        { image: 'test/root:1', securityContext: { readOnlyRootFilesystem } },
      );
      await phase(name, 'Succeeded');
      const expected = `data,dev,etc,lib,lib64,node,proc,sys,var|from the image|1234|1|${outcome}\n`;
      assert.equal(await bed.logs(`${NS}/${name}`), expected);
    }
  },
);

test(
  'root without capabilities has none, and by default has those of containerd',
  { skip },
  async (t) => {
    const show = 'grep -E "CapEff|NoNewPrivs" /proc/self/status | cut -f2';
    await make(
      t,
      'caps-none',
      show,
      {},
      {
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    );
    await make(
      t,
      'caps-one',
      show,
      {},
      { securityContext: { capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } } },
    );
    await make(t, 'caps-some', show);
    for (const [name, expected] of [
      ['caps-none', '0000000000000000\n1\n'],
      ['caps-one', '0000000000000400\n0\n'],
      ['caps-some', '00000000a80425fb\n0\n'],
    ] as const) {
      await phase(name, 'Succeeded');
      assert.equal(await bed.logs(`${NS}/${name}`), expected, name);
    }
  },
);

/** Runs in a container with Node: says how calls to the kernel end, by the number of the error or 0. */
const CALLS = `
const ffi = require('node:ffi');
const { functions } = ffi.dlopen(null, {
  syscall: { arguments: ['int64', 'uint64', 'uint64', 'uint64', 'uint64', 'uint64'], return: 'int64' },
  __errno_location: { arguments: [], return: 'pointer' },
});
const end = (number) =>
  functions.syscall(number, 0n, 0n, 0n, 0n, 0n) < 0n ? ffi.getInt32(functions.__errno_location()) : 0;
const [, mode] = /^Seccomp:\\t(\\d)$/m.exec(require('node:fs').readFileSync('/proc/self/status', 'utf8'));
const calls = { io_uring_setup: 425n, get_mempolicy: 239n, epoll_create1: 291n };
console.log(JSON.stringify({ mode, ...Object.fromEntries(Object.entries(calls).map(([name, number]) => [name, end(number)])) }));
`;

test(
  'with seccompProfile RuntimeDefault a container has the filter of container engines, and io_uring fails in it',
  { skip },
  async (t) => {
    const EPERM = 1;
    const run = async (name: string, more: object): Promise<Readonly<Record<string, unknown>>> => {
      const container = {
        image: 'test/app:1',
        command: ['node', '--no-warnings', '-e', CALLS],
        args: [],
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      };
      await make(t, name, '', { securityContext: { runAsUser: 1_000, ...more } }, container);
      await phase(name, 'Succeeded');
      return JSON.parse(await bed.logs(`${NS}/${name}`)) as Readonly<Record<string, unknown>>;
    };
    assert.deepEqual(await run('confined', { seccompProfile: { type: 'RuntimeDefault' } }), {
      mode: '2',
      io_uring_setup: EPERM,
      get_mempolicy: EPERM,
      epoll_create1: 0,
    });
    const free = await run('unconfined', { seccompProfile: { type: 'Unconfined' } });
    assert.deepEqual([free['mode'], free['epoll_create1']], ['0', 0]);
    assert.notEqual(free['get_mempolicy'], EPERM);
  },
);

test(
  'an image that runs as root does not start where runAsNonRoot is asked',
  { skip },
  async (t) => {
    await make(t, 'nonroot', WAIT, { securityContext: { runAsNonRoot: true } });
    await bed.waitFor('the reason', async () => {
      const reason = '-o=jsonpath={.status.containerStatuses[0].state.waiting.reason}';
      return (
        (await bed.kubectl(['-n', NS, 'get', 'pod', 'nonroot', reason])) ===
        'CreateContainerConfigError'
      );
    });
  },
);

test(
  'what the kubelet does not know makes the pod fail and names the field',
  { skip },
  async (t) => {
    await make(t, 'pid', WAIT, { hostPID: true });
    await phase('pid', 'Failed');
    await make(t, 'post', WAIT, {}, { lifecycle: { postStart: { sleep: { seconds: 1 } } } });
    await phase('post', 'Failed');
    for (const [name, field] of [
      ['pid', 'hostPID of spec'],
      ['post', 'postStart of lifecycle of container main'],
    ] as const) {
      const message = await bed.kubectl([
        '-n',
        NS,
        'get',
        'pod',
        name,
        '-o=jsonpath={.status.message}',
      ]);
      assert.match(message, new RegExp(`does not know ${field}`));
    }
  },
);

test('Jobs end, DaemonSets and pods of the host network run', { skip }, async () => {
  const template = (labels: object, spec: object): object => ({
    metadata: { labels },
    spec: { containers: [{ name: 'main', image: 'test/shell:1', args: [WAIT] }], ...spec },
  });
  const shell = { name: 'main', image: 'test/shell:1' };
  await bed.apply(
    {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'job', namespace: NS },
      spec: {
        template: template(
          {},
          { restartPolicy: 'Never', containers: [{ ...shell, args: ['exit 0'] }] },
        ),
      },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'each', namespace: NS },
      spec: {
        selector: { matchLabels: { app: 'each' } },
        template: template(
          { app: 'each' },
          { hostNetwork: true, terminationGracePeriodSeconds: 1 },
        ),
      },
    },
  );
  await bed.kubectl(['-n', NS, 'wait', 'job/job', '--for=condition=complete', '--timeout=120s']);
  await bed.rolledOut(NS, 'daemonset/each');
  const [each] = await bed.readyPods(NS, 'app=each', 1);
  assert.equal(each?.status.podIP, '10.200.0.11');
});

test(
  'the API server reaches pods, their logs and nothing that the kubelet lacks',
  { skip },
  async () => {
    const answer = await bed.api.get<Answer>(`/api/v1/namespaces/${NS}/pods/caller:8080/proxy/x`);
    assert.equal(answer.path, '/x');
    await assert.rejects(bed.api.get(`/api/v1/nodes/n1/proxy/stats/summary`), (error: unknown) => {
      return error instanceof ApiError && error.status === 501;
    });
  },
);

test('kubectl exec runs in the container, with input, errors and exit code', { skip }, async () => {
  const script = 'read -r x; echo "got $x"; echo bad >&2; id -u; exit 3';
  const args = ['-n', NS, 'exec', '-i', 'caller', '--', '/bin/sh', '-c', script];
  const { code, stdout, stderr } = await bed.tryKubectl(args, 'input\n');
  assert.equal(stdout, 'got input\n65532\n');
  assert.match(stderr, /^bad\n/);
  assert.equal(code, 3);
  const many = await bed.kubectl(['-n', NS, 'exec', 'caller', '--', 'seq', '20000']);
  assert.equal(many.split('\n').length, 20_001);
});
