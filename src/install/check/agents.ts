/** The agents: one on every node that has callers, connected, of the same build, and with the latest configuration. */

import type { AgentFact, ClusterFacts, NodeFact, WorkloadFact } from '../facts/facts.ts';
import { checkRollout, podsOf, seeOf, tellPod } from './control-plane.ts';
import { count, error, few, judgeSeen, ok, warning, type Finding } from './finding.ts';
import { type About, aboutKey, aboutObject } from '../../model/object-reference.ts';
import { LISTEN_FAILURES_MAX } from '../../model/shortcomings.ts';

const FAILURES_SHOWN = 3;

export function checkAgents(facts: ClusterFacts): readonly Finding[] {
  const { agent, namespace } = facts;
  return judgeSeen('agents', agent, (workload) => {
    if (workload === null) {
      const message = `there are no agents in namespace "${namespace}"`;
      const absent = { ...subjectOf(namespace), value: 'absent', message };
      return [error('agents', { ...absent, remedy: 'run: maesh install' })];
    }
    return [...checkPlaces(facts, workload.nodeSelector), ...checkPods(facts, workload)];
  });
}

function subjectOf(namespace: string): About {
  return aboutObject('DaemonSet', namespace, 'maesh-agent');
}

/** Nodes that should have an agent and have none. */
function checkPlaces(
  { nodes, pods, namespace }: ClusterFacts,
  selector: Readonly<Record<string, string>>,
): readonly Finding[] {
  return judgeSeen('nodes', nodes, (all) => {
    if (!pods.ok) return judgeSeen('agents', pods, () => []);
    const served = new Set(
      pods.value.filter(({ component }) => component === 'agent').map(({ node }) => node),
    );
    const bare = all.filter((node) => isWanted(node, selector) && !served.has(node.name));
    if (bare.length === 0) return [];
    return [
      error('agents', {
        ...subjectOf(namespace),
        field: 'status.desiredNumberScheduled',
        value: few(bare.map(({ name }) => name)),
        message: `${count(bare.length, 'node')} without an agent; callers there use agents of other nodes`,
        remedy: `check the DaemonSet: kubectl -n ${namespace} describe daemonset/maesh-agent`,
      }),
    ];
  });
}

function isWanted(node: NodeFact, selector: Readonly<Record<string, string>>): boolean {
  const isSelected = Object.entries(selector).every(([key, value]) => node.labels[key] === value);
  return node.isReady && node.isSchedulable && isSelected;
}

function checkPods(facts: ClusterFacts, workload: WorkloadFact): readonly Finding[] {
  const { namespace } = facts;
  const pods = podsOf(facts, 'agent').filter(({ isEnding }) => !isEnding);
  const unready = pods.filter(({ isReady }) => !isReady);
  const [first] = unready;
  const subject = subjectOf(namespace);
  if (pods.length === 0) return [];
  if (first === undefined) {
    const well = ok('agents', `${count(pods.length, 'agent')} ready`);
    return [well, ...checkRollout({ topic: 'agents', subject, namespace }, workload, [])];
  }
  const told = few(
    unready.map((pod) => `${tellPod(pod)}${pod.node === '' ? '' : ` on ${pod.node}`}`),
  );
  const finding = unready.length === pods.length ? error : warning;
  const upgrade = workload.updated < workload.wanted ? 'an upgrade is stuck: ' : '';
  return [
    finding('agents', {
      ...subject,
      field: 'status.numberReady',
      value: `${pods.length - unready.length} of ${pods.length}`,
      message: `${upgrade}${told}`,
      remedy: `find the cause: ${seeOf(first, namespace)}`,
    }),
  ];
}

/** What the controllers know of their agents. */
export function checkStreams(facts: ClusterFacts): readonly Finding[] {
  const connected = connectedAgents(facts);
  if (connected === null) return [];
  const { namespace } = facts;
  const subject = subjectOf(namespace);
  const names = new Set(connected.map(({ agent }) => agent));
  const lost = podsOf(facts, 'agent').filter(
    (pod) => pod.isReady && !pod.isEnding && !names.has(`${namespace}/${pod.name}`),
  );
  const found: Finding[] = [];
  if (lost.length > 0) {
    found.push(
      error('discovery', {
        ...subject,
        value: few(lost.map(({ name, node }) => `${name} on ${node}`)),
        message: `${count(lost.length, 'agent')} not connected to a controller; they keep their last configuration`,
        remedy: `find the cause: kubectl -n ${namespace} logs ${lost[0]?.name ?? ''}`,
      }),
    );
  }
  const behind = connected.filter(({ isBehind }) => isBehind);
  if (behind.length > 0) {
    const by = behind.map(({ node, agent, lag }) => `${node || agent} by ${count(lag, 'version')}`);
    found.push(
      warning('discovery', {
        ...subject,
        value: few(by),
        message: `${count(behind.length, 'agent')} without the latest configuration`,
        remedy: 'the node may be busy or throttled: check its load, and the log of the agent',
      }),
    );
  }
  found.push(...checkListening(connected, namespace), ...checkBuilds(connected, subject));
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

/** An agent tells the first ones only, so that their number is unknown where it is this one. */
const isCutOff = (failures: readonly string[]): boolean => failures.length >= LISTEN_FAILURES_MAX;

/** The first ports that an agent cannot listen on, and how many more. */
export function failuresText(failures: readonly string[]): string {
  if (!isCutOff(failures)) return few(failures, FAILURES_SHOWN);
  return `${failures.slice(0, FAILURES_SHOWN).join(', ')} and many more`;
}

/** How a failure ends that is for want of file descriptors. */
const NO_DESCRIPTORS = /: EMFILE$/;

function checkListening(agents: readonly AgentFact[], namespace: string): readonly Finding[] {
  return agents.flatMap(({ node, agent, failures }) =>
    [...Map.groupBy(failures, (failure) => NO_DESCRIPTORS.test(failure))].map(([isShort, of]) => {
      const where = node || 'its node';
      const which = of.length === 1 ? 'this port' : 'these ports';
      return error('proxy ports', {
        ...aboutKey('Pod', agent.includes('/') ? agent : `${namespace}/${agent}`),
        value:
          isCutOff(failures) && of.length > FAILURES_SHOWN
            ? failuresText(failures)
            : few(of, FAILURES_SHOWN),
        message: isShort
          ? `the agent on ${where} has no file descriptors left to open ${which}`
          : `the agent on ${where} cannot open ${which}`,
        remedy: isShort
          ? 'exclude Services with many ports from the mesh (maesh.dev/mesh: disabled), lower agent.threads, or raise the limit of open files of the container runtime on that node'
          : 'something else on that node uses this port, or a policy forbids it: free the port, or choose another range with --proxy-ports',
      });
    }),
  );
}

function checkBuilds(agents: readonly AgentFact[], subject: About): readonly Finding[] {
  const builds = [...Map.groupBy(agents, ({ build }) => build)];
  if (builds.length < 2) return [];
  return [
    warning('agents', {
      ...subject,
      value: builds.map(([build, of]) => `${of.length} run ${build}`).join(', '),
      message: 'not all agents are of the same version',
      remedy: 'wait for the upgrade to finish, or run it',
    }),
  ];
}
