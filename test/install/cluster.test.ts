/** `maesh install`, `upgrade`, `check`, `status` and `uninstall` against a real API server, which runs no Pods. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { maesh } from '../../src/cli/maesh.fixture.ts';
import { ApiServer } from '../chart/support/api-server.ts';
import { findTool, output, skipWithout } from '../chart/support/tools.ts';

const skip = skipWithout('kubernetes', 'etcd', 'kubectl', 'helm');
let server: ApiServer;

before(async () => {
  if (skip === false) server = await ApiServer.start();
});
after(async () => {
  if (skip === false) await server[Symbol.asyncDispose]();
});

const run = (...args: readonly string[]) => maesh(args, { KUBECONFIG: server.kubeconfig });

/** `kind/name` of everything that the mesh has in the cluster. */
async function ours(): Promise<readonly string[]> {
  const kinds =
    'deployments,daemonsets,services,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,priorityclasses,poddisruptionbudgets,networkpolicies,configmaps,secrets,leases';
  const names = await server.kubectl([
    'get',
    kinds,
    '-A',
    '-o',
    'name',
    '-l',
    'app.kubernetes.io/name=maesh',
  ]);
  return names.split('\n').filter((name) => name !== '');
}

test('a mesh comes, changes and goes', { skip }, async (context) => {
  await context.test('check and status say that there is none', async () => {
    const check = await run('check');
    assert.equal(check.code, 1);
    assert.match(check.out, /^ok +Kubernetes +v1\./m);
    assert.match(
      check.out,
      /^error +mesh +Namespace maesh is "absent": there is no mesh[\s\S]+?\n +run: maesh install/m,
    );
    const status = await run('status');
    assert.deepEqual([status.code, status.out], [1, '']);
    assert.match(status.err, /Cannot find a mesh in namespace "maesh" .+ run: maesh install/);
    const upgrade = await run('upgrade');
    assert.deepEqual([upgrade.code, upgrade.out], [1, '']);
    assert.match(upgrade.err, /no mesh in namespace "maesh"; run: maesh install/);
  });

  await context.test(
    'check --pre says that it can be installed, and what is in the way',
    async () => {
      const before = await run('check', '--pre');
      assert.match(before.out, /^ok +mesh +no mesh is installed$/m);
      assert.match(before.out, /^ok +namespace +"maesh" will be created$/m);
      assert.match(before.out, /^ok +names +all names are free$/m);
      assert.match(before.out, /^ok +permissions +you may create everything/m);
      // This API server has no DNS.
      assert.match(before.out, /^error +cluster DNS +/m);
      assert.equal(before.code, 1);
      await server.kubectl([
        'create',
        'clusterrole',
        'maesh-controller',
        '--verb=get',
        '--resource=pods',
      ]);
      await server.kubectl(['create', 'namespace', 'old']);
      await server.kubectl([
        'create',
        'deployment',
        'traefik-mesh-controller',
        '-n',
        'old',
        '--image=x',
      ]);
      const clash = await run('check', '--pre');
      assert.match(
        clash.out,
        /^error +names +ClusterRole maesh-controller metadata\.labels is "not part of maesh": has a\s+name that maesh needs/m,
      );
      assert.match(clash.out, /^warning +Traefik Mesh +Namespace old is "Traefik Mesh"/m);
      await server.kubectl(['delete', 'clusterrole', 'maesh-controller']);
      await server.kubectl(['delete', 'deployment', 'traefik-mesh-controller', '-n', 'old']);
      assert.deepEqual(await ours(), []);
    },
  );

  await context.test('install --dry-run changes nothing', async () => {
    const dry = await run('install', '--dry-run', 'server');
    assert.deepEqual([dry.code, dry.err], [0, '']);
    assert.match(dry.out, /^Namespace maesh would be created$/m);
    assert.match(dry.out, /^ClusterRole maesh-controller would be created$/m);
    assert.match(dry.out, /^Deployment maesh\/maesh-controller would be created \(not tested/m);
    const client = await run('install', '--dry-run', 'client', '-o', 'yaml');
    await server.kubectl(['apply', '--dry-run=client', '--validate=false', '-f', '-'], client.out);
    assert.deepEqual(await ours(), []);
  });

  await context.test('install makes what the chart has, once', async () => {
    const { code, out, err } = await run('install', '--no-wait', '--set', 'controller.replicas=3');
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /^Deployment maesh\/maesh-controller created$/m);
    const names = await ours();
    assert.ok(names.includes('daemonset.apps/maesh-agent') && names.length >= 16, String(names));
    const again = await run('install', '--no-wait');
    assert.match(again.err, /there is a mesh in namespace "maesh" already; .+ maesh upgrade/);
    const elsewhere = await run('install', '--no-wait', '-n', 'other');
    assert.match(elsewhere.err, /there is a mesh in "maesh", and a cluster has one/);
    const pre = await run('check', '--pre');
    assert.match(
      pre.out,
      /^error +mesh +Namespace maesh is "installed": .+\n +change it with: maesh upgrade$/m,
    );
    const waits = await run('upgrade', '--timeout', '1s');
    assert.equal(waits.code, 1);
    assert.match(waits.err, /Not ready after 1 s: controller: not started; agents: not started/);
  });

  await context.test(
    'upgrade keeps values, shows what changes and takes away what is not wanted',
    async () => {
      const same = await run('upgrade', '--no-wait');
      assert.deepEqual(
        same.out.split('\n').filter((line) => !/ unchanged$|^$/.test(line)),
        [],
      );
      const set = ['--set', 'agent.threads=4,networkPolicy.enabled=true'];
      const dry = await run('upgrade', '--dry-run', 'server', ...set);
      assert.match(dry.out, /^NetworkPolicy maesh\/maesh-agent would be created$/m);
      const more = await run('upgrade', '--no-wait', ...set);
      assert.match(
        more.out,
        /^DaemonSet maesh\/maesh-agent changed\n {4}spec\.template\.spec\.containers\[agent\]\.env\[MAESH_THREADS\]\.value: "2" → "4"$/m,
      );
      const get = ['-n', 'maesh', 'get', 'deployment/maesh-controller', '-o'];
      assert.equal(await server.kubectl([...get, 'jsonpath={.spec.replicas}']), '3');
      const reset = await run('upgrade', '--no-wait', '--reset-values');
      assert.match(reset.out, /^NetworkPolicy maesh\/maesh-agent deleted$/m);
      assert.match(reset.out, /^ {4}spec\.replicas: 3 → 2$/m);
    },
  );

  await context.test('check and status say what is missing', async () => {
    const { code, out } = await run('check', '-o', 'json');
    assert.equal(code, 1);
    const { problems, checks } = JSON.parse(out) as {
      problems: readonly { severity: string; topic: string; value: string; message: string }[];
      checks: readonly { topic: string; message: string }[];
    };
    const of = (topic: string) =>
      problems
        .filter((each) => each.topic === topic)
        .map(({ severity, value, message }) => `${severity} ${value}: ${message}`);
    assert.deepEqual(
      checks.filter(({ topic }) => topic === 'permissions').map(({ message }) => message),
      ['controller and agents have their permissions'],
    );
    assert.deepEqual(of('controller'), ['error 0 of 2: Pods are missing']);
    assert.match(of('leader')[0] ?? '', /^error none: there is no leader/);
    assert.match(of('maesh-dns')[0] ?? '', /^error 10\.96\.\d+\.\d+: has no ready agent/);
    await server.kubectl(['delete', 'clusterrole', 'maesh-controller']);
    const less = await run('check');
    assert.match(
      less.out,
      /^error +permissions +ServiceAccount maesh-controller is "get services in the whole cluster, [\s\S]+?": lacks \d+ permissions\n +run: maesh upgrade/m,
    );
    await run('upgrade', '--no-wait');
    const status = await run('status');
    assert.equal(status.code, 1);
    assert.match(
      status.out,
      /^Services: 0 published, \? without a mesh name\nTraffic: {2}unknown$/m,
    );
    assert.match(
      status.out,
      /^ {2}error +Deployment maesh\/maesh-controller status\.readyReplicas is "0 of 2"/m,
    );
    assert.match(status.out, /^Unknown: {2}problems of Services\n {10}no controller runs$/m);
  });

  await context.test('check says what the caller may not see', async () => {
    await server.kubectl(['create', 'serviceaccount', 'nobody', '-n', 'maesh']);
    const token = await server.kubectl(['create', 'token', 'nobody', '-n', 'maesh']);
    const config = await server.kubectl(['config', 'view', '--raw', '-o', 'json']);
    const parsed = JSON.parse(config) as { users: { user: { token: string } }[] };
    const [user] = parsed.users;
    assert.ok(user);
    user.user.token = token.trim();
    const path = `${server.kubeconfig}-nobody`;
    writeFileSync(path, JSON.stringify(parsed), { mode: 0o600 });
    const { code, out } = await maesh(['check', '--kubeconfig', path]);
    assert.equal(code, 3, out);
    assert.match(
      out,
      /^warning +permissions +Part of the mesh is "unknown": your user lacks \d+ permissions: list\s+pods\s+in\s+maesh,[\s\S]+? 403 Forbidden[\s\S]+?\n +ask an administrator to bind/m,
    );
    assert.equal(out.match(/403/g)?.length, 1, out);
  });

  await context.test('uninstall asks, then leaves nothing', async () => {
    const asks = await run('uninstall');
    assert.equal(asks.code, 2);
    assert.match(asks.err, /standard input is not a terminal; add --yes/);
    const shadow = (name: string) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {
        name,
        labels: {
          'app.kubernetes.io/name': 'maesh',
          'app.kubernetes.io/part-of': 'maesh',
          'app.kubernetes.io/component': 'shadow',
        },
      },
      spec: { ports: [{ port: 80 }] },
    });
    const items = [shadow('shadow-a'), shadow('shadow-b')];
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    await server.kubectl(['create', '-n', 'maesh', '-f', '-'], list);
    const { code, out, err } = await run('uninstall', '--yes', '--leave', '0s');
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /^2 shadow Services deleted$/m);
    assert.match(out, /^DaemonSet maesh\/maesh-agent deleted$/m);
    assert.match(out, /\nUninstalled\n$/);
    assert.deepEqual(await ours(), []);
  });

  await context.test(
    'what Helm installed is left to Helm, and its hook takes back the rest',
    async () => {
      const helm = (...args: readonly string[]) =>
        output(findTool('helm'), args, { env: server.env });
      await helm('install', 'mesh', 'chart', '-n', 'maesh', '--set', 'priorityClass.create=false');
      for (const args of [['uninstall', '--yes'], ['upgrade'], ['install']]) {
        const { code, err } = await run(...args);
        assert.equal(code, 1, err);
        assert.match(err, /Helm manages .+ helm (uninstall|upgrade) mesh /);
      }
      const hook = await maesh(['uninstall', '--from-hook', '--leave', '0s'], {
        KUBECONFIG: server.kubeconfig,
        POD_NAMESPACE: 'maesh',
        MAESH_DOMAIN: 'maesh-of-a-test.invalid',
        MAESH_DNS_MODE: 'auto',
      });
      assert.deepEqual([hook.code, hook.err], [0, '']);
      assert.match(hook.out, /^The cluster DNS is as it was before the mesh$/m);
      assert.ok((await ours()).includes('deployment.apps/maesh-controller'));
      await helm('uninstall', 'mesh', '-n', 'maesh', '--no-hooks');
      assert.deepEqual(await ours(), []);
    },
  );
});
