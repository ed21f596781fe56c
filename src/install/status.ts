/** The state of the mesh in a cluster on one screen. */

import { listAt, textAt } from '../base/record.ts';
import { readVersion } from '../base/version.ts';
import type { Problem } from '../model/service.ts';
import { failuresText } from './check/agents.ts';
import type { AgentFact, ClusterFacts, Known, PodFact, ReplicaFact } from './facts/facts.ts';
import type { Looked } from './look.ts';
import type { Answered } from './mesh-pods.ts';
import { type Figures, totalOf } from './traffic.ts';
import type { Unknown } from './unknown.ts';

export interface ControllerRow {
  readonly pod: string;
  readonly ready: boolean;
  readonly role: 'leader' | 'standby' | 'unknown';
  /** Version of maesh; null when it cannot be asked. */
  readonly build: string | null;
  /** Connected to it; null when it cannot be asked. */
  readonly agents: number | null;
  /** Why it is not ready, or ''. */
  readonly note: string;
}

export interface AgentRow {
  readonly node: string;
  /** '' on a node without one. */
  readonly pod: string;
  readonly ready: boolean;
  /** Whether it serves what its controller gives out; `none` on a node without an agent. */
  readonly configuration: 'up to date' | 'behind' | 'not connected' | 'unknown' | 'none';
  /** Changes that it does not serve yet; null when that is not known. */
  readonly changesBehind: number | null;
  /** Version of maesh; null when it is not known. */
  readonly build: string | null;
  /** What its threads have; null when it did not say. */
  readonly sockets: readonly SocketsOfAgent[] | null;
  readonly note: string;
}

export interface SocketsOfAgent {
  /** Who makes the system calls for connections. */
  readonly kind: 'system' | 'runtime';
  /** What the self-test of `system` found where `runtime` runs instead; else ''. */
  readonly reason: string;
}

export interface ServiceCounts {
  readonly published: number;
  readonly announced: number;
  readonly retired: number;
}

export interface ClusterStatus {
  readonly namespace: string;
  readonly server: string;
  /** '' when not known. */
  readonly kubernetes: string;
  readonly image: string;
  /** Version of this command. */
  readonly client: string;
  readonly controllers: readonly ControllerRow[];
  readonly agents: readonly AgentRow[];
  /** Mesh names by state; null when they cannot be seen. */
  readonly services: ServiceCounts | null;
  /** Services of the cluster without a mesh name; null when no controller could be asked. */
  readonly outside: number | null;
  /** Of all Services, over the agents that answered; null when none did. */
  readonly traffic: Figures | null;
  /** Errors first. */
  readonly problems: readonly Problem[];
  readonly unknown: readonly Unknown[];
}

export function statusOf(looked: Looked): ClusterStatus {
  const { facts, stats, outside, problems, unknown } = looked;
  const { controller, version, shadows } = facts;
  const inState = (state: string): number =>
    shadows.ok ? shadows.value.filter((shadow) => shadow.state === state).length : 0;
  return {
    namespace: facts.namespace,
    server: facts.server,
    kubernetes: version.ok ? version.value : '',
    image: controller.ok ? (controller.value?.image ?? '') : '',
    client: readVersion(),
    controllers: controllerRows(facts),
    agents: agentRows(facts, stats),
    services: shadows.ok
      ? {
          published: inState('published'),
          announced: inState('announced'),
          retired: inState('retired'),
        }
      : null,
    outside: outside === null ? null : outside.length,
    traffic: stats.some(({ ok }) => ok) ? totalOf(stats) : null,
    problems,
    unknown,
  };
}

function controllerRows(facts: ClusterFacts): readonly ControllerRow[] {
  const { lease, replicas } = facts;
  return podsIn(facts, 'controller').map((pod) => {
    const replica = replicas.get(pod.name);
    const told = replica?.ok === true ? replica.value : null;
    const leads = lease.ok && lease.value?.holder === pod.name;
    return {
      pod: pod.name,
      ready: pod.isReady,
      role: lease.ok ? (leads ? 'leader' : 'standby') : 'unknown',
      build: told?.build ?? null,
      agents: told?.agents.length ?? null,
      note: noteOf(pod, replica),
    };
  });
}

