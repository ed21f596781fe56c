/**
 * A mesh in this process: manifests through the real compiler into a real proxy thread's server, tables, shared memory
 * and governor, on real sockets. Its clock moves only between requests, so that what is asked before a request still
 * holds for it.
 */

import assert from 'node:assert/strict';
import { type Clock, ManualClock } from '../../../src/base/clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { Compiler } from '../../../src/compile/compiler.ts';
import { RCODE, TYPE } from '../../../src/dns/query.ts';
import { reverseZone } from '../../../src/dns/reverse.ts';
import { ServiceView } from '../../../src/dns/view.ts';
import { answer as answerName } from '../../../src/dns/zone.ts';
import { DryMesh } from '../../../src/explain/dry-mesh.ts';
import { parseManifest } from '../../../src/kube/manifest.ts';
import { type ObjectRef, Store } from '../../../src/kube/store.ts';
import { FAILURE_REASONS, type FailureReason } from '../../../src/model/failure.ts';
import type { Policies } from '../../../src/model/policy.ts';
import type { Delta } from '../../../src/model/service.ts';
import { DEFAULT_PROXY_SETTINGS } from '../../../src/model/settings.ts';
import { CONNECTION_BYTES } from '../../../src/proxy/net/caller-room.ts';
import { ThreadContext } from '../../../src/proxy/http/context.ts';
import { Head, INCOMPLETE } from '../../../src/proxy/head/head.ts';
import { protocols } from '../../../src/proxy/thread/protocols.ts';
import { parseRequestHead } from '../../../src/proxy/http1/codec/request-head.ts';
import { type Cells, LedgerView } from '../../../src/proxy/ledger/cells.ts';
import { ENDPOINT_OWN, SERVICE_OWN, SHAPES, SLOT_KINDS } from '../../../src/proxy/ledger/layout.ts';
import { Ledger } from '../../../src/proxy/ledger/ledger.ts';
import { type PlacedService, Placement } from '../../../src/proxy/ledger/placement.ts';
import { Governor } from '../../../src/proxy/policy/governor.ts';
import { ProxyServer } from '../../../src/proxy/thread/server.ts';
import { testSockets } from '../../support/sockets.ts';
import { StrictGuard } from '../../support/strict-guard.ts';
import { Callers } from './caller.ts';
import type { Endpoints } from './endpoints.ts';
import { type Manifest, nameOf } from './config.ts';
import { SERVICE_CIDR } from './ground.ts';
import { LIMITS } from './request.ts';

export const DOMAINS = ['maesh', 'traefik.mesh'];
const MOMENT_MS = 1_500;
const HOUR_MS = 3_600_000;
/** Longer than the limit of a head, and of a try. */
const CONNECT_STEP_MS = 20;
const LONG_MS = 10_100;
/** Then the mesh waits for something that nobody thought of: a request that is lost is a fault too, and has to end. */
const STALLS_MAX = 500;

