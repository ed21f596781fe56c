/**
 * The copy of one request at the endpoint of a mirror. For the endpoint it is a try as any other; what it answers is read and
 * dropped. Nothing here knows the caller: it is answered, or gone, long before.
 */

import { blamesEndpoint, type FailureReason } from '../../model/failure.ts';
import type { Policies } from '../../model/policy.ts';
import { FRAMING_LENGTH, type Head } from '../head/head.ts';
import { ENDPOINT_OWN, type MirrorResult } from '../ledger/layout.ts';
import { Defect } from '../net/copy-whole.ts';
import type { Expiring } from '../net/deadline-wheel.ts';
import type { ServiceState } from '../table/table.ts';
import { add, countLoss } from '../call/account.ts';
import { GrpcCall } from './grpc-call.ts';
import type { EndpointStream, EndpointUser } from './stream.ts';
import { Try } from './try.ts';

/** From when a copy is sent to the last byte that is read of its answer. */
export const MIRROR_MS = 10_000;
/** Of an answer that is longer the rest is not read, and its connection is closed. */
const ANSWER_BYTES_MAX = 1_048_576;

/** Who sends copies, and waits for none of them. */
export interface MirrorOwner {
  nowMs(): number;
  arm(copy: Mirror): void;
  /** What waits for the endpoint may have changed. */
  onMoved(copy: Mirror): void;
  onDefect(copy: Mirror, error: unknown): void;
  /** The last call for this copy. */
  onEnded(copy: Mirror, result: MirrorResult): void;
}

export class Mirror implements EndpointUser, Expiring {
  readonly responseSocket = null;
  deadlineMs = Infinity;
  wheelTick = 0;
  wheelIndex = 0;
  /** The Service that was called. */
  readonly service: ServiceState;
  /** Memory of the request that waits for the endpoint. Kept by the owner. */
  heldBytes = 0;
  /** Other requests have a part of its connection. */
  isShared = false;
  readonly #owner: MirrorOwner;
  /** Of the Service whose endpoint it is. */
  readonly #policies: Policies;
  /** Null before it was begun, and after its end. */
  #tried: Try | null = null;
  #untilMs = 0;
  /** Of the final response; 0 before it came. */
  #status = 0;
  #answerBytes = 0;
  readonly #grpc = new GrpcCall();

  constructor(owner: MirrorOwner, service: ServiceState, policies: Policies) {
    this.#owner = owner;
    this.service = service;
    this.#policies = policies;
  }

  get stream(): EndpointStream | null {
    return this.#tried === null ? null : this.#tried.stream;
  }

  /** The try that an event of its stream is about. */
  get #present(): Try {
    if (this.#tried === null)
      throw new Defect('an endpoint says something to a copy without a try');
    return this.#tried;
  }

  /** `data` and `head` are those of the request. */
  begin(stream: EndpointStream, data: Buffer, head: Head): void {
    const now = this.#owner.nowMs();
    if (head.grpc) this.#grpc.begin(data, head, now);
    stream.endpoint.begin();
    this.isShared = stream.endpoint.http2;
    this.#tried = new Try(stream, this.#policies, now);
    this.#untilMs = now + MIRROR_MS;
    const { connectMs } = this.#policies.timeouts;
    const connectUntilMs = stream.connected || connectMs === 0 ? Infinity : now + connectMs;
    this.deadlineMs = Math.min(connectUntilMs, this.#untilMs);
    this.#owner.arm(this);
  }

  onConnected(): void {
    this.deadlineMs = this.#untilMs;
    this.#owner.onMoved(this);
  }

  onHeadWanted(): void {
    throw new Defect('a copy is no upgrade');
  }

  onResponseActivity(): void {
    this.#owner.onMoved(this);
  }

  onInterim(): void {
    // Nobody waits for it.
  }

  onSwitch(): void {
    this.#fail('bad_response');
  }

  onResponseHead(data: Buffer, head: Head): void {
    const tried = this.#present;
    const now = this.#owner.nowMs();
    this.#status = head.status;
    tried.headMs = now;
    if (this.#grpc.active) this.#grpc.readHead(data, head);
    if (this.#grpc.isFailure(head.status)) tried.blame(now);
    else tried.answered(now);
    if (head.framing === FRAMING_LENGTH && head.contentLength > ANSWER_BYTES_MAX) this.#cutAnswer();
  }

  onResponseBody(_data: Buffer | null, start: number, end: number): void {
    this.#answerBytes += end - start;
    if (this.#answerBytes > ANSWER_BYTES_MAX) this.#cutAnswer();
  }

  onResponseRead(): void {
    // It was dropped as it came.
  }

  onResponseEnd(trailers: Buffer | null): void {
    const tried = this.#present;
    tried.release(this.#policies.limits);
    if (this.#grpc.active) this.#grpc.readEnd(trailers, this.#status);
    if (this.#grpc.isFailure(this.#status)) tried.blame(this.#owner.nowMs());
    this.#endAnswered(tried);
  }

  onBadHead(reason: FailureReason): void {
    this.#fail(reason);
  }

  onBadBody(): void {
    this.#fail('bad_response_body');
  }

  onEndpointDrain(): void {
    this.#owner.onMoved(this);
  }

  onEndpointDeaf(): void {
    // Its answer may still come, else the end of the connection does.
  }

  onEndpointClosed(error: Parameters<EndpointUser['onEndpointClosed']>[0]): void {
    const { stream } = this;
    if (stream !== null) this.#fail(countLoss(stream, error, this.#status !== 0));
  }

  onDefect(error: unknown): void {
    this.#owner.onDefect(this, error);
  }

  onDeadline(nowMs: number): void {
    const tried = this.#tried;
    if (tried === null) return;
    if (this.#status !== 0) return this.#cutAnswer();
    // That it could not be reached says something of the endpoint; that it took longer than a copy may take does not.
    if (nowMs < this.#untilMs) {
      add(tried.endpoint.cells, ENDPOINT_OWN.timeouts, 1);
      tried.blame(nowMs);
    }
    this.#end('timed_out', 0);
  }

  /** Ends it wherever it is; the endpoint is not at fault. */
  giveUp(result: 'cut' | 'failed'): void {
    this.#end(result, 0);
  }

  /** Enough was read: the rest is our own loss. */
  #cutAnswer(): void {
    this.#endAnswered(this.#present);
  }

  /** What the copy was answered says something of the endpoint, unless its caller had given it the time that is over. */
  #endAnswered(tried: Try): void {
    const { isOverdue } = this.#grpc;
    if (!isOverdue) tried.praise(this.#owner.nowMs());
    this.#end('answered', isOverdue ? 0 : this.#grpc.countedAs(this.#status));
  }

  #fail(reason: FailureReason): void {
    if (blamesEndpoint(reason)) this.#tried?.blame(this.#owner.nowMs());
    this.#end('failed', 0);
  }

  #end(result: MirrorResult, status: number): void {
    const tried = this.#tried;
    if (tried === null) return;
    this.#tried = null;
    tried.drop();
    tried.giveUp(status, this.#owner.nowMs());
    this.#owner.onEnded(this, result);
  }
}
