/** The state of the mesh in a cluster on one screen. */

import type { Problem } from '../model/service.ts';
import { problemsOf } from './check/network.ts';
import type { ClusterFacts, Known, PodFact, ReplicaFact } from './facts/facts.ts';

export interface ControllerRow {
  readonly pod: string;
  readonly ready: boolean;
  readonly leads: boolean;
  /** Version of its configuration; null when it cannot be asked. */
  readonly version: number | null;
  /** Connected to it; null when it cannot be asked. */
  readonly agents: number | null;
  /** Why it is not ready, or cannot be asked; ''. */
  readonly note: string;
}

export interface AgentRow {
  readonly node: string;
  /** '' on a node without one. */
  readonly pod: string;
  readonly ready: boolean;
  /** Version that it serves, of the numbers of its controller; null when it is connected to none. */
  readonly version: number | null;
  /** Versions behind its controller. */
  readonly behind: number;
  readonly note: string;
}

export interface ClusterStatus {
  readonly namespace: string;
  readonly server: string;
  /** '' when not known. */
  readonly kubernetes: string;
  readonly image: string;
  readonly controllers: readonly ControllerRow[];
  readonly agents: readonly AgentRow[];
  /** Shadow Services by state; null when they cannot be seen. */
  readonly services: {
    readonly published: number;
    readonly announced: number;
    readonly retired: number;
  } | null;
  /** Errors first. */
  readonly problems: readonly Problem[];
  /** What could not be seen, as sentences. */
  readonly unseen: readonly string[];
}

export function statusOf(facts: ClusterFacts): ClusterStatus {
  const { controller, version, shadows } = facts;
  const problems = problemsOf(facts);
  const inState = (state: string): number =>
    shadows.ok ? shadows.value.filter((shadow) => shadow.state === state).length : 0;
  return {
    namespace: facts.namespace,
    server: facts.server,
    kubernetes: version.ok ? version.value : '',
    image: controller.ok ? (controller.value?.image ?? '') : '',
    controllers: controllerRows(facts),
    agents: agentRows(facts),
    services: shadows.ok
      ? {
          published: inState('published'),
          announced: inState('announced'),
          retired: inState('retired'),
        }
      : null,
    problems: problems.toSorted((a, b) => rank(a) - rank(b)),
    unseen: [facts.pods, facts.nodes, facts.lease, facts.shadows, controller, facts.agent].flatMap(
      (fact: Known<unknown>) => (fact.ok ? [] : [fact.why]),
    ),
  };
}

/** Keys of Services with a mesh name, of a namespace or of all. */
export function servicesIn({ shadows }: ClusterFacts, namespace: string): readonly ShadowRow[] {
  if (!shadows.ok) return [];
  return shadows.value
    .filter(({ service }) => namespace === '' || service.startsWith(`${namespace}/`))
    .map(({ service, state, proxyPorts }) => ({ service, state, ports: proxyPorts }))
    .toSorted((a, b) => (a.service < b.service ? -1 : 1));
}

export interface ShadowRow {
  readonly service: string;
  readonly state: string;
  readonly ports: number;
}

function controllerRows(facts: ClusterFacts): readonly ControllerRow[] {
  const { lease, replicas } = facts;
  const holder = lease.ok ? (lease.value?.holder ?? '') : '';
  return podsIn(facts, 'controller').map((pod) => {
    const replica = replicas.get(pod.name);
    const told = replica?.ok === true ? replica.value : null;
    return {
      pod: pod.name,
      ready: pod.isReady,
      leads: pod.name === holder,
      version: told?.version ?? null,
      agents: told?.agents.length ?? null,
      note: noteOf(pod, replica),
    };
  });
}

function agentRows(facts: ClusterFacts): readonly AgentRow[] {
  const pods = podsIn(facts, 'agent');
  const connected = new Map(
    [...facts.replicas.values()].flatMap((replica) =>
      replica.ok ? replica.value.agents.map((agent) => [agent.agent, agent] as const) : [],
    ),
  );
  const rows = pods.map((pod) => {
    const agent = connected.get(`${facts.namespace}/${pod.name}`);
    const failures = agent?.failures.join('; ') ?? '';
    const lost = agent === undefined && pod.isReady && facts.replicas.size > 0;
    return {
      node: pod.node,
      pod: pod.name,
      ready: pod.isReady,
      version: agent?.servedVersion ?? null,
      behind: agent?.isBehind === true ? agent.lag : 0,
      note: noteOf(pod) || failures || (lost ? 'not connected' : ''),
    };
  });
  const served = new Set(pods.map(({ node }) => node));
  const nodes = facts.nodes.ok && facts.pods.ok ? facts.nodes.value : [];
  const bare = nodes
    .filter((node) => !served.has(node.name))
    .map((node) => ({
      node: node.name,
      pod: '',
      ready: false,
      version: null,
      behind: 0,
      note: node.isReady ? 'no agent' : 'no agent; the node is not ready',
    }));
  return [...rows, ...bare].toSorted((a, b) => (a.node < b.node ? -1 : 1));
}

function podsIn({ pods }: ClusterFacts, component: PodFact['component']): readonly PodFact[] {
  if (!pods.ok) return [];
  const own = pods.value.filter((pod) => pod.component === component);
  return own.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function noteOf(pod: PodFact, replica?: Known<ReplicaFact>): string {
  const notes = [
    pod.isEnding ? 'ending' : '',
    pod.trouble,
    replica?.ok === false ? replica.why : '',
    replica?.ok === true ? replica.value.pending.join('; ') : '',
    pod.restarts > 0 ? `${pod.restarts} restarts` : '',
  ];
  return notes.filter((note) => note !== '').join('; ');
}

function rank({ severity }: Problem): number {
  return severity === 'error' ? 0 : 1;
}
