import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Problem } from '../../model/service.ts';
import type { ClusterFacts, Known } from '../facts/facts.ts';
import { agentOf, healthy, known, nodeNamed, podNamed, replicaOf } from '../facts.fixture.ts';
import { checkCluster } from './check.ts';

/** `level what: message` of each, without those that are well unless all are wanted. */
function told(facts: ClusterFacts, all = false): readonly string[] {
  return checkCluster(facts, known([]))
    .filter(({ level }) => all || level !== 'ok')
    .map(({ level, what, message }) => `${level} ${what}: ${message}`);
}

const UNSEEN: Known<never> = {
  ok: false,
  why: 'Cannot GET "/x": 403 Forbidden',
  isForbidden: true,
};

const PROBLEM: Problem = {
  severity: 'error',
  object: 'Service shop/web',
  field: 'metadata.annotations["maesh.dev/retry-attempts"]',
  value: 'many',
  message: 'is no number',
  remedy: 'give 1 to 10',
  location: '',
};

test('checkCluster() says of a good cluster what it looked at', () => {
  assert.deepEqual(told(healthy(), true), [
    'ok Kubernetes: v1.36.3',
    'ok kube-proxy: kube-proxy (nftables) leads callers to the agent of their node',
    'ok rights: controller and agents have what they need',
    'ok controller: 2 of 2 replicas ready',
    'ok leader: maesh-controller-a',
    'ok certificates: the CA is valid until 2026-10-28',
    'ok agents: 2 agents ready',
    'ok discovery: 2 agents connected and up to date',
    'ok maesh-dns: 10.96.0.53 leads to 2 agents',
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
      'fail Kubernetes: v1.20.9 is older than what maesh works with',
      'warn kube-proxy: knows no trafficDistribution (Kubernetes 1.31): callers reach any agent, not the one of their node',
    ],
  ],
  'an old Kubernetes': [
    { version: known('v1.21.1') },
    [
      'warn upgrades: has one agent per node at a time: during an upgrade of maesh, agents of other nodes carry its callers',
      'warn kube-proxy: knows no trafficDistribution (Kubernetes 1.31): callers reach any agent, not the one of their node',
    ],
  ],
  'a Kubernetes that keeps callers in their zone': [
    { version: known('v1.33.2+k3s1') },
    ['warn kube-proxy: keeps callers in their zone, not on their node (Kubernetes 1.34)'],
  ],
  'a newer Kubernetes, with an old node': [
    {
      version: known('v1.40.0'),
      nodes: known([nodeNamed('n1'), nodeNamed('n2', { kubelet: 'v1.32.0' })]),
    },
    [
      'warn Kubernetes: v1.40.0 is newer than what this maesh was tested with (1.21 to 1.36)',
      'warn kube-proxy: may be too old to keep callers on their node: n2 (v1.32.0)',
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
    ['fail controller: none of 2 replicas is ready: maesh-controller-a (ImagePullBackOff)'],
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
      'warn controller: 1 of 2 replicas are ready: maesh-controller-b (Services are not listed yet, 3 restarts)',
    ],
  ],
  'no replicas': [
    { controller: known({ ...controller, wanted: 0, ready: 0 }) },
    ['fail controller: has no replicas: nothing that changes reaches agents'],
  ],
  'no leader': [
    { lease: known({ holder: '', ageMs: Infinity, durationMs: 15_000 }) },
    ['fail leader: no replica leads: no new name is published, and the cluster DNS is not kept'],
  ],
  'a leader that is gone': [
    { lease: known({ holder: 'x', ageMs: 90_000, durationMs: 15_000 }) },
    [
      'fail leader: "x" was last seen 90 s ago: no new name is published, and the cluster DNS is not kept',
    ],
  ],
  'a CA that ends': [
    { ca: known({ endMs: good.nowMs + 86_400_000, certificates: 1 }) },
    ['warn certificates: the CA ends on 2026-01-02 and should have been renewed long ago'],
  ],
  'a CA that ended': [
    { ca: known({ endMs: good.nowMs - 1, certificates: 1 }) },
    ['fail certificates: the CA ended on 2025-12-31'],
  ],
  'a CA that is damaged': [
    { ca: known({ endMs: 0, certificates: 0 }) },
    ['fail certificates: ConfigMap maesh/maesh-ca holds no certificate that can be read'],
  ],
  'no CA': [
    { ca: known(null) },
    ['fail certificates: ConfigMap maesh/maesh-ca is missing: no agent can connect'],
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
    ['fail agents: 1 node without an agent: n3; callers there go to other nodes'],
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
      'warn agents: 1 of 3 are not ready: maesh-agent-a (CrashLoopBackOff) on n1',
      'fail discovery: 1 agent not connected to a controller: maesh-agent-c on n3; they go on with what they have',
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
                agentOf('maesh-agent-b', 'n2', { failures: ['port 10001: address in use'] }),
              ],
            }),
          ),
        ],
      ]),
    },
    [
      'warn discovery: 1 agent behind: n1 by 3 versions',
      'fail proxy ports: n2 cannot listen: port 10001: address in use',
      'warn agents: not all of the same version: 1 run 0.2.0, 1 run 0.1.0',
    ],
  ],
  'a DNS that leads nowhere': [
    { dnsService: known({ addresses: ['10.96.0.53'], endpoints: 0 }) },
    ['fail maesh-dns: 10.96.0.53 leads to no agent: mesh names resolve for nobody'],
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
      'fail cluster DNS: "maesh" fails',
      'warn problems: 1 error and 1 warning: Service shop/web metadata.annotations["maesh.dev/retry-attempts"]: is no number, Service shop/api: is no number',
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
      'warn names: 1 Service not published yet: shop/api',
      'warn proxy ports: 9 of 10 used (20000-20009)',
    ],
  ],
  'no ports': [
    {
      controller: known({ ...controller, env: new Map([['MAESH_PROXY_PORTS', '20000-20003']]) }),
    },
    ['fail proxy ports: 4 of 4 used (20000-20003): new Services get no name'],
  ],
  'what may not be seen': [
    { nodes: UNSEEN, lease: UNSEEN, replicas: new Map([['maesh-controller-a', UNSEEN]]) },
    [
      'warn leader: cannot be seen: Cannot GET "/x": 403 Forbidden',
      'warn nodes: cannot be seen: Cannot GET "/x": 403 Forbidden',
      'warn problems: maesh-controller-a cannot be asked: Cannot GET "/x": 403 Forbidden',
    ],
  ],
  'no mesh': [
    { controller: known(null), agent: known(null) },
    ['fail mesh: there is none in namespace "maesh" of https://10.0.0.1:6443'],
  ],
  'half a mesh': [
    { controller: known(null), shadows: known([]) },
    ['fail controller: is not in namespace "maesh"'],
  ],
};

for (const [name, [facts, expected]] of Object.entries(CASES)) {
  test(`checkCluster() tells of ${name}, with what to do`, () => {
    assert.deepEqual(told(healthy(facts)), expected);
    for (const { level, remedy } of checkCluster(healthy(facts), known([]))) {
      assert.equal(remedy === '', level === 'ok');
    }
  });
}

test('checkCluster() tells of missing rights by who lacks them', () => {
  const missing = ['a', 'b', 'c', 'd', 'e', 'f'].map((what) => ({ who: 'maesh-controller', what }));
  const of = (rights: Parameters<typeof checkCluster>[1]) =>
    checkCluster(healthy(), rights)
      .filter(({ what }) => what === 'rights')
      .map(({ level, message }) => `${level} ${message}`);
  assert.deepEqual(of(known([...missing, { who: 'you', what: 'g' }])), [
    'fail maesh-controller lacks 6 rights: a, b, c, d, e and 1 more',
    'fail you lacks 1 right: g',
  ]);
  assert.deepEqual(of(UNSEEN), ['warn cannot be seen: Cannot GET "/x": 403 Forbidden']);
  assert.deepEqual(of(null), []);
});
