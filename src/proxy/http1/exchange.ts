/**
 * One request and its response, from the parsed head to the account. Each caller connection owns one and uses it again
 * for every request: nothing is allocated here but what a retry or a long body needs.
 *
 *   begin ─ identify ─ rate limit ─ route ─ backend ─ breaker ─┬─ pick endpoint ─ send ─ await head ─ pass body ─ account
 *                                                  (next try) ◄┴───────── failed before a byte was answered
 */

// oxlint-disable max-lines -- to be cut: a try becomes an object of its own
import type { Socket } from 'node:net';
import type { Timer } from '../../base/clock.ts';
import { blamesEndpoint, FAILURES, type FailureReason } from '../../model/failure.ts';
import type { Policies, RetryCondition } from '../../model/policy.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import { reportAnswer, reportFailure, reportSuccess, STEADY_MS } from '../balance/health.ts';
import type { ThreadContext } from '../http/context.ts';
import { READ_BYTES } from '../net/context.ts';
import { Defect } from '../net/copy-whole.ts';
import { bytesOnTheirWay } from '../net/socket.ts';
import { ENDPOINT_OWN, SERVICE_OWN } from '../ledger/layout.ts';
import { retryDelayMs } from '../policy/backoff.ts';
import type { PortState, ServiceState, Target } from '../table/table.ts';
import {
  abandonTry,
  add,
  beginRequest,
  countLoss,
  endLastTry,
  endRequest,
  endTry,
  tryLatencyMs,
} from '../http/account.ts';
import { admit, type Arrival, noEndpointReason } from '../http/admit.ts';
import type { CallerConnection } from './caller.ts';
import { CallerWait } from '../http/caller-wait.ts';
import { pinnedBytes } from '../net/caller-room.ts';
import { type ConnectionUser, EndpointConnection } from './endpoint.ts';
import { ExchangeDeadline, type TimeLimit } from '../http/exchange-deadline.ts';
import { BAD, type Head, INCOMPLETE, METHOD_OTHER } from '../http/head.ts';
import { IncomingResponse, PASS_BAD, PASS_DONE, PASS_WAIT } from './incoming-response.ts';
import { OUT_OF_STEP, writeLocalReply } from './local-reply.ts';
import { DISCARD_BYTES_MAX, OutgoingRequest } from './outgoing-request.ts';
import { PickFacts } from '../http/pick-facts.ts';
import { affinityCookie } from '../http/request-key.ts';
import { parseResponseHead } from './codec/response-head.ts';
import { isFailureStatus, isIdempotent, mayRetry } from '../http/retry.ts';
import type { Rule } from '../http/rule.ts';
import { tellRule } from '../http/tell-rule.ts';
import { Tunnel } from './tunnel.ts';

const IDLE = 0;
/** The response head has not come yet. */
const SENDING = 1;
const BODY = 2;
/** Answered by the proxy; the rest of the request body is read and dropped. */
const DISCARDING = 3;

export class Exchange implements ConnectionUser {
  readonly pick: PickFacts;
  tries = 0;
  status = 0;
  failure: FailureReason | '' = '';
  /** The rule that made it one. */
  rule: Rule | '' = '';
  startedMs = 0;
  /** When the endpoint got the last of the request that there was by then; its time runs from here. */
  tryStartedMs = 0;
  /** When the head of the final response, or a 101, came; 0 before. */
  headMs = 0;
  /** What earlier tries kept the request waiting. */
  waitedMs = 0;
  /** METHOD_*. */
  method = METHOD_OTHER;
  http10 = false;
  endpoint: EndpointState | null = null;
  readonly request: OutgoingRequest;
  readonly response: IncomingResponse;
  readonly #callerWait = new CallerWait();
  #phase = IDLE;
  readonly #arrival: Mutable<Arrival>;
  readonly #context: ThreadContext;
  readonly #caller: CallerConnection;
  #service: ServiceState | null = null;
  #target: Target | null = null;
  #policies: Policies | null = null;
  #upstream: EndpointConnection | null = null;
  #keepAlive = false;
  #upgrade = false;
  #expectsContinue = false;
  #close = false;
  /** The present try counts as failed already. */
  #tryBlamed = false;
  /** When a response that goes on counts as a success; Infinity before its head and afterwards. */
  #steadyAtMs = Infinity;
  readonly #deadline = new ExchangeDeadline();
  #backoff: Timer | null = null;