function agentRows(facts: ClusterFacts, stats: readonly Answered[]): readonly AgentRow[] {
  const pods = podsIn(facts, 'agent');
  const connected = new Map(
    [...facts.replicas.values()].flatMap((replica) =>
      replica.ok ? replica.value.agents.map((agent) => [agent.agent, agent] as const) : [],
    ),
  );
  const all = [...facts.replicas.values()];
  const isAllTold = all.length > 0 && all.every(({ ok }) => ok);
  const answers = new Map(stats.map((answer) => [answer.pod.name, answer]));
  const rows = pods.map((pod): AgentRow => {
    const agent = connected.get(`${facts.namespace}/${pod.name}`);
    const sockets = socketsIn(answers.get(pod.name));
    const notes = [noteOf(pod) || cannotListen(agent), socketsNote(sockets)];
    return {
      node: pod.node,
      pod: pod.name,
      ready: pod.isReady,
      ...configurationOf(agent, isAllTold),
      build: agent?.build ?? null,
      sockets,
      note: notes.filter((note) => note !== '').join('; '),
    };
  });
  const served = new Set(pods.map(({ node }) => node));
  const nodes = facts.nodes.ok && facts.pods.ok ? facts.nodes.value : [];
  const bare = nodes
    .filter((node) => !served.has(node.name))
    .map((node): AgentRow => ({
      node: node.name,
      pod: '',
      ready: false,
      configuration: 'none',
      changesBehind: null,
      build: null,
      sockets: null,
      note: node.isReady ? 'no agent' : 'no agent; the node is not ready',
    }));
  return [...rows, ...bare].toSorted((a, b) => (a.node < b.node ? -1 : 1));
}

/** Earlier versions do not say it. */
function socketsIn(answer: Answered | undefined): AgentRow['sockets'] {
  if (answer?.ok !== true) return null;
  const sockets = listAt(answer.value, 'sockets').flatMap((each): readonly SocketsOfAgent[] => {
    const kind = textAt(each, 'kind');
    return kind === 'system' || kind === 'runtime'
      ? [{ kind, reason: textAt(each, 'reason') }]
      : [];
  });
  return sockets.length === 0 ? null : sockets;
}

function socketsNote(sockets: AgentRow['sockets']): string {
  const reasons = new Set(sockets?.map(({ reason }) => reason).filter((reason) => reason !== ''));
  return reasons.size === 0 ? '' : `no system sockets: ${[...reasons].join('; ')}`;
}

/** An agent that nobody knows is only known to be unconnected when every controller was asked. */
function configurationOf(
  agent: AgentFact | undefined,
  isAllTold: boolean,
): Pick<AgentRow, 'configuration' | 'changesBehind'> {
  if (agent === undefined) {
    return { configuration: isAllTold ? 'not connected' : 'unknown', changesBehind: null };
  }
  if (!agent.isBehind) return { configuration: 'up to date', changesBehind: 0 };
  return { configuration: 'behind', changesBehind: agent.lag };
}

function podsIn({ pods }: ClusterFacts, component: PodFact['component']): readonly PodFact[] {
  if (!pods.ok) return [];
  const own = pods.value.filter((pod) => pod.component === component);
  return own.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Why a Pod is not as it should be; why it could not be asked is told once, elsewhere. */
function noteOf(pod: PodFact, replica?: Known<ReplicaFact>): string {
  const notes = [
    pod.isEnding ? 'ending' : '',
    pod.trouble,
    replica?.ok === true ? replica.value.pending.join('; ') : '',
    pod.restarts > 0 ? `${pod.restarts} restarts` : '',
  ];
  return notes.filter((note) => note !== '').join('; ');
}

function cannotListen(agent: AgentFact | undefined): string {
  const failures = agent?.failures ?? [];
  return failures.length === 0 ? '' : `cannot listen: ${failuresText(failures)}`;
}
