/** Services whose only route has mirrors. */

import assert from 'node:assert/strict';
import type { HttpRoute, RouteMirror } from '../../src/model/route.ts';
import type { Service } from '../../src/model/service.ts';

export function mirrorTo(service: Service, more: Partial<RouteMirror> = {}): RouteMirror {
  const { id } = (service.ports[0] as Service['ports'][0]).backend;
  return { backend: id, numerator: 1, denominator: 1, invalid: '', ...more };
}

/** The Service with mirrors on its only route. */
export function mirrored(
  service: Service,
  mirrors: readonly RouteMirror[],
  more: Partial<HttpRoute> = {},
): Service {
  const [port] = service.ports;
  assert(port?.protocol === 'http');
  const routes = port.routes.map((route) => ({ ...route, ...more, mirrors }));
  return { ...service, ports: [{ ...port, routes }] };
}
