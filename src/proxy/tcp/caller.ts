/**
 * One connection of a caller to a port of TCP. Nothing is read from it before its endpoint has accepted, so that an endpoint that
 * cannot be reached costs another try and no byte, and servers may speak first; but for a hello where routes ask for one.
 *
 *   accepted ──► (hello) ──► trying ──► … ──► tunnel ──► leaving ──► closed
 *       └───────────┴── reset ──► closed       └── reset ──► closed
 */

import { blamesEndpoint, type FailureReason } from '../../model/failure.ts';
import type { Policies } from '../../model/policy.ts';
import { streamLimitsOf } from '../../model/stream-limits.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import { reportAnswer, reportFailure, reportSuccess, STEADY_MS } from '../balance/health.ts';
import type { AccessConnection, Called } from '../call/access.ts';
import { abandonTry, add, beginRequest, countLoss, endTry, leaveFlight } from '../call/account.ts';
import { CONNECT_TRIES_MAX, noEndpointReason } from '../call/admit.ts';
import type { CallContext } from '../call/context.ts';
import { Peer } from '../call/peer.ts';
import { PickFacts } from '../call/pick-facts.ts';
import { Tunnel, type TunnelResult, type TunnelUser } from '../net/tunnel.ts';
import type { ClientHello } from '../hello/client-hello.ts';
import { NO_SEAT } from '../ledger/caller-seats.ts';
import type { Cells } from '../ledger/cells.ts';
import { ENDPOINT_OWN, SERVICE_OWN } from '../ledger/layout.ts';
import { BUSY, type Guest, LEAVING, PARTIAL_HEAD } from '../net/caller-room.ts';
import { Defect } from '../net/copy-whole.ts';
import type { Expiring } from '../net/deadline-wheel.ts';
import { closeBehind, type LastBytes } from '../net/last-bytes.ts';
import { keepAliveFor } from '../net/keep-alive.ts';
import type { Acceptor, Caller, CallerHost } from '../net/listener.ts';
import type { Accepted, Socket, SocketError, SocketOwner } from '../net/socket.ts';
import type { PortState, Target } from '../table/table.ts';
import { countConnected, countEnded, countRefused } from './account.ts';
import { admit, lead, seatOf } from './admit.ts';
import { EndpointConnection, type EndpointUser } from './endpoint.ts';
import { greetingOf } from './greeting.ts';
import { type HelloUser, HelloWait } from './hello-wait.ts';
import { PraisingEnd, type PraisingHost } from './praising-end.ts';

/** While a caller waits for an endpoint nothing is read from it. So often somebody looks whether it is still there. */
const LOOK_MS = 500;
/** A caller that takes none of the last bytes for this long does not get them. */
const FINISH_MS = 60_000;
/** An endpoint that ends a silent connection sooner has nobody behind it. Later, it has no patience with its caller. */
const TURNS_AWAY_MS = 1_000;

const NONE: readonly EndpointState[] = [];

/** Takes the callers of a port in. */
export function tcpAcceptor(port: PortState, context: CallContext): Acceptor {
  const shared = { port, context, pick: new PickFacts(context.settings.node) };
  return (accepted, host) => new CallerConnection(accepted, shared, host);
}

/** What the connections of a port have in common. */
interface Shared {
  readonly port: PortState;
  readonly context: CallContext;
  /** Scratch. */
  readonly pick: PickFacts;
}

