import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { ApiServer } from './support/api-server.ts';
import {
  CHART,
  dig,
  find,
  type Manifest,
  render,
  template,
  words,
  workloadsOf,
} from './support/chart.ts';
import { findTool, run, skipWithout } from './support/tools.ts';

const RESTRICTED = ['enforce', 'warn', 'audit'].map(
  (mode) => `pod-security.kubernetes.io/${mode}=restricted`,
);

/** A question to the authorizer: may this account do this? */
type Question = readonly [verb: string, resource: string, where: string, name?: string];

const ACCOUNT = (name: string) => `system:serviceaccount:maesh:${name}`;
/** Namespace '' is the whole cluster. */
const MAY: Readonly<Record<string, readonly Question[]>> = {
  'maesh-controller': [
    ...['services', 'endpoints', 'pods', 'nodes', 'namespaces', 'serviceaccounts'].flatMap(
      (resource): Question[] => [
        ['list', resource, ''],
        ['watch', resource, ''],
      ],
    ),
    ['watch', 'endpointslices.discovery.k8s.io', ''],
    ['list', 'configmaps', ''],
    ['watch', 'configmaps', ''],
    ['create', 'tokenreviews.authentication.k8s.io', ''],
    ['create', 'events', 'shop'],
    ['create', 'events.events.k8s.io', 'shop'],
    ['get', 'events.events.k8s.io', 'shop', 'x'],
    ['patch', 'events.events.k8s.io', 'shop', 'x'],
    ['create', 'services', 'maesh'],
    ['patch', 'services', 'maesh', 'shadow-1'],
    ['delete', 'services', 'maesh', 'shadow-1'],
    ['create', 'leases.coordination.k8s.io', 'maesh'],
    ['update', 'leases.coordination.k8s.io', 'maesh', 'maesh-controller'],
    ['patch', 'leases.coordination.k8s.io', 'maesh', 'maesh-controller-1'],
    ['create', 'secrets', 'maesh'],
    ['list', 'secrets', 'shop'],
    ['watch', 'secrets', 'shop'],
    ['get', 'secrets', 'maesh', 'maesh-ca'],
    ['patch', 'configmaps', 'maesh', 'maesh-ca'],
    ['patch', 'configmaps', 'maesh', 'maesh-dns-backup'],
    ['list', 'deployments.apps', 'kube-system'],
    ['patch', 'configmaps', 'kube-system', 'coredns'],
    ['watch', 'configmaps', 'kube-system', 'node-local-dns'],
    ['create', 'configmaps', 'kube-system'],
    ['delete', 'configmaps', 'kube-system', 'coredns-custom'],
  ],
  'maesh-agent': [['get', 'configmaps', 'maesh', 'maesh-ca']],
  'maesh-uninstall': [
    ['patch', 'deployments.apps', 'maesh', 'maesh-controller'],
    ['delete', 'services', 'maesh', 'shadow-1'],
    ['delete', 'secrets', 'maesh', 'maesh-ca'],
    ['patch', 'configmaps', 'kube-system', 'coredns'],
  ],
  // A ServiceAccount that `view.subjects` names.
  viewer: [
    ['get', 'pods/proxy', 'maesh', 'maesh-agent-x:9000'],
    ['list', 'pods', 'maesh'],
    ['list', 'services', 'maesh'],
    ['get', 'daemonsets.apps', 'maesh', 'maesh-agent'],
    ['list', 'endpointslices.discovery.k8s.io', 'maesh'],
    ['get', 'leases.coordination.k8s.io', 'maesh', 'maesh-controller'],
    ['get', 'configmaps', 'maesh', 'maesh-ca'],
    ['list', 'nodes', ''],
    ['create', 'subjectaccessreviews.authorization.k8s.io', ''],
  ],
};
const MAY_NOT: Readonly<Record<string, readonly Question[]>> = {
  'maesh-controller': [
    ['create', 'services', 'shop'],
    ['patch', 'services', 'shop', 'web'],
    ['delete', 'services', 'shop', 'web'],
    ['patch', 'services', 'kube-system', 'kube-dns'],
    ['get', 'secrets', 'maesh', 'other'],
    ['list', 'secrets', 'maesh'],
    ['list', 'secrets', ''],
    ['list', 'secrets', 'bank'],
    ['list', 'secrets', 'kube-system'],
    ['update', 'secrets', 'shop', 'web-tls'],
    ['delete', 'secrets', 'shop', 'web-tls'],
    ['get', 'configmaps', 'shop', 'x'],
    ['patch', 'configmaps', 'shop', 'x'],
    ['patch', 'configmaps', 'kube-system', 'kubeadm-config'],
    ['delete', 'configmaps', 'kube-system', 'coredns'],
    ['patch', 'deployments.apps', 'kube-system', 'coredns'],
    ['create', 'pods', 'maesh'],
    ['create', 'serviceaccounts/token', 'maesh', 'maesh-agent'],
    ['patch', 'nodes', '', 'n1'],
    ['update', 'endpointslices.discovery.k8s.io', 'shop', 'x'],
  ],
  'maesh-agent': [
    ['list', 'configmaps', 'maesh'],
    ['get', 'configmaps', 'maesh', 'other'],
    ['get', 'configmaps', 'kube-system', 'coredns'],
    ['get', 'secrets', 'maesh', 'maesh-ca'],
    ['list', 'services', ''],
    ['list', 'pods', 'maesh'],
    ['create', 'tokenreviews.authentication.k8s.io', ''],
    ['create', 'events', 'maesh'],
  ],
  'maesh-uninstall': [
    ['get', 'secrets', 'maesh', 'maesh-ca'],
    ['delete', 'services', 'shop', 'web'],
    ['patch', 'deployments.apps', 'kube-system', 'coredns'],
    ['delete', 'pods', 'maesh', 'x'],
  ],
  viewer: [
    ['get', 'pods/proxy', 'shop', 'x'],
    ['create', 'pods/proxy', 'maesh', 'x'],
    ['create', 'pods/exec', 'maesh', 'x'],
    ['create', 'pods/portforward', 'maesh', 'x'],
    ['list', 'pods', 'shop'],
    ['get', 'configmaps', 'maesh', 'maesh-dns-backup'],
    ['get', 'secrets', 'maesh', 'maesh-ca'],
    ['delete', 'pods', 'maesh', 'x'],
    ['get', 'nodes/proxy', '', 'n1'],
  ],
};

