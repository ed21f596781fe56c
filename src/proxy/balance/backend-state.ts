/**
 * The endpoints behind one port of one Service as one thread balances over them: who is near, who is healthy, who is next.
 * Endpoints keep their state through updates; rotations and pickers are replaced.
 */

import assert from 'node:assert';
import type { Clock } from '../../base/clock.ts';
import { isEqual } from '../../base/equal.ts';
import { hash32 } from '../../base/hash.ts';
import type { Random } from '../../base/random.ts';
import { endpointKey } from '../../model/endpoint.ts';
import { checkOn } from '../../model/health-check.ts';
import type { EjectionPolicy, FailoverPolicy, LimitPolicy, Policies } from '../../model/policy.ts';
import { settingFault } from '../../model/endpoint-tls.ts';
import type { TlsFault } from '../../model/failure.ts';
import { DEFAULT_POLICIES } from '../../model/defaults.ts';
import type { Backend } from '../../model/service.ts';
import type { Cells } from '../ledger/cells.ts';
import { type SourceTable, sourceKey } from '../ledger/source-table.ts';
import { noteAsked } from './check-standing.ts';
import { countEjected, ejectedMax, healthOf, isProbeDue, PROBING } from './ejection.ts';
import { EndpointState, type Spoken } from './endpoint-state.ts';
import { isUsable, noteShort, ownShare } from './failover.ts';
import { type EndpointOdds, nextOddsOf, oddsOf } from './odds.ts';
import type { PickRequest } from './picker.ts';
import { type Gate, scanEveryMs, scanEveryPicks } from './rotation.ts';
import { type Ring, Tiers } from './tiers.ts';

export type { EndpointOdds } from './odds.ts';
export type { PickRequest } from './picker.ts';

export class BackendState {
  readonly id: string;
  /** Why none of its endpoints is ever picked: there is nothing to believe them by, or to prove ourselves with. Null for most. */
  settingFault: TlsFault | null = null;
  /** That of its endpoints; null where none is made. */
  check: Policies['healthCheck'] = null;
  /** It left the configuration, with all its endpoints. */
  retired = false;
  readonly #clock: Clock;
  readonly #random: Random;
  #endpoints: readonly EndpointState[] = [];
  #byId: ReadonlyMap<string, EndpointState> = new Map();
  /** Those that take traffic. */
  #members: readonly EndpointState[] = [];
  /** By `affinityHash`; null until a cookie is asked for. */
  #byAffinity: ReadonlyMap<number, EndpointState> | null = null;
  #bySourceToken: ReadonlyMap<number, EndpointState> = new Map();
  #sources: SourceTable | null = null;
  #sourceTimeoutMs = 0;
  readonly #hash: number;
  #ejection: EjectionPolicy = DEFAULT_POLICIES.ejection;
  #spillOverInFlight = 0;
  #drainMs = 0;
  readonly #gate: Gate = { limit: 0, slowStartMs: 0, panic: false, checked: false };
  #failover: FailoverPolicy | null = null;
  /** As `ownShare`, as of the last scan. */
  #share = 1;
  /** No request has used it yet. */
  #isFresh = false;
  #tiers: Tiers;
  /** Cells of all endpoints that take traffic. */
  #peers: readonly Cells[] = [];
  #picksLeft = 0;
  #nextScanMs = -Infinity;

  constructor(id: string, clock: Clock, random: Random) {
    this.id = id;
    this.#hash = hash32(id);
    this.#clock = clock;
    this.#random = random;
    this.#tiers = this.#makeTiers([], DEFAULT_POLICIES);
  }

  /** Whether any endpoint is where callers of this node may be led to. */
  isReachable(node: string): boolean {
    return this.#endpoints.some((endpoint) => this.#tiers.allows(endpoint, node));
  }

  get size(): number {
    return this.#endpoints.length;
  }

  get endpoints(): readonly EndpointState[] {
    return this.#endpoints;
  }

