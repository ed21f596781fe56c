/** Whether the Service that is to take over is there, takes part, and has the ports for it. */

import type { ServiceObject } from '../../kube/kind/service.ts';
import type { ObjectRef, StoreView } from '../../kube/store.ts';
import type { Policies } from '../../model/policy.ts';
import type { Source } from '../../model/object-reference.ts';
import { isCarried, type Protocol, type ServicePort } from '../../model/service.ts';
import { type Annotations, annotationsOfPort } from '../annotation/read.ts';
import { serviceDependency } from '../index/dependents.ts';
import type { ObjectProblem } from '../object-problem.ts';
import { membershipOf, type Scope } from './membership.ts';
import { decideProtocol } from './port.ts';

interface Said {
  readonly ref: ObjectRef;
  readonly ports: readonly ServicePort[];
  /** What the Service says. */
  readonly policies: Policies;
  readonly sources: Readonly<Record<string, Source>>;
}

interface Around {
  readonly store: StoreView;
  readonly scope: Scope;
  readonly defaultMode: Protocol;
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
function wrongWith(around: Around, service: string, port: ServicePort): Wrong | null {
  const [namespace = '', name = ''] = service.split('/');
  const found = around.store.get('Service', namespace, name);
  if (found === undefined)
    return {
      message: 'there is no such Service, so nobody takes over',
      remedy: 'correct the name, or create the Service',
    };
  const { isMember, reason, annotations } = membershipOf(around.store, found, around.scope);
  if (!isMember)
    return {
      message: `it is not part of the mesh, so nobody takes over: ${reason}`,
      remedy: 'name a Service that is part of the mesh, or make it part',
    };
  return wrongWithPort(around.defaultMode, found, annotations, port);
}

function wrongWithPort(
  defaultMode: Protocol,
  { meta, ports }: ServiceObject,
  annotations: Annotations,
  { port, protocol, because }: ServicePort,
): Wrong | null {
  const or = `, or set maesh.dev/port.${port}.failover`;
  const same = ports.filter((each) => each.port === port);
  const spec = same.find((each) => each.protocol === 'TCP') ?? same[0];
  if (spec === undefined)
    return {
      message: `it has no port ${port}, so nobody takes over there`,
      remedy: `give it the port ${port}${or}`,
    };
  if (spec.protocol !== 'TCP')
    return {
      message: `its port ${port} is ${spec.protocol}, so nobody takes over there`,
      remedy: `give it the port ${port} of TCP${or}`,
    };
  const ref: ObjectRef = { kind: 'Service', namespace: meta.namespace, name: meta.name };
  const own = annotations.ports.get(port);
  const here = own === undefined ? annotations : annotationsOfPort(annotations, own);
  const { decided } = decideProtocol(spec, { ref, field: '' }, here, defaultMode);
  if (decided?.protocol === protocol) return null;
  const other = decided === null ? 'left out' : `${decided.protocol} (${decided.because})`;
  return {
    message: `its port ${port} is ${other}, and this one ${protocol} (${because}), so nobody takes over there`,
    remedy: `set maesh.dev/port.${port}.traffic-type to the same on both${or}`,
  };
}
