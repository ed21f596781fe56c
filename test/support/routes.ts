/** Services with routes, as no reader of manifests makes them yet. */

import assert from 'node:assert/strict';
import type { BackendFilters, RouteFilters } from '../../src/model/filter.ts';
import type { HttpMatch, HttpRoute, RouteBackend } from '../../src/model/route.ts';
import type { Service } from '../../src/model/service.ts';

/** Takes every request. */
export const ANY: HttpMatch = { path: null, method: '', headers: [], query: [] };
/** Changes nothing. */
export const NO_FILTERS: RouteFilters = {
  request: [],
  response: [],
  rewrite: null,
  redirect: null,
};

export function prefix(value: string): HttpMatch {
  return { ...ANY, path: { kind: 'prefix', value } };
}

/** The first backend of a Service. */
export function to(
  service: Service,
  weight = 1,
  filters: BackendFilters | null = null,
): RouteBackend {
  return { backend: service.ports[0]?.backend.id ?? '', weight, invalid: '', filters };
}

/** The Service with these routes on its port. */
export function routed(service: Service, routes: readonly Partial<HttpRoute>[]): Service {
  const [port] = service.ports;
  assert(port?.protocol === 'http');
  const [first] = port.routes;
  assert(first !== undefined);
  return {
    ...service,
    ports: [{ ...port, routes: routes.map((each) => ({ ...first, ...each })) }],
  };
}
