/** What the admin server shows, given by whoever wires the mesh. Reading must be cheap and must not change anything. */

import type { Endpoint } from '../model/endpoint.ts';
import type { Problem, Snapshot } from '../model/service.ts';
import type { BreakerState, EndpointFigures, EndpointStats, ServiceStats } from '../model/stats.ts';

export interface AdminView {
  /** `pending` says as sentences what is configured and not served. */
  readiness(): { readonly ready: boolean; readonly pending: readonly string[] };
  /** What is served. */
  snapshot(): Snapshot;
  /** Of everybody who has some. */
  problems(): readonly Problem[];
  /** The metrics page (text format 0.0.4) in slices. */
  metrics(): AsyncIterable<string>;
  threads(): ThreadsView;
  /** Agents that get their configuration here; none but at a controller. */
  agents(): readonly ConnectedAgent[];
  /** How a call through the mesh fared, such as `works`; '' where that is not checked. */
  dataPath(): string;
  /** Services that are not part of the mesh, of a namespace or of all; none but at a controller. */
  outside(namespace: string): Iterable<OutsideService>;
  readonly figures: FiguresView;
  /** Domains of mesh names, as in `maesh`. */
  readonly domains: readonly string[];
}

/** A Service of the cluster that the mesh leaves alone. */
export interface OutsideService {
  /** `namespace/name`. */
  readonly service: string;
  /** Why, as a sentence. */
  readonly reason: string;
}

/** An agent at the other end of a discovery stream. */
export interface ConnectedAgent {
  /** `namespace/pod`, as its token says. */
  readonly agent: string;
  readonly node: string;
  /** Version of maesh that it runs. */
  readonly build: string;
  readonly remote: string;
  readonly connectedMs: number;
  /** Version of the configuration that it was sent last, and that it says it serves. */
  readonly sentVersion: number;
  readonly servedVersion: number;
  /** For how long there has been a version that it does not serve; 0 when it serves the latest. */
  readonly lagMs: number;
  /** Ports that it cannot listen on, as sentences. */
  readonly failures: readonly string[];
  /** Protocols that it carries, such as `http`. */
  readonly carries: readonly string[];
  /** How a call through it fared, such as `works`; '' where that is not checked (yet). */
  readonly dataPath: string;
  /** Services that it does not serve, since it does not know these things of them. */
  readonly notServed: readonly { readonly service: string; readonly unknown: readonly string[] }[];
}

export interface ThreadsView {
  /** Threads that died and were replaced since the start. */
  readonly restarts: number;
  readonly threads: readonly ThreadView[];
}

interface ThreadView {
  /** Number of the thread, from 0. */
  readonly thread: number;
  readonly state: 'starting' | 'serving' | 'draining' | 'dead';
  /** Version of the configuration that it serves; 0 before the first. */
  readonly configVersion: number;
  /** Service ports that it has open. */
  readonly listeners: number;
  /** Who makes its system calls for connections. */
  readonly sockets: 'system' | 'runtime' | 'unknown';
  /** Why it is not `system` although it might have been; else ''. */
  readonly socketsReason: string;
}

/** Counters since the start, and figures of the last seconds; what is not known has 0 and null. */
interface FiguresView {
  breaker(serviceKey: string): BreakerState;
  endpoint(backend: string, endpoint: Endpoint): EndpointFigures;
  /** With those of its ports that have policies of their own, by the ids of their backends. */
  serviceStats(serviceKey: string, portKeys: readonly string[]): ServiceStats;
  /** Requests in flight that are counted for a Service, or such a port, alone. */
  inFlight(key: string): number;
  endpointStats(backend: string, endpoint: Endpoint): EndpointStats;
}
