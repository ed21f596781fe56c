import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failuresText } from './agents.ts';

import type { Problem } from '../../model/service.ts';
import type { ClusterFacts, Known } from '../facts/facts.ts';
import { agentOf, healthy, known, nodeNamed, podNamed, replicaOf } from '../facts.fixture.ts';
import { checkCluster } from './check.ts';
import { type Finding, isFlaw } from './finding.ts';
import { aboutObject } from '../../model/object-reference.ts';

/** `severity topic: message` or, of what is wrong, `severity topic: object field = value: message`. */
function tell(finding: Finding): string {
  const { severity, topic, message } = finding;
  if (!isFlaw(finding)) return `${severity} ${topic}: ${message}`;
  const { object, field, value } = finding;
  const what = `${object}${field === '' ? '' : ` ${field}`}${value === '' ? '' : ` = ${value}`}`;
  return `${severity} ${topic}: ${what}: ${message}`;
}

/** All of them, or only what is wrong. */
function told(facts: ClusterFacts, all = false): readonly string[] {
  return checkCluster(facts, known([]))
    .filter((finding) => all || isFlaw(finding))
    .map(tell);
}

const UNSEEN: Known<never> = {
  ok: false,
  why: 'Cannot GET "/x": 403 Forbidden',
  isForbidden: true,
};

const PROBLEM: Problem = {
  severity: 'error',
  ...aboutObject('Service', 'shop', 'web'),
  field: 'metadata.annotations["maesh.dev/retry-attempts"]',
  value: 'many',
  message: 'is no number',
  remedy: 'give 1 to 10',
  location: '',
};

test('checkCluster() says of a good cluster what it looked at', () => {
  assert.deepEqual(told(healthy(), true), [
    'ok Kubernetes: v1.36.3',
    'ok kube-proxy: kube-proxy (nftables) sends callers to the agent on their node',
    'ok permissions: controller and agents have their permissions',
    'ok controller: 2 of 2 replicas ready',
    'ok leader: maesh-controller-a',
    'ok certificates: the CA is valid until 2026-10-28',
    'ok agents: 2 agents ready',
    'ok discovery: 2 agents connected and up to date',
    'ok maesh-dns: 10.96.0.53 points to 2 agents',
    'ok cluster DNS: forwards the mesh domains (dns mode "auto")',
    'ok names: 2 Services with a mesh name',
    'ok proxy ports: 4 of 20000 used (10000-29999)',
    'ok problems: none',
  ]);
});

const good = healthy();
const controller = good.controller.ok ? good.controller.value : null;
assert.ok(controller);
const CASES: Readonly<
  Record<string, readonly [facts: Partial<ClusterFacts>, told: readonly string[]]>
