/** Phase "account": all that is known of a request, and what it leaves behind when it ends. */

import { type FailureReason, grpcNumberOfFailure } from '../../model/failure.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import type { ServiceState } from '../table/table.ts';
import type { AccessCaller } from '../call/access.ts';
import type { Cells } from '../ledger/cells.ts';
import { SERVICE_OWN } from '../ledger/layout.ts';
import { Defect } from '../net/copy-whole.ts';
import type { SocketError } from '../net/socket.ts';
import {
  type Account,
  add,
  beginRequest,
  countLoss,
  endLastTry,
  endRequest,
} from '../call/account.ts';
import type { ThreadContext } from './context.ts';
import { countCall } from './count-call.ts';
import { GrpcCall } from './grpc-call.ts';
import { nobodys } from './nobodys.ts';
import type { Replay } from './replay.ts';
import { isIdempotent } from './retry.ts';
import type { EndpointStream } from './stream.ts';
import type { Head } from '../head/head.ts';
import type { Rule } from '../head/rule.ts';
import { reportRule } from './report-rule.ts';
import type { TunnelResult } from '../net/tunnel.ts';
import type { Try } from './try.ts';
import type { WebCall } from './web-call.ts';

const NOBODYS = nobodys<ServiceState>('a request without a caller');
const NOBODYS_CELLS = nobodys<Cells>('a request without a caller');

export class RequestRecord implements Account {
  /** That was called: the Service, or a port of it that says otherwise. */
  service: ServiceState;
  /** Where it is in flight. */
  flight: Cells;
  /** Whose policies rule the request; null before there is a backend. */
  ruling: ServiceState | null = null;
  tries = 0;
  status = 0;
  failure: FailureReason | '' = '';
  /** The rule that made it one. */
  rule: Rule | '' = '';
  startedMs = 0;
  /** What earlier tries kept the request waiting. */
  waitedMs = 0;
  responseBytes = 0;
  /** The present or last one. */
  tried: Try | null = null;
  readonly grpc = new GrpcCall();
  readonly #replay: Replay;
  /** An endpoint did nothing with it, and got it once more. */
  #wasUnseen = false;

  constructor(service: ServiceState, replay: Replay) {
    this.service = service;
    this.flight = service.flight.cells;
    this.#replay = replay;
  }

  get requestBytes(): number {
    return this.#replay.bodyBytes;
  }

  /** It came whole. */
  get isComplete(): boolean {
    return this.#replay.done;
  }

  /** All of it that came so far is kept. */
  get isReplayable(): boolean {
    return this.#replay.isWhole;
  }

  /** Null for a request that is no call of gRPC-Web, and once it is over. */
  get web(): WebCall | null {
    return this.#replay.web;
  }

  reset(service: ServiceState, now: number): void {
    this.service = service;
    this.flight = service.flight.cells;
    this.ruling = null;
    this.tries = 0;
    this.#wasUnseen = false;
    this.status = 0;
    this.failure = '';
    this.rule = '';
    this.startedMs = now;
    this.waitedMs = 0;
    this.responseBytes = 0;
    this.tried = null;
    this.grpc.reset();
  }

  /** It is in flight. */
  begin(data: Buffer, head: Head, now: number): void {
    if (head.grpc) this.grpc.begin(data, head, now);
    beginRequest(this.flight);
  }

  /** Of the present try; null when there is none, or its stream belongs to somebody else. */
  get stream(): EndpointStream | null {
    return this.tried === null ? null : this.tried.stream;
  }

  get counted(): number {
    const { grpc, status } = this;
    return grpc.active && this.failure === '' ? grpc.countedAs(status) : status;
  }

  get grpcStatus(): number {
    const { grpc, failure } = this;
    if (!grpc.active) return -1;
    return failure === '' ? grpc.statusWith(this.status) : grpcNumberOfFailure(failure);
  }

  get isOverdue(): boolean {
    return this.grpc.active && this.grpc.isOverdue;
  }