/** Who may use the command line. */
const VIEWER =
  'view: { subjects: [{ kind: ServiceAccount, name: viewer, namespace: maesh }] }\ncontroller: { secretNamespaces: [shop] }';

function review(account: string, [verb, resource, namespace, name = '']: Question): object {
  const [path = '', subresource = ''] = resource.split('/');
  const [kind = '', ...group] = path.split('.');
  return {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: {
      user: ACCOUNT(account),
      resourceAttributes: {
        verb,
        namespace,
        name,
        subresource,
        resource: kind,
        group: group.join('.'),
      },
    },
  };
}

describe(
  'a real API server',
  { skip: skipWithout('helm', 'kubectl', 'kubernetes', 'etcd') },
  () => {
    let api: ApiServer;

    before(async () => {
      api = await ApiServer.start();
      for (const namespace of ['maesh', 'shop', 'bank']) {
        await api.kubectl(['create', 'namespace', namespace]);
        await api.kubectl(['label', 'namespace', namespace, ...RESTRICTED]);
      }
    });

    after(async () => {
      await api[Symbol.asyncDispose]();
    });

    function helm(tool: 'helm' | 'helm3', ...args: readonly string[]) {
      return run(findTool(tool), [...args, '--namespace', 'maesh'], { env: api.env });
    }

    async function answers(
      table: Readonly<Record<string, readonly Question[]>>,
    ): Promise<string[]> {
      const asked = Object.entries(table).flatMap(([account, questions]) =>
        questions.map((question) => ({ account, question })),
      );
      const items = asked.map(({ account, question }) => review(account, question));
      const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
      const print = 'jsonpath={.status.allowed}{"\\n"}';
      const out = await api.kubectl(['create', '-f', '-', '-o', print], list);
      const reviews = out.trim().split('\n');
      assert.equal(reviews.length, asked.length);
      return asked.map(
        ({ account, question }, index) =>
          `${account} ${question.join(' ')}: ${reviews[index] === 'true' ? 'yes' : 'no'}`,
      );
    }

    for (const [name, values] of [
      ['default values', '{}'],
      ['network policies and no user', 'networkPolicy: { enabled: true }\nrunAsUser: null'],
    ] as const) {
      test(`takes every object with ${name} in a dry run, without a warning`, async () => {
        const version = ['--kube-version', '1.36.3'];
        const text = await template(values, ...version);
        const { code, out, err } = await run(
          findTool('kubectl'),
          ['apply', '--dry-run=server', '--validate=strict', '-f', '-'],
          { env: api.env, input: text },
        );
        assert.equal(code, 0, err);
        assert.equal(err, '');
        const created = out.split('\n').filter((line) => line.endsWith('created (server dry run)'));
        assert.equal(created.length, (await render(values, ...version)).length, out);
      });
    }

    test('a Namespace of the chart is one in which its Pods are allowed', async () => {
      const values = 'namespace: { create: true }';
      const text = await template(
        values,
        '--namespace',
        'other',
        '--show-only',
        'templates/namespace.yaml',
      );
      const args = ['apply', '--dry-run=server', '-f', '-', '-o', 'jsonpath={.metadata.labels}'];
      const labels = await api.kubectl(args, text);
      assert.match(labels, /"pod-security\.kubernetes\.io\/enforce":"restricted"/);
    });

    for (const tool of ['helm', 'helm3'] as const) {
      describe(`with ${tool}`, { skip: skipWithout(tool) }, () => {
        test('installs, then upgrades to other values', async () => {
          const installed = await helm(tool, 'install', 'maesh', CHART);
          assert.equal(installed.code, 0, installed.err);
          assert.match(installed.out, /curl http:\/\/web\.shop\.maesh/);
          assert.doesNotMatch(installed.err, /violate|PodSecurity/);
          const flags = ['--set', 'controller.replicas=3', '--set', 'agent.threads=4'];
          const upgraded = await helm(tool, 'upgrade', 'maesh', CHART, ...flags);
          assert.equal(upgraded.code, 0, upgraded.err);
          const replicas = [
            'get',
            'deployment',
            'maesh-controller',
            '-o',
            'jsonpath={.spec.replicas}',
          ];
          assert.equal(await api.kubectl([...replicas, '-n', 'maesh']), '3');
        });

        test('the Pods of all templates pass the admission of "restricted"', async () => {
          for (const { kind, metadata, spec } of await podTemplates()) {
            if (kind === 'Job') continue;
            const pod = podOf(metadata.name, spec);
            const made = await api.kubectl(
              ['create', '-o', 'json', '-f', '-'],
              JSON.stringify(pod),
            );
            const { priorityClassName, priority, preemptionPolicy } = (
              JSON.parse(made) as { spec: Record<string, unknown> }
            ).spec;
            assert.deepEqual(
              [priorityClassName, priority, preemptionPolicy],
              ['maesh', 1_000_000_000, 'Never'],
            );
            await api.kubectl([
              'delete',
              'pod',
              metadata.name,
              '-n',
              'maesh',
              '--grace-period=0',
              '--force',
            ]);
          }
        });

        test('uninstall waits for the hook, and leaves nothing of ours', async () => {
          const ended = helm(tool, 'uninstall', 'maesh', '--timeout', '60s');
          await endJob(api, 'Complete');
          const { code, err } = await ended;
          assert.equal(code, 0, err);
          assert.deepEqual(await leftovers(api), []);
        });
      });
    }

    describe('when the hook fails', () => {
      test('uninstall says so, deletes nothing, and can be run again', async () => {
        assert.equal((await helm('helm', 'install', 'maesh', CHART)).code, 0);
        const failed = helm('helm', 'uninstall', 'maesh', '--timeout', '60s');
        await endJob(api, 'Failed');
        const { code, err } = await failed;
        assert.notEqual(code, 0);
        assert.match(err, /maesh-uninstall|pre-delete/);
        await api.kubectl(['get', 'daemonset', 'maesh-agent', '-n', 'maesh']);
        await api.kubectl(['get', 'job', 'maesh-uninstall', '-n', 'maesh']);

        const again = helm('helm', 'uninstall', 'maesh', '--timeout', '60s');
        await endJob(api, 'Complete');
        assert.equal((await again).code, 0, (await again).err);
        assert.deepEqual(await leftovers(api), []);
      });

      test('--no-hooks gets rid of the release anyway', async () => {
        assert.equal((await helm('helm', 'install', 'maesh', CHART)).code, 0);
        assert.equal((await helm('helm', 'uninstall', 'maesh', '--no-hooks')).code, 0);
        assert.deepEqual(await leftovers(api), []);
      });
    });

    describe('with everything applied', () => {
      before(async () => {
        await api.kubectl(['apply', '-f', '-'], await template(VIEWER, '--kube-version', '1.36.3'));
      });

      test('the accounts may do what they need', async () => {
        const no = (await answers(MAY)).filter((line) => line.endsWith(': no'));
        assert.deepEqual(no, []);
      });

      test('the accounts may do nothing else', async () => {
        const yes = (await answers(MAY_NOT)).filter((line) => line.endsWith(': yes'));
        assert.deepEqual(yes, []);
      });

      test('with dns.mode manual nothing outside of the namespace can be written but Events', async () => {
        const manifests = await render('dns: { mode: manual }');
        const writes = manifests
          .filter(({ rules, metadata }) => rules !== undefined && metadata.namespace !== 'maesh')
          .flatMap(({ rules }) => rules ?? [])
          .filter((rule) => !rule.verbs.every((verb) => /^(get|list|watch)$/.test(verb)))
          .map((rule) => rule.resources.join());
        // Reviews are questions: the second one is asked by the people to whom the view role is given.
        const reviews = ['subjectaccessreviews', 'tokenreviews'];
        assert.deepEqual(writes.toSorted(), ['events', ...reviews]);
      });

      test('the way without Helm in the cluster makes the namespace and what is in it', async () => {
        const flags = ['--namespace', 'fresh', '--no-hooks', '--kube-version', '1.36.3'];
        const text = await template('namespace: { create: true }', ...flags);
        await api.kubectl(['apply', '-f', '-'], text);
        const made = await api.kubectl([
          'get',
          'daemonset,deployment',
          '-n',
          'fresh',
          '-o',
          'name',
        ]);
        assert.deepEqual(made.trim().split('\n'), [
          'daemonset.apps/maesh-agent',
          'deployment.apps/maesh-controller',
        ]);
        assert.doesNotMatch(text, /maesh-uninstall/);
      });

      test('a Pod that asks for more than the templates do is refused', async () => {
        const agent = find(await podTemplates(), 'DaemonSet', 'maesh-agent');
        const pod = structuredClone(podOf('greedy', agent.spec));
        Object.assign(words(pod.spec, 'containers', 0, 'securityContext'), { capabilities: {} });
        const { code, err } = await run(findTool('kubectl'), ['create', '-f', '-'], {
          env: api.env,
          input: JSON.stringify(pod),
        });
        assert.notEqual(code, 0);
        assert.match(err, /violates PodSecurity "restricted.*unrestricted capabilities/);
      });
    });
  },
);

async function podTemplates(): Promise<readonly Manifest[]> {
  return workloadsOf(await render());
}

function podOf(name: string, spec: unknown) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...words(spec, 'template', 'metadata'), name, namespace: 'maesh' },
    spec: dig(spec, 'template', 'spec'),
  };
}

