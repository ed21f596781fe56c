/**
 * One session of UDP: the datagrams between one port of a caller and one of our addresses, and their endpoint. It has no end but
 * silence. An endpoint that cannot be reached, or has left, is exchanged for another one by the next datagram of the caller.
 */

import type { FailureReason } from '../../model/failure.ts';
import type { Policies } from '../../model/policy.ts';
import { streamLimitsOf } from '../../model/stream-limits.ts';
import type { BackendState } from '../balance/backend-state.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import { reportAnswer, reportFailure, reportSuccess, STEADY_MS } from '../balance/health.ts';
import type { AccessConnection, Called } from '../call/access.ts';
import { add, beginRequest, countFailure, countLatency, leaveFlight } from '../call/account.ts';
import { noEndpointReason } from '../call/admit.ts';
import type { Peer as Caller } from '../call/peer.ts';
import type { Cells } from '../ledger/cells.ts';
import { type DatagramDrop, ENDPOINT_OWN, SERVICE_OWN, type SessionEnd } from '../ledger/layout.ts';
import { BUSY, type Guest, IDLE } from '../net/caller-room.ts';
import {
  type DatagramOwner,
  type DatagramSocket,
  isOfDatagram,
  NOT_OPEN,
} from '../net/datagram.ts';
import type { Expiring } from '../net/deadline-wheel.ts';
import { isLocalToDatagrams } from '../net/local-cause.ts';
import type { Peer } from '../net/peer.ts';
import type { SocketError } from '../net/socket.ts';
import type { PortState, Target } from '../table/table.ts';
import {
  countAnswer,
  countBegun,
  countDrop,
  countEnd,
  countLost,
  countReceived,
  countRefused,
  countSent,
  countTaken,
} from './account.ts';
import { route } from './admit.ts';
import { Seats } from './seats.ts';
import type { Sitter } from './session-room.ts';
import { endsOfUdp, type UdpShared } from './shared.ts';

/** Whoever got no answer yet may still get one: such a session makes no room for others for this long. */
const WAIT_MS = 1_000;
/** Of endpoints at their limit, so many are looked at for one with a session that can be given up. */
const ENDPOINT_LOOKS_MAX = 8;
/** Once its port closes, a session that is silent for this long is over. */
export const LEAVING_IDLE_MS = 5_000;

/** Whose port it is. */
export interface SessionHost {
  readonly port: PortState;
  /** The port is about to close: sessions end sooner. */
  readonly isLeaving: boolean;
  ended(session: Session): void;
}

/** The socket that its caller knows. */
export interface SessionPlace {
  /** False where no answer can go. */
  answer(peer: Peer, data: Buffer, length: number): boolean;
  ended(session: Session): void;
}

export interface SessionOf {
  /** The caller's end and ours. */
  readonly peer: Peer;
  readonly source: Caller;
  readonly host: SessionHost;
  readonly place: SessionPlace;
  readonly shared: UdpShared;
}

export class Session implements DatagramOwner, Guest, Called, AccessConnection, Expiring, Sitter {
  readonly peer: Peer;
  readonly source: Caller;
  readonly host: SessionHost;
  /** It began when its port was about to close: nobody waits for its end. */
  readonly isLate: boolean;
  readonly startedMs: number;
  deadlineMs = Infinity;
  wheelTick = 0;
  wheelIndex = 0;
  asleep = false;
  place: Guest['place'] = null;
  readonly wakes = true;
  readonly heldBytes = 0;
  readonly serverName = '';
  failure: FailureReason | '' = '';
  requestBytes = 0;
  responseBytes = 0;
  tries = 0;
  /** The present or last one. */
  endpoint: EndpointState | null = null;
  readonly #place: SessionPlace;
  readonly #shared: UdpShared;
  readonly #seats: Seats;
  readonly #flight: Cells;
  #socket: DatagramSocket | null = null;
  #ownDial = 0;
  #target: Target | null = null;
  /** The endpoint that it turns to next. */
  #next: EndpointState | null = null;
  /** Who makes room for it there. */
  #giver: Sitter | null = null;
  /** Of its endpoint: the next datagram goes to another one. */
  #failed = false;
  /** Whether its endpoint does as it should is known. */
  #judged = false;
  #wasAnswered = false;
  /** When the first datagram went to the present endpoint, of the clock. */
  #aimedMs = 0;
  /** When the last datagram came, of the wheel. */
  #lastMs: number;
  /** The last one was an answer. */
  #isAnswered = false;
  /** When the first one came that no answer followed, likewise. */
  #waitsSinceMs: number;
  #isOver = false;

