/** A port that routes TLS by server name, in front of Services of their own. */

import type { TlsRule } from '../../src/model/rule.ts';
import type { Service } from '../../src/model/service.ts';

export const sni = (name: string): TlsRule => ({ kind: 'sni', name });

/** The Service with these routes: each a rule, or null for what takes everything, and the Service that it leads to. */
export function sniRouted(
  service: Service,
  routes: readonly (readonly [rule: TlsRule | null, to: Service, invalid?: string])[],
): Service {
  const [port] = service.ports;
  if (port?.protocol !== 'tcp') throw new Error('no port of TCP');
  const source = { object: `Service ${service.key}`, field: 'test' };
  const made = routes.map(([rule, to, invalid = ''], i) => ({
    name: `routes[${i}]`,
    matches: rule === null ? [] : [{ rule }],
    policies: {},
    filters: null,
    backends: [{ backend: to.ports[0]?.backend.id ?? '', weight: 1, invalid, filters: null }],
    mirrors: [],
    source,
  }));
  return { ...service, ports: [{ ...port, routes: made }] };
}
