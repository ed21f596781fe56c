/** One endpoint as one thread knows it: its address, its shared figures, its idle connections. Outlives every update. */

import { hash32 } from '../../base/hash.ts';
import { Line, Stand } from '../../base/line.ts';
import { type Endpoint, endpointKey } from '../../model/endpoint.ts';
import type { EndpointTls } from '../../model/endpoint-tls.ts';
import type { Cells } from '../ledger/cells.ts';
import { DEFAULT_POLICIES } from '../../model/defaults.ts';
import type { AffinityPolicy, LimitPolicy } from '../../model/policy.ts';
import { ENDPOINT_OWN, ENDPOINT_WORD, handshakeResult } from '../ledger/layout.ts';

/** What the pool keeps here; the balancer never looks inside. */
export interface IdleConnection {
  close(): void;
}

/** Connections to it that requests share, as one thread has them: HTTP/2. */
export interface SharedConnections {
  /** Whether a request may go on one of them, or on another one, where the node has `connections` of `max`. */
  mayTake(connections: number, max: number): boolean;
}

interface Leaver {
  /** The endpoint left, and what stays with it has so long to go. */
  endpointLeft(drainMs: number): void;
}

/** What stays with an endpoint for long: a tunnel, or a connection of TCP. */
export interface Tenant extends Leaver {
  /** Owned by the endpoint. */
  tenancy: Stand<Leaver> | null;
}

/** How an endpoint is spoken to. */
export interface Spoken {
  readonly http2: boolean;
  readonly tls: EndpointTls | null;
}
const PLAIN: Spoken = { http2: false, tls: null };

export class EndpointState {
  /** `address:port`. */
  readonly id: string;
  /** `address:port`. */
  readonly key: string;
  readonly address: string;
  readonly port: number;
  /** Replaced when the endpoint's weight or place changes. */
  endpoint: Endpoint;
  readonly cells: Cells;
  /** It is spoken to in HTTP/2. */
  readonly http2: boolean;
  /** It is spoken to in TLS, and believed by this; null without TLS. */
  readonly tls: EndpointTls | null;
  /** What stands for it in a table of sources; never 0. */
  readonly token: number;
  /** What an affinity cookie says instead of the address, 32 bits; the same on every thread, node and restart. */
  readonly affinityHash: number;
  /** Share against its siblings: the endpoint's weight, or 1 for all of a backend whose weights are all 0. */
  weight = 0;
  /** Cells of all endpoints of the backend that take traffic: what the ejection limit counts. */
  peers: readonly Cells[] = [];
  /** Connections without a request, the most recently used last; below them those that must be silent for a while. */
  readonly idle: IdleConnection[] = [];
  /** Kept by the pool, like `idle`; null while there are none. */
  shared: SharedConnections | null = null;
  /** Of the Service that it belongs to. */
  limits: LimitPolicy = DEFAULT_POLICIES.limits;
  /** True once the endpoint left the backend: finish what runs, keep nothing idle. */
  gone = false;
  /** Of its connections, those that this thread leaves to the other threads. */
  reserved = 0;
  /** How long what stays may go on once it is gone; 0 is for ever. */
  #drainMs = 0;
  /** Null before the first. */
  #tenants: Line<Leaver> | null = null;
  #affinityPolicy: AffinityPolicy | null = null;
  #affinityLine: Buffer | null = null;

  // oxlint-disable-next-line max-params -- the last one is left out but for HTTP/2 and TLS
  constructor(id: string, endpoint: Endpoint, cells: Cells, spoken: Spoken = PLAIN) {
    this.id = id;
    this.endpoint = endpoint;
    this.key = endpointKey(endpoint);
    this.address = endpoint.address;
    this.port = endpoint.port;
    this.cells = cells;
    this.http2 = spoken.http2;
    this.tls = spoken.tls;
    const hash = hash32(id);
    this.token = hash === 0 ? 1 : hash | 0;
    this.affinityHash = hash;
  }

  /** `affinityHash` as the cookie has it: eight hexadecimal digits. */
  get affinityToken(): string {
    return this.affinityHash.toString(16).padStart(8, '0');
  }

