/** Whether the Service that is to take over is there, and has the ports for it. */

import type { ObjectRef, StoreView } from '../../kube/store.ts';
import type { Policies } from '../../model/policy.ts';
import type { Source } from '../../model/object-reference.ts';
import type { ServicePort } from '../../model/service.ts';
import { serviceDependency } from '../index/dependents.ts';
import type { ObjectProblem } from '../object-problem.ts';

interface Said {
  readonly ref: ObjectRef;
  readonly ports: readonly ServicePort[];
  /** What the Service says. */
  readonly policies: Policies;
  readonly sources: Readonly<Record<string, Source>>;
}

/** Adds to `dependencies` the Services whose change may change them. */
export function failoverFindings(
  store: StoreView,
  { ref, ports, ...whole }: Said,
  dependencies: Set<string>,
): readonly ObjectProblem[] {
  const findings: ObjectProblem[] = [];
  for (const { port, policies, sources } of ports) {
    const { failover } = policies ?? whole.policies;
    const source = sources[FIELD] ?? whole.sources[FIELD];
    if (failover === null || source === undefined) continue;
    const { service: value } = failover;
    dependencies.add(serviceDependency(value));
    const [namespace = '', name = ''] = value.split('/');
    const found = store.get('Service', namespace, name);
    const at = { severity: 'error', ref, field: source.field, value } as const;
    if (found === undefined)
      findings.push({
        ...at,
        message: 'there is no such Service, so nobody takes over',
        remedy: 'correct the name, or create the Service',
      });
    else if (!found.ports.some((each) => each.port === port))
      findings.push({
        ...at,
        message: `it has no port ${port}, so nobody takes over there`,
        remedy: `give it the port ${port}, or set maesh.dev/port.${port}.failover`,
      });
  }
  return findings;
}

const FIELD = 'failover.service';