export class LiveMesh {
  readonly clock = new ManualClock();
  readonly callers: Callers;
  /** What explain asks: other tables over the same memory. */
  readonly dry: DryMesh;
  /** The same a moment later than it is. */
  readonly later: DryMesh;
  /** The same without a policy: what is known by it is still there, and nobody asks for it. */
  readonly without: Readonly<Record<'healthCheck' | 'failover', DryMesh>>;
  readonly #store = new Store();
  readonly #compiler = new Compiler(this.#store, {
    serviceCidr: SERVICE_CIDR,
    defaultMode: 'http',
  });
  readonly #ledger = new Ledger(1);
  readonly #view = new LedgerView();
  readonly #placement = new Placement(this.#ledger, this.clock);
  readonly #governor = new Governor(this.#ledger, this.clock);
  readonly #names = new ServiceView();
  readonly #context: ThreadContext;
  readonly #server: ProxyServer;
  readonly #chunks = { service: 0, endpoint: 0, status: 0, route: 0 };
  readonly #known = new Map<string, ObjectRef>();
  readonly #head = new Head(LIMITS.headFieldsMax);

  constructor(seed: number, endpoints: Endpoints) {
    const random = seededRandom(seed);
    const settings = { ...DEFAULT_PROXY_SETTINGS, ...LIMITS, callerIdleMs: HOUR_MS };
    const isTrusted = (): boolean => false;
    this.#context = new ThreadContext({
      clock: this.clock,
      random,
      guard: new StrictGuard(this.clock),
      settings,
      isTrusted,
      sockets: testSockets(),
      protocols,
    });
    this.#server = new ProxyServer(this.#context, this.#view, this.clock, random);
    this.dry = new DryMesh(this.#view, this.clock);
    const nowMs = (): number => this.clock.nowMs() + MOMENT_MS;
    const mesh = (): DryMesh => new DryMesh(this.#view, this.clock);
    this.without = { healthCheck: mesh(), failover: mesh() };
    this.later = new DryMesh(this.#view, laterClock(nowMs));
    this.callers = new Callers((bytes, times) => this.#passTime(endpoints, bytes, times));
    this.#context.wheel.start();
    this.#governor.start();
  }

  /** Serves these objects and no others. `reroute` may change what the compiler made, as readers to come will. */
  async apply(
    objects: readonly Manifest[],
    reroute = (delta: Delta): Delta => delta,
  ): Promise<void> {
    const delta = this.#compile(objects);
    if (delta === null) return;
    this.#names.apply(delta);
    const placed = this.#placement.place(reroute(delta));
    for (const kind of SLOT_KINDS) {
      for (; this.#chunks[kind] < this.#ledger.chunkCount(kind); this.#chunks[kind]++) {
        this.#view.add(this.#ledger.chunk(kind, this.#chunks[kind], 0));
      }
    }
    for (const service of delta.services) this.#governor.setService(service);
    for (const key of delta.removedServices) this.#governor.removeService(key);
    await this.#server.apply(placed);
    assert.deepEqual(this.#server.failures, []);
    this.dry.apply(placed);
    this.later.apply(placed);
    for (const policy of ['healthCheck', 'failover'] as const)
      this.without[policy].apply({
        ...placed,
        services: placed.services.map((each) => withoutPolicy(each, policy)),
      });
  }

  /** Waits for the health checks that time has begun: what they find is what holds for the next request. */
  async checked(): Promise<void> {
    for (let i = 0; this.#server.checker.running > 0; i++) {
      // A connection whose first packet the kernel drops comes seconds later.
      assert.ok(i < 20_000, 'checks are still under way');
      // oxlint-disable-next-line no-await-in-loop -- until all answers arrived
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** What the mesh DNS answers, null for a name that it does not know; an address stands for itself. */
  resolve(host: string): string | null {
    if (/^[\d.]+$/.test(host)) return host;
    const question = {
      labels: host.split('.'),
      type: TYPE.A,
      class: 1,
      wire: Buffer.alloc(0),
    };
    const { rcode, answers } = answerName(question, this.#names, {
      domains: DOMAINS,
      ttlSeconds: 5,
      nameServerAddress: '',
      reverse: reverseZone(SERVICE_CIDR),
    });
    const [first] = answers;
    return rcode === RCODE.NOERROR && first?.type === 'A' ? first.data : null;
  }

  /** Failures of a Service so far, by reason. */
  failures(key: string): ReadonlyMap<FailureReason, number> {
    return new Map(
      FAILURE_REASONS.map((reason, i) => [reason, this.#sum(key, SERVICE_OWN.failures + i)]),
    );
  }

  /** Connections of TCP to a Service that an endpoint has accepted, and answers of its class. */
  standing(key: string): number {
    return this.#sum(key, SERVICE_OWN.requests + 1);
  }

  /** Requests and connections of a Service in flight, whatever a test made of the figure that limits act on. */
  inFlight(key: string): number {
    return this.#sum(key, SERVICE_OWN.inFlight);
  }

  /** Waits until as many are in flight again: a tunnel goes on for a moment when its caller has left. */
  async settled(key: string, before: number): Promise<void> {
    for (let i = 0; this.inFlight(key) > before; i++) {
      assert.ok(i < 20_000, 'a tunnel still stands');
      // oxlint-disable-next-line no-await-in-loop -- until its end arrived
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** So that an endpoint that does not accept is given up. */
  passConnectTime(): void {
    this.clock.advance(CONNECT_STEP_MS);
  }

  retries(key: string): number {
    return this.#sum(key, SERVICE_OWN.retries);
  }

  /** Of a Service, and of its ports that are counted by themselves. */
  #sum(key: string, cell: number): number {
    let sum = 0;
    for (const [each, slot] of this.#ledger.entries('service'))
      if (each === key || each.startsWith(`${key}:`))
        sum += this.#ledger.sum('service', slot, cell);
    return sum;
  }

  /** Tries that ended so far, by `backend address:port`. */
  tries(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const [key, slot] of this.#ledger.entries('endpoint')) {
      let tries = 0;
      for (let i = 0; i < 6; i++)
        tries += this.#ledger.sum('endpoint', slot, ENDPOINT_OWN.requests + i);
      counts.set(key, tries);
    }
    return counts;
  }

  /** All shared figures, to see whether something changed. */
  memory(): readonly (readonly number[])[] {
    return [
      ...this.serviceCells().map(({ words, w, floats, f }) => [
        ...words.subarray(w, w + SHAPES.service.words),
        ...floats.subarray(f, f + SHAPES.service.floats),
      ]),
      ...this.endpointCells().map(({ words, w, floats, f }) => [
        ...words.subarray(w, w + SHAPES.endpoint.words),
        ...floats.subarray(f, f + SHAPES.endpoint.floats),
      ]),
    ];
  }

  serviceCells(): Cells[] {
    return [...this.#ledger.entries('service').values()].map((slot) =>
      this.#view.cells('service', slot),
    );
  }

  endpointCells(): Cells[] {
    return [...this.#ledger.entries('endpoint').values()].map((slot) =>
      this.#view.cells('endpoint', slot),
    );
  }

  async stop(): Promise<void> {
    this.callers.close();
    try {
      await this.apply([]);
      for (let i = 0; this.#context.callerConnections > 0; i++) {
        assert.ok(i < 2_000, 'callers are still connected');
        this.clock.advance(20);
        // oxlint-disable-next-line no-await-in-loop -- until all closes arrived
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      // Ports of UDP keep their sockets until they see that nobody has sessions, and the next mesh would share them.
      this.clock.advance(31_000);
    } finally {
      this.#governor.stop();
      this.#context.wheel.stop();
    }
  }

  /**
   * Moves the clock only where the mesh waits for it: for an endpoint that has a request and never answers, or for the rest of a
   * head. That nothing happens for a while says nothing on a busy machine, and time that goes by too early is another question.
   */
  #passTime(endpoints: Endpoints, bytes: Buffer, times: number): void {
    const isPart = parseRequestHead(bytes, 0, bytes.length, this.#head, LIMITS) === INCOMPLETE;
    const isHeld = isPart && this.#holdsBytes();
    if (endpoints.hung === 0 && !isHeld && times < STALLS_MAX) return;
    endpoints.hung = Math.max(endpoints.hung - 1, 0);
    this.clock.advance(LONG_MS);
  }

  /** The part of a head has arrived. */
  #holdsBytes(): boolean {
    const { room } = this.#context;
    room.sweep();
    return room.bytes > room.size * CONNECTION_BYTES;
  }

  #compile(objects: readonly Manifest[]): Delta | null {
    const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    const manifest = parseManifest(text, 'random.json');
    assert.deepEqual(manifest.problems, []);
    const changed: ObjectRef[] = [];
    const names = new Set(objects.map(nameOf));
    for (const [name, ref] of this.#known) {
      if (names.has(name)) continue;
      this.#store.delete(ref);
      this.#known.delete(name);
      changed.push(ref);
    }
    for (const { object, origin } of manifest.objects) {
      const { namespace, name } = object.meta;
      const ref = { kind: object.kind, namespace, name };
      this.#store.set(object, origin);
      this.#known.set(`${object.kind} ${namespace}/${name}`, ref);
      changed.push(ref);
    }
    return this.#compiler.update(changed);
  }
}

function withoutPolicy(placed: PlacedService, policy: 'healthCheck' | 'failover'): PlacedService {
  const off = (policies: Policies): Policies => ({ ...policies, [policy]: null });
  const { service } = placed;
  const ports = service.ports.map((port) =>
    port.policies === null ? port : { ...port, policies: off(port.policies) },
  );
  return { ...placed, service: { ...service, policies: off(service.policies), ports } };
}

function laterClock(nowMs: () => number): Clock {
  const clock = new ManualClock();
  clock.nowMs = nowMs;
  return clock;
}