class CallerConnection
  implements
    Caller,
    Called,
    AccessConnection,
    PraisingHost,
    HelloUser,
    TunnelUser,
    SocketOwner,
    EndpointUser,
    Expiring
{
  readonly source: Peer;
  deadlineMs = Infinity;
  wheelTick = 0;
  wheelIndex = 0;
  asleep = false;
  place: Guest['place'] = null;
  listed: Caller['listed'] = null;
  readonly wakes = true;
  failure: FailureReason | '' = '';
  startedMs = 0;
  requestBytes = 0;
  responseBytes = 0;
  serverName = '';
  tries = 0;
  /** The present or last one. */
  endpoint: EndpointState | null = null;
  readonly #shared: Shared;
  readonly #host: CallerHost;
  readonly #socket: Socket;
  /** Where it is in flight; null before and after. */
  #flight: Cells | null = null;
  #target: Target | null = null;
  /** What came before there is a tunnel; null where nothing is read. */
  #hello: HelloWait | null = null;
  /** The try that is under way. */
  #dialled: EndpointConnection | null = null;
  #triedMs = 0;
  /** When it had said all that a route asks for. */
  #askedMs = 0;
  #connectUntilMs = Infinity;
  /** Those that did not accept it. */
  #failed: readonly EndpointState[] = NONE;
  #tunnel: Tunnel | null = null;
  /** What was read before there is a tunnel; null where nothing was. */
  #early: Buffer | null = null;
  /** Among the connections of its source; 0 where nobody counts them. */
  #seat = 0;
  #last: LastBytes | null = null;
  /** Its endpoint, until somebody watches whether that vanishes. */
  #reached: EndpointConnection | null = null;
  #isWhole = false;
  /** Whether its endpoint does as it should is known. */
  #judged = false;
  #hasEnded = false;
  /** Its endpoint ended before it did. */
  #isTurnedAway = false;
  /** And did so at once. */
  #isTurnedAwayAtOnce = false;
  /** When its endpoint had accepted, of the wheel. */
  #stoodMs = 0;

  constructor(accepted: Accepted, shared: Shared, host: CallerHost) {
    const { context } = shared;
    this.#shared = shared;
    this.#host = host;
    this.source = new Peer(accepted, context);
    this.#socket = accepted.adopt(this);
    this.#socket.pause();
    // Behind all that may throw: of what is not whole nobody counts the end.
    this.#isWhole = true;
    this.#count(SERVICE_OWN.callerConnectionsOpened, 1);
    this.#count(SERVICE_OWN.callerConnectionsActive, 1);
  }

  get port(): PortState {
    return this.#shared.port;
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
    if (this.#flight === null) return LEAVING;
    return this.#hello?.isReading === true ? PARTIAL_HEAD : BUSY;
  }

  get heldBytes(): number {
    const held = this.#hello?.heldBytes ?? this.#early?.length ?? 0;
    const { writableLength, unreadBytes } = this.#socket;
    return writableLength + unreadBytes + (this.#tunnel?.waitingBytes ?? held);
  }

  get #context(): CallContext {
    return this.#shared.context;
  }

  #count(cell: number, amount: number): void {
    add(this.port.service.cells, cell, amount);
  }

  begin(): void {
    const { port, source } = this;
    const now = this.#context.clock.nowMs();
    this.startedMs = now;
    this.#flight = port.rules.flight.cells;
    beginRequest(this.#flight);
    if (source.isLoop(this.#socket)) return this.refuse('loop');
    this.#seat = seatOf(port.rules, source.addressHash, this.#context);
    if (this.#seat === NO_SEAT) return this.refuse('caller_connections');
    const verdict = admit(port, source.addressHash, now, this.#context);
    if (verdict.failure !== '') return this.refuse(verdict.failure);
    if (port.hellos === null) return this.lead(null, now);
    this.#hello = new HelloWait(this.#socket, this.#context, this);
  }

  lead(hello: ClientHello | null, now = this.#context.clock.nowMs()): void {
    if (hello !== null) this.serverName = hello.serverName;
    this.#askedMs = now;
    const verdict = lead(this.port, hello, now, this.#context);
    if (verdict.failure !== '') return this.refuse(verdict.failure);
    this.#target = verdict.target;
    this.#dial(now);
  }

  #dial(now: number): void {
    const { pick } = this.#shared;
    const { backend, tcp } = this.#target ?? {};
    // It was removed meanwhile.
    if (backend === undefined || tcp === undefined || tcp === null)
      return this.refuse('no_endpoint');
    pick.reset(this.source.identify());
    pick.readSource(tcp.service.policies, this.source.addressHash);
    const failed = this.#failed;
    pick.avoid = failed.at(-1) ?? null;
    const endpoint =
      failed.length < 2 ? backend.pick(pick, now) : backend.pickOther(pick, failed, now);
    if (endpoint === null) return this.refuse(noEndpointReason(backend, pick));
    // Once a loop is dialled, its front runs on as fast as its end is cut.
    if (this.#context.places.has(endpoint.key)) return this.refuse('loop');
    this.tries++;
    this.#triedMs = now;
    this.endpoint = endpoint;
    const greeting = greetingOf(tcp, this.port, this.source, this.#socket);
    const first = { greeting, asksForTls: this.#hello?.asksForTls === true };
    this.#dialled = new EndpointConnection(endpoint, this.#context, this, first);
    endpoint.begin();
    // Those of the called Service, whoever takes over for it.
    const { connectMs } = this.port.rules.service.policies.timeouts;
    this.#connectUntilMs = connectMs === 0 ? Infinity : now + connectMs;
    this.#watchDial(now);
  }

  #watchDial(nowMs: number): void {
    this.deadlineMs = Math.min(this.#connectUntilMs, nowMs + LOOK_MS);
    this.#context.wheel.arm(this);
  }

  onConnected(): void {
    const dialled = this.#dialled;
    const endpoint = this.endpoint;
    if (dialled === null || endpoint === null) throw new Defect('nobody dialled');
    const context = this.#context;
    const now = context.clock.nowMs();
    const { rules } = this.port;
    const latencyMs = now - this.#triedMs;
    countConnected(rules.cells, endpoint, latencyMs, now - this.#askedMs);
    reportAnswer(endpoint, latencyMs, this.#policies, now);
    this.#judged = false;
    this.#stoodMs = context.wheel.nowMs;
    this.deadlineMs = this.#stoodMs + STEADY_MS;
    context.wheel.arm(this);
    this.#failed = NONE;
    const ends = {
      caller: new PraisingEnd(this.#socket, context, this),
      endpoint: dialled.tunnelEnd,
    };
    const limits = streamLimitsOf(rules.service, this.port.port);
    const tunnel = new Tunnel(context, ends, limits, this);
    this.#tunnel = tunnel;
    this.#dialled = null;
    this.#reached = dialled;
    dialled.switchTo(tunnel);
    const early = this.#early;
    this.#early = null;
    if (early !== null) tunnel.onCallerData(early, 0, early.length);
    this.#socket.resume();
    this.#hello?.passOn(tunnel);
    this.#hello = null;
    tunnel.maySplice();
  }

  /** Those of the Service that the try went to. */
  get #policies(): Policies {
    return (this.#target?.tcp ?? this.port.rules).service.policies;
  }

  onEndpointClosed(error: SocketError | null): void {
    const dialled = this.#dialled;
    if (dialled === null) return;
    this.#tryFailed(countLoss(dialled, error, false));
  }

  /** Its endpoint has said something, or has stood for long enough. To accept is not enough: some reset at once what they accept. */
  praise(): void {
    if (this.#judged || this.endpoint === null) return;
    this.#judged = true;
    reportSuccess(this.endpoint, this.#policies, this.#context.clock.nowMs());
  }

  #blame(): void {
    if (this.#judged || this.endpoint === null) return;
    this.#judged = true;
    reportFailure(this.endpoint, this.#policies, this.#context.clock.nowMs());
  }

  /** Most connections are over by now. */
  #onSteady(tunnel: Tunnel): void {
    this.#judgeEnd(tunnel.sentBytes > 0 || !this.#isTurnedAway);
    const { timeouts } = this.#policies;
    const keepAlive = keepAliveFor(this.#context.settings, timeouts);
    this.#reached?.watchPeer(keepAlive);
    this.#reached = null;
    // What the proxy has for all it has from its listener.
    const { peerMs, unacknowledgedMs } = timeouts;
    if (peerMs !== null || unacknowledgedMs !== null) this.#socket.watchPeer(keepAlive);
  }

  onDeadline(nowMs: number): void {
    if (this.#tunnel !== null) return this.#onSteady(this.#tunnel);
    if (this.#dialled === null || this.endpoint === null) return;
    // Before a time limit blames an endpoint.
    if (this.#socket.peerState() === 'gone') return this.refuse('caller_gone');
    if (nowMs < this.#connectUntilMs) return this.#watchDial(nowMs);
    add(this.endpoint.cells, ENDPOINT_OWN.timeouts, 1);
    this.#tryFailed('connect_timeout');
  }

  #tryFailed(reason: FailureReason): void {
    const now = this.#context.clock.nowMs();
    this.#endTry(reason, now);
    const { endpoint, tries } = this;
    if (endpoint === null || !blamesEndpoint(reason) || tries >= CONNECT_TRIES_MAX)
      return this.refuse(reason);
    add(this.port.rules.cells, SERVICE_OWN.retries, 1);
    this.#failed = [...this.#failed, endpoint];
    this.#dial(now);
  }

  /** The present try is over, without a connection. */
  #endTry(reason: FailureReason, now: number): void {
    const { endpoint } = this;
    const dialled = this.#dialled;
    if (dialled === null || endpoint === null) return;
    this.#dialled = null;
    dialled.close();
    // Whether it is one of PostgreSQL its caller has said: any server of TLS can be made to fail so.
    if (!blamesEndpoint(reason) || dialled.wasAsked) abandonTry(endpoint);
    else {
      endTry(endpoint, 0, now - this.#triedMs);
      reportFailure(endpoint, this.#policies, now);
    }
  }

  /** Ends it before it reached an endpoint: nobody may take that for a server without a word. */
  refuse(reason: FailureReason): void {
    const flight = this.#flight;
    if (flight === null) return;
    this.#flight = null;
    this.#hello?.stop();
    this.#hello = null;
    const now = this.#context.clock.nowMs();
    this.#endTry(reason, now);
    this.failure = reason;
    leaveFlight(flight);
    countRefused(this.port.rules.cells, reason);
    this.#context.accessLog?.writeConnection(this, this, now);
    this.#socket.reset();
  }

  onTunnelEnd(result: TunnelResult): void {
    const flight = this.#flight;
    if (flight === null) return;
    this.#flight = null;
    this.requestBytes = result.sentBytes;
    this.responseBytes = result.receivedBytes;
    this.failure = result.failure;
    this.endpoint?.end();
    this.#judge(result);
    leaveFlight(flight);
    countEnded(this.port.rules.cells, result);
    this.#context.accessLog?.writeConnection(this, this, this.#context.clock.nowMs());
  }

  onLastWord(): void {
    this.#isTurnedAway = !this.#hasEnded;
    this.#isTurnedAwayAtOnce = this.#isTurnedAway && this.#isYoung;
  }

  get #isYoung(): boolean {
    return this.#context.wheel.nowMs - this.#stoodMs < TURNS_AWAY_MS;
  }

  /** Who comes and goes without a word says nothing of it, and neither does one who is silent for longer than it bears. */
  #judgeEnd(isWell: boolean): void {
    if (isWell) this.praise();
    else if (this.#isTurnedAwayAtOnce) this.#blame();
  }

  #judge({ failure, sentBytes }: TunnelResult): void {
    this.#context.wheel.disarm(this);
    this.#reached = null;
    if (failure === '') this.#judgeEnd(sentBytes > 0);
    else if (this.endpoint !== null && blamesEndpoint(failure)) {
      add(this.endpoint.cells, ENDPOINT_OWN.resets, 1);
      // Some servers see them off with a reset.
      const isAtOnce = this.#isTurnedAwayAtOnce || (this.#isYoung && !this.#hasEnded);
      if (sentBytes > 0 || isAtOnce) this.#blame();
    }
  }

  /** Something may wait from now on. */
  wake(): void {
    if (this.asleep) this.#context.room.wake(this);
  }

  onData(data: Buffer, length: number): void {
    this.wake();
    if (this.#tunnel !== null) this.#tunnel.onCallerData(data, 0, length);
    else if (this.#hello !== null) this.#hello.onData(data, length);
    else if (this.#flight !== null) this.#early = Buffer.from(data.subarray(0, length));
  }

  onSpliced(bytes: number): void {
    this.wake();
    this.#tunnel?.onCallerData(null, 0, bytes);
  }

  onEnd(): void {
    this.#hasEnded = true;
    if (this.#tunnel !== null) this.#tunnel.onCallerEnd();
    else this.#hello?.onEnd();
  }

  onDrain(): void {
    this.#tunnel?.onCallerDrain();
  }

  onClose(error: SocketError | null): void {
    if (!this.#isWhole) return;
    this.#count(SERVICE_OWN.callerConnectionsActive, -1);
    this.#context.seats.leave(this.#seat);
    if (this.#tunnel !== null) this.#tunnel.onCallerClosed(error);
    else this.refuse('caller_gone');
    this.#last?.stop();
    this.#context.wheel.disarm(this);
    this.#host.closed(this);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  leaveTunnel(): void {
    this.#tunnel = null;
    this.#last = closeBehind(this.#socket, this.#context.wheel, FINISH_MS);
  }

  abort(): void {
    this.#tunnel = null;
    this.#socket.reset();
  }

  drain(): void {
    // What stands goes on until its ends have said all, or the time of the drain is over.
  }

  cut(): void {
    this.#giveUp('draining');
  }

  shed(): void {
    this.#giveUp('caller_shed');
  }

  #giveUp(reason: FailureReason): void {
    if (this.#tunnel !== null) this.#tunnel.cut(reason);
    else this.refuse(reason);
    this.#socket.reset();
  }

  onDefect(error: unknown): void {
    const caller = this.address;
    this.#context.guard.caught('proxy', error, { service: this.service, caller });
    this.#giveUp('internal');
  }
}
