/** A port of UDP of one Service on one thread: who gets a session, and what becomes of them when the port closes. */

import type { FailureReason } from '../../model/failure.ts';
import type { AccessConnection } from '../call/access.ts';
import { Peer as Caller } from '../call/peer.ts';
import type { Expiring } from '../net/deadline-wheel.ts';
import type { PortListener } from '../net/listener.ts';
import type { Peer } from '../net/peer.ts';
import type { PortState } from '../table/table.ts';
import { countRefused, isWaitedFor } from './account.ts';
import { isFull, takesToken } from './admit.ts';
import type { Place } from './place.ts';
import { Session, type SessionHost } from './session.ts';
import type { Sitter } from './session-room.ts';
import { endsOfUdp } from './shared.ts';
import type { UdpThread } from './thread.ts';

/** Once its port closes, a session is over after this time, however much its caller sends. In a drain the drain says when. */
export const LEAVING_MS = 30_000;
/** Lines of the access log about refused datagrams of one port, per thread and second: whoever forges sources can send any number. */
export const REFUSED_LINES_MAX = 10;
const LINES_MS = 1_000;
/** How often a port that closed looks whether other threads have sessions yet. */
const LOOK_MS = 100;

export class UdpListener implements PortListener, SessionHost, Expiring {
  readonly port: PortState;
  deadlineMs = Infinity;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #thread: UdpThread;
  readonly #sessions = new Set<Session>();
  /** Null until datagrams come. */
  #place: Place | null = null;
  #closed = false;
  #leaving = false;
  #done: (() => void) | undefined;
  /** When it is over, whoever is there, of the wheel. */
  #endMs = Infinity;
  #accepted = 0;
  #acceptedAtMs = -Infinity;
  /** Lines about refused datagrams since then, of the wheel. */
  #lines = 0;
  #linesSinceMs = -Infinity;

  constructor(port: PortState, thread: UdpThread) {
    this.port = port;
    this.#thread = thread;
  }

  /** Sessions begun so far. */
  get accepted(): number {
    return this.#accepted;
  }

  get acceptedAtMs(): number {
    return this.#acceptedAtMs;
  }

  /** Sessions end sooner. */
  get isLeaving(): boolean {
    return this.#leaving;
  }