> = {
  'a Kubernetes that is too old': [
    { version: known('v1.20.9') },
    [
      'error Kubernetes: Kubernetes version = v1.20.9: maesh needs Kubernetes 1.21 or later',
      'warning kube-proxy: Kubernetes version = v1.20.9: kube-proxy does not support trafficDistribution (Kubernetes 1.31): callers use any agent, not the one on their node',
    ],
  ],
  'an old Kubernetes': [
    { version: known('v1.21.1') },
    [
      'warning upgrades: Kubernetes version = v1.21.1: allows only one agent per node at a time: during an upgrade of maesh, agents of other nodes serve its callers',
      'warning kube-proxy: Kubernetes version = v1.21.1: kube-proxy does not support trafficDistribution (Kubernetes 1.31): callers use any agent, not the one on their node',
    ],
  ],
  'a Kubernetes that keeps callers in their zone': [
    { version: known('v1.33.2+k3s1') },
    [
      'warning kube-proxy: Kubernetes version = v1.33.2+k3s1: kube-proxy keeps callers in their zone, not on their node (Kubernetes 1.34)',
    ],
  ],
  'a newer Kubernetes, with an old node': [
    {
      version: known('v1.40.0'),
      nodes: known([nodeNamed('n1'), nodeNamed('n2', { kubelet: 'v1.32.0' })]),
    },
    [
      'warning Kubernetes: Kubernetes version = v1.40.0: this maesh was tested with 1.21 to 1.36',
      'warning kube-proxy: Nodes status.nodeInfo.kubeletVersion = n2: v1.32.0: kube-proxy there may be too old to keep callers on their node',
    ],
  ],
  'replicas that do not start': [
    {
      controller: known({ ...controller, ready: 0 }),
      pods: known([
        podNamed('maesh-controller-a', 'n1', { isReady: false, trouble: 'ImagePullBackOff' }),
        podNamed('maesh-agent-a', 'n1'),
        podNamed('maesh-agent-b', 'n2'),
      ]),
    },
    [
      'error controller: Deployment maesh/maesh-controller status.readyReplicas = 0 of 2: maesh-controller-a (ImagePullBackOff)',
    ],
  ],
  'one replica that waits': [
    {
      controller: known({ ...controller, ready: 1 }),
      pods: known([
        podNamed('maesh-controller-b', 'n1', { isReady: false, restarts: 3 }),
        podNamed('maesh-agent-a', 'n1'),
        podNamed('maesh-agent-b', 'n2'),
      ]),
      replicas: new Map([
        ...good.replicas,
        [
          'maesh-controller-b',
          known(
            replicaOf('maesh-controller-b', {
              pending: ['Services are not listed yet'],
              agents: [agentOf('maesh-agent-b', 'n2')],
            }),
          ),
        ],
      ]),
    },
    [
      'warning controller: Deployment maesh/maesh-controller status.readyReplicas = 1 of 2: maesh-controller-b (Services are not listed yet, 3 restarts)',
    ],
  ],
  'an upgrade that is under way': [
    { controller: known({ ...controller, updated: 1 }) },
    [
      'warning controller: Deployment maesh/maesh-controller status = 1 of 2 updated: an upgrade is in progress',
    ],
  ],
  'an upgrade that is stuck while the old version serves': [
    {
      controller: known({ ...controller, updated: 1, isStuck: true }),
      agent: known({ ...controller, updated: 1 }),
      pods: known([
        podNamed('maesh-controller-a', 'n1'),
        podNamed('maesh-controller-b', 'n2'),
        podNamed('maesh-controller-new', 'n2', { isReady: false, trouble: 'ErrImagePull' }),
        podNamed('maesh-agent-a', 'n1'),
        podNamed('maesh-agent-b', 'n2'),
        podNamed('maesh-agent-new', 'n2', { isReady: false, trouble: 'ErrImagePull' }),
      ]),
    },
    [
      'error controller: Deployment maesh/maesh-controller status = 1 of 2 updated: an upgrade is in progress, and new Pods do not become ready: maesh-controller-new (ErrImagePull)',
      'warning agents: DaemonSet maesh/maesh-agent status.numberReady = 2 of 3: an upgrade is stuck: maesh-agent-new (ErrImagePull) on n2',
    ],
  ],
  'no replicas': [
    { controller: known({ ...controller, wanted: 0, ready: 0 }) },
    [
      'error controller: Deployment maesh/maesh-controller spec.replicas = 0: there is no controller: agents get no changes',
    ],
  ],
  'no leader': [
    { lease: known({ holder: '', ageMs: Infinity, durationMs: 15_000 }) },
    [
      'error leader: Lease maesh/maesh-controller spec.holderIdentity = none: there is no leader: no new name is published, and the cluster DNS is not maintained',
    ],
  ],
  'a leader that is gone': [
    { lease: known({ holder: 'x', ageMs: 90_000, durationMs: 15_000 }) },
    [
      'error leader: Lease maesh/maesh-controller spec.renewTime = 90 s ago: "x" is the leader, but does not renew its Lease: no new name is published, and the cluster DNS is not maintained',
    ],
  ],
  'a CA that ends': [
    { ca: known({ endMs: good.nowMs + 86_400_000, certificates: 1 }) },
    [
      'warning certificates: ConfigMap maesh/maesh-ca data["ca.crt"] = 2026-01-02: the CA expires at that time; its renewal is overdue',
    ],
  ],
  'a CA that ended': [
    { ca: known({ endMs: good.nowMs - 1, certificates: 1 }) },
    [
      'error certificates: ConfigMap maesh/maesh-ca data["ca.crt"] = 2025-12-31: the CA has expired: agents cannot connect',
    ],
  ],
  'a CA that is damaged': [
    { ca: known({ endMs: 0, certificates: 0 }) },
    [
      'error certificates: ConfigMap maesh/maesh-ca data["ca.crt"] = unreadable: has no readable certificate',
    ],
  ],
  'no CA': [
    { ca: known(null) },
    ['error certificates: ConfigMap maesh/maesh-ca = absent: agents cannot connect without it'],
  ],
  'a node without an agent, and others that need none': [
    {
      nodes: known([
        nodeNamed('n1'),
        nodeNamed('n2'),
        nodeNamed('n3'),
        nodeNamed('n4', { isReady: false }),
        nodeNamed('n5', { isSchedulable: false }),
        nodeNamed('n6', { labels: { 'kubernetes.io/os': 'windows' } }),
      ]),
    },
    [
      'error agents: DaemonSet maesh/maesh-agent status.desiredNumberScheduled = n3: 1 node without an agent; callers there use agents of other nodes',
    ],
  ],
  'an agent that is not ready, and one that is lost': [
    {
      pods: known([
        podNamed('maesh-agent-a', 'n1', { isReady: false, trouble: 'CrashLoopBackOff' }),
        podNamed('maesh-agent-b', 'n2'),
        podNamed('maesh-agent-c', 'n3'),
      ]),
    },
    [
      'warning agents: DaemonSet maesh/maesh-agent status.numberReady = 2 of 3: maesh-agent-a (CrashLoopBackOff) on n1',
      'error discovery: DaemonSet maesh/maesh-agent = maesh-agent-c on n3: 1 agent not connected to a controller; they keep their last configuration',
    ],
  ],
  'agents that are behind, of another version, and cannot listen': [
    {
      replicas: new Map([
        [
          'maesh-controller-a',
          known(
            replicaOf('maesh-controller-a', {
              agents: [
                agentOf('maesh-agent-a', 'n1', { isBehind: true, lag: 3, build: '0.2.0' }),
                agentOf('maesh-agent-b', 'n2', {
                  failures: ['port 10001: address in use', 'port 10002 for shop/many: EMFILE'],
                }),
              ],
            }),
          ),
        ],
      ]),
    },
    [
      'warning discovery: DaemonSet maesh/maesh-agent = n1 by 3 versions: 1 agent without the latest configuration',
      'error proxy ports: Pod maesh/maesh-agent-b = port 10001: address in use: the agent on n2 cannot open this port',
      'error proxy ports: Pod maesh/maesh-agent-b = port 10002 for shop/many: EMFILE: the agent on n2 has no file descriptors left to open this port',
      'warning agents: DaemonSet maesh/maesh-agent = 1 run 0.2.0, 1 run 0.1.0: not all agents are of the same version',
    ],
  ],
  'a DNS that leads nowhere': [
    { dnsService: known({ addresses: ['10.96.0.53'], endpoints: 0 }) },
    [
      'error maesh-dns: Service maesh/maesh-dns = 10.96.0.53: has no ready agent: mesh names do not resolve',
    ],
  ],
  'a DNS that is not forwarded, and problems': [
    {
      replicas: new Map(
        ['a', 'b'].map((name) => [
          `maesh-controller-${name}`,
          known(
            replicaOf(`maesh-controller-${name}`, {
              agents: [agentOf(`maesh-agent-${name}`, 'n1')],
              problems: [
                PROBLEM,
                { ...PROBLEM, severity: 'warning', object: 'Service shop/api', field: '' },
                { ...PROBLEM, object: 'DNS domain maesh', field: '', message: '"maesh" fails' },
              ],
            }),
          ),
        ]),
      ),
    },
    [
      'error cluster DNS: DNS domain maesh = many: "maesh" fails',
      'error problems: Service shop/web metadata.annotations["maesh.dev/retry-attempts"] = many: is no number',
      'warning problems: Service shop/api = many: is no number',
    ],
  ],
  'names that wait, and ports that run out': [
    {
      controller: known({ ...controller, env: new Map([['MAESH_PROXY_PORTS', '20000-20009']]) }),
      shadows: known([
        { service: 'shop/web', state: 'published', proxyPorts: 5 },
        { service: 'shop/api', state: 'announced', proxyPorts: 4 },
      ]),
    },
    [
      'warning names: Services = shop/api: 1 Service whose mesh name is not published yet',
      'warning proxy ports: Deployment maesh/maesh-controller MAESH_PROXY_PORTS = 20000-20009: 9 of 10 proxy ports are used',
    ],
  ],
  'no ports': [
    {
      controller: known({ ...controller, env: new Map([['MAESH_PROXY_PORTS', '20000-20003']]) }),
    },
    [
      'error proxy ports: Deployment maesh/maesh-controller MAESH_PROXY_PORTS = 20000-20003: 4 of 4 proxy ports are used: new Services get no name',
    ],
  ],
  'what may not be seen': [
    { nodes: UNSEEN, lease: UNSEEN, replicas: new Map([['maesh-controller-a', UNSEEN]]) },
    [
      'warning permissions: Part of the mesh = unknown: your user lacks 3 permissions: list nodes, get leases in maesh, get pods/proxy in maesh; without them these are unknown: nodes without an agent, the leader, data of maesh-controller-a: connected agents and problems; the API server says: Cannot GET "/x": 403 Forbidden',
    ],
  ],
  'no mesh': [
    { controller: known(null), agent: known(null) },
    [
      'error mesh: Namespace maesh = absent: there is no mesh in this namespace of https://10.0.0.1:6443',
    ],
  ],
  'half a mesh': [
    { controller: known(null), shadows: known([]) },
    [
      'error controller: Deployment maesh/maesh-controller = absent: there is no controller in namespace "maesh"',
    ],
  ],
};

