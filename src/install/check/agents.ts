/** The agents: one on every node that has callers, connected, of the same build, and with the latest configuration. */

import type { AgentFact, ClusterFacts, NodeFact } from '../facts/facts.ts';
import { podsOf, tellPod } from './control-plane.ts';
import { count, fail, few, judge, ok, warn, type Finding } from './finding.ts';

export function checkAgents(facts: ClusterFacts): readonly Finding[] {
  const { agent, namespace } = facts;
  return judge('agents', agent, (workload) => {
    if (workload === null) {
      return [fail('agents', `are not in namespace "${namespace}"`, 'run: maesh install')];
    }
    return [...checkPlaces(facts, workload.nodeSelector), ...checkPods(facts)];
  });
}

/** Nodes that should have an agent and have none. */
function checkPlaces(
  { nodes, pods, namespace }: ClusterFacts,
  selector: Readonly<Record<string, string>>,
): readonly Finding[] {
  return judge('nodes', nodes, (all) => {
    if (!pods.ok) return judge('agents', pods, () => []);
    const served = new Set(
      pods.value.filter(({ component }) => component === 'agent').map(({ node }) => node),
    );
    const bare = all.filter((node) => isWanted(node, selector) && !served.has(node.name));
    if (bare.length === 0) return [];
    return [
      fail(
        'agents',
        `${count(bare.length, 'node')} without an agent: ${few(bare.map(({ name }) => name))}; callers there go to other nodes`,
        `see what the DaemonSet says: kubectl -n ${namespace} describe daemonset/maesh-agent`,
      ),
    ];
  });
}

function isWanted(node: NodeFact, selector: Readonly<Record<string, string>>): boolean {
  const isSelected = Object.entries(selector).every(([key, value]) => node.labels[key] === value);
  return node.isReady && node.isSchedulable && isSelected;
}

function checkPods(facts: ClusterFacts): readonly Finding[] {
  const pods = podsOf(facts, 'agent').filter(({ isEnding }) => !isEnding);
  const unready = pods.filter(({ isReady }) => !isReady);
  const see = `kubectl -n ${facts.namespace} logs ${unready[0]?.name ?? ''}`;
  if (pods.length === 0) return [];
  if (unready.length === 0) return [ok('agents', `${count(pods.length, 'agent')} ready`)];
  const told = few(
    unready.map((pod) => `${tellPod(pod)}${pod.node === '' ? '' : ` on ${pod.node}`}`),
  );
  const finding = unready.length === pods.length ? fail : warn;
  return [finding('agents', `${unready.length} of ${pods.length} are not ready: ${told}`, see)];
}

/** What the controllers know of their agents. */
export function checkStreams(facts: ClusterFacts): readonly Finding[] {
  const connected = connectedAgents(facts);
  if (connected === null) return [];
  const names = new Set(connected.map(({ agent }) => agent));
  const lost = podsOf(facts, 'agent').filter(
    (pod) => pod.isReady && !pod.isEnding && !names.has(`${facts.namespace}/${pod.name}`),
  );
  const found: Finding[] = [];
  if (lost.length > 0) {
    found.push(
      fail(
        'discovery',
        `${count(lost.length, 'agent')} not connected to a controller: ${few(lost.map(({ name, node }) => `${name} on ${node}`))}; they go on with what they have`,
        `look why: kubectl -n ${facts.namespace} logs ${lost[0]?.name ?? ''}`,
      ),
    );
  }
  const behind = connected.filter(({ isBehind }) => isBehind);
  if (behind.length > 0) {
    found.push(
      warn(
        'discovery',
        `${count(behind.length, 'agent')} behind: ${few(behind.map(({ node, agent, lag }) => `${node || agent} by ${count(lag, 'version')}`))}`,
        'a busy or throttled node: look at its load, and at the log of the agent',
      ),
    );
  }
  found.push(...checkListening(connected), ...checkBuilds(connected));
  if (lost.length + behind.length === 0 && connected.length > 0) {
    found.unshift(ok('discovery', `${count(connected.length, 'agent')} connected and up to date`));
  }
  return found;
}

/** Of all replicas that answer; null when not all do, for then nobody knows who is connected. */
export function connectedAgents({ replicas }: ClusterFacts): readonly AgentFact[] | null {
  const all: AgentFact[] = [];
  for (const replica of replicas.values()) {
    if (!replica.ok) return null;
    all.push(...replica.value.agents);
  }
  return replicas.size === 0 ? null : all;
}

function checkListening(agents: readonly AgentFact[]): readonly Finding[] {
  return agents
    .filter(({ failures }) => failures.length > 0)
    .map(({ node, agent, failures }) =>
      fail(
        'proxy ports',
        `${node || agent} cannot listen: ${few(failures, 3)}`,
        'something else on that node has this port, or a policy forbids it: free it, or choose another range with --proxy-ports',
      ),
    );
}

function checkBuilds(agents: readonly AgentFact[]): readonly Finding[] {
  const builds = [...Map.groupBy(agents, ({ build }) => build)];
  if (builds.length < 2) return [];
  const told = builds.map(([build, of]) => `${of.length} run ${build}`).join(', ');
  return [
    warn(
      'agents',
      `not all of the same version: ${told}`,
      'wait for the upgrade to end, or run it',
    ),
  ];
}