  async listen(): Promise<number> {
    const { address, number } = this.port;
    const place = await this.#thread.openPlace({ address, port: number });
    if (this.#closed) place.unclaim();
    else {
      this.#place = place;
      place.give(this);
    }
    return place.port;
  }

  /**
   * Nothing yet: as long as there is a socket the system gives it a part of the new callers, and with it the sessions would lose their
   * callers.
   */
  stop(): void {
    // See `close`.
  }

  /** Nobody can be told: there is no end in UDP. */
  tellToGo(): void {
    // As above.
  }

  /**
   * The socket stays for as long as any thread has sessions of before: when one goes, the kernel leads the callers of the others
   * elsewhere. In a drain, new callers are served meanwhile, and not waited for; else they are dropped.
   */
  close(done: () => void): void {
    this.#done = done;
    this.#closed = true;
    this.#leaving = true;
    const { context, leaving } = this.#thread;
    const place = this.#place;
    if (place === null || !this.#isWaiting) return this.#leave();
    leaving.add(this);
    place.keepFor(this);
    if (!context.draining) {
      this.#endMs = context.wheel.nowMs + LEAVING_MS;
      if (place.taker === this) place.taker = null;
    }
    for (const session of this.#sessions) session.arm();
    this.#arm();
  }

  abort(): void {
    this.#endSessions();
    this.#leave();
  }

  onDeadline(nowMs: number): void {
    if (nowMs >= this.#endMs || !this.#isWaiting) this.#leave();
    else this.#arm();
  }

  onDefect(error: unknown): void {
    this.#thread.context.guard.caught('proxy', error, { service: this.port.service.service.key });
    this.#leave();
  }

  /** A session for a new caller; null when it gets none. */
  begin(peer: Peer, place: Place): Session | null {
    const { context } = this.#thread;
    const source = new Caller({ remoteAddress: peer.address }, context);
    const session = new Session({ peer, source, host: this, place, shared: this.#thread });
    const failure = this.#isLoop(session, place) ? 'loop' : this.#admit(session);
    if (failure !== '') {
      this.#refuse(session, failure);
      return null;
    }
    this.#accepted++;
    this.#acceptedAtMs = context.wheel.nowMs;
    this.#sessions.add(session);
    return session;
  }

  ended(session: Session): void {
    this.#sessions.delete(session);
    if (this.#done !== undefined && !this.#isWaiting) this.#leave();
  }

  /** For sessions of its Service from before it began to leave, of this thread or another one. */
  get #isWaiting(): boolean {
    return isWaitedFor(this.port.service.cells);
  }

  #arm(): void {
    const { wheel } = this.#thread.context;
    this.deadlineMs = Math.min(wheel.nowMs + LOOK_MS, this.#endMs);
    wheel.arm(this);
  }

  /** It comes from the mesh itself: from a session, or as if from a port. */
  #isLoop({ peer, source }: Session, place: Place): boolean {
    const { address } = source;
    const { port } = peer;
    if (this.#thread.isPlace({ address, port })) return true;
    return source.isLoop({
      ends: () =>
        endsOfUdp({
          localAddress: peer.isLocalKnown ? peer.localAddress : this.port.address,
          localPort: place.port,
          remoteAddress: address,
          remotePort: port,
        }),
    });
  }

  #admit(session: Session): FailureReason | '' {
    const { context } = this.#thread;
    const { source, port } = session;
    const { rules } = port;
    const nowMs = context.clock.nowMs();
    const { flight } = rules;
    const all = this.#thread.roomOf(flight);
    const isCrowded = (): boolean => isFull(flight, all.size, context.room.threads);
    const giver = isCrowded() ? all.giver(source.address, context.wheel.nowMs) : undefined;
    if (giver === null) return 'overloaded';
    if (!takesToken(port, source.addressHash, nowMs)) return 'rate_limited';
    // Nobody makes room for a caller that gets no endpoint anyway.
    const failure = session.aim();
    if (failure !== '') return failure;
    const hasReplaced = session.makeRoom();
    // Whoever made room at the endpoint may have done so in the Service, too.
    if (giver !== undefined && isCrowded()) giver.giveWay();
    const { room } = this.#thread;
    const findsGuest = (): Sitter | null => room.giver(source.address, context.wheel.nowMs);
    // One in the place of another takes no more of the thread.
    const isOneMore = !hasReplaced && giver === undefined;
    if (isOneMore && !context.room.admitsSession(source.address, session.service, findsGuest))
      return 'caller_shed';
    session.begin();
    return '';
  }

  #refuse(session: Session, failure: FailureReason): void {
    const { context } = this.#thread;
    countRefused(this.port.rules.cells, failure);
    const { accessLog } = context;
    if (accessLog === null) return;
    if (!this.#takesLine()) {
      accessLog.log.leftOut++;
      return;
    }
    const refused: AccessConnection = { ...NOTHING, startedMs: session.startedMs, failure };
    accessLog.writeConnection(session, refused, session.startedMs);
  }

  #takesLine(): boolean {
    const { nowMs } = this.#thread.context.wheel;
    if (nowMs - this.#linesSinceMs >= LINES_MS) {
      this.#linesSinceMs = nowMs;
      this.#lines = 0;
    }
    return ++this.#lines <= REFUSED_LINES_MAX;
  }

  #leave(): void {
    const done = this.#done;
    this.#done = undefined;
    if (done === undefined) return;
    const { context, leaving } = this.#thread;
    leaving.delete(this);
    context.wheel.disarm(this);
    const place = this.#place;
    this.#place = null;
    if (place?.taker === this) place.taker = null;
    this.#endSessions();
    place?.leave(this);
    done();
  }

  #endSessions(): void {
    for (const session of this.#sessions) session.end('draining', 'draining');
  }
}

const NOTHING = {
  serverName: '',
  requestBytes: 0,
  responseBytes: 0,
  tries: 0,
  endpoint: null,
} as const;
