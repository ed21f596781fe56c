/** What a thread serves: Services, their ports and backends, each replaced in place when a delta arrives. */

import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { RateLimitPolicy } from '../../model/policy.ts';
import type { OwnPolicies, Route, RoutePolicies } from '../../model/route.ts';
import {
  isCarried,
  portText,
  saysItself,
  type Service,
  type ServicePort,
} from '../../model/service.ts';
import { BackendState } from '../balance/backend-state.ts';
import {
  compileCopyFilter,
  compileFilters,
  compileRedirect,
  type RequestFilter,
  type TargetFilters,
} from '../head/filter.ts';
import { Matcher } from '../head/match.ts';
import type { Redirector } from '../head/redirector.ts';
import { HelloRoutes } from '../hello/hello-routes.ts';
import type { Cells, LedgerView } from '../ledger/cells.ts';
import { MethodTable } from '../ledger/method-table.ts';
import type { PlacedDelta, PlacedPort, PlacedRoute, PlacedService } from '../ledger/placement.ts';
import { SourceTable } from '../ledger/source-table.ts';
import { WebOrigins } from '../grpc-web/web-origins.ts';
import { bucketOfRoute, bucketOfService, RateLimiter } from '../policy/rate-limit.ts';

/** Requests in flight of one Service on this thread, by the hash of their source address. */
export interface CrowdCount {
  readonly sources: ReadonlyMap<number, number>;
  readonly countedMs: number;
}

/**
 * A Service, or a port that says otherwise than its Service, with its shared figures. Requests read `service` once and keep what they
 * read.
 */
export class ServiceState {
  /** With the policies of the port, where it is one. */
  service: Service;
  readonly cells: Cells;
  /** Where its requests in flight are counted: its own, or the Service of a port that has no such limit of its own. */
  flight: ServiceState;
  /** Where the connections of each of its callers are counted, likewise. */
  callers: ServiceState;
  statusCells: Cells | null = null;
  limiter: RateLimiter | null = null;
  sources: SourceTable | null = null;
  /** Null until it first had nearly as many requests in flight as it may. */
  crowd: CrowdCount | null = null;
  /** Of gRPC; those of the Service, where it is a port. */
  methods: MethodTable;
  /** Null where calls of gRPC-Web are nothing special. */
  web: WebOrigins | null = null;
  /** Copies of its requests for mirrors, of this thread, on their way. */
  copies = 0;
  #sourceMemory: SharedArrayBuffer | null = null;

  constructor(service: Service, cells: Cells) {
    this.service = service;
    this.cells = cells;
    this.flight = this;
    this.callers = this;
    this.methods = new MethodTable(service.key);
  }

  update(placed: PlacedService, view: LedgerView): void {
    this.service = placed.service;
    const { rateLimit, grpcWeb } = placed.service.policies;
    this.web = grpcWeb === null ? null : new WebOrigins(grpcWeb);
    this.limiter =
      rateLimit === null
        ? null
        : new RateLimiter(rateLimit, bucketOfService(this.cells), placed.callers);
    this.#setStatus(placed.statusSlot, view);
    if (placed.sources !== this.#sourceMemory) {
      this.#sourceMemory = placed.sources;
      this.sources = placed.sources === null ? null : new SourceTable(placed.sources);
    }
  }

  /** As a port of `whole`: what the port does not say is counted there. */
  updatePort(whole: ServiceState, port: ServicePort, placed: PlacedPort, view: LedgerView): void {
    const policies = port.policies ?? whole.service.policies;
    const { rateLimit, grpcWeb } = policies;
    this.service = { ...whole.service, policies };
    this.web = grpcWeb === null ? null : new WebOrigins(grpcWeb);
    this.methods = whole.methods;
    this.flight = saysItself(port, 'limits.requestsInFlight') ? this : whole;
    this.callers = saysItself(port, 'limits.connectionsPerCaller') ? this : whole;
    if (!saysItself(port, 'rateLimit')) this.limiter = whole.limiter;
    else if (rateLimit === null) this.limiter = null;
    else this.limiter = new RateLimiter(rateLimit, bucketOfService(this.cells), placed.callers);
    this.#setStatus(placed.statusSlot, view);
  }

  #setStatus(slot: number, view: LedgerView): void {
    if (slot < 0) this.statusCells = null;
    else this.statusCells ??= view.cells('status', slot);
  }
}

