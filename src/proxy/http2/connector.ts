/** Which connection a try takes: HTTP/2 shares few of them. */

import type { EndpointState, SharedConnections } from '../balance/endpoint-state.ts';
import type { Connector, EndpointUser } from '../http/stream.ts';
import { ENDPOINT_WORD } from '../ledger/layout.ts';
import { type EndpointParts, EndpointSession } from './endpoint.ts';
import { type Http2EndpointStream, TryPool } from './endpoint-stream.ts';
import type { Http2Shared } from './shared.ts';

export class Http2Connector implements Connector {
  readonly #parts: EndpointParts;

  constructor(shared: Http2Shared) {
    this.#parts = { shared, tries: new TryPool(shared) };
  }

  /**
   * On the oldest connection that has room: what goes together is sent together, and those that are not needed can end. On one that
   * may be dead only where there may be no other.
   */
  acquire(endpoint: EndpointState, user: EndpointUser): Http2EndpointStream {
    const sessions = sessionsOf(endpoint);
    const session = sessions?.best();
    return session === undefined ? this.#open(endpoint, user) : session.start(user);
  }

  /** On a connection that did not exist before, or that nobody has heard anything of yet; on any other one when there may be no more. */
  dial(endpoint: EndpointState, user: EndpointUser): Http2EndpointStream {
    const sessions = sessionsOf(endpoint);
    const fresh = sessions?.all.find((session) => !session.connected && session.hasRoom);
    if (fresh !== undefined) return fresh.start(user);
    return sessions === null || sessions.mayOpen()
      ? this.#open(endpoint, user)
      : this.acquire(endpoint, user);
  }

  #open(endpoint: EndpointState, user: EndpointUser): Http2EndpointStream {
    const sessions = sessionsOf(endpoint) ?? new Sessions(endpoint);
    endpoint.shared = sessions;
    const session = new EndpointSession(endpoint, this.#parts, (gone) => sessions.remove(gone));
    // What it has refused on another one for want of room it would refuse on this one, too.
    session.peer.maxStreams = Math.min(session.peer.maxStreams, sessions.streamsMax);
    sessions.all.push(session);
    return session.start(user);
  }
}

function sessionsOf(endpoint: EndpointState): Sessions | null {
  return endpoint.shared as Sessions | null;
}

/** All connections of this thread to one endpoint. */
class Sessions implements SharedConnections {
  readonly all: EndpointSession[] = [];
  readonly #endpoint: EndpointState;

  constructor(endpoint: EndpointState) {
    this.#endpoint = endpoint;
  }

  first(): EndpointSession | undefined {
    for (const session of this.all) if (session.hasRoom) return session;
    return undefined;
  }

  /** The first one that is not doubtful; undefined when there may be a new one instead. */
  best(): EndpointSession | undefined {
    const first = this.first();
    if (first === undefined || !first.isDoubtful) return first;
    const other = this.all.find((session) => session.hasRoom && !session.isDoubtful);
    return other ?? (this.mayOpen() ? undefined : first);
  }

  /** What the endpoint allows on a connection, as far as it has said so on one that stands. */
  get streamsMax(): number {
    return this.all.findLast(({ hasSettings }) => hasSettings)?.peer.maxStreams ?? Infinity;
  }

  mayTake(connections: number, max: number): boolean {
    return this.first() !== undefined || this.#mayOpen(connections, max);
  }

  mayOpen(): boolean {
    const { cells, limits } = this.#endpoint;
    const connections = cells.words[cells.w + ENDPOINT_WORD.connections] as number;
    return this.#mayOpen(connections, limits.connectionsPerEndpoint);
  }

  /** Those that take no more requests leave room for others. Each thread may have one, so that none is left without. */
  #mayOpen(connections: number, max: number): boolean {
    const taking = this.all.filter((session) => session.isTaking).length;
    return taking === 0 || connections - (this.all.length - taking) < max;
  }

  remove(session: EndpointSession): void {
    const index = this.all.indexOf(session);
    if (index >= 0) this.all.splice(index, 1);
    if (this.all.length === 0) this.#endpoint.shared = null;
  }
}
