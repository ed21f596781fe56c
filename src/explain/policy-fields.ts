/** The policies of a Service field by field, each with the object and field that it comes from. */

import type { PolicyName } from '../model/policy.ts';
import type { Source } from '../model/object-reference.ts';
import type { HttpRoute } from '../model/route.ts';
import type { Service, ServicePort } from '../model/service.ts';
import { streamLimitsOf } from '../model/stream-limits.ts';
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
  healthCheck: 7,
  failover: 8,
  grpcWeb: 9,
  timeouts: 10,
  retry: 11,
  proxyProtocol: 12,
};

/** Parsed from `breaker.text`, which is there too. */
const DERIVED: ReadonlySet<string> = new Set(['breaker.expression']);

/** `service` has the policies that hold on `port`; those of the Service where the port says nothing. */
export function policyFacts(service: Service, port: ServicePort | null): PolicyFacts {
  const own = port === null || port.policies === null ? {} : port.sources;
  const held =
    port !== null && port.protocol !== 'http'
      ? { ...service.policies, timeouts: streamLimitsOf(service, port) }
      : service.policies;
  const policies = Object.entries(held) as [PolicyName, object | null][];
  policies.sort(([a], [b]) => ORDER[a] - ORDER[b]);
  return {
    service: service.key,
    port: port === null || port.policies === null ? null : port.port,
    fields: policies.flatMap(([name, policy]) =>
      policy === null
        ? [
            {
              path: name,
              value: null,
              source: lifterOf(name, own) ?? lifterOf(name, service.sources),
            },
          ]
        : fieldsOf(name, policy, (path) => own[path] ?? service.sources[path] ?? null),
    ),
  };
}

/** What says that there is no such policy; null where nobody does. */
function lifterOf(name: string, sources: Readonly<Record<string, Source>>): Source | null {
  const path = Object.keys(sources).find((each) => each.startsWith(`${name}.`));
  return path === undefined ? null : (sources[path] ?? null);
}

/** What the route has of its own. */
export function ownPolicyFields({ policies, source }: HttpRoute): PolicyField[] {
  return Object.entries(policies).flatMap(([name, policy]) => fieldsOf(name, policy, () => source));
}

function fieldsOf(
  name: string,
  policy: object | null,
  sourceOf: (path: string) => Source | null,
): PolicyField[] {
  if (policy === null) return [{ path: name, value: null, source: sourceOf(name) }];
  return Object.entries(policy)
    .map(([field, value]: [string, unknown]) => ({ path: `${name}.${field}`, value }))
    .filter(({ path }) => !DERIVED.has(path))
    .map(({ path, value }) => ({ path, value, source: sourceOf(path) }));
}