/** A backend and the Service whose policies rule it, null until that Service is known. */
export interface Target {
  readonly backend: BackendState;
  /** For requests of HTTP: null as well while the backend is that of another kind of port. */
  service: ServiceState | null;
  /** For connections of TCP, likewise. */
  tcp: ServiceState | null;
  /** For sessions of UDP, likewise. */
  udp: ServiceState | null;
  /** Finds who takes over when its endpoints are too few, as long as there is somebody; null where nobody is to. */
  failover: (() => Target | null) | null;
}

/** Who gets a share of the requests of a route, too. */
export interface MirrorState {
  /** Null where it may not be used. */
  readonly target: Target | null;
  /** 0 to 1. */
  readonly share: number;
  /** What is changed of a copy. */
  readonly filter: RequestFilter;
}

export interface RouteState {
  readonly name: string;
  /** Any of them takes a request; without one, the route takes them all. */
  readonly matchers: readonly Matcher[];
  readonly policies: RoutePolicies;
  /** Of the route alone. */
  readonly limiter: RateLimiter | null;
  /** Answers instead of a target; null for most. */
  readonly redirect: Redirector | null;
  /** Null where the route may not lead. */
  readonly targets: readonly (Target | null)[];
  /** Those of each target, null for most. */
  readonly filters: readonly (TargetFilters | null)[];
  readonly weights: readonly number[];
  readonly totalWeight: number;
  /** Null without one. */
  readonly mirrors: readonly MirrorState[] | null;
}

/** One port of one Service: what a listener serves. */
export class PortState {
  /** Where to listen; '' is every address of the machine. */
  readonly address: string;
  readonly number: number;
  readonly service: ServiceState;
  /** Whose policies hold for calls of the port: those of the Service, or its own. */
  rules: ServiceState;
  /** Host of a request that names none. */
  readonly host: Buffer;
  port: ServicePort;
  routes: readonly RouteState[] = [];
  /** Of TCP: finds the route of a connection by its ClientHello; null where no route asks for one, and none is read. */
  hellos: HelloRoutes | null = null;
  /** As in `PlacedService`. */
  placed: PlacedService['routes'][number] = [];
  /** Some route has a rate limit of its own. */
  limitsRoutes = false;
  /** True once the port left the configuration: finish what runs, then close. */
  closed = false;

  constructor(service: ServiceState, port: ServicePort) {
    this.service = service;
    this.rules = service;
    const isShared = port.proxyPort !== 0;
    this.address = isShared ? '' : service.service.address;
    this.number = isShared ? port.proxyPort : port.port;
    this.host = Buffer.from(`${service.service.name}.${service.service.namespace}`);
    this.port = port;
  }

  /** Null where calls of gRPC-Web are nothing special, as on a port whose endpoints do not speak what gRPC needs. */
  get web(): WebOrigins | null {
    return this.port.backend.protocol === 'http/2' ? this.rules.web : null;
  }
}

export interface TableChange {
  readonly opened: PortState[];
  readonly closed: PortState[];
  /** Services that a defect kept from being applied: nothing of them is served, neither as they were nor as they are. */
  readonly broken: { readonly service: Service; readonly error: unknown }[];
}

export class Table {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #view: LedgerView;
  readonly #services = new Map<string, ServiceState>();
  /** Ports that say otherwise than their Services, by the id of their backend. */
  readonly #portRules = new Map<string, ServiceState>();
  readonly #targets = new Map<string, Target>();
  /** Ports with routes to the backend of another port, by its id. */
  readonly #users = new Map<string, Set<PortState>>();
  /** By Service key, then by what the listener is bound to. */
  readonly #ports = new Map<string, Map<string, PortState>>();

  constructor(view: LedgerView, clock: Clock, random: Random) {
    this.#view = view;
    this.#clock = clock;
    this.#random = random;
  }

  service(key: string): ServiceState | null {
    return this.#services.get(key) ?? null;
  }

  /** The backends of its ports that are carried, each with the policies of its port. */
  targetsOf({ service }: ServiceState): readonly Target[] {
    return service.ports.filter(isCarried).flatMap(({ backend }) => {
      const target = this.#targets.get(backend.id);
      return target === undefined ? [] : [target];
    });
  }

  /** Applies it all in one turn. */
  apply(services: readonly PlacedService[], removed: PlacedDelta['removedServices']): TableChange {
    const change: TableChange = { opened: [], closed: [], broken: [] };
    const steps = this.steps(services, removed, change);
    while (steps.next().done !== true);
    return change;
  }

