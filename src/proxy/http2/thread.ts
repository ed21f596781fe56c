/** HTTP/2 on one proxy thread: takes callers over that say its preface, and opens streams to endpoints. */

import type { ThreadContext } from '../http/context.ts';
import type { LaterProtocol, Leaving } from '../http/later-protocol.ts';
import type { CallerHost } from '../net/listener.ts';
import { type CallerParts, CallerSession } from './caller.ts';
import { RequestPool } from './caller-stream.ts';
import { PREFACE } from './codec/frame.ts';
import { matchPreface } from './codec/frame-reader.ts';
import { Http2Connector } from './connector.ts';
import { Http2Shared } from './shared.ts';

export class Http2Thread implements LaterProtocol {
  readonly connector: Http2Connector;
  readonly #parts: CallerParts;

  constructor(context: ThreadContext) {
    const shared = new Http2Shared(context);
    this.#parts = { shared, requests: new RequestPool(shared) };
    this.connector = new Http2Connector(shared);
  }

  match(data: Buffer, start: number, end: number): number {
    const length = matchPreface(data, start, end);
    return length < 0 || length === PREFACE.length ? length : 0;
  }

  // oxlint-disable-next-line max-params -- once per connection
  take(caller: Leaving, host: CallerHost, data: Buffer, start: number, end: number): void {
    const { socket } = caller;
    const session = new CallerSession(socket, caller, this.#parts, host);
    socket.handOver(session);
    host.replaced(caller, session);
    session.receive(data, start, end);
  }
}