  /** The head of the final response to the present try came. True when it says that the endpoint failed. */
  noteHead(data: Buffer, head: Head): boolean {
    this.status = head.status;
    if (this.grpc.active) this.grpc.readHead(data, head);
    return this.grpc.isFailure(this.status);
  }

  /** It is whole. True as above: of gRPC the trailers have the last word. */
  noteEnd(trailers: Buffer | null): boolean {
    if (this.grpc.active) this.grpc.readEnd(trailers, this.status);
    return this.grpc.isFailure(this.status);
  }

  /** The try that an event of its stream is about. */
  get present(): Try {
    if (this.tried === null)
      throw new Defect('an endpoint says something to a request without a try');
    return this.tried;
  }

  /** The present try is over, and another one follows. Returns the endpoint that it was on. */
  giveUpTry(now: number): EndpointState {
    const tried = this.present;
    this.waitedMs += tried.giveUp(this.isOverdue ? 0 : this.counted, now);
    this.status = 0;
    this.grpc.dropAnswer();
    this.tried = null;
    add(this.service.cells, SERVICE_OWN.retries, 1);
    return tried.endpoint;
  }

  /** Whether it may go out once more, on a new connection, although a try with METHOD_* `method` ended without a response. */
  mayResend(stream: EndpointStream, method: number): boolean {
    const { connected, endpoint, unseen, mayBeStale } = stream;
    if (!connected || !endpoint.hasConnection || !this.#replay.isWhole) return false;
    // It went stale just when it was used again, as far as anybody can tell. Nothing proves that the request was not read.
    if (!unseen) return mayBeStale && isIdempotent(method);
    const isFirst = !this.#wasUnseen;
    this.#wasUnseen = true;
    return isFirst;
  }

  /** Why the request ends with the stream of its endpoint. One that gives up when the caller does is at no fault: some reset the stream then. */
  lossOf(
    stream: EndpointStream,
    error: SocketError | null,
    isInBody: boolean,
    now: number,
  ): FailureReason {
    const isOver = stream.connected && this.grpc.isOver(now);
    return isOver ? 'deadline_exceeded' : countLoss(stream, error, isInBody);
  }

  /** Between two callers. */
  detach(): void {
    this.service = NOBODYS;
    this.flight = NOBODYS_CELLS;
    this.ruling = null;
    this.tried = null;
  }

  /** Its route sends the caller elsewhere. */
  redirect(status: number): void {
    this.status = status;
    add(this.service.cells, SERVICE_OWN.redirects, 1);
  }

  /** 101: the bytes of both sides belong to a tunnel; so many of the endpoint came with it. */
  beginTunnel(firstBytes: number): void {
    this.status = 101;
    this.responseBytes += firstBytes;
    this.#replay.keepHead();
    add(this.service.cells, SERVICE_OWN.upgradesActive, 1);
  }

  endTunnel({ sentBytes, receivedBytes, failure }: TunnelResult): void {
    add(this.service.cells, SERVICE_OWN.upgradesActive, -1);
    this.#replay.bodyBytes += sentBytes;
    this.responseBytes += receivedBytes;
    this.failure = failure;
  }

  /** Counts and logs the request. */
  finish(context: ThreadContext, caller: AccessCaller, now: number): void {
    const { tried, rule, failure } = this;
    // A tunnel lasts as long as its users like; what counts is how long it took to open.
    const endMs = this.status === 101 && tried !== null ? tried.headMs : now;
    endRequest(this, this.flight, this.service.cells, endMs);
    if (this.grpc.active) countCall(this, this.#replay, context.methods, endMs);
    if (tried !== null) endLastTry(this, tried, this.ruling, now);
    context.accessLog?.write(caller, this, this.#replay, now);
    if (rule !== '' && failure !== '') {
      const endpoint = tried === null ? null : tried.endpoint;
      reportRule(context.rules, caller, { rule, reason: failure, endpoint });
    }
    this.tried = null;
    this.#replay.release();
  }
}
