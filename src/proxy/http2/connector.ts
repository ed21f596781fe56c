/** Which connection a try takes: HTTP/2 shares few of them. */

import type { EndpointState } from '../balance/endpoint-state.ts';
import type { Connector, EndpointUser } from '../http/stream.ts';
import { type EndpointParts, EndpointSession } from './endpoint.ts';
import { type Http2EndpointStream, TryPool } from './endpoint-stream.ts';
import type { Http2Shared } from './shared.ts';

export class Http2Connector implements Connector {
  readonly #parts: EndpointParts;
  readonly #sessions = new Map<EndpointState, EndpointSession[]>();

  constructor(shared: Http2Shared) {
    this.#parts = { shared, tries: new TryPool(shared) };
  }

  /** On the connection with the fewest requests. */
  acquire(endpoint: EndpointState, user: EndpointUser): Http2EndpointStream {
    let best: EndpointSession | null = null;
    for (const session of this.#sessions.get(endpoint) ?? [])
      if (session.hasRoom && (best === null || session.streams.size < best.streams.size))
        best = session;
    return best === null ? this.dial(endpoint, user) : best.start(user);
  }

  /** On a connection that did not exist before, or that nobody has heard anything of yet. */
  dial(endpoint: EndpointState, user: EndpointUser): Http2EndpointStream {
    for (const session of this.#sessions.get(endpoint) ?? [])
      if (!session.connected && session.hasRoom) return session.start(user);
    const session = new EndpointSession(endpoint, this.#parts, (gone) => this.#remove(gone));
    const sessions = this.#sessions.get(endpoint);
    if (sessions === undefined) this.#sessions.set(endpoint, [session]);
    else sessions.push(session);
    return session.start(user);
  }

  #remove(session: EndpointSession): void {
    const sessions = this.#sessions.get(session.endpoint) ?? [];
    const index = sessions.indexOf(session);
    if (index >= 0) sessions.splice(index, 1);
    if (sessions.length === 0) this.#sessions.delete(session.endpoint);
  }
}
