/** Gives every Service, endpoint and limited route of a delta its slot, and frees the slots of what left once nobody can use them. */

import type { Clock } from '../../base/clock.ts';
import { endpointKey } from '../../model/endpoint.ts';
import type { RateLimitPolicy } from '../../model/policy.ts';
import type { HttpRoute } from '../../model/route.ts';
import {
  type Backend,
  type Delta,
  type PolicyScope,
  saysItself,
  scopesOf,
  type Service,
} from '../../model/service.ts';
import type { Identity } from '../../model/endpoint.ts';
import { callerTableBytes } from './caller-table.ts';
import { ENDPOINT_FLOAT, type SlotKind } from './layout.ts';
import { Leaving } from './leaving.ts';
import type { Ledger } from './ledger.ts';
import { SOURCE_TABLE_BYTES } from './source-table.ts';

export interface PlacedService {
  readonly service: Service;
  readonly slot: number;
  /** Slot of the status counters, or -1 when no breaker reads them. */
  readonly statusSlot: number;
  /** Buckets of the callers when the rate limit is per caller, else null. */
  readonly callers: SharedArrayBuffer | null;
  /** Endpoints of the sources where they are kept, else null. */
  readonly sources: SharedArrayBuffer | null;
  /** Per port, the slots of its backend's endpoints in their order. */
  readonly endpointSlots: readonly (readonly number[])[];
  /** Per port, its routes in their order, null for one without a rate limit of its own; empty when no route has one. */
  readonly routes: readonly (readonly (PlacedRoute | null)[])[];
  /** By the id of its backend, each port that says otherwise than the Service. */
  readonly ports: ReadonlyMap<string, PlacedPort>;
}

/** As in `PlacedService`, for what the port has of its own. */
export interface PlacedPort {
  readonly slot: number;
  readonly statusSlot: number;
  /** Null when its rate limit is none of its own, too. */
  readonly callers: SharedArrayBuffer | null;
}

export interface PlacedRoute {
  readonly slot: number;
  /** As in `PlacedService`. */
  readonly callers: SharedArrayBuffer | null;
}

export interface PlacedDelta {
  readonly version: number;
  readonly services: readonly PlacedService[];
  readonly removedServices: readonly string[];
  readonly identities: readonly Identity[];
  readonly removedIdentities: readonly string[];
}

/** Key of an endpoint's slot. */
export function endpointSlotKey(
  backend: string,
  endpoint: { address: string; port: number },
): string {
  return `${backend} ${endpointKey(endpoint)}`;
}

/** Key of the slot of a route: `backend` is that of its port. */
export function routeSlotKey(backend: string, route: string): string {
  return `${backend} ${route}`;
}

/** Buckets of callers, and how many callers they were made for. */
interface CallerTable {
  readonly memory: SharedArrayBuffer;
  readonly callersMax: number;
}

interface Held {
  /** Slot keys of the endpoints of each backend, by its id. */
  endpoints: Map<string, Set<string>>;
  /** By slot key: routes with a rate limit of their own. */
  routes: Map<string, CallerTable | null>;
  /** Ports that say otherwise, by the id of their backend. */
  ports: Map<string, CallerTable | null>;
  callers: CallerTable | null;
  sources: SharedArrayBuffer | null;
}

const NO_PORTS: PlacedService['ports'] = new Map();
const NO_ROUTES: PlacedService['routes'] = [];

export class Placement {
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #services = new Map<string, Held>();
  readonly #leaving: Leaving;
  #started = false;

