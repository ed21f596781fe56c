/** What could not be asked: each reason once, with the permissions that are missing. Unknown is neither good nor bad. */

import type { ClusterFacts, Known } from './facts/facts.ts';
import type { Answered, Failed } from './mesh-pods.ts';
import { remedyOf } from './unreached.ts';

export interface Unknown {
  /** `which replica leads`, `traffic on node n1`. */
  readonly what: readonly string[];
  /** `get pods/proxy`; empty when it is no matter of permissions. */
  readonly permissions: readonly string[];
  readonly reason: string;
  readonly remedy: string;
}

interface Gap {
  readonly what: string;
  /** What it takes to know. */
  readonly permission: string;
  readonly why: string;
  readonly isForbidden: boolean;
  readonly remedy: string;
}

const PROXY = 'get pods/proxy';

export function unknownOf(facts: ClusterFacts, stats: readonly Answered[]): readonly Unknown[] {
  const gaps = [...objectGaps(facts), ...replicaGaps(facts), ...agentGaps(facts, stats)];
  const forbidden = gaps.filter(({ isForbidden }) => isForbidden);
  const others = Map.groupBy(
    gaps.filter(({ isForbidden }) => !isForbidden),
    ({ remedy }) => remedy,
  );
  const found: Unknown[] = [];
  if (forbidden[0] !== undefined) {
    found.push({
      what: forbidden.map(({ what }) => what),
      permissions: [...new Set(forbidden.map(({ permission }) => permission))],
      reason: forbidden[0].why,
      remedy: remedyOf('forbidden', facts.namespace, ''),
    });
  }
  for (const [remedy, of] of others) {
    const what = of.map((gap) => gap.what);
    found.push({ what, permissions: [], reason: of[0]?.why ?? '', remedy });
  }
  return found;
}

/** What the API server itself did not tell. */
function objectGaps(facts: ClusterFacts): readonly Gap[] {
  const { pods, nodes, lease, shadows, controller, agent, dnsService, ca, namespace } = facts;
  const rows: readonly (readonly [fact: Known<unknown>, what: string, permission: string])[] = [
    [pods, 'controllers and agents', `list pods in ${namespace}`],
    [controller, 'the installed version', `get deployments in ${namespace}`],
    [agent, 'the roll-out of agents', `get daemonsets in ${namespace}`],
    [nodes, 'nodes without an agent', 'list nodes'],
    [lease, 'the leader', `get leases in ${namespace}`],
    [shadows, 'the state of mesh names', `list services in ${namespace}`],
    [dnsService, 'the endpoints of maesh-dns', `get services and endpointslices in ${namespace}`],
    [ca, 'the certificates of discovery', `get configmaps in ${namespace}`],
  ];
  return rows.flatMap(([fact, what, permission]) =>
    fact.ok
      ? []
      : [{ what, permission, why: fact.why, isForbidden: fact.isForbidden, remedy: API_REMEDY }],
  );
}

const API_REMEDY = 'run this again; if it keeps failing, check the API server';

function replicaGaps({ pods, replicas, namespace }: ClusterFacts): readonly Gap[] {
  const permission = `${PROXY} in ${namespace}`;
  const gaps = [...replicas].flatMap(([pod, replica]): readonly Gap[] => {
    if (replica.ok) return [];
    const { why, isForbidden } = replica;
    const what = `data of ${pod}: connected agents and problems`;
    return [
      { what, permission, why, isForbidden, remedy: remedyOf('unreachable', namespace, pod) },
    ];
  });
  if (!pods.ok || replicas.size > 0) return gaps;
  const why = 'no controller runs';
  return [
    {
      what: 'problems of Services',
      permission,
      why,
      isForbidden: false,
      remedy: 'run: maesh check',
    },
  ];
}

function agentGaps({ namespace }: ClusterFacts, stats: readonly Answered[]): readonly Gap[] {
  const failed = stats.filter((answer): answer is Failed => !answer.ok);
  const first = new Map<string, string>();
  for (const { kind, pod } of failed) if (!first.has(kind)) first.set(kind, pod.name);
  return failed.map(({ pod, kind, why }) => ({
    what: `traffic and health on node ${pod.node}`,
    permission: `${PROXY} in ${namespace}`,
    why,
    isForbidden: kind === 'forbidden',
    remedy: remedyOf(kind, namespace, first.get(kind) ?? ''),
  }));
}
