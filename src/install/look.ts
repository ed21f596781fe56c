/** What `status` asks a cluster: the objects of the mesh, its controllers, and every agent for its statistics. */

import type { Clock } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import { listAt, textAt } from '../base/record.ts';
import { checkCluster } from './check/check.ts';
import { isInstalled } from './check/control-plane.ts';
import { type Flaw, isFlaw, isUnknown } from './check/finding.ts';
import type { ClusterFacts } from './facts/facts.ts';
import { gather } from './facts/gather.ts';
import { type Answered, MeshPods } from './mesh-pods.ts';
import type { Api } from './names.ts';
import { type Unknown, unknownOf } from './unknown.ts';

export interface Looked {
  readonly facts: ClusterFacts;
  /** Of `/api/stats` of every agent that can be asked. */
  readonly stats: readonly Answered[];
  /** Of `/api/services` of a controller; null when it could not be asked. */
  readonly services: readonly unknown[] | null;
  /** Services without a mesh name, and why; null when it could not be asked. */
  readonly outside: readonly OutsideService[] | null;
  /** Errors and warnings, as `check` has them, errors first; what is unknown is not among them. */
  readonly problems: readonly Flaw[];
  readonly unknown: readonly Unknown[];
}

export interface OutsideService {
  /** `namespace/name`, or `namespace/*`. */
  readonly service: string;
  readonly reason: string;
}

export interface LookOptions {
  readonly api: Api;
  readonly clock: Clock;
  /** Namespace of the mesh. */
  readonly namespace: string;
}

/** What it is about: one Service (`shop/web`), a namespace, or everything. */
export interface Subject {
  readonly service: string;
  readonly namespace: string;
}

/** Throws a `MeshError` when there is no mesh, or no cluster. */
export async function look(options: LookOptions, { service, namespace }: Subject): Promise<Looked> {
  const facts = await gather(options);
  if (isInstalled(facts) === false) {
    throw new MeshError(
      'not_found',
      `Cannot find a mesh in namespace "${facts.namespace}" of ${facts.server}; run: maesh install; if it is elsewhere, name it with --mesh-namespace`,
    );
  }
  const pods = new MeshPods(options, facts.pods.ok ? facts.pods.value : []);
  const about = service === '' ? (namespace === '' ? {} : { namespace }) : { service };
  const [stats, services, outside] = await Promise.all([
    pods.askAgents('/api/stats', service === '' ? { ...about, only: 'active' } : about),
    pods.askController('/api/services', about),
    pods.askController('/api/outside', about),
  ]);
  return {
    facts,
    stats,
    services: services?.ok === true ? listAt(services.value, 'services') : null,
    outside: outside?.ok === true ? outsideIn(outside.value) : null,
    problems: problemsIn(facts),
    unknown: unknownOf(facts, stats),
  };
}

function outsideIn(value: unknown): readonly OutsideService[] {
  return listAt(value, 'services').map((each) => ({
    service: textAt(each, 'service'),
    reason: textAt(each, 'reason'),
  }));
}

function problemsIn(facts: ClusterFacts): readonly Flaw[] {
  const flaws = checkCluster(facts, null).filter(isFlaw);
  const known = flaws.filter((flaw) => !isUnknown(flaw));
  const isError = ({ severity }: Flaw): boolean => severity === 'error';
  return [...known.filter(isError), ...known.filter((flaw) => !isError(flaw))];
}
