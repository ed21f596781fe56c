/** What all HTTP on one proxy thread shares beyond its calls: the parsed heads, and what is spoken to endpoints. */

import { CallContext, type CallOptions } from '../call/context.ts';
import { MethodRoom } from '../ledger/method-table.ts';
import { READ_BYTES } from '../net/socket.ts';
import { listenersMax } from '../table/listener-share.ts';
import { BrokenRules } from './broken-rules.ts';
import { DateLine } from './date-line.ts';
import { Mirrors } from './mirrors.ts';
import type { LaterProtocol, Protocols } from './later-protocol.ts';
import type { Connector } from './stream.ts';
import {
  FIELD_LINES_BYTES_MAX,
  HOST_CHANGE_BYTES_MAX,
  PATH_CHANGE_BYTES_MAX,
} from '../../model/filter-check.ts';
import { ByteRoom } from '../head/byte-room.ts';
import { HeadEdit } from '../head/filter.ts';
import { Head, TRAILER_LINES_BYTES_MAX } from '../head/head.ts';
import { PathView } from '../head/path-view.ts';

/** What the filters of a route and of a backend add to a head; each byte of a path may be percent-encoded. */
const FILTER_BYTES = 2 * FIELD_LINES_BYTES_MAX + 3 * PATH_CHANGE_BYTES_MAX + HOST_CHANGE_BYTES_MAX;
/** Room in the write buffer beyond a body and a head: what rewriting adds, chunk framing, trailers. */
const WRITE_SLACK_BYTES = 8_192 + TRAILER_LINES_BYTES_MAX + FILTER_BYTES;

/**
 * Room in the write buffer beyond one whole read. A head of nothing but short lines and lists grows by half, and leaves with a body.
 * One of raw bytes in its target becomes three times as long; a body that has no room beside it leaves behind it.
 */
function writeSlack(headBytesMax: number): number {
  return Math.max(2 * headBytesMax, 3 * headBytesMax - READ_BYTES) + WRITE_SLACK_BYTES;
}

export interface ThreadOptions extends CallOptions {
  readonly protocols: (context: ThreadContext) => Protocols;
}

export class ThreadContext extends CallContext {
  readonly rules: BrokenRules;
  /** Of gRPC, of all Services. */
  readonly methods: MethodRoom;
  /** For responses without a Date. */
  readonly date: DateLine;
  readonly path = new PathView();
  readonly edit = new HeadEdit();
  /** Where a redirect leads. */
  readonly location = new ByteRoom();
  readonly requestHead: Head;
  readonly responseHead: Head;
  /** Opens streams to endpoints. */
  readonly connector: Connector;
  readonly mirrors: Mirrors;
  /** HTTP/2; null where it is not served. */
  readonly http2: LaterProtocol | null;
  /** Listening sockets that this thread may have. */
  readonly listenersMax: number;

  constructor(options: ThreadOptions) {
    const { headBytesMax, headFieldsMax, grpcMethodsMax } = options.settings;
    super(options, writeSlack(headBytesMax));
    this.listenersMax = listenersMax(options.descriptors ?? Infinity, options.threads ?? 1);
    this.rules = new BrokenRules(options.clock);
    this.methods = new MethodRoom(grpcMethodsMax);
    this.date = new DateLine(options.clock);
    this.requestHead = new Head(headFieldsMax);
    this.responseHead = new Head(headFieldsMax);
    const { connector, later } = options.protocols(this);
    this.connector = connector;
    this.http2 = later;
    this.mirrors = new Mirrors(this);
  }
}