for (const [name, [facts, expected]] of Object.entries(CASES)) {
  test(`checkCluster() tells of ${name}, with what to do`, () => {
    assert.deepEqual(told(healthy(facts)), expected);
    for (const finding of checkCluster(healthy(facts), known([]))) {
      if (isFlaw(finding)) assert.ok(finding.object !== '' && finding.remedy !== '', tell(finding));
    }
  });
}

test('checkCluster() tells of missing rights by who lacks them', () => {
  const missing = ['a', 'b', 'c', 'd', 'e', 'f'].map((what) => ({ who: 'maesh-controller', what }));
  const of = (rights: Parameters<typeof checkCluster>[1]) =>
    checkCluster(healthy(), rights)
      .filter(({ topic }) => topic === 'permissions')
      .map(tell);
  assert.deepEqual(of(known([...missing, { who: 'you', what: 'g' }])), [
    'warning permissions: Part of the mesh = unknown: your user lacks 1 permission: g',
    'error permissions: ServiceAccount maesh-controller = a, b, c, d, e and 1 more: lacks 6 permissions',
  ]);
  assert.deepEqual(of(UNSEEN), [
    'warning permissions: Part of the mesh = unknown: your user lacks 1 permission: create subjectaccessreviews; without them these are unknown: permissions of controller and agents; the API server says: Cannot GET "/x": 403 Forbidden',
  ]);
  assert.deepEqual(of(null), []);
});