  /**
   * Takes over new endpoints and policies. `cells` is aligned with `backend.endpoints`. What stays keeps its state; what
   * left is marked `gone` and its idle connections are closed. `sources` is there with a policy `sourceAffinity`.
   */
  update(
    backend: Backend,
    policies: Policies,
    cells: readonly Cells[],
    sources: SourceTable | null = null,
  ): void {
    this.#drainMs = policies.timeouts.drainMs;
    const byId = new Map<string, EndpointState>();
    const spoken: Spoken = { http2: backend.protocol === 'http/2', tls: backend.tls };
    backend.endpoints.forEach((endpoint, i) => {
      const own = cells[i];
      assert(own !== undefined, `no cells for endpoint ${i} of "${backend.id}"`);
      const id = endpointKey(endpoint);
      const known = this.#byId.get(id);
      const stays = known?.cells.slot === own.slot && isSpokenSo(known, spoken);
      const state = stays ? known : new EndpointState(id, endpoint, own, spoken);
      state.endpoint = endpoint;
      state.limits = policies.limits;
      if (!byId.has(id)) byId.set(id, state);
    });
    for (const state of this.#byId.values()) {
      // What is only spoken to otherwise has not left.
      if (byId.get(state.id) !== state) state.retire(byId.has(state.id) ? 0 : this.#drainMs);
    }
    this.#byId = byId;
    this.#endpoints = [...byId.values()];
    this.settingFault = settingFault(backend.tls);
    const members = this.settingFault === null ? weigh(this.#endpoints) : [];
    this.#setPeers(members, policies);
    this.#sources = policies.sourceAffinity === null ? null : sources;
    this.#sourceTimeoutMs = policies.sourceAffinity?.timeoutMs ?? 0;
    this.#bySourceToken = new Map(
      this.#sources === null ? [] : members.map((state) => [state.token, state]),
    );
    this.#members = members;
    this.#byAffinity = null;
    this.#ejection = policies.ejection;
    this.#failover = policies.failover;
    this.#spillOverInFlight = policies.balance.spillOverInFlight;
    this.#gate.limit = inFlightMax(backend, policies.limits);
    this.#gate.slowStartMs = policies.balance.slowStartMs;
    this.check = checkOn(policies, backend.protocol);
    this.#gate.checked = this.check !== null;
    this.#tiers = this.#makeTiers(members, policies);
    this.#scan(this.#clock.nowMs());
    // The next pick is to tell that there are callers.
    if (this.#gate.checked) this.#picksLeft = 0;
  }

  /** The backend left the configuration: requests on connections that stand may still use it, none idles. */
  retire(): void {
    this.retired = true;
    for (const state of this.#endpoints) state.retire(this.#drainMs);
  }

  /** The endpoint for a request; null when there is none or all are ejected, at their limit or to be avoided. Allocates nothing. */
  pick(request: PickRequest, nowMs: number): EndpointState | null {
    this.#look(nowMs);
    const tiers = this.#tiers.near(request.node, request.zone);
    if (request.affinity >= 0) {
      const bound = this.#boundByCookie(request.affinity);
      if (bound !== undefined && this.#mayTake(bound, request)) return bound;
    }
    if (this.#sources !== null) return this.#pickForSource(tiers, request, nowMs);
    return this.#pickAny(tiers, request, nowMs);
  }

  /** As `pick`, but none of `tried` while another one may take the request. For what was tried more than once. */
  pickOther(
    request: PickRequest,
    tried: readonly EndpointState[],
    nowMs: number,
  ): EndpointState | null {
    const picked = this.pick(request, nowMs);
    if (picked === null || !tried.includes(picked)) return picked;
    const { rotation } = this.#tiers.all;
    const others = this.#members.filter(
      (each) =>
        !tried.includes(each) &&
        rotation.isUsable(each, null) &&
        this.#tiers.allows(each, request.node),
    );
    const [first] = others.toSorted((a, b) => a.inFlight - b.inFlight);
    return first ?? picked;
  }

  /**
   * Share of the requests that its endpoints take, where another Service takes the rest: 0 to 1. For a request; `shareNow` is for
   * a question about one.
   */
  ownShare(nowMs: number): number {
    this.#look(nowMs);
    if (!this.#isFresh) return this.#share;
    this.#isFresh = false;
    if (this.#share === 0) noteShort(this.#peers, nowMs);
    return this.#isProbeWanted(this.#share, nowMs) ? 1 : this.#share;
  }

  /** The same as of now. Changes nothing. */
  shareNow(nowMs: number): number {
    const share = this.#shareAt(nowMs);
    return this.#isProbeWanted(share, nowMs) ? 1 : share;
  }

  /** Whether it has an endpoint that may take over. */
  isUsable(): boolean {
    return this.#peers.some(isUsable);
  }

  /** Those that would take the request, if they had room for it. */
  full({ avoid, node }: PickRequest): EndpointState[] {
    const { rotation } = this.#tiers.all;
    return this.#members.filter(
      (each) =>
        each !== avoid &&
        rotation.isLive(each) &&
        !rotation.hasRoom(each) &&
        this.#tiers.allows(each, node),
    );
  }

  /** Somebody may come to need its endpoints: they are checked, where they are. */
  expect(nowMs: number): void {
    if (this.#gate.checked) this.#look(nowMs);
  }

  #shareAt(nowMs: number): number {
    return this.#failover === null ? 1 : ownShare(this.#peers, this.#failover, nowMs);
  }

  /** A probe that is due needs a request: nobody else would find out that the endpoint is well. */
  #isProbeWanted(share: number, nowMs: number): boolean {
    if (share === 1 || this.#gate.checked) return false;
    return this.#peers.some((cells) => isProbeDue(cells, nowMs));
  }

  /**
   * Whether the endpoint, which was picked, may have a copy: half of what it may have in flight is for callers. One that is probed
   * gets nothing from them meanwhile.
   */
  mayCopyTo(endpoint: EndpointState): boolean {
    return healthOf(endpoint.cells) === PROBING || (endpoint.inFlight + 1) * 2 <= this.#gate.limit;
  }

  /**
   * The probability of each endpoint for such a request now, sums to 1, or empty when `pick` would find none. A probe of an
   * ejected endpoint that is due takes one request and is left out. Changes nothing.
   */
  odds(request: PickRequest, nowMs: number): EndpointOdds[] {
    return this.#odds(oddsOf, request, nowMs);
  }

  /** As `odds`, for the next request alone: a probe that is due is that request. */
  nextOdds(request: PickRequest, nowMs: number): EndpointOdds[] {
    return this.#odds(nextOddsOf, request, nowMs);
  }

  #odds(of: typeof oddsOf, request: PickRequest, nowMs: number): EndpointOdds[] {
    const gate = this.#gate;
    const before = gate.panic;
    gate.panic = this.#isPanic();
    const odds = of({
      endpoints: this.#endpoints,
      tiers: this.#tiers.near(request.node, request.zone),
      bound: this.#boundOf(request, nowMs),
      spillOverInFlight: this.#spillOverInFlight,
      request,
      nowMs,
    });
    gate.panic = before;
    return odds;
  }

  #pickAny(tiers: readonly Ring[], request: PickRequest, nowMs: number): EndpointState | null {
    return this.#pickNear(tiers, request, nowMs) ?? this.#pickLast(tiers, request, nowMs);
  }

  /**
   * The endpoint of the source address, as long as it takes traffic and is not ejected. A request that it failed, or that is
   * beyond its limit, goes elsewhere alone; otherwise the source moves.
   */
  #pickForSource(
    tiers: readonly Ring[],
    request: PickRequest,
    nowMs: number,
  ): EndpointState | null {
    const sources = this.#sources as SourceTable;
    const source = sourceKey(request.source, this.#hash);
    const before = sources.find(source, this.#sourceTimeoutMs, nowMs);
    const bound = this.#bySourceToken.get(before);
    if (bound !== undefined && this.#tiers.allows(bound, request.node)) {
      const { rotation } = this.#tiers.all;
      if (rotation.isUsable(bound, request.avoid)) return bound;
      if (rotation.isLive(bound)) return this.#pickAny(tiers, request, nowMs);
    }
    const picked = this.#pickAny(tiers, request, nowMs);
    if (picked === null) return null;
    const claim = { timeoutMs: this.#sourceTimeoutMs, nowMs };
    const winner = this.#bySourceToken.get(sources.claim(source, before, picked.token, claim));
    return winner !== undefined && this.#mayTake(winner, request) ? winner : picked;
  }

  #mayTake(endpoint: EndpointState, request: PickRequest): boolean {
    return (
      this.#tiers.all.rotation.isUsable(endpoint, request.avoid) &&
      this.#tiers.allows(endpoint, request.node)
    );
  }

  /** A session is a matter of the route, so any backend may be asked; most never are. */
  #boundByCookie(affinity: number): EndpointState | undefined {
    this.#byAffinity ??= new Map(this.#members.map((state) => [state.affinityHash, state]));
    return this.#byAffinity.get(affinity);
  }

  /** The endpoint that an affinity binds the request to, usable or not. */
  #boundOf(request: PickRequest, nowMs: number): EndpointState | null {
    const byCookie = request.affinity < 0 ? undefined : this.#boundByCookie(request.affinity);
    if (byCookie !== undefined && this.#mayTake(byCookie, request)) return byCookie;
    if (this.#sources === null) return null;
    const source = sourceKey(request.source, this.#hash);
    const token = this.#sources.peek(source, this.#sourceTimeoutMs, nowMs);
    const bound = this.#bySourceToken.get(token);
    return bound !== undefined && this.#tiers.allows(bound, request.node) ? bound : null;
  }

  #pickNear(tiers: readonly Ring[], request: PickRequest, nowMs: number): EndpointState | null {
    const last = tiers.length - 1;
    for (let i = 0; i <= last; i++) {
      const ring = tiers[i];
      if (ring === undefined) break;
      const { rotation, picker } = ring;
      rotation.touch(nowMs);
      const due = rotation.claimDue(request.avoid, nowMs);
      if (due !== null) return due;
      const { liveCount, inFlight } = rotation;
      const isFit = liveCount > 0 && inFlight <= this.#spillOverInFlight * liveCount;
      if (!isFit && i < last) continue;
      const picked = picker.pick(request, nowMs);
      if (picked !== null) return picked;
    }
    return null;
  }

  /** Nothing was found by figures that may be some milliseconds old: once more with fresh ones, then the one to be avoided. */
  #pickLast(tiers: readonly Ring[], request: PickRequest, nowMs: number): EndpointState | null {
    this.#scan(nowMs);
    const { rotation, picker } = tiers.at(-1) ?? this.#tiers.all;
    rotation.scan(nowMs);
    const picked = picker.pick(request, nowMs);
    if (picked !== null) return picked;
    const { avoid } = request;
    if (avoid === null || avoid.weight === 0 || this.#byId.get(avoid.id) !== avoid) return null;
    return rotation.isUsable(avoid, null) ? avoid : null;
  }

  /** Whom the ejection limit counts: all that take traffic, or those of its node where a caller reaches no others. */
  #setPeers(members: readonly EndpointState[], policies: Policies): void {
    this.#peers = members.map(({ cells }) => cells);
    for (const state of this.#endpoints) state.peers = this.#peers;
    if (policies.balance.locality !== 'require-node') return;
    for (const peers of Map.groupBy(members, ({ endpoint }) => endpoint.node).values()) {
      const cells = peers.map((peer) => peer.cells);
      for (const state of peers) state.peers = cells;
    }
  }

  /** Every so many requests, or so often. */
  #look(nowMs: number): void {
    if (--this.#picksLeft >= 0 && nowMs < this.#nextScanMs) return;
    this.#scan(nowMs);
    if (this.#gate.checked) noteAsked(this.#peers, nowMs);
  }

  #scan(nowMs: number): void {
    const { members } = this.#tiers;
    this.#gate.panic = this.#isPanic();
    this.#share = this.#shareAt(nowMs);
    this.#isFresh = true;
    this.#picksLeft = scanEveryPicks(members.length);
    this.#nextScanMs = nowMs + scanEveryMs(members.length);
  }

  /** More endpoints are ejected than the policy allows, as may be after an update: then all of them are used. */
  #isPanic(): boolean {
    return countEjected(this.#peers) > ejectedMax(this.#ejection, this.#peers.length);
  }

  #makeTiers(members: readonly EndpointState[], policies: Policies): Tiers {
    return new Tiers({
      members,
      policy: policies.balance,
      gate: this.#gate,
      random: this.#random,
    });
  }
}

/** Requests in flight from which on an endpoint is skipped: in HTTP/2 they share connections, else each needs one of its own. */
function inFlightMax({ protocol }: Backend, limits: LimitPolicy): number {
  if (protocol === 'tcp' || protocol === 'udp') return limits.connectionsPerEndpoint;
  const requests = limits.requestsPerEndpoint === 0 ? Infinity : limits.requestsPerEndpoint;
  return protocol === 'http/2' ? requests : Math.min(limits.connectionsPerEndpoint, requests);
}

/** The endpoints that take traffic: those with a weight, or all when none has one. */
function weigh(endpoints: readonly EndpointState[]): readonly EndpointState[] {
  const weighted = endpoints.filter(({ endpoint }) => endpoint.weight > 0);
  const members = weighted.length > 0 ? weighted : endpoints;
  for (const state of endpoints) {
    state.weight = weighted.length > 0 ? state.endpoint.weight : 1;
  }
  return members;
}

/** Connections of one that is spoken to, or believed, otherwise from now on are not used for further requests. */
function isSpokenSo(known: Spoken, { http2, tls }: Spoken): boolean {
  return known.http2 === http2 && isEqual(known.tls, tls);
}
