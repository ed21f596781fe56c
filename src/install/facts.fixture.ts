/** Facts of a cluster where all is well, to be spoiled by tests. */

import type {
  AgentFact,
  ClusterFacts,
  Known,
  NodeFact,
  PodFact,
  ReplicaFact,
} from './facts/facts.ts';

export function known<T>(value: T): Known<T> {
  return { ok: true, value };
}

export function podNamed(name: string, node: string, over: Partial<PodFact> = {}): PodFact {
  const component = name.includes('controller') ? 'controller' : 'agent';
  return {
    name,
    component,
    node,
    isReady: true,
    isEnding: false,
    trouble: '',
    restarts: 0,
    ...over,
  };
}

export function nodeNamed(name: string, over: Partial<NodeFact> = {}): NodeFact {
  const labels = { 'kubernetes.io/os': 'linux' };
  return { name, isReady: true, isSchedulable: true, labels, kubelet: 'v1.36.3', ...over };
}

export function agentOf(pod: string, node: string, over: Partial<AgentFact> = {}): AgentFact {
  return {
    agent: `maesh/${pod}`,
    node,
    build: '0.1.0',
    servedVersion: 41,
    isBehind: false,
    lag: 0,
    failures: [],
    ...over,
  };
}

export function replicaOf(pod: string, over: Partial<ReplicaFact> = {}): ReplicaFact {
  return { pod, build: '0.1.0', version: 41, agents: [], problems: [], pending: [], ...over };
}

const WORKLOAD = {
  image: 'maesh/maesh:0.1.0',
  wanted: 2,
  ready: 2,
  updated: 2,
  isStuck: false,
  nodeSelector: { 'kubernetes.io/os': 'linux' },
  env: new Map([['MAESH_DNS_MODE', 'auto']]),
  helmRelease: '',
};

/** Two nodes, two controllers, two agents, three Services. */
export function healthy(over: Partial<ClusterFacts> = {}): ClusterFacts {
  const nowMs = Date.parse('2026-01-01T00:00:00Z');
  return {
    namespace: 'maesh',
    server: 'https://10.0.0.1:6443',
    nowMs,
    version: known('v1.36.3'),
    controller: known(WORKLOAD),
    agent: known(WORKLOAD),
    pods: known([
      podNamed('maesh-controller-a', 'n1'),
      podNamed('maesh-controller-b', 'n2'),
      podNamed('maesh-agent-a', 'n1'),
      podNamed('maesh-agent-b', 'n2'),
    ]),
    nodes: known([nodeNamed('n1'), nodeNamed('n2')]),
    lease: known({ holder: 'maesh-controller-a', ageMs: 2_000, durationMs: 15_000 }),
    shadows: known([
      { service: 'shop/web', state: 'published', proxyPorts: 2 },
      { service: 'shop/api', state: 'published', proxyPorts: 1 },
      { service: 'bank/web', state: 'retired', proxyPorts: 1 },
    ]),
    dnsService: known({ addresses: ['10.96.0.53'], endpoints: 2 }),
    ca: known({ endMs: nowMs + 300 * 86_400_000, certificates: 1 }),
    kubeProxy: known({ mode: 'nftables' }),
    replicas: new Map([
      [
        'maesh-controller-a',
        known(replicaOf('maesh-controller-a', { agents: [agentOf('maesh-agent-a', 'n1')] })),
      ],
      [
        'maesh-controller-b',
        known(replicaOf('maesh-controller-b', { agents: [agentOf('maesh-agent-b', 'n2')] })),
      ],
    ]),
    ...over,
  };
}