test('checkCluster() leads to the description of a Pod that never ran, and to the log of one that did', () => {
  const remedies = (trouble: string) =>
    checkCluster(
      healthy({
        pods: known([podNamed('maesh-agent-a', 'n1', { isReady: false, trouble })]),
      }),
      null,
    )
      .filter(isFlaw)
      .filter(({ topic, field }) => topic === 'agents' && field === 'status.numberReady')
      .map(({ remedy }) => remedy);
  for (const trouble of ['ImagePullBackOff', 'ErrImagePull', 'CreateContainerConfigError']) {
    assert.deepEqual(remedies(trouble), [
      'find the cause: kubectl -n maesh describe pod maesh-agent-a',
    ]);
  }
  for (const trouble of ['', 'CrashLoopBackOff']) {
    assert.deepEqual(remedies(trouble), ['find the cause: kubectl -n maesh logs maesh-agent-a']);
  }
});

test('of the ports that an agent cannot open, the first are named, and their number only where it is known', () => {
  const port = (i: number): string => `port ${10_000 + i} for shop/many: EMFILE`;
  const ports = (count: number): string[] => Array.from({ length: count }, (_, i) => port(i));
  assert.equal(failuresText(ports(2)), `${port(0)}, ${port(1)}`);
  assert.equal(failuresText(ports(99)), `${port(0)}, ${port(1)}, ${port(2)} and 96 more`);
  assert.equal(failuresText(ports(100)), `${port(0)}, ${port(1)}, ${port(2)} and many more`);
});
