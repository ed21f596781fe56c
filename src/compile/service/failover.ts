/** Whether the Service that is to take over is there, takes part, and has the ports for it. */

import type { ObjectRef } from '../../kube/store.ts';
import type { Policies } from '../../model/policy.ts';
import type { Source } from '../../model/object-reference.ts';
import { isCarried, type ServicePort } from '../../model/service.ts';
import { serviceDependency } from '../index/dependents.ts';
import type { ObjectProblem } from '../object-problem.ts';
import { type Around, otherPort } from './other-port.ts';

interface Said {
  readonly ref: ObjectRef;
  readonly ports: readonly ServicePort[];
  /** What the Service says. */
  readonly policies: Policies;
  readonly sources: Readonly<Record<string, Source>>;
}

type Wrong = Pick<ObjectProblem, 'message' | 'remedy'>;

/** Adds to `dependencies` the Services whose change may change them. */
export function failoverFindings(
  around: Around,
  { ref, ports, ...whole }: Said,
  dependencies: Set<string>,
): readonly ObjectProblem[] {
  const findings: ObjectProblem[] = [];
  for (const port of ports) {
    const { failover } = port.policies ?? whole.policies;
    const source = port.sources[FIELD] ?? whole.sources[FIELD];
    if (failover === null || source === undefined || !isCarried(port)) continue;
    const { service: value } = failover;
    dependencies.add(serviceDependency(value));
    const wrong = wrongWith(around, value, port);
    if (wrong !== null)
      findings.push({ severity: 'error', ref, field: source.field, value, ...wrong });
  }
  return findings;
}

const FIELD = 'failover.service';

/** Why a Service cannot take over what is sent to the port; null where it can. */
function wrongWith(
  around: Around,
  service: string,
  { port, protocol, because }: ServicePort,
): Wrong | null {
  const or = `, or set maesh.dev/port.${port}.failover`;
  const transport = protocol === 'udp' ? 'UDP' : 'TCP';
  const other = otherPort(around, service, port, transport);
  if (other.kind === 'no-service')
    return {
      message: 'there is no such Service, so nobody takes over',
      remedy: 'correct the name, or create the Service',
    };
  if (other.kind === 'no-member')
    return {
      message: `it is not part of the mesh, so nobody takes over: ${other.reason}`,
      remedy: 'name a Service that is part of the mesh, or make it part',
    };
  if (other.kind === 'no-port')
    return {
      message: `it has no port ${port}, so nobody takes over there`,
      remedy: `give it the port ${port}${or}`,
    };
  if (other.kind === 'other-transport')
    return {
      message: `its port ${port} is ${other.transport}, so nobody takes over there`,
      remedy: `give it the port ${port} of ${transport}${or}`,
    };
  const { decided } = other;
  if (decided?.protocol === protocol) return null;
  const what = decided === null ? 'left out' : `${decided.protocol} (${decided.because})`;
  return {
    message: `its port ${port} is ${what}, and this one ${protocol} (${because}), so nobody takes over there`,
    remedy: `set maesh.dev/port.${port}.traffic-type to the same on both${or}`,
  };
}