  constructor(caller: CallerConnection, context: ThreadContext) {
    this.#caller = caller;
    this.#context = context;
    this.pick = new PickFacts(context.settings.node);
    this.request = new OutgoingRequest(context);
    this.response = new IncomingResponse(context, caller);
    this.#arrival = { port: caller.port, contentLength: -1, addressHash: caller.addressHash };
  }

  get active(): boolean {
    return this.#phase !== IDLE;
  }

  /** True while bytes of the caller belong to the body of this request. */
  get wantsBody(): boolean {
    return this.#phase !== IDLE && !this.request.body.done;
  }

  /** What the request keeps, and what its endpoint has not taken. */
  get waitingBytes(): number {
    return pinnedBytes(this.request.kept) + (this.#upstream?.socket.writableLength ?? 0);
  }

  /** Others need the room that the caller takes. */
  onShed(): void {
    if (this.#phase === DISCARDING) return this.#stopDiscarding(true);
    this.#fail('caller_shed');
  }

  /** Starts a request whose head stands in `data`. Feed the body and call `flush` afterwards. */
  begin(data: Buffer, head: Head, headBytes: number): void {
    const { port } = this.#caller;
    const now = this.#context.clock.nowMs();
    this.#reset(port, head, now);
    this.request.begin(data, head, headBytes, this.#caller);
    beginRequest(port.service.cells);
    if (this.#caller.isLoop) return this.#fail('loop');
    this.#arrival.port = port;
    this.#arrival.contentLength = head.contentLength;
    const verdict = admit(this.#arrival, now, this.#context);
    this.#target = verdict.target;
    if (verdict.failure !== '') return this.#fail(verdict.failure, verdict.retryAfterMs);
    const target = verdict.target as Target;
    const policies = (target.service as ServiceState).service.policies;
    this.#policies = policies;
    this.request.bodyMax = policies.retry?.bodyBytes ?? 0;
    this.#deadline.setRequest(now, policies.timeouts);
    this.pick.read(policies, data, head, this.#caller.addressHash);
    if (!this.request.body.done) this.#callerWait.begin(this.#context.wheel.nowMs);
    this.#startTry(now);
  }

  /** Takes body bytes from `data[pos, end)` and returns how far it came. */
  feed(data: Buffer, pos: number, end: number): number {
    this.#deadline.lastActivityMs = this.#context.wheel.nowMs;
    if (this.#phase === DISCARDING) return this.#discard(data, pos, end);
    const { request } = this;
    // What waited may be longer than one read, for which the write buffer is made.
    const stop = Math.min(end, pos + READ_BYTES);
    const next = request.feed(data, pos, stop, this.#sink);
    if (request.mustWait) this.#caller.pause();
    if (request.body.done) this.#callerWait.end(this.#context.wheel.nowMs);
    const max = this.#policies?.limits.requestBodyBytes ?? 0;
    if (next < 0) this.#refuse('bad_request', request.body.rule);
    else if (max > 0 && request.body.bytes > max) this.#fail('body_too_large');
    else if (this.#upstream !== null) this.#endpointsTurn();
    return next < 0 ? end : next;
  }

  /** Where bytes of the request go; null while there is nowhere. */
  get #sink(): Socket | null {
    return this.#upstream === null || this.#upstream.deaf ? null : this.#upstream.socket;
  }

  /** The endpoint has all that there is of the request, or it is on its way; once that is the whole, its time counts. */
  #endpointsTurn(): void {
    if (this.#phase !== SENDING) return;
    this.tryStartedMs = this.#context.clock.nowMs();
    if (!this.request.body.done) return;
    this.#deadline.requestSent(this.tryStartedMs);
    this.#arm();
  }

  /** We do not read from the caller any more: looks are needed at whether it is still there, and whether anything moves. */
  onCallerPaused(): void {
    this.#callerWait.end(this.#context.wheel.nowMs);
    if (this.#phase !== IDLE) this.#arm();
  }

  /** The body may go on: if there is more of it, it is the caller that is waited for. */
  #resumeCaller(): void {
    this.#caller.resume();
    if (this.#phase === SENDING && !this.request.body.done && !this.#caller.paused)
      this.#callerWait.begin(this.#context.wheel.nowMs);
  }

  /** Sends what was fed. */
  flush(): void {
    const more = this.request.flush(this.#sink);
    if (!more && !this.request.body.done) this.#caller.pause();
  }

  /** Sends all that is kept on a new connection; a caller that waited for the one before may go on. */
  #flushAgain(): void {
    this.#resumeCaller();
    this.flush();
  }

  onConnected(): void {
    this.#deadline.connected();
    this.#deadline.lastActivityMs = this.#context.wheel.nowMs;
    this.#arm();
  }

  onResponseData(data: Buffer, length: number): void {
    this.#deadline.lastActivityMs = this.#context.wheel.nowMs;
    const { settings, responseHead: head } = this.#context;
    let pos = 0;
    while (this.#phase === SENDING && pos < length) {
      const next = parseResponseHead(data, pos, length, head, settings, this.method);
      if (next === INCOMPLETE)
        return (this.#upstream as EndpointConnection).keep(data, pos, length);
      if (next === BAD) {
        const tooLarge = head.failure === 'response_head_too_large';
        this.rule = head.rule;
        return this.#tryFailed(null, tooLarge ? 'response_head_too_large' : 'bad_response');
      }
      if (head.status === 101) return this.#switchProtocols(data, next, length, head);
      if (head.status >= 200) return this.#respond(data, next, length, head);
      pos = next;
      if (this.http10) continue;
      const more = this.response.sendInterim(data, head, 0, 0);
      if (!more) (this.#upstream as EndpointConnection).socket.pause();
      // The caller may now send its body; no other interim response says so.
      if (head.status === 100) this.#expectsContinue = false;
    }
    if (this.#phase === BODY) this.#pass(data, pos, length, 0);
  }

  onResponseEnd(): void {
    if (this.#phase === BODY && this.response.finish()) return this.#complete();
    this.onUpstreamClosed(null);
  }

  onUpstreamDrain(): void {
    this.#resumeCaller();
  }

  /** The rest of the request is read and dropped until the response, if there is one, has been read. */
  onUpstreamDeaf(): void {
    this.#resumeCaller();
  }

  /** Only `onResponseEnd`, which is a FIN, may be the end of a body: this is a cut, whatever was read before. */
  onUpstreamClosed(error: NodeJS.ErrnoException | null): void {
    const upstream = this.#upstream;
    if (upstream === null) return;
    if (this.#phase === BODY) {
      return this.#fail(countLoss(upstream, error, true));
    }
    if (!upstream.connected)
      return this.#tryFailed('connect-failure', countLoss(upstream, error, false));
    // It went stale just when it was used again, as far as anybody can tell. Nothing proves that the request was not read.
    if (this.#mayBeStale() && isIdempotent(this.method)) return this.#resend(upstream);
    this.#tryFailed('reset', countLoss(upstream, error, false));
  }

  onDefect(error: unknown): void {
    this.#caller.onDefect(error);
  }

  /** The drain is over: what runs is cut. */
  onDrainOver(): void {
    if (this.#phase === DISCARDING) return this.#stopDiscarding(true);
    this.failure = 'draining';
    this.#backoff?.cancel();
    this.#backoff = null;
    this.#dropUpstream();
    this.#finish();
    this.#caller.abort();
  }

  /** An assertion failed somewhere on the way of this request: neither connection can be trusted with another one. */
  onInternalFailure(): void {
    if (this.#phase === DISCARDING) return this.#stopDiscarding(true);
    this.#fail('internal');
  }

  /** The caller can take more. */
  onCallerDrain(): void {
    this.#callerWait.end(this.#context.wheel.nowMs);
    this.#upstream?.socket.resume();
  }

  /** The caller is gone: nobody waits for the rest. */
  onCallerClosed(): void {
    if (this.#phase === DISCARDING) this.#stopDiscarding(true);
    else if (this.#phase !== IDLE) this.#fail('caller_gone');
  }

  /** Looks at what is due; the caller connection's deadline covers its exchange. */
  onDeadline(nowMs: number): void {
    if (nowMs >= this.#steadyAtMs) this.#praiseEndpoint(nowMs);
    this.#noteMovement(nowMs);
    const limit = this.#deadline.expired(nowMs, this.#phase === SENDING);
    if (this.#phase === DISCARDING && limit !== '') return this.#stopDiscarding(true);
    if (this.#caller.hasLeft()) return this.onCallerClosed();
    if (limit === '') return this.#arm();
    const reason = this.#overdue(limit, nowMs);
    const isTry = this.#phase === SENDING && this.endpoint !== null && limit !== 'request';
    if (isTry && blamesEndpoint(reason)) this.#timedOut(reason);
    else this.#fail(reason);
  }

  #noteMovement(nowMs: number): void {
    const { probe } = this.#context;
    const upstream = this.#upstream?.socket ?? null;
    const toEndpoint = upstream === null ? 0 : bytesOnTheirWay(upstream, probe);
    this.#deadline.noteMovement(toEndpoint + bytesOnTheirWay(this.#caller.socket, probe), nowMs);
  }

  #callerTookMost(nowMs: number): boolean {
    return this.#callerWait.total(nowMs) * 2 > nowMs - this.startedMs;
  }

  #callersTimeout(): FailureReason {
    return this.#phase === BODY ? 'response_read_timeout' : 'request_body_timeout';
  }

  /** Who kept us waiting when a time limit was over. */
  #overdue(limit: TimeLimit, nowMs: number): FailureReason {
    if (limit === 'connect') return 'connect_timeout';
    if (limit === 'try') return 'try_timeout';
    if (limit === 'request' && this.#callerTookMost(nowMs)) return this.#callersTimeout();
    if (this.#phase === BODY) {
      if (this.#caller.socket.writableLength > 0) return 'response_read_timeout';
    } else if (this.#upstream !== null && !this.request.body.done) {
      if (this.#upstream.socket.writableLength === 0) return 'request_body_timeout';
      if (limit === 'idle') return 'request_write_timeout';
    }
    return limit === 'idle' ? 'response_idle_timeout' : 'request_timeout';
  }

  #reset(port: PortState, head: Head, now: number): void {
    this.pick.reset(this.#caller.identify());
    this.tries = 0;
    this.status = 0;
    this.failure = '';
    this.rule = '';
    this.startedMs = now;
    this.headMs = 0;
    this.waitedMs = 0;
    this.#steadyAtMs = Infinity;
    this.http10 = head.minor === 0;
    this.endpoint = null;
    this.response.reset();
    this.#callerWait.reset();
    this.#phase = SENDING;
    this.#service = port.service;
    this.#target = null;
    this.#policies = null;
    this.method = head.method;
    this.#keepAlive = head.keepAlive;
    this.#upgrade = head.upgrade;
    this.#expectsContinue = head.expectContinue;
    this.#close = false;
    this.#deadline.reset(now, this.#context.settings.callerIdleMs);
  }

  #startTry(now: number): void {
    const { backend } = this.#target as Target;
    const endpoint = backend.pick(this.pick, now);
    if (endpoint === null) return this.#fail(noEndpointReason(backend, this.pick));
    this.tries++;
    const repeatable = isIdempotent(this.method);
    this.#send(
      endpoint,
      EndpointConnection.acquire(endpoint, this.#context, this, repeatable),
      now,
    );
  }

  #send(endpoint: EndpointState, upstream: EndpointConnection, now: number): void {
    endpoint.begin();
    this.endpoint = endpoint;
    this.#tryBlamed = false;
    this.#upstream = upstream;
    this.tryStartedMs = now;
    this.headMs = 0;
    this.#deadline.beginTry(now, (this.#policies as Policies).timeouts, upstream.connected);
    if (this.request.body.done) this.#deadline.requestSent(now);
    this.request.rewind();
    this.#arm();
  }

  #respond(data: Buffer, headEnd: number, length: number, head: Head): void {
    const policies = this.#policies as Policies;
    const now = this.#context.clock.nowMs();
    this.status = head.status;
    this.headMs = now;
    const endpoint = this.endpoint as EndpointState;
    if (isFailureStatus(head.status)) this.#blameEndpoint(now);
    else reportAnswer(endpoint, now - this.tryStartedMs, policies, now);
    if (this.#retriesStatus(policies, now)) return;
    this.#close =
      !this.#keepsCaller() ||
      !this.request.body.done ||
      IncomingResponse.endsByClose(head, this.http10);
    const { affinity } = policies;
    const cookie =
      affinity === null ? null : affinityCookie(affinity, endpoint, this.pick.affinity);
    const caller = { close: this.#close, http10: this.http10 };
    const at = this.response.begin(data, head, caller, cookie);
    this.#callerWait.end(this.#context.wheel.nowMs);
    this.#phase = BODY;
    this.#steadyAtMs = now + STEADY_MS;
    this.#pass(data, headEnd, length, at);
    if (this.#phase === BODY) this.#arm();
  }

  #pass(data: Buffer, pos: number, end: number, from: number): void {
    const result = this.response.pass(data, pos, end, from);
    if (result === PASS_DONE) this.#complete();
    else if (result === PASS_WAIT) {
      this.#upstream?.socket.pause();
      this.#callerWait.begin(this.#context.wheel.nowMs);
      this.#arm();
    } else if (result === PASS_BAD) this.#refuse('bad_response_body', this.response.body.rule);
  }

  #switchProtocols(data: Buffer, headEnd: number, length: number, head: Head): void {
    // What follows the body of the request is the first of the new protocol, not a part of the body.
    if (!this.#upgrade || !head.upgrade || !this.request.body.done) {
      this.rule = 'upgrade_unasked';
      return this.#tryFailed(null, 'bad_response');
    }
    const policies = this.#policies as Policies;
    const now = this.#context.clock.nowMs();
    reportAnswer(this.endpoint as EndpointState, now - this.tryStartedMs, policies, now);
    this.#praiseEndpoint(now);
    this.status = 101;
    this.headMs = now;
    this.response.sendInterim(data, head, headEnd, length);
    const { cells } = this.#service as ServiceState;
    add(cells, SERVICE_OWN.upgradesActive, 1);
    const upstream = this.#upstream as EndpointConnection;
    this.request.settle(upstream.socket);
    const ends = { caller: this.#caller, upstream };
    this.#upstream = null;
    const tunnel = new Tunnel(this.#context, ends, policies.timeouts.idleMs, (end) => {
      add(cells, SERVICE_OWN.upgradesActive, -1);
      this.request.body.bytes += end.sentBytes;
      this.response.body.bytes += length - headEnd + end.receivedBytes;
      this.failure = end.failure;
      this.#finish();
    });
    this.#caller.switchTo(tunnel);
  }

  #complete(): void {
    const { request, response } = this;
    const upstream = this.#upstream as EndpointConnection;
    const { limits } = this.#policies as Policies;
    const isClean = request.settle(upstream.socket) && this.#isReusable(upstream);
    if (!this.#caller.isInStep(response.wireBytes))
      throw new Defect('a response left with another length than was counted');
    if (isClean && !upstream.isInStep(request.wireBytes))
      throw new Defect('a request left with another length than was counted');
    this.#upstream = null;
    const now = this.#context.clock.nowMs();
    this.#praiseEndpoint(now);
    if (isClean) upstream.release(limits, response.inDoubt);
    else upstream.close();
    this.#finish(now);
    this.#caller.onExchangeDone(this.#close);
  }

  #isReusable(upstream: EndpointConnection): boolean {
    // Who refuses a long body mostly closes with a part of it unread, whether or not it says so: the reset is on its way.
    const isRefused = this.status >= 400 && this.request.body.bytes > READ_BYTES;
    if (this.http10 && !this.#keepAlive) return false;
    return this.response.reusable && this.request.body.done && !upstream.deaf && !isRefused;
  }

  /** A try ended without a response that may be passed on: another one, or the failure it is. */
  #tryFailed(condition: RetryCondition | null, reason: FailureReason): void {
    const now = this.#context.clock.nowMs();
    this.#dropUpstream();
    if (blamesEndpoint(reason)) this.#blameEndpoint(now);
    if (condition !== null && this.#mayRetry(condition)) this.#retry(now);
    else this.#fail(reason);
  }

  #timedOut(reason: FailureReason): void {
    add((this.endpoint as EndpointState).cells, ENDPOINT_OWN.timeouts, 1);
    this.#tryFailed(reason === 'connect_timeout' ? 'connect-failure' : 'timeout', reason);
  }

  /** Once per try, however much goes wrong with it. */
  #blameEndpoint(now: number): void {
    if (this.endpoint === null || this.#tryBlamed) return;
    this.#tryBlamed = true;
    reportFailure(this.endpoint, this.#policies as Policies, now);
  }

  /** It did as it should. Not when the try counts as failed, by its status. */
  #praiseEndpoint(now: number): void {
    this.#steadyAtMs = Infinity;
    if (this.endpoint === null || this.#tryBlamed) return;
    reportSuccess(this.endpoint, this.#policies as Policies, now);
  }

  /** True when the status is retried: then this response is dropped. */
  #retriesStatus(policies: Policies, now: number): boolean {
    if (policies.retry === null || !policies.retry.statuses.includes(this.status)) return false;
    if (!this.#mayRetry('status')) return false;
    // The rest of it is our own loss.
    this.#praiseEndpoint(now);
    this.#dropUpstream();
    this.#retry(now);
    return true;
  }

  #mayRetry(condition: RetryCondition): boolean {
    const { cells } = (this.#target as Target).service as ServiceState;
    const { tries } = this;
    const { replayable } = this.request;
    const idempotent = isIdempotent(this.method);
    return mayRetry(
      (this.#policies as Policies).retry,
      { tries, replayable, idempotent, condition },
      cells,
    );
  }

  #retry(now: number): void {
    const { retry } = this.#policies as Policies;
    const endpoint = this.endpoint as EndpointState;
    if (this.status === 0 && !this.#tryBlamed) abandonTry(endpoint);
    else {
      const latencyMs = tryLatencyMs(this, now);
      this.waitedMs += latencyMs;
      endTry(endpoint, this.status, latencyMs);
    }
    this.status = 0;
    this.pick.avoid = endpoint;
    this.endpoint = null;
    this.#deadline.endTry();
    add((this.#service as ServiceState).cells, SERVICE_OWN.retries, 1);
    const delayMs = retry === null ? 0 : retryDelayMs(retry, this.tries, this.#context.random);
    if (delayMs < 1) return this.#nextTry();
    this.#arm();
    // Nobody takes the body meanwhile; without one, a caller that leaves should be noticed.
    if (!this.request.body.done) this.#caller.pause();
    this.#backoff = this.#context.clock.after(delayMs, () => this.#endBackoff());
  }

  #endBackoff(): void {
    try {
      this.#nextTry();
    } catch (error) {
      this.#caller.onDefect(error);
    }
  }

  #nextTry(): void {
    this.#backoff = null;
    this.#startTry(this.#context.clock.nowMs());
    if (this.#upstream !== null) this.#flushAgain();
  }

  /** Same endpoint, fresh connection: a stale one is nobody's failure and no retry. */
  #resend(stale: EndpointConnection): void {
    const { endpoint } = stale;
    this.#dropUpstream();
    endpoint.end();
    const fresh = new EndpointConnection(endpoint, this.#context, this);
    this.#send(endpoint, fresh, this.#context.clock.nowMs());
    this.#flushAgain();
  }

  #mayBeStale(): boolean {
    return this.#upstream?.reused === true && this.request.replayable && !this.#upstream.answered;
  }

  #discard(data: Buffer, pos: number, end: number): number {
    const next = this.request.discard(data, pos, end);
    const { rule } = this.request.body;
    if (next < 0) {
      // The request is accounted for; without a rule its body is only too long to be read.
      if (rule !== '')
        tellRule(this.#context, this.#caller, { rule, reason: 'bad_request', endpoint: null });
      this.#stopDiscarding(true);
    } else if (this.request.body.done) this.#stopDiscarding(false);
    return next < 0 ? end : next;
  }

  #stopDiscarding(close: boolean): void {
    this.#phase = IDLE;
    this.#caller.onExchangeDone(close);
  }

  #refuse(reason: 'bad_request' | 'bad_response_body', rule: Rule | ''): void {
    this.rule = rule;
    this.#fail(reason);
  }

  #fail(reason: FailureReason, retryAfterMs = 0): void {
    const answered = this.#phase === BODY;
    const { status } = FAILURES[reason];
    this.failure = reason;
    this.#backoff?.cancel();
    this.#backoff = null;
    this.#dropUpstream();
    if (blamesEndpoint(reason)) this.#blameEndpoint(this.#context.clock.nowMs());
    if (!answered) this.status = status;
    this.#finish();
    if (answered || status === 0) return this.#caller.abort();
    this.#reply(reason, retryAfterMs);
  }

  #reply(reason: FailureReason, retryAfterMs: number): void {
    const rest = !this.request.body.done;
    // Only a short body is worth reading to keep the connection; after Expect it may never come.
    const isLong = this.#expectsContinue || this.#arrival.contentLength > DISCARD_BYTES_MAX;
    this.#close =
      !this.#keepsCaller() ||
      reason === 'internal' ||
      (rest && (isLong || OUT_OF_STEP.has(reason)));
    const { out, date } = this.#context;
    const length = writeLocalReply(out, this, { reason, retryAfterMs, close: this.#close }, date);
    this.#context.writeOut(this.#caller.socket, length);
    if (!this.#caller.isInStep(this.response.wireBytes + length))
      throw new Defect('an answer left with another length than was counted');
    if (!rest || this.#close) return this.#caller.onExchangeDone(this.#close);
    this.#phase = DISCARDING;
    this.#deadline.lastActivityMs = this.#context.wheel.nowMs;
    this.#caller.resume();
    this.#arm();
  }

  #keepsCaller(): boolean {
    return this.#keepAlive && !this.#context.draining && !this.#caller.port.closed;
  }

  #dropUpstream(): void {
    if (this.#upstream === null) return;
    this.request.settle(this.#upstream.socket);
    this.#upstream.close();
    this.#upstream = null;
  }

  #finish(now = this.#context.clock.nowMs()): void {
    endRequest(this, (this.#service as ServiceState).cells, now);
    if (this.endpoint !== null) endLastTry(this, (this.#target as Target).service, now);
    if (this.#context.accessLog !== null) this.#context.accessLog.write(this.#caller, this, now);
    const { rule, failure, endpoint } = this;
    if (rule !== '' && failure !== '')
      tellRule(this.#context, this.#caller, { rule, reason: failure, endpoint });
    this.#phase = IDLE;
    this.#steadyAtMs = Infinity;
    this.endpoint = null;
    this.request.release();
  }

  /** Files the earliest of all deadlines of the current phase, or a look at whether a slow reader takes anything. */
  #arm(): void {
    const caller = this.#caller;
    const due = Math.min(this.#deadline.due(this.#phase === SENDING), this.#steadyAtMs);
    const toEndpoint = this.#upstream?.socket.writableLength ?? 0;
    const isSlow = caller.paused || caller.socket.writableLength > 0 || toEndpoint > 0;
    const look = isSlow ? this.#context.wheel.nowMs + this.#deadline.lookMs : Infinity;
    caller.deadlineMs = Math.min(due, look);
    this.#context.wheel.arm(caller);
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