  /**
   * Applies it in short steps, each of which leaves every port whole: requests may run in between. Some ports of a Service then
   * have their new endpoints before others. A defect costs the one Service that it is met with.
   */
  *steps(
    services: readonly PlacedService[],
    removed: PlacedDelta['removedServices'],
    change: TableChange,
  ): Generator<void, void, undefined> {
    for (const placed of services) {
      const opened: PortState[] = [];
      try {
        yield* this.#set(placed, { ...change, opened });
        change.opened.push(...opened);
      } catch (error) {
        for (const port of opened) port.closed = true;
        this.#remove(placed.service.key, change);
        change.broken.push({ service: placed.service, error });
      }
      yield;
    }
    for (const key of removed) {
      this.#remove(key, change);
      yield;
    }
  }

  *#set(placed: PlacedService, change: TableChange): Generator<void, void, undefined> {
    const { service } = placed;
    let state = this.#services.get(service.key);
    if (state === undefined || state.cells.slot !== placed.slot) {
      state?.methods.release();
      state = new ServiceState(service, this.#view.cells('service', placed.slot));
      this.#services.set(service.key, state);
    }
    state.update(placed, this.#view);
    for (const [index, port] of service.ports.entries()) {
      const target = this.#target(port.backend.id);
      const rules = this.#rulesOf(state, port, placed);
      // Nobody else's route may lead where something else is spoken.
      target.service = port.protocol === 'http' && isCarried(port) ? rules : null;
      target.tcp = port.protocol === 'tcp' && isCarried(port) ? rules : null;
      target.udp = port.protocol === 'udp' && isCarried(port) ? rules : null;
      target.failover = this.#failoverOf(port, rules.service);
      const slots = placed.endpointSlots[index] ?? [];
      const cells = slots.map((slot) => this.#view.cells('endpoint', slot));
      target.backend.update(port.backend, rules.service.policies, cells, state.sources);
      yield;
    }
    this.#setPorts(state, placed.routes, change);
  }

  /** Those of the Service, or of the port itself. */
  #rulesOf(whole: ServiceState, port: ServicePort, { ports }: PlacedService): ServiceState {
    const { id } = port.backend;
    const placed = ports.get(id);
    if (placed === undefined) {
      this.#portRules.delete(id);
      return whole;
    }
    let rules = this.#portRules.get(id);
    if (rules === undefined || rules.cells.slot !== placed.slot) {
      rules = new ServiceState(whole.service, this.#view.cells('service', placed.slot));
      this.#portRules.set(id, rules);
    }
    rules.updatePort(whole, port, placed, this.#view);
    return rules;
  }

  #setPorts(state: ServiceState, placed: PlacedService['routes'], change: TableChange): void {
    const { service } = state;
    const before = new Map(this.#ports.get(service.key));
    const after = new Map<string, PortState>();
    for (const [index, port] of service.ports.entries()) {
      const id = listenerId(service, port);
      const known = before.get(id);
      const kept =
        known !== undefined && known.service === state ? known : new PortState(state, port);
      this.#leave(kept);
      kept.port = port;
      kept.rules = this.#portRules.get(port.backend.id) ?? state;
      kept.placed = placed[index] ?? [];
      this.#lead(kept);
      after.set(id, kept);
      if (kept === known) before.delete(id);
      else change.opened.push(kept);
    }
    for (const left of before.values()) {
      this.#close(left, change);
      const { id } = left.port.backend;
      if (!service.ports.some(({ backend }) => backend.id === id)) this.#retire(id);
    }
    this.#ports.set(service.key, after);
  }

  #remove(key: string, change: TableChange): void {
    const state = this.#services.get(key);
    if (state === undefined) return;
    state.methods.release();
    this.#services.delete(key);
    for (const port of this.#ports.get(key)?.values() ?? []) {
      this.#close(port, change);
      this.#retire(port.port.backend.id);
    }
    this.#ports.delete(key);
    for (const port of state.service.ports) this.#retire(port.backend.id);
  }

  /** Its callers finish with the backends that there are. */
  #close(port: PortState, change: TableChange): void {
    port.closed = true;
    change.closed.push(port);
    this.#leave(port);
  }

  /** Routes of other ports lead nowhere from now on, until the backend is there again. */
  #retire(id: string): void {
    this.#portRules.delete(id);
    this.#targets.get(id)?.backend.retire();
    this.#targets.delete(id);
    for (const port of this.#users.get(id) ?? []) port.routes = this.#routesOf(port);
  }

  #lead(port: PortState): void {
    port.routes = this.#routesOf(port);
    port.hellos = hellosOf(port.port);
    port.limitsRoutes = port.routes.some(({ limiter }) => limiter !== null);
    for (const id of othersOf(port)) {
      const users = this.#users.get(id);
      if (users === undefined) this.#users.set(id, new Set([port]));
      else users.add(port);
    }
  }

