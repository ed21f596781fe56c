/** A protocol that callers of HTTP/1.1 ports may speak instead, known by its first bytes. */

import type { Caller, CallerHost } from '../net/listener.ts';
import type { Socket } from '../net/socket.ts';
import type { PortState } from '../table/table.ts';
import type { Source } from './source.ts';
import type { Connector } from './stream.ts';

/** A connection that changes its protocol. */
export interface Leaving extends Caller {
  readonly socket: Socket;
  readonly source: Source;
  readonly port: PortState;
}

/** What a thread speaks. */
export interface Protocols {
  /** Opens streams to endpoints. */
  readonly connector: Connector;
  /** HTTP/2 of callers; null where it is not served. */
  readonly later: LaterProtocol | null;
}

export interface LaterProtocol {
  /** Of the preface that `data[start, end)` begins with: its length, 0 when more must come to tell, -1 when it is none. */
  match(data: Buffer, start: number, end: number): number;
  /** Goes on with the connection; what came behind the preface is `data[start, end)`. */
  // oxlint-disable-next-line max-params -- once per connection
  take(caller: Leaving, host: CallerHost, data: Buffer, start: number, end: number): void;
}
