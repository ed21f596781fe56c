/**
 * One proxy thread inside the test process: the real server, table, shared memory and governor over real sockets. At the end of
 * each test it cuts the callers, takes all Services away and checks that nothing is left in flight or connected.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { BlockList } from 'node:net';
import type { TestContext } from 'node:test';
import { type Clock, ManualClock, systemClock } from '../../src/base/clock.ts';
import { Guard } from '../../src/base/guard.ts';
import { type Log, silentLog } from '../../src/base/log.ts';
import { textAt } from '../../src/base/record.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { FAILURE_REASONS, type FailureReason } from '../../src/model/failure.ts';
import type { Certificate } from '../../src/model/credential.ts';
import type { EndpointTls } from '../../src/model/endpoint-tls.ts';
import { type Endpoint, endpointKey, type Identity } from '../../src/model/endpoint.ts';
import type { Policies } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import { DEFAULT_PROXY_SETTINGS, type ProxySettings } from '../../src/model/settings.ts';
import { ThreadContext } from '../../src/proxy/http/context.ts';
import { protocols } from '../../src/proxy/thread/protocols.ts';
import { DEADLINE_TICK_MS } from '../../src/proxy/net/deadline-wheel.ts';
import { shareTicketKeys } from '../../src/proxy/net/tls/ticket-keys.ts';
import { LedgerView } from '../../src/proxy/ledger/cells.ts';
import {
  ENDPOINT_OWN,
  ENDPOINT_WORD,
  SERVICE_OWN,
  SERVICE_WORD,
  SLOT_KINDS,
  type SlotKind,
} from '../../src/proxy/ledger/layout.ts';
import { Ledger } from '../../src/proxy/ledger/ledger.ts';
import { endpointSlotKey, Placement } from '../../src/proxy/ledger/placement.ts';
import { Governor } from '../../src/proxy/policy/governor.ts';
import { ProxyServer } from '../../src/proxy/thread/server.ts';
import { secureDial } from './caller-tls.ts';
import { type ServerCertificate, TestCa } from './certificates.ts';
import { exampleEndpoint, exampleService, withProtocol } from './model.ts';
import type { Sockets } from '../../src/proxy/net/socket.ts';
import { testSockets } from './sockets.ts';
import { StrictGuard } from './strict-guard.ts';
import { atEnd, dial, type Dialled, eventually, type RawEndpoint, type Wire } from './wire.ts';

/** Addresses of this process: no two test processes share one, so no two want the same port. */
let lastHost = 0;

/** An address of 127/8 that nothing else in this process uses. */
export function freshAddress(): string {
  lastHost++;
  const third = Math.floor(process.pid / 64) % 256;
  return `127.${128 + (process.pid % 64)}.${third}.${(lastHost % 250) + 1}`;
}

/**
 * With `MAESH_CALLERS=tls` every port has a certificate, and `call` speaks TLS:
 *
 *   MAESH_CALLERS=tls node --test test/proxy/*.test.ts
 */
const CREDENTIAL =
  process.env['MAESH_CALLERS'] === 'tls'
    ? credentialOf('test/callers', await (await TestCa.make()).issue({ names: ['test'] }))
    : null;
const SHOWN: readonly Certificate[] =
  CREDENTIAL === null
    ? []
    : [
        {
          secret: CREDENTIAL.key,
          digest: CREDENTIAL.digest,
          names: ['test'],
          notBeforeMs: 0,
          notAfterMs: 0,
        },
      ];

function credentialOf(secret: string, { cert, key }: ServerCertificate) {
  const digest = createHash('sha256').update(cert).digest('hex');
  return { key: secret, chain: cert, privateKey: key, digest };
}

const PORT_FIRST = 20_000;
let lastPort = PORT_FIRST;

export interface ProxyOptions {
  readonly settings?: Partial<ProxySettings>;
  /** Time stands still until the test moves it. */
  readonly manual?: boolean;
  /** Instead of the clock of the system. */
  readonly clock?: Clock;
  readonly random?: Random;
  /** The test makes some itself; else each fails it. */
  readonly defects?: true;
  /** File descriptors that the proxy believes to have; not limited by default. */
  readonly descriptors?: number;
  /** Local ports, likewise. */
  readonly ports?: number;
  /** That it believes to be one of. */
  readonly threads?: number;
  /** Instead of those that `settings` or the variable name. */
  readonly sockets?: Sockets;
}