  constructor({ peer, source, host, place, shared }: SessionOf) {
    this.peer = peer;
    this.source = source;
    this.host = host;
    this.isLate = host.isLeaving;
    this.#place = place;
    this.#shared = shared;
    this.startedMs = shared.context.clock.nowMs();
    this.#lastMs = shared.context.wheel.nowMs;
    const { flight } = host.port.rules;
    this.#flight = flight.cells;
    this.#waitsSinceMs = this.#lastMs;
    this.#seats = new Seats(this, flight, shared);
  }

  get port(): PortState {
    return this.host.port;
  }

  get address(): string {
    return this.source.address;
  }

  get service(): string {
    return this.port.service.service.key;
  }

  get crowd(): object {
    return this.port.rules.flight;
  }

  get standing(): Guest['standing'] {
    return this.isQuiet(this.#shared.context.wheel.nowMs) ? IDLE : BUSY;
  }

  /** Whether nothing that is under way is lost with it, as far as anybody can tell. */
  isQuiet(nowMs: number): boolean {
    return this.#isAnswered || nowMs - this.#waitsSinceMs >= WAIT_MS;
  }

  /** Before it begins: '' when there is an endpoint for it. */
  aim(): FailureReason | '' {
    return this.#aim(this.startedMs);
  }

  /** Whoever was found to make room at the endpoint does. False where nobody has to. */
  makeRoom(): boolean {
    const giver = this.#giver;
    this.#giver = null;
    giver?.giveWay();
    return giver !== null;
  }

  begin(): void {
    const { context } = this.#shared;
    const { rules, service } = this.port;
    this.#open();
    beginRequest(this.#flight);
    countBegun(rules.cells, service.cells, this.isLate ? 0 : 1);
    if (!this.isLate) context.callerConnections++;
    this.#seats.begin();
    context.room.enter(this);
    context.room.sessions++;
    this.arm();
  }

  /** One of the caller. */
  take(data: Buffer, length: number): void {
    this.#note(false);
    this.requestBytes += length;
    countReceived(this.port.rules.cells, length);
    if ((this.#failed || this.#hasLeft) && !this.#move()) return;
    const error = this.#socket === null ? NOT_OPEN : this.#socket.send(data, 0, length);
    if (error !== null) this.#onUnsent(error);
  }

  onDatagram(data: Buffer, length: number): void {
    this.#note(true);
    if (!this.#judged) this.#praise(true);
    if (!this.#place.answer(this.peer, data, length)) return this.#drop('unsent_answer');
    this.responseBytes += length;
    countSent(this.port.rules.cells, length);
  }

  onError(error: SocketError): void {
    if (isOfDatagram(error)) return this.#drop('too_large');
    if (isLocalToDatagrams(error)) return this.#drop('unsent');
    this.#drop('unreachable');
    this.#fail(error);
  }

  /** What was to leave by it is counted already. */
  onFailed(error: SocketError): void {
    this.#socket = null;
    // It would wait for an answer that nobody was asked for.
    if (isLocalToDatagrams(error)) return this.end('failed', 'node_exhausted');
    this.#fail(error);
    this.#leave();
  }

  onDefect(error: unknown): void {
    const { guard } = this.#shared.context;
    guard.caught('proxy', error, { service: this.service, caller: this.address });
    this.end('failed', 'internal');
  }

  onDeadline(nowMs: number): void {
    if (!this.#judged && nowMs >= this.#aimedMs + STEADY_MS) this.#praise(false);
    const { silentMs, oldMs } = this.#limits();
    if (nowMs >= silentMs) this.end('idle', '');
    else if (nowMs >= oldMs) this.end('lifetime', '');
    else this.arm();
  }

  shed(): void {
    this.end('shed', 'caller_shed');
  }

  giveWay(): void {
    this.end('replaced', '');
  }

  end(why: SessionEnd, failure: FailureReason | ''): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { context } = this.#shared;
    const { rules, service } = this.port;
    this.failure = failure;
    this.#leave();
    context.wheel.disarm(this);
    context.room.leave(this);
    context.room.sessions--;
    this.#seats.end();
    if (!this.isLate) context.callerConnections--;
    leaveFlight(this.#flight);
    countEnd(service.cells, why, this.isLate ? 0 : 1);
    countFailure(rules.cells, failure);
    this.#place.ended(this);
    // Last: a defect there must leave nothing behind.
    context.accessLog?.writeConnection(this, this, context.clock.nowMs());
  }

  /** A Pod that left says nothing of it: what goes there is lost. Where its port left with all endpoints there is no other, and it may be there. */
  get #hasLeft(): boolean {
    return this.endpoint?.gone === true && !(this.port.closed && this.#target?.backend.retired);
  }

  /** When it is over by silence, and whatever comes. */
  #limits(): { readonly silentMs: number; readonly oldMs: number } {
    const { rules, port } = this.port;
    const { idleMs, tunnelMs } = streamLimitsOf(rules.service, port);
    const idle = idleMs === 0 ? Infinity : idleMs;
    return {
      silentMs: this.#lastMs + (this.host.isLeaving ? Math.min(idle, LEAVING_IDLE_MS) : idle),
      oldMs: tunnelMs === 0 ? Infinity : this.startedMs + tunnelMs,
    };
  }

  /** When it is looked at next; call it when something is otherwise, as when its port closes. */
  arm(): void {
    const { silentMs, oldMs } = this.#limits();
    const steadyMs = this.#judged ? Infinity : this.#aimedMs + STEADY_MS;
    this.deadlineMs = Math.min(silentMs, oldMs, steadyMs);
    this.#shared.context.wheel.arm(this);
  }

  /** A datagram came; of the endpoint, or of the caller. */
  #note(isAnswer: boolean): void {
    const { context } = this.#shared;
    this.#lastMs = context.wheel.nowMs;
    if (this.#isAnswered) this.#waitsSinceMs = this.#lastMs;
    this.#isAnswered = isAnswer;
    this.#seats.touch(isAnswer);
    // Silence may have been without end until now.
    if (this.wheelTick === 0) this.arm();
  }

  /** False when there is none to go to. */
  #move(): boolean {
    const now = this.#shared.context.clock.nowMs();
    const failure = this.#aim(now);
    if (failure === '') {
      this.makeRoom();
      // It may have been the last one that its port waited for.
      if (this.#isOver) return false;
      this.#open();
      this.arm();
      return true;
    }
    countRefused(this.port.rules.cells, failure);
    return false;
  }

  /** Chooses an endpoint, another one than the present one if it may be. '' when there is one. */
  #aim(now: number): FailureReason | '' {
    const { context } = this.#shared;
    this.#giver = null;
    const { target, failure } = route(this.port, now, context);
    if (failure !== '') return failure;
    if (target?.udp === null || target?.udp === undefined) return 'no_endpoint';
    const endpoint = this.#pick(target, now);
    if (typeof endpoint === 'string') return endpoint;
    if (this.#shared.comesBack(endpoint, this.address, this.peer.port)) return 'loop';
    this.#target = target;
    this.#next = endpoint;
    this.#aimedMs = now;
    return '';
  }

  /** Turns to the endpoint that was chosen. */
  #open(): void {
    const { context } = this.#shared;
    const endpoint = this.#next;
    const before = this.endpoint;
    this.#failed = false;
    this.#judged = false;
    if (endpoint === null || (endpoint === before && this.#socket !== null)) return;
    this.#leave();
    if (this.tries > 0) add(this.port.rules.cells, SERVICE_OWN.retries, 1);
    this.tries++;
    this.endpoint = endpoint;
    this.#socket = context.sockets.dialDatagrams(endpoint, this);
    this.#ownDial = context.ownDials.add(endsOfUdp(this.#socket.ends()));
    this.#seats.sit(endpoint);
    endpoint.begin();
    endpoint.openConnection();
    context.room.endpointConnections++;
  }

  #pick({ backend, udp }: Target, now: number): EndpointState | FailureReason {
    const { pick } = this.#shared;
    pick.reset(this.source.identify());
    if (udp !== null) pick.readSource(udp.service.policies, this.source.addressHash);
    pick.avoid = this.#failed ? this.endpoint : null;
    const endpoint = backend.pick(pick, now);
    if (endpoint !== null) return endpoint;
    return this.#pickInTurn(backend) ?? noEndpointReason(backend, pick);
  }

  /** Where all endpoints that it could go to are at their limits, a session at one of them makes room. */
  #pickInTurn(backend: BackendState): EndpointState | null {
    const { pick, context } = this.#shared;
    const full = backend.full(pick);
    const first = Math.floor(context.random.next() * full.length);
    for (let looks = 0; looks < Math.min(full.length, ENDPOINT_LOOKS_MAX); looks++) {
      const endpoint = full[(first + looks) % full.length] as EndpointState;
      const giver = this.#shared.roomOf(endpoint).giver(this.address, context.wheel.nowMs);
      if (giver === null || giver === this) continue;
      this.#giver = giver;
      return endpoint;
    }
    return null;
  }

  /** Lets go of its endpoint. */
  #leave(): void {
    const { endpoint } = this;
    if (endpoint === null || this.#ownDial === 0) return;
    const { context } = this.#shared;
    if (this.#socket !== null && this.#socket.overflowed > 0)
      countDrop(this.port.rules.cells, 'overflow', this.#socket.overflowed);
    this.#socket?.close();
    this.#socket = null;
    context.ownDials.remove(this.#ownDial);
    this.#ownDial = 0;
    this.#seats.rise();
    context.room.endpointConnections--;
    endpoint.closeConnection();
    endpoint.end();
  }

  /** Its endpoint has answered, or was not unreachable for long enough: some never answer. */
  #praise(isAnswer: boolean): void {
    const { endpoint } = this;
    if (endpoint === null) return;
    this.#judged = true;
    const now = this.#shared.context.clock.nowMs();
    countTaken(endpoint, true);
    if (isAnswer) {
      const latencyMs = now - this.#aimedMs;
      countAnswer(endpoint, latencyMs);
      if (!this.#wasAnswered) countLatency(this.port.rules.cells, now - this.startedMs);
      this.#wasAnswered = true;
      reportAnswer(endpoint, latencyMs, this.#policies, now);
    }
    reportSuccess(endpoint, this.#policies, now);
  }

  /** The system did not take a datagram. Why a socket is not open is told by `onFailed`. */
  #onUnsent(error: SocketError): void {
    const isTooLarge = isOfDatagram(error);
    this.#drop(isTooLarge ? 'too_large' : 'unsent');
    if (!isTooLarge && error !== NOT_OPEN && !isLocalToDatagrams(error)) this.#fail(error);
  }

  /** Only what an endpoint says itself ejects it: anybody can send ICMP that quotes a datagram of a session. */
  #fail({ code, by }: SocketError): void {
    const { endpoint } = this;
    // The other datagrams that were on their way meet the same.
    if (this.#failed) return;
    countLost(this.port.rules.cells, 'connect_failed');
    this.#failed = true;
    if (endpoint === null) return;
    if (!this.#judged) countTaken(endpoint, false);
    this.#judged = true;
    add(endpoint.cells, ENDPOINT_OWN.connectFailures, 1);
    if (code !== 'ECONNREFUSED' || by !== 'peer') return;
    reportFailure(endpoint, this.#policies, this.#shared.context.clock.nowMs());
  }

  /** Those of the Service that the datagrams go to. */
  get #policies(): Policies {
    return (this.#target?.udp ?? this.port.rules).service.policies;
  }

  #drop(why: DatagramDrop): void {
    countDrop(this.port.rules.cells, why);
  }
}
