/** One Service as all agents see it. */

import { MeshError } from '../base/error.ts';
import { listAt, numberAt, recordAt, textAt } from '../base/record.ts';
import type { Problem } from '../model/service.ts';
import type { BreakerState } from '../model/stats.ts';
import type { Failed } from './mesh-pods.ts';
import type { ShadowFact } from './facts/facts.ts';
import type { Looked, OutsideService } from './look.ts';
import { certificatesIn, type CertificateView } from './certificate-view.ts';
import { type NameState, rowOf } from './services-status.ts';
import { type EndpointTraffic, type Figures, trafficOf } from './traffic.ts';
import type { Unknown } from './unknown.ts';
import { isAboutKey } from '../model/object-reference.ts';

interface NodeView {
  readonly node: string;
  readonly pod: string;
  /** Null when the agent could not be asked, or does not have the Service. */
  readonly figures: Figures | null;
  readonly breaker: BreakerState | 'none' | null;
  /** Why there is nothing, or ''. */
  readonly note: string;
}

export interface ServiceStatus {
  /** `shop/web`. */
  readonly service: string;
  /** `outside`: it is not part of the mesh. */
  readonly state: NameState | 'outside';
  /** Why the name does not resolve, or ''. */
  readonly reason: string;
  readonly names: readonly string[];
  readonly address: string;
  /** `80/http`. */
  readonly ports: readonly string[];
  /** The same, and what decided it. */
  readonly protocols: readonly {
    readonly port: number;
    readonly protocol: string;
    /** Callers speak TLS with the endpoints. */
    readonly tls: boolean;
    /** `appProtocol: grpc`; '' where the controller does not tell. */
    readonly because: string;
  }[];
  /** Of Secrets that its ports name. */
  readonly certificates: readonly CertificateView[];
  readonly figures: Figures | null;
  readonly breaker: BreakerState | 'none' | null;
  readonly endpoints: readonly EndpointTraffic[];
  readonly nodes: readonly NodeView[];
  readonly problems: readonly Problem[];
  readonly unknown: readonly Unknown[];
}

/** Throws a `MeshError` when the cluster has no such Service. */
export function serviceStatus(looked: Looked, key: string): ServiceStatus {
  const { shadow, told, left } = find(looked, key);
  const traffic = trafficOf(looked.stats).get(key);
  const row = rowOf(looked, key, { shadow, told, traffic });
  const { state, reason, figures, breaker } = row;
  const isOutside = left !== undefined && shadow === undefined;
  return {
    service: key,
    ...(isOutside ? { state: 'outside', reason: left.reason } : { state, reason }),
    names: state === 'published' ? listAt(told, 'names').map(String) : [],
    address: textAt(told, 'address'),
    ports: listAt(told, 'ports').map(
      (port) => `${numberAt(port, 'port')}/${textAt(port, 'protocol')}`,
    ),
    protocols: listAt(told, 'ports').map((port) => ({
      port: numberAt(port, 'port'),
      protocol: textAt(port, 'protocol'),
      tls: recordAt({ port }, 'port')['tls'] === true,
      because: textAt(port, 'because'),
    })),
    certificates: certificatesIn(told),
    figures,
    breaker,
    endpoints: traffic?.endpoints ?? [],
    nodes: isOutside ? [] : nodesOf(looked, key),
    problems: about(looked, key),
    unknown: looked.unknown,
  };
}

function about({ problems }: Looked, key: string): readonly Problem[] {
  return problems.filter((problem) => isAboutKey(problem, 'Service', key));
}

interface Found {
  readonly shadow: ShadowFact | undefined;
  /** Of `/api/services` of a controller. */
  readonly told: unknown;
  readonly left: OutsideService | undefined;
}

/** Throws when everything was asked and nothing knows the Service. */
function find(looked: Looked, key: string): Found {
  const { facts, services, outside } = looked;
  const shadows = facts.shadows.ok ? facts.shadows.value : null;
  const shadow = shadows?.find(({ service }) => service === key);
  const told = services?.find((raw) => textAt(raw, 'key') === key);
  const left = outside?.find(({ service }) => service === key || service.endsWith('/*'));
  const isUnseen = shadow === undefined && told === undefined && left === undefined;
  const isAllAsked = shadows !== null && services !== null && outside !== null;
  if (!isUnseen || !isAllAsked || about(looked, key).length > 0) return { shadow, told, left };
  const namespace = key.slice(0, key.indexOf('/'));
  throw new MeshError(
    'not_found',
    `Cannot find Service "${key}": the cluster has none of that name; list the others with: maesh status -n ${namespace}`,
  );
}

function nodesOf({ stats }: Looked, key: string): readonly NodeView[] {
  return stats.map((answer) => {
    const { node, name: pod } = answer.pod;
    const nothing = { node, pod, figures: null, breaker: null };
    if (!answer.ok) return { ...nothing, note: unasked(answer) };
    const found = trafficOf([answer]).get(key)?.nodes[0];
    if (found === undefined) return { ...nothing, note: 'does not have it' };
    return { node, pod, figures: found.figures, breaker: found.breaker, note: '' };
  });
}

/** The reason is told once, below. */
function unasked({ kind }: Failed): string {
  return kind === 'forbidden' ? 'unknown: not permitted' : 'unknown: no answer';
}