export interface ServiceOptions {
  readonly key?: string;
  /** One of its own by default. */
  readonly port?: number;
  readonly endpoints?: readonly (RawEndpoint | Endpoint | Dialled)[];
  readonly policies?: Partial<Policies>;
  /** The endpoints are spoken to in HTTP/2. */
  readonly http2?: boolean;
  /** They are spoken to in TLS. */
  readonly tls?: EndpointTls;
  /** The port is one of TCP. */
  readonly tcp?: boolean;
  /** Callers speak TLS, and are shown these: see `TestProxy.certify`. */
  readonly certificates?: readonly Certificate[];
  /** It is one of UDP. */
  readonly udp?: boolean;
}

export class TestProxy {
  readonly clock: Clock;
  readonly guard: Guard;
  /** Gets what the guard catches. */
  log: Log = silentLog;
  readonly context: ThreadContext;
  readonly server: ProxyServer;
  readonly ticketKeys = shareTicketKeys();
  readonly ledger = new Ledger(1);
  readonly governor: Governor;
  readonly #view = new LedgerView();
  readonly #placement: Placement;
  readonly #chunks: Record<SlotKind, number> = { service: 0, endpoint: 0, status: 0, route: 0 };
  readonly #services = new Map<string, Service>();
  readonly #endpointSlots = new Map<string, number>();
  readonly #callers: Wire[] = [];
  readonly #t: TestContext;
  #version = 0;
  #hasUdp = false;

