/**
 * The socket of one port of UDP on one thread, and the sessions on it. It stays while somebody listens there or a session goes on,
 * whichever Service the port belongs to by then: a second socket of the same port would get a part of the datagrams of the first.
 */

import type { DatagramListener, DatagramListenOwner } from '../net/datagram.ts';
import type { Peer } from '../net/peer.ts';
import { PeerMap } from '../net/peer-map.ts';
import type { ListenAt } from '../net/socket.ts';
import { countDrop, countReceived, countRefused } from './account.ts';
import type { PortState } from '../table/table.ts';
import type { Session, SessionPlace } from './session.ts';
import type { UdpShared } from './shared.ts';

/** Who takes new callers. */
interface Taker {
  readonly port: PortState;
  /** A session for a caller; null when it gets none. */
  begin(peer: Peer, place: Place): Session | null;
}

/** Whose port closed, while sessions go on. */
interface Left {
  readonly port: PortState;
  /** Ends them, and lets go of the place. */
  abort(): void;
}

export class Place implements DatagramListenOwner, SessionPlace {
  readonly at: ListenAt;
  /** Null for nobody. */
  taker: Taker | null = null;
  readonly #shared: UdpShared;
  readonly #onClosed: () => void;
  readonly #sessions: PeerMap<Session>;
  readonly #left = new Set<Left>();
  /** Those that are about to listen. */
  #claims = 0;
  #socket: DatagramListener | null = null;
  /** What was counted of the figures of the socket. */
  #unsent = 0;
  #overflowed = 0;

  private constructor(at: ListenAt, shared: UdpShared, onClosed: () => void) {
    this.at = at;
    this.#shared = shared;
    this.#onClosed = onClosed;
    this.#sessions = new PeerMap(shared.context.random);
  }

  /** Rejects with the system's error. */
  static async open(at: ListenAt, shared: UdpShared, onClosed: () => void): Promise<Place> {
    const place = new Place(at, shared, onClosed);
    place.#socket = await shared.context.sockets.listenDatagrams(at, place);
    return place;
  }

  get port(): number {
    return this.#socket?.port ?? this.at.port;
  }

  onDatagram(data: Buffer, length: number, peer: Peer): void {
    this.#countLost();
    const session = this.#sessions.get(peer) ?? this.#begin(peer);
    if (session !== null) session.take(data, length);
    else this.#lose(length);
  }

  /** The socket counts what did not leave. */
  onError(): void {
    this.#countLost();
  }

  onDefect(error: unknown): void {
    const service = this.taker?.port.service.service.key ?? '';
    this.#shared.context.guard.caught('proxy', error, { service });
  }

  /** False for a caller that wants no answer, RFC 768 has port 0 for that, and once the socket is closed. */
  answer(peer: Peer, data: Buffer, length: number): boolean {
    if (peer.port === 0 || this.#socket === null) return false;
    this.#socket.send(peer, data, 0, length);
    return true;
  }

  ended(session: Session): void {
    this.#sessions.delete(session.peer);
    session.host.ended(session);
    this.closeUnused();
  }

  /** Somebody is about to listen: a port that closes meanwhile does not take the socket with it. */
  claim(): this {
    this.#claims++;
    return this;
  }

  /** Who was about to listen does not. */
  unclaim(): void {
    this.#claims--;
    this.closeUnused();
  }

  /** Who has claimed it listens from now on. If it is of another Service, what is sent here is no longer meant for that of before. */
  give(taker: Taker): void {
    this.#claims--;
    this.taker = taker;
    const { key } = taker.port.service.service;
    for (const left of this.#left) if (left.port.service.service.key !== key) left.abort();
  }

  /** Stays open for `left`, whoever listens. */
  keepFor(left: Left): void {
    this.#left.add(left);
  }

  leave(left: Left): void {
    this.#left.delete(left);
    this.closeUnused();
  }

  /** Nobody listens any more, and no session goes on. */
  closeUnused(): void {
    const users = this.#claims + this.#left.size + this.#sessions.size;
    if (this.taker === null && users === 0) this.close();
  }

  close(): void {
    this.#countLost();
    this.#socket?.close();
    this.#socket = null;
    this.#onClosed();
  }

  #begin(peer: Peer): Session | null {
    const session = this.taker?.begin(peer.keep(), this) ?? null;
    if (session !== null) this.#sessions.set(session.peer, session);
    return session;
  }

  /** Of a caller that got no session. Whoever listens has said why; where nobody does any more, new ones are dropped. */
  #lose(length: number): void {
    const owner = this.#owner;
    if (owner === null) return;
    countReceived(owner.rules.cells, length);
    if (this.taker === null) countRefused(owner.rules.cells, 'draining');
  }

  /** Who listens, or did so last. */
  get #owner(): PortState | null {
    if (this.taker !== null) return this.taker.port;
    const [left] = this.#left;
    return left?.port ?? null;
  }

  /** What the socket lost belongs to whoever listens. */
  #countLost(): void {
    const owner = this.#owner;
    if (this.#socket === null || owner === null) return;
    const { unsent, overflowed } = this.#socket;
    if (unsent === this.#unsent && overflowed === this.#overflowed) return;
    const { cells } = owner.rules;
    countDrop(cells, 'unsent_answer', unsent - this.#unsent);
    countDrop(cells, 'overflow', overflowed - this.#overflowed);
    this.#unsent = unsent;
    this.#overflowed = overflowed;
  }
}