  #leave(port: PortState): void {
    for (const id of othersOf(port)) {
      const users = this.#users.get(id);
      users?.delete(port);
      if (users === undefined || users.size > 0) continue;
      this.#users.delete(id);
      // It never came, and nobody asks for it any more.
      const target = this.#targets.get(id);
      if (target !== undefined && isOfNobody(target)) this.#targets.delete(id);
    }
  }

  #routesOf({ port, placed, rules }: PortState): readonly RouteState[] {
    // Matches of TCP are those of all routes together.
    if (port.protocol !== 'http')
      return port.routes.map((each) => this.#route(each, null, rules.service));
    return port.routes.map((each, i) => {
      const matchers = each.matches.map((match) => new Matcher(match));
      return { ...this.#route(each, placed[i] ?? null, rules.service), matchers };
    });
  }

  #route(route: Route, placed: PlacedRoute | null, service: Service): RouteState {
    const { policies } = service;
    const own: Partial<OwnPolicies> = route.policies;
    const weights = route.backends.map(({ weight }) => weight);
    return {
      name: route.name,
      matchers: NO_MATCHERS,
      policies: { ...policies, ...own },
      limiter: this.#limiterOf(own.rateLimit ?? null, placed),
      redirect: compileRedirect(route.filters),
      filters: route.backends.map((each) => compileFilters(route.filters, each.filters)),
      targets: route.backends.map(({ backend, invalid }) =>
        invalid === '' ? this.#target(backend) : null,
      ),
      weights,
      totalWeight: weights.reduce((sum, weight) => sum + weight, 0),
      mirrors: this.#mirrors(route, service),
    };
  }

  /** The port of the same number, for the same transport; it may come and go at any time. */
  #failoverOf(port: ServicePort, { policies }: Service): Target['failover'] {
    if (policies.failover === null) return null;
    const id = `${policies.failover.service}:${portText(port)}`;
    return () => this.#targets.get(id) ?? null;
  }

  #limiterOf(rateLimit: RateLimitPolicy | null, placed: PlacedRoute | null): RateLimiter | null {
    if (rateLimit === null || placed === null) return null;
    const { slot, callers } = placed;
    return new RateLimiter(rateLimit, bucketOfRoute(this.#view.cells('route', slot)), callers);
  }

  #mirrors(
    { mirrors, filters }: Route,
    { name, namespace }: Service,
  ): readonly MirrorState[] | null {
    if (mirrors.length === 0) return null;
    const filter = compileCopyFilter(filters, `${name}.${namespace}`);
    return mirrors.map(({ backend, numerator, denominator, invalid }) => ({
      target: invalid === '' ? this.#target(backend) : null,
      share: numerator / denominator,
      filter,
    }));
  }

  #target(id: string): Target {
    let target = this.#targets.get(id);
    if (target === undefined) {
      target = {
        backend: new BackendState(id, this.#clock, this.#random),
        service: null,
        tcp: null,
        udp: null,
        failover: null,
      };
      this.#targets.set(id, target);
    }
    return target;
  }
}

const NO_MATCHERS: readonly Matcher[] = [];

function hellosOf({ protocol, routes }: ServicePort): HelloRoutes | null {
  if (protocol !== 'tcp' || routes.every(({ matches }) => matches.length === 0)) return null;
  return new HelloRoutes(routes.map(({ matches }) => matches));
}

/** No Service has it. */
function isOfNobody({ service, tcp, udp }: Target): boolean {
  return service === null && tcp === null && udp === null;
}

/** What a listener cannot change while it is open. In a cluster an address comes later than its port, and may change. */
function listenerId(service: Service, port: ServicePort): string {
  const place = port.proxyPort === 0 ? `${service.address} ${port.port}` : `*${port.proxyPort}`;
  // What is spoken to endpoints is nothing to callers: they stay connected when it changes.
  return `${place} ${port.protocol} ${isCarried(port)} ${port.callerTls !== null}`;
}

/** Backends that its routes lead to beside its own, each as often as they do. */
function othersOf({ port }: PortState): readonly string[] {
  const all = port.routes.flatMap(({ backends, mirrors }) => [...backends, ...mirrors]);
  return all
    .filter(({ backend, invalid }) => invalid === '' && backend !== port.backend.id)
    .map(({ backend }) => backend);
}