  constructor(t: TestContext, options: ProxyOptions = {}) {
    this.#t = t;
    this.clock = options.clock ?? (options.manual === true ? new ManualClock() : systemClock);
    const random = options.random ?? seededRandom(1);
    const settings = { ...DEFAULT_PROXY_SETTINGS, ...options.settings };
    const trusted = new BlockList();
    for (const source of settings.trustedSources) {
      const [net = '', bits] = source.split('/');
      trusted.addSubnet(net, Number(bits));
    }
    const isTrusted = (address: string): boolean => trusted.check(address);
    const error: Log['error'] = (...line) => this.log.error(...line);
    this.guard =
      options.defects === true
        ? new Guard(this.clock, { ...silentLog, error })
        : new StrictGuard(this.clock);
    const { clock, guard } = this;
    const { descriptors = Infinity, ports = Infinity } = options;
    this.context = new ThreadContext({
      clock,
      random,
      guard,
      settings,
      isTrusted,
      descriptors,
      ports,
      threads: options.threads ?? 1,
      sockets: options.sockets ?? testSockets(options.settings?.sockets),
      ticketKeys: this.ticketKeys,
      protocols,
    });
    if (CREDENTIAL !== null) this.context.credentials.apply({ changed: [CREDENTIAL], removed: [] });
    this.server = new ProxyServer(this.context, this.#view, this.clock, random);
    this.#placement = new Placement(this.ledger, this.clock);
    this.governor = new Governor(this.ledger, this.clock);
    this.context.wheel.start();
    atEnd(t, () => this.#end());
  }

  /** Moves a manual clock, in steps no longer than a tick so that every deadline is seen at its time. */
  advance(ms: number): void {
    assert(this.clock instanceof ManualClock);
    this.clock.advance(ms);
  }

  /** Moves a manual clock in ticks until something comes true; for what takes both time and the network. */
  async advanceUntil(ready: () => boolean, what: string): Promise<void> {
    await eventually(() => {
      if (ready()) return true;
      this.advance(DEADLINE_TICK_MS);
      return ready();
    }, what);
  }

  /** A Service on an address and port of its own. */
  service(options: ServiceOptions = {}): Service {
    const key = options.key ?? `test/s${this.#services.size}`;
    const known = this.#services.get(key);
    const port = options.port ?? known?.ports[0]?.port ?? ++lastPort;
    const endpoints = (options.endpoints ?? []).map((endpoint) =>
      'weight' in endpoint ? endpoint : exampleEndpoint(endpoint.address, { port: endpoint.port }),
    );
    const made = exampleService(key, {
      ports: [port],
      endpoints,
      ...(options.policies === undefined ? {} : { policies: options.policies }),
    });
    const protocol = options.http2 === true ? 'http/2' : 'http/1.1';
    const spoken = { protocol, tls: options.tls ?? null };
    const certificates = options.certificates ?? SHOWN;
    const callerTls = certificates.length === 0 ? null : { certificates };
    const plain = options.tcp === true ? 'tcp' : options.udp === true ? 'udp' : null;
    const ports = made.ports.map((each) => ({
      ...(plain !== null
        ? withProtocol(each, plain)
        : { ...each, backend: { ...each.backend, ...spoken } }),
      callerTls,
    }));
    return { ...made, ports, address: known?.address ?? freshAddress() } as Service;
  }

  /** Gives the thread a certificate with its key, as the Secret `secret`; what a Service says of it. */
  async certify(
    secret: string,
    issued: ServerCertificate,
    names: readonly string[],
  ): Promise<Certificate> {
    const credential = credentialOf(secret, issued);
    await this.server.applyCredentials({ changed: [credential], removed: [] });
    return { secret, digest: credential.digest, names, notBeforeMs: 0, notAfterMs: 0 };
  }

  /** Serves these Services beside the ones there are; resolves when callers can connect. */
  async apply(
    services: readonly Service[],
    more: {
      removed?: readonly string[];
      identities?: readonly Identity[];
      /** `service:port` of each listener that cannot be; none by default. */
      failures?: readonly string[];
    } = {},
  ): Promise<void> {
    const removed = more.removed ?? [];
    for (const service of services) {
      this.#services.set(service.key, service);
      this.#hasUdp ||= service.ports.some(({ protocol }) => protocol === 'udp');
    }
    for (const key of removed) this.#services.delete(key);
    const placed = this.#placement.place({
      version: ++this.#version,
      services,
      removedServices: removed,
      identities: more.identities ?? [],
      removedIdentities: [],
    });
    for (const kind of SLOT_KINDS) {
      for (; this.#chunks[kind] < this.ledger.chunkCount(kind); this.#chunks[kind]++)
        this.#view.add(this.ledger.chunk(kind, this.#chunks[kind], 0));
    }
    for (const service of services) {
      this.governor.setService(service);
      for (const port of service.ports) {
        for (const endpoint of port.backend.endpoints) {
          const key = endpointSlotKey(port.backend.id, endpoint);
          this.#endpointSlots.set(key, this.#slot('endpoint', key));
        }
      }
    }
    for (const key of removed) this.governor.removeService(key);
    await this.server.apply(placed);
    const failures = this.server.failures.map(({ service, port }) => `${service}:${port}`);
    assert.deepEqual(failures.sort(), more.failures ?? []);
  }

  /** Connects to the first port of a Service. */
  async call(service: Service, from?: string): Promise<Wire> {
    const to = { address: service.address, port: (service.ports[0] as { port: number }).port };
    const wire =
      SHOWN.length === 0
        ? await dial(this.#t, to, from)
        : (await secureDial(this.#t, to, from === undefined ? {} : { from })).wire;
    wire.dropsByReset = service.ports[0]?.protocol === 'tcp';
    this.#callers.push(wire);
    return wire;
  }

  /** Connects where the proxy may reset the connection at once, and waits until it did. */
  async callRefused(service: Service, from?: string): Promise<void> {
    const isReset = (error: unknown): boolean => textAt(error, 'code') === 'ECONNRESET';
    const caller = await this.call(service, from).catch((error: unknown) => {
      if (!isReset(error)) throw error;
      return null;
    });
    assert.equal(await (caller?.gone() ?? 'reset'), 'reset');
  }

  /** Sum over a counter of a Service. */
  figure(service: Service, cell: number): number {
    return this.ledger.sum('service', this.#slot('service', service.key), cell);
  }

  /** Requests that ended with a status of this class (0 is none). */
  requests(service: Service, statusClass: number): number {
    return this.figure(service, SERVICE_OWN.requests + statusClass);
  }

  failures(service: Service, reason: FailureReason): number {
    return this.figure(service, SERVICE_OWN.failures + FAILURE_REASONS.indexOf(reason));
  }

  word(service: Service, cell: number): number {
    return this.ledger.word('service', this.#slot('service', service.key), cell);
  }

  setWord(service: Service, cell: number, value: number): void {
    this.ledger.setWord('service', this.#slot('service', service.key), cell, value);
  }

  endpointFigure(service: Service, endpoint: Dialled, cell: number): number {
    return this.ledger.sum('endpoint', this.endpointSlot(service, endpoint), cell);
  }

  endpointWord(service: Service, endpoint: Dialled, cell: number): number {
    return this.ledger.word('endpoint', this.endpointSlot(service, endpoint), cell);
  }

  endpointSlot(service: Service, endpoint: Dialled): number {
    const id = service.ports[0]?.backend.id ?? '';
    return this.#slot('endpoint', `${id} ${endpointKey(endpoint)}`);
  }

  #slot(kind: SlotKind, key: string): number {
    const slot = this.ledger.find(kind, key);
    assert(slot !== undefined, `no ${kind} slot for "${key}"`);
    return slot;
  }

  /** Whatever is found, nothing may keep the process of the test alive. */
  async #end(): Promise<void> {
    try {
      await this.#check();
    } finally {
      this.governor.stop();
      this.context.wheel.stop();
      await this.apply([], { removed: [...this.#services.keys()] });
      for (const wire of this.#callers) wire.socket.destroy();
    }
  }

  async #check(): Promise<void> {
    const keys = [...this.ledger.entries('service').keys()];
    for (const wire of this.#callers) wire.drop();
    if (this.#hasUdp) await this.#endSessions();
    await this.#settle(() => this.context.callerConnections === 0, 'callers to be gone');
    for (const key of keys) {
      const slot = this.#slot('service', key);
      const left = {
        inFlight: this.ledger.word('service', slot, SERVICE_WORD.inFlight),
        own: this.ledger.sum('service', slot, SERVICE_OWN.inFlight),
        connections: this.ledger.sum('service', slot, SERVICE_OWN.callerConnectionsActive),
        upgrades: this.ledger.sum('service', slot, SERVICE_OWN.upgradesActive),
        sessions: this.ledger.sum('service', slot, SERVICE_OWN.sessionsActive),
      };
      const none = { inFlight: 0, own: 0, connections: 0, upgrades: 0, sessions: 0 };
      assert.deepEqual(left, none, key);
    }
    await this.apply([], { removed: [...this.#services.keys()] });
    const connected = (): string[] =>
      [...this.#endpointSlots]
        .filter(([, slot]) => this.ledger.word('endpoint', slot, ENDPOINT_WORD.connections) !== 0)
        .map(([key]) => key);
    await this.#settle(() => connected().length === 0, 'connections to endpoints to be closed');
    for (const [key, slot] of this.#endpointSlots) {
      const left = {
        inFlight: this.ledger.word('endpoint', slot, ENDPOINT_WORD.inFlight),
        own: this.ledger.sum('endpoint', slot, ENDPOINT_OWN.inFlight),
        connections: this.ledger.sum('endpoint', slot, ENDPOINT_OWN.connections),
      };
      assert.deepEqual(left, { inFlight: 0, own: 0, connections: 0 }, key);
    }
    assert.equal(this.context.wheel.size, 0, 'closed connections in the deadline wheel');
  }

  /** Callers of UDP never say that they left: all ports close. */
  async #endSessions(): Promise<void> {
    let isOver = false;
    void this.server.drain(0).then(() => (isOver = true));
    await this.#settle(() => isOver, 'sessions to be cut');
  }

  #settle(ready: () => boolean, what: string): Promise<void> {
    if (this.clock instanceof ManualClock) return this.advanceUntil(ready, what);
    return eventually(ready, what);
  }
}

/** A proxy with one Service in front of these endpoints, the usual case. */
export async function proxyFor(
  t: TestContext,
  endpoints: readonly (RawEndpoint | Endpoint | Dialled)[],
  options: ProxyOptions & { readonly policies?: Partial<Policies> } = {},
): Promise<{ proxy: TestProxy; service: Service }> {
  const proxy = new TestProxy(t, options);
  const service = proxy.service({
    endpoints,
    ...(options.policies === undefined ? {} : { policies: options.policies }),
  });
  await proxy.apply([service]);
  return { proxy, service };
}

/** As any server with a clock sends it; without one the proxy adds its own. */
export const DATE = 'Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n';
export const OK = `HTTP/1.1 200 OK\r\n${DATE}Content-Length: 2\r\n\r\nok`;
export const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

/** A POST with a body of known length. */
export function post(body: string, fields = ''): string {
  return `POST /p HTTP/1.1\r\nHost: a\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
}