  /** The `Set-Cookie` line that binds a session here. Made once per policy: in a storm of new sessions each response has it. */
  affinityLine(policy: AffinityPolicy): Buffer {
    if (this.#affinityLine !== null && this.#affinityPolicy === policy) return this.#affinityLine;
    const { cookie, maxAgeSeconds } = policy;
    const age = maxAgeSeconds > 0 ? `; Max-Age=${maxAgeSeconds}` : '';
    const value = `${cookie}=${this.affinityToken}; Path=/; HttpOnly; SameSite=Lax${age}`;
    this.#affinityPolicy = policy;
    this.#affinityLine = Buffer.from(`Set-Cookie: ${value}\r\n`);
    return this.#affinityLine;
  }

  /** Requests in flight on all threads of the node. */
  get inFlight(): number {
    return this.cells.words[this.cells.w + ENDPOINT_WORD.inFlight] ?? 0;
  }

  /** Whether another request finds a connection that it may share, or may open one. Where they are not shared, other limits tell. */
  get hasConnection(): boolean {
    const { words, w } = this.cells;
    if (!this.http2) {
      const { reserved } = this;
      return reserved === 0 || this.inFlight + reserved < this.limits.connectionsPerEndpoint;
    }
    const connections = words[w + ENDPOINT_WORD.connections] as number;
    const { connectionsPerEndpoint: max } = this.limits;
    return connections < max || this.shared === null || this.shared.mayTake(connections, max);
  }

  begin(): void {
    const { words, w, own, o } = this.cells;
    Atomics.add(words, w + ENDPOINT_WORD.inFlight, 1);
    own[o + ENDPOINT_OWN.inFlight] = (own[o + ENDPOINT_OWN.inFlight] ?? 0) + 1;
  }

  /** From now on until `leave` it is told when the endpoint leaves. */
  enter(tenant: Tenant): void {
    this.#tenants ??= new Line();
    tenant.tenancy = new Stand<Leaver>(tenant);
    this.#tenants.add(tenant.tenancy);
    if (this.#drainMs > 0) tenant.endpointLeft(this.#drainMs);
  }

  leave(tenant: Tenant): void {
    tenant.tenancy?.leave();
    tenant.tenancy = null;
  }

  /** It left the backend: nothing idles with it. What stays has `drainMs`; with 0 it may stay. */
  retire(drainMs: number): void {
    this.gone = true;
    for (const connection of this.idle.splice(0)) connection.close();
    if (drainMs === 0) return;
    this.#drainMs = drainMs;
    for (const tenant of this.#tenants ?? []) tenant.endpointLeft(drainMs);
  }

  /** A connection to it is dialled. */
  openConnection(): void {
    const { words, w, own, o } = this.cells;
    Atomics.add(words, w + ENDPOINT_WORD.connections, 1);
    own[o + ENDPOINT_OWN.connections] = (own[o + ENDPOINT_OWN.connections] as number) + 1;
    own[o + ENDPOINT_OWN.connectionsOpened] =
      (own[o + ENDPOINT_OWN.connectionsOpened] as number) + 1;
  }

  /** A TLS handshake with it is over; null is one that failed. */
  onHandshake(done: Parameters<typeof handshakeResult>[0]): void {
    const { own, o } = this.cells;
    const at = o + ENDPOINT_OWN.handshakes + handshakeResult(done);
    own[at] = (own[at] as number) + 1;
  }

  /** It is gone. */
  closeConnection(): void {
    const { words, w, own, o } = this.cells;
    Atomics.sub(words, w + ENDPOINT_WORD.connections, 1);
    own[o + ENDPOINT_OWN.connections] = (own[o + ENDPOINT_OWN.connections] as number) - 1;
  }

  end(): void {
    const { words, w, own, o } = this.cells;
    Atomics.sub(words, w + ENDPOINT_WORD.inFlight, 1);
    own[o + ENDPOINT_OWN.inFlight] = (own[o + ENDPOINT_OWN.inFlight] ?? 0) - 1;
  }
}
