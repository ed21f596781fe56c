/** The policies of a Service field by field, each with the object and field that it comes from. */

import type { PolicyName } from '../model/policy.ts';
import type { Service } from '../model/service.ts';
import type { PolicyFacts, PolicyField } from './explanation.ts';

/** In the order of the phases that ask for them. */
const ORDER: Readonly<Record<PolicyName, number>> = {
  limits: 0,
  rateLimit: 1,
  breaker: 2,
  balance: 3,
  affinity: 4,
  sourceAffinity: 5,
  ejection: 6,
  timeouts: 7,
  retry: 8,
};

/** Parsed from `breaker.text`, which is there too. */
const DERIVED: ReadonlySet<string> = new Set(['breaker.expression']);

export function policyFacts(service: Service): PolicyFacts {
  const policies = Object.entries(service.policies) as [PolicyName, object | null][];
  policies.sort(([a], [b]) => ORDER[a] - ORDER[b]);
  return {
    service: service.key,
    fields: policies.flatMap(([name, policy]) => fieldsOf(service, name, policy)),
  };
}

function fieldsOf(service: Service, name: PolicyName, policy: object | null): PolicyField[] {
  if (policy === null) return [{ path: name, value: null, source: null }];
  return Object.entries(policy)
    .map(([field, value]: [string, unknown]) => ({ path: `${name}.${field}`, value }))
    .filter(({ path }) => !DERIVED.has(path))
    .map(({ path, value }) => ({ path, value, source: service.sources[path] ?? null }));
}