  constructor(ledger: Ledger, clock: Clock) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#leaving = new Leaving(ledger, clock);
  }

  place(delta: Delta): PlacedDelta {
    const services = delta.services.map((service) => this.#placeService(service));
    for (const key of delta.removedServices) this.#removeService(key);
    this.#started = true;
    this.#leaving.sweep();
    return {
      version: delta.version,
      services,
      removedServices: delta.removedServices,
      identities: delta.identities,
      removedIdentities: delta.removedIdentities,
    };
  }

  #placeService(service: Service): PlacedService {
    const held = this.#services.get(service.key) ?? {
      endpoints: new Map<string, Set<string>>(),
      routes: new Map<string, CallerTable | null>(),
      ports: new Map<string, CallerTable | null>(),
      callers: null,
      sources: null,
    };
    this.#services.set(service.key, held);
    const before = held.endpoints;
    held.endpoints = new Map();
    const endpointSlots = service.ports.map(({ backend }) =>
      this.#placeEndpoints(backend, held, before.get(backend.id) ?? null),
    );
    for (const [backend, keys] of before) {
      const present = held.endpoints.get(backend);
      for (const key of keys)
        if (present?.has(key) !== true) this.#leaving.add('endpoint', key, service.key);
    }
    const { breaker, rateLimit, sourceAffinity } = service.policies;
    held.callers = callersOf(rateLimit, held.callers);
    if (sourceAffinity === null) held.sources = null;
    else held.sources ??= new SharedArrayBuffer(SOURCE_TABLE_BYTES);
    return {
      service,
      slot: this.#claim('service', service.key),
      statusSlot: breaker === null ? -1 : this.#claim('status', service.key),
      callers: held.callers?.memory ?? null,
      sources: held.sources,
      endpointSlots,
      routes: this.#placeRoutes(service, held),
      ports: this.#placePorts(service, held),
    };
  }

  #placePorts(service: Service, held: Held): PlacedService['ports'] {
    const before = held.ports;
    held.ports = new Map();
    const placed = new Map<string, PlacedPort>();
    for (const scope of scopesOf(service)) {
      if (scope.port !== null) placed.set(scope.key, this.#placePort(scope, held, before));
    }
    for (const key of before.keys()) if (!held.ports.has(key)) this.#leaveBoth(key, service.key);
    return placed.size === 0 ? NO_PORTS : placed;
  }

  #placePort({ key, policies, port }: PolicyScope, held: Held, before: Held['ports']): PlacedPort {
    const isOwn = port !== null && saysItself(port, 'rateLimit');
    const callers = isOwn ? callersOf(policies.rateLimit, before.get(key) ?? null) : null;
    held.ports.set(key, callers);
    return {
      slot: this.#claim('service', key),
      statusSlot: policies.breaker === null ? -1 : this.#claim('status', key),
      callers: callers?.memory ?? null,
    };
  }

  #placeRoutes(service: Service, held: Held): PlacedService['routes'] {
    const before = held.routes;
    held.routes = new Map();
    const routes = service.ports.map(({ protocol, routes: all, backend }) =>
      protocol === 'http'
        ? all.map((route) => this.#placeRoute(route, backend.id, held, before))
        : [],
    );
    for (const key of before.keys())
      if (!held.routes.has(key)) this.#leaving.add('route', key, service.key);
    return held.routes.size === 0 ? NO_ROUTES : routes;
  }

  #placeRoute(
    { name, policies: { rateLimit = null } }: HttpRoute,
    backend: string,
    held: Held,
    before: Held['routes'],
  ): PlacedRoute | null {
    if (rateLimit === null) return null;
    const key = routeSlotKey(backend, name);
    const callers = callersOf(rateLimit, before.get(key) ?? null);
    held.routes.set(key, callers);
    return { slot: this.#claim('route', key), callers: callers?.memory ?? null };
  }

  /** `before` are the slot keys of those that it had, null when it is new itself. */
  #placeEndpoints(backend: Backend, held: Held, before: ReadonlySet<string> | null): number[] {
    const present = held.endpoints.get(backend.id) ?? new Set();
    held.endpoints.set(backend.id, present);
    return backend.endpoints.map((endpoint) => {
      const key = endpointSlotKey(backend.id, endpoint);
      const slot = this.#claim('endpoint', key);
      present.add(key);
      if (before?.has(key) !== true) this.#noteJoined(slot, before);
      return slot;
    });
  }

  /**
   * It may have been here before, or another Pod with its address, and its slot remember that. What it joins was short until now when
   * nobody was there, else as the others say.
   */
  #noteJoined(slot: number, before: ReadonlySet<string> | null): void {
    const nowMs = this.#clock.nowMs();
    const { addedAtMs, shortAtMs } = ENDPOINT_FLOAT;
    if (this.#started) this.#ledger.setFloat('endpoint', slot, addedAtMs, nowMs);
    if (before === null) return;
    const since = before.size === 0 ? nowMs : this.#shortAtMs(before);
    this.#ledger.setFloat('endpoint', slot, shortAtMs, since);
  }

  #shortAtMs(keys: ReadonlySet<string>): number {
    let last = 0;
    for (const key of keys) {
      const slot = this.#ledger.find('endpoint', key);
      if (slot === undefined) continue;
      last = Math.max(last, this.#ledger.float('endpoint', slot, ENDPOINT_FLOAT.shortAtMs));
    }
    return last;
  }

  #removeService(key: string): void {
    const held = this.#services.get(key);
    if (held === undefined) return;
    this.#services.delete(key);
    for (const endpoints of held.endpoints.values())
      for (const endpoint of endpoints) this.#leaving.add('endpoint', endpoint, key);
    for (const route of held.routes.keys()) this.#leaving.add('route', route, key);
    for (const port of held.ports.keys()) this.#leaveBoth(port, key);
    this.#leaveBoth(key, key);
  }

  #leaveBoth(key: string, service: string): void {
    this.#leaving.add('service', key, service);
    this.#leaving.add('status', key, service);
  }

  #claim(kind: SlotKind, key: string): number {
    this.#leaving.remove(kind, key);
    return this.#ledger.allocate(kind, key);
  }
}

/** The buckets that a rate limit needs: those of before while as many callers are told apart, null for a limit that tells none apart. */
function callersOf(limit: RateLimitPolicy | null, before: CallerTable | null): CallerTable | null {
  if (limit?.per !== 'caller') return null;
  const { callersMax } = limit;
  if (before?.callersMax === callersMax) return before;
  return { memory: new SharedArrayBuffer(callerTableBytes(callersMax)), callersMax };
}