/** What the controller of Jobs does when the Pod of the hook has ended: nothing runs Pods here. */
async function endJob(api: ApiServer, condition: 'Complete' | 'Failed'): Promise<void> {
  const of = ['job/maesh-uninstall', '-n', 'maesh'];
  await untilNew(api);
  const time = new Date().toISOString().replace(/\.\d+/, '');
  const type = condition === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget';
  const conditions = [type, condition].map((each) => ({
    type: each,
    status: 'True',
    lastTransitionTime: time,
    lastProbeTime: time,
  }));
  const ended = condition === 'Complete' ? { succeeded: 1, completionTime: time } : { failed: 3 };
  const status = { startTime: time, conditions, ...ended };
  await api.kubectl([
    'patch',
    ...of,
    '--subresource=status',
    '--type=merge',
    '-p',
    JSON.stringify({ status }),
  ]);
}

/** Waits for a Job that has not ended: a failed one of the last try is replaced first. */
async function untilNew(api: ApiServer): Promise<void> {
  for (;;) {
    const waited = await api.try(
      'wait',
      '--for=create',
      'job/maesh-uninstall',
      '-n',
      'maesh',
      '--timeout=30s',
    );
    // kubectl finds the failed one, and then it is gone: the next one is still to come.
    if (waited.code !== 0 && waited.err.includes('NotFound')) continue;
    assert.equal(waited.code, 0, waited.err);
    const shown = await api.try(
      'get',
      'job',
      'maesh-uninstall',
      '-n',
      'maesh',
      '-o',
      'jsonpath={.status.conditions}',
    );
    if (shown.code === 0 && shown.out === '') return;
  }
}

/** Everything in the cluster that carries our name, but the namespace. */
async function leftovers(api: ApiServer): Promise<string[]> {
  const kinds = await api.kubectl(['api-resources', '--verbs=list', '-o', 'name']);
  const all = kinds.trim().split('\n').join();
  const out = await api.kubectl([
    'get',
    all,
    '-A',
    '-l',
    'app.kubernetes.io/part-of=maesh',
    '-o',
    'name',
    '--ignore-not-found',
  ]);
  return out
    .trim()
    .split('\n')
    .filter((line) => line !== '');
}
