/**
 * One request and its response, from the parsed head to the account, between a stream of a caller and one of an endpoint. Each
 * caller stream owns one and uses it again for every request.
 *
 *   begin ─ identify ─ rate limit ─ route ─ backend ─ breaker ─┬─ pick endpoint ─ send ─ await head ─ pass body ─ account
 *                                                  (next try) ◄┴───────── failed before a byte was answered
 */

import type { Timer } from '../../base/clock.ts';
import { blamesEndpoint, FAILURES, type FailureReason } from '../../model/failure.ts';
import type { Policies, RetryCondition } from '../../model/policy.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import { pinnedBytes } from '../net/caller-room.ts';
import { Defect } from '../net/copy-whole.ts';
import type { Expiring } from '../net/deadline-wheel.ts';
import { ENDPOINT_OWN, SERVICE_OWN } from '../ledger/layout.ts';
import { retryDelayMs } from '../policy/backoff.ts';
import type { ServiceState, Target } from '../table/table.ts';
import { type Account, abandonTry, add, beginRequest, countLoss } from './account.ts';
import { endLastTry, endRequest, endTry } from './account.ts';
import { admit, type Arrival, noEndpointReason } from './admit.ts';
import { CallerWait } from './caller-wait.ts';
import type { ThreadContext } from './context.ts';
import { ExchangeDeadline, type TimeLimit } from './exchange-deadline.ts';
import { type Head, METHOD_OTHER } from './head.ts';
import { PickFacts } from './pick-facts.ts';
import { Replay } from './replay.ts';
import { affinityCookie } from './request-key.ts';
import { isFailureStatus, isIdempotent, mayRetry } from './retry.ts';
import type { Rule } from './rule.ts';
import type { CallerStream, EndpointStream, EndpointUser } from './stream.ts';
import { tellRule } from './tell-rule.ts';
import { Try } from './try.ts';
import { Tunnel } from './tunnel.ts';

const IDLE = 0;
/** The response head has not come yet. */
const WAITING = 1;
const BODY = 2;

export class Exchange implements EndpointUser, Expiring, Account {
  readonly pick: PickFacts;
  readonly replay: Replay;
  tries = 0;
  status = 0;
  failure: FailureReason | '' = '';
  /** The rule that made it one. */
  rule: Rule | '' = '';
  startedMs = 0;
  /** What earlier tries kept the request waiting. */
  waitedMs = 0;
  /** Content, without its framing. */
  requestBytes = 0;
  responseBytes = 0;
  /** METHOD_*. */
  method = METHOD_OTHER;
  deadlineMs = Infinity;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #callerWait = new CallerWait();
  readonly #deadline = new ExchangeDeadline();
  readonly #arrival: Mutable<Arrival>;
  readonly #context: ThreadContext;
  readonly #caller: CallerStream;
  #phase = IDLE;
  #service: ServiceState;
  #target: Target | null = null;
  #policies: Policies;
  #try: Try | null = null;
  /** The whole body came. */
  #requestDone = true;
  /** A part of the body came since the last `flush`. */
  #fed = false;
  #upgrade = false;
  #backoff: Timer | null = null;

  constructor(caller: CallerStream, context: ThreadContext) {
    this.#caller = caller;
    this.#context = context;
    this.#service = caller.port.service;
    this.#policies = this.#service.service.policies;
    this.pick = new PickFacts(context.settings.node);
    this.replay = new Replay(context);
    this.#arrival = { port: caller.port, contentLength: -1, addressHash: caller.addressHash };
  }

  get active(): boolean {
    return this.#phase !== IDLE;
  }

  /** The endpoint of the present or last try, '' before the first. */
  get endpointKey(): string {
    return this.#try === null ? '' : this.#try.endpoint.key;
  }

  /** What the request keeps, and what its endpoint has not taken. */
  get waitingBytes(): number {
    return pinnedBytes(this.replay.buffer) + (this.#stream?.waitingBytes ?? 0);
  }

  get #stream(): EndpointStream | null {
    return this.#try === null ? null : this.#try.stream;
  }

  /** Starts a request whose head stands in `data[start, end)`. Then comes its body, if it `hasBody`; call `flush` afterwards. */
  // oxlint-disable-next-line max-params -- once per request, without an object
  begin(data: Buffer, head: Head, start: number, end: number, hasBody: boolean): void {
    const { port } = this.#caller;
    const now = this.#context.clock.nowMs();
    this.#reset(head, now, hasBody);
    this.replay.begin(data, head, start, end);
    beginRequest(this.#service.cells);
    if (this.#caller.isLoop) return this.#fail('loop');
    this.#arrival.port = port;
    this.#arrival.contentLength = head.contentLength;
    const verdict = admit(this.#arrival, now, this.#context);
    this.#target = verdict.target;
    if (verdict.failure !== '') return this.#fail(verdict.failure, verdict.retryAfterMs);
    const policies = (this.#serviceOfTarget as ServiceState).service.policies;
    this.#policies = policies;
    this.replay.bodyMax = policies.retry?.bodyBytes ?? 0;
    this.#deadline.setRequest(now, policies.timeouts);
    this.pick.read(policies, data, head, this.#caller.addressHash);
    this.#noteWait();
    this.#startTry(now, data, head);
  }

  /** The Service whose policies rule the request. */
  get #serviceOfTarget(): ServiceState | null {
    return this.#target === null ? null : this.#target.service;
  }

  /** Content of the request; false when nobody wants more of it. */
  onRequestBody(data: Buffer, start: number, end: number): boolean {
    this.requestBytes += end - start;
    this.#fed = true;
    const max = this.#policies.limits.requestBodyBytes;
    if (max > 0 && this.requestBytes > max) {
      this.#fail('body_too_large');
      return false;
    }
    if (this.replay.keep(data, start, end)) return true;
    const stream = this.#stream;
    if (stream === null) throw new Defect('content came that has no place to go');
    this.#sendKept(stream);
    stream.sendBody(data, start, end);
    return true;
  }

  onRequestEnd(trailers: Buffer | null): void {
    this.#fed = true;
    this.#requestDone = true;
    this.replay.trailers = trailers;
    this.#noteWait();
  }

  /** The framing of the request broke a rule: its end cannot be found. */
  onBadRequest(rule: Rule | ''): void {
    this.rule = rule;
    this.#fail('bad_request');
  }

  /** Sends what came. */
  flush(): void {
    const stream = this.#stream;
    if (stream !== null) {
      this.#sendKept(stream);
      if (this.#requestDone) stream.sendEnd(this.replay.trailers);
      if (!stream.flush() && !this.#requestDone) this.#caller.pause();
    }
    if (!this.#fed) return;
    this.#fed = false;
    this.#deadline.lastActivityMs = this.#context.wheel.nowMs;
    if (stream !== null) this.#endpointsTurn();
  }

  /** The endpoint has all that there is of the request, or it is on its way; once that is the whole, its time counts. */
  #endpointsTurn(): void {
    if (this.#phase !== WAITING || this.#try === null) return;
    const now = this.#context.clock.nowMs();
    this.#try.startedMs = now;
    if (!this.#requestDone) return;
    this.#deadline.requestSent(now);
    this.#arm();
  }

  #sendKept(stream: EndpointStream): void {
    const { buffer, sent, end } = this.replay;
    if (sent === end) return;
    this.replay.sent = end;
    stream.sendBody(buffer, sent, end);
  }

  /** We do not read from the caller any more: looks are needed at whether it is still there, and whether anything moves. */
  onCallerPaused(): void {
    if (this.#phase === IDLE) return;
    this.#noteWait();
    this.#arm();
  }

  onCallerResumed(): void {
    if (this.#phase !== IDLE) this.#noteWait();
  }

  /** Begins or ends the time that counts as the caller's own. */
  #noteWait(): void {
    const isCallersTurn =
      this.#phase === WAITING
        ? !this.#requestDone && !this.#caller.paused
        : this.#caller.waitingBytes > 0;
    const { nowMs } = this.#context.wheel;
    if (isCallersTurn) this.#callerWait.begin(nowMs);
    else this.#callerWait.end(nowMs);
  }

  onConnected(): void {
    this.#deadline.connected();
    this.#deadline.lastActivityMs = this.#context.wheel.nowMs;
    this.#arm();
  }

  onResponseActivity(): void {
    this.#deadline.lastActivityMs = this.#context.wheel.nowMs;
  }

  onInterim(data: Buffer, head: Head): void {
    if (!this.#caller.sendInterim(data, head)) this.#stream?.pause();
  }

  onResponseHead(data: Buffer, head: Head): void {
    const tried = this.#try as Try;
    const policies = this.#policies;
    const now = this.#context.clock.nowMs();
    this.status = head.status;
    tried.headMs = now;
    if (isFailureStatus(head.status)) tried.blame(now);
    else tried.answered(now);
    if (this.#retriesStatus(tried, now)) return;
    const { affinity } = policies;
    const cookie =
      affinity === null ? null : affinityCookie(affinity, tried.endpoint, this.pick.affinity);
    this.#phase = BODY;
    this.#callerWait.end(this.#context.wheel.nowMs);
    tried.watchBody(now);
    this.#caller.sendHead(data, head, cookie);
  }

  onResponseBody(data: Buffer, start: number, end: number): void {
    this.responseBytes += end - start;
    this.#caller.sendBody(data, start, end);
  }

  onResponseRead(): void {
    if (!this.#caller.flush()) {
      this.#stream?.pause();
      this.#noteWait();
    }
    this.#arm();
  }

  onResponseEnd(trailers: Buffer | null): void {
    this.#caller.sendEnd(trailers);
    const tried = this.#try as Try;
    (tried.stream as EndpointStream).release(this.#policies.limits);
    tried.stream = null;
    const now = this.#context.clock.nowMs();
    tried.praise(now);
    this.#finish(now);
    this.#caller.onExchangeDone();
  }

  onBadHead(reason: FailureReason, rule: Rule | ''): void {
    this.rule = rule;
    this.#tryFailed(null, reason);
  }

  onBadBody(rule: Rule | ''): void {
    this.rule = rule;
    this.#fail('bad_response_body');
  }

  onSwitch(data: Buffer, head: Head, from: number, end: number): void {
    const tried = this.#try as Try;
    // What follows the body of the request is the first of the new protocol, not a part of the body.
    if (!this.#upgrade || !head.upgrade || !this.#requestDone || tried.stream === null)
      return this.onBadHead('bad_response', 'upgrade_unasked');
    const now = this.#context.clock.nowMs();
    tried.answered(now);
    tried.praise(now);
    this.status = 101;
    tried.headMs = now;
    this.#caller.sendSwitch(data, head, from, end);
    this.responseBytes += end - from;
    const { cells } = this.#service;
    add(cells, SERVICE_OWN.upgradesActive, 1);
    const { stream } = tried;
    tried.stream = null;
    this.#context.wheel.disarm(this);
    // The stream learns of its tunnel below, when that knows its ends.
    const ends = { caller: this.#caller.tunnelEnd, endpoint: stream.tunnelEnd };
    const tunnel = new Tunnel(this.#context, ends, this.#policies.timeouts.idleMs, (result) => {
      add(cells, SERVICE_OWN.upgradesActive, -1);
      this.requestBytes += result.sentBytes;
      this.responseBytes += result.receivedBytes;
      this.failure = result.failure;
      this.#finish();
    });
    stream.switchTo(tunnel);
    this.#caller.switchTo(tunnel);
  }

  onEndpointDrain(): void {
    this.#caller.resume();
  }

  /** The rest of the request is read and dropped until the response, if there is one, has been read. */
  onEndpointDeaf(): void {
    this.#caller.resume();
  }

  onEndpointClosed(error: NodeJS.ErrnoException | null): void {
    const stream = this.#stream;
    if (stream === null) return;
    const isBody = this.#phase === BODY;
    // It went stale just when it was used again, as far as anybody can tell. Nothing proves that the request was not read.
    const isStale = !isBody && stream.connected && stream.mayBeStale && this.replay.isWhole;
    if (isStale && isIdempotent(this.method)) return this.#resend(stream.endpoint);
    const reason = countLoss(stream, error, isBody);
    if (isBody) this.#fail(reason);
    else this.#tryFailed(stream.connected ? 'reset' : 'connect-failure', reason);
  }

  onDefect(error: unknown): void {
    this.#caller.onDefect(error);
  }

  /** The drain is over: what runs is cut. */
  onDrainOver(): void {
    this.#cut('draining');
  }

  /** Others need the room that the caller takes. */
  onShed(): void {
    this.#fail('caller_shed');
  }

  /** An assertion failed somewhere on the way of this request: neither connection can be trusted with another one. */
  onInternalFailure(): void {
    this.#fail('internal');
  }

  /** The caller can take more. */
  onCallerDrain(): void {
    this.#noteWait();
    this.#stream?.resume();
  }

  /** The caller is gone: nobody waits for the rest. */
  onCallerClosed(): void {
    if (this.#phase !== IDLE) this.#fail('caller_gone');
    this.#context.wheel.disarm(this);
  }

  onDeadline(nowMs: number): void {
    if (this.#phase === IDLE) return;
    const tried = this.#try;
    if (tried !== null && nowMs >= tried.steadyAtMs) tried.praise(nowMs);
    const onTheirWay = this.#caller.bytesOnTheirWay() + (this.#stream?.bytesOnTheirWay() ?? 0);
    this.#deadline.noteMovement(onTheirWay, nowMs);
    if (this.#caller.hasLeft()) return this.#fail('caller_gone');
    const limit = this.#deadline.expired(nowMs, this.#phase === WAITING);
    if (limit === '') return this.#arm();
    const reason = this.#overdue(limit, nowMs);
    const isTry = this.#phase === WAITING && this.#stream !== null && limit !== 'request';
    if (isTry && blamesEndpoint(reason)) this.#timedOut(reason);
    else this.#fail(reason);
  }

  /** Who kept us waiting when a time limit was over. */
  #overdue(limit: TimeLimit, nowMs: number): FailureReason {
    if (limit === 'connect') return 'connect_timeout';
    if (limit === 'try') return 'try_timeout';
    const isBody = this.#phase === BODY;
    if (limit === 'request' && this.#callerWait.total(nowMs) * 2 > nowMs - this.startedMs)
      return isBody ? 'response_read_timeout' : 'request_body_timeout';
    if (isBody) {
      if (this.#caller.waitingBytes > 0) return 'response_read_timeout';
    } else if (this.#stream !== null && !this.#requestDone) {
      if (this.#stream.waitingBytes === 0) return 'request_body_timeout';
      if (limit === 'idle') return 'request_write_timeout';
    }
    return limit === 'idle' ? 'response_idle_timeout' : 'request_timeout';
  }

  #reset(head: Head, now: number, hasBody: boolean): void {
    const { port } = this.#caller;
    this.pick.reset(this.#caller.identify());
    this.tries = 0;
    this.status = 0;
    this.failure = '';
    this.rule = '';
    this.startedMs = now;
    this.waitedMs = 0;
    this.requestBytes = 0;
    this.responseBytes = 0;
    this.method = head.method;
    this.#callerWait.reset();
    this.#phase = WAITING;
    this.#service = port.service;
    this.#target = null;
    this.#policies = port.service.service.policies;
    this.#try = null;
    this.#requestDone = !hasBody;
    this.#fed = false;
    this.#upgrade = head.upgrade;
    this.#deadline.reset(now, this.#context.settings.callerIdleMs);
  }

  #startTry(now: number, data: Buffer, head: Head): void {
    const { backend } = this.#target as Target;
    const endpoint = backend.pick(this.pick, now);
    if (endpoint === null) return this.#fail(noEndpointReason(backend, this.pick));
    this.tries++;
    const { connector } = this.#context;
    const stream = connector.acquire(endpoint, this, isIdempotent(this.method));
    this.#begin(stream, now);
    stream.sendHead(data, head, this.#caller);
  }

  /** Same endpoint, fresh connection: a stale one is nobody's failure and no retry. */
  #resend(endpoint: EndpointState): void {
    this.#dropStream();
    endpoint.end();
    const stream = this.#context.connector.dial(endpoint, this);
    this.#begin(stream, this.#context.clock.nowMs());
    stream.sendHead(this.replay.buffer, this.#headAgain(), this.#caller);
    this.#sendAgain();
  }

  #headAgain(): Head {
    return this.#caller.headAgain(this.replay.buffer, this.replay.headBytes);
  }

  /** Sends all that is kept; a caller that waited for the stream before may go on. */
  #sendAgain(): void {
    if (this.#stream === null) return;
    this.#caller.resume();
    this.flush();
  }

  #begin(stream: EndpointStream, now: number): void {
    const { endpoint, connected } = stream;
    endpoint.begin();
    this.#try = new Try(stream, this.#policies, now);
    this.#deadline.beginTry(now, this.#policies.timeouts, connected);
    if (this.#requestDone) this.#deadline.requestSent(now);
    this.replay.rewind();
    this.#arm();
  }

  /** A try ended without a response that may be passed on: another one, or the failure it is. */
  #tryFailed(condition: RetryCondition | null, reason: FailureReason): void {
    const now = this.#context.clock.nowMs();
    this.#dropStream();
    if (blamesEndpoint(reason)) this.#try?.blame(now);
    if (condition !== null && this.#mayRetry(condition)) this.#retry(now);
    else this.#fail(reason);
  }

  #timedOut(reason: FailureReason): void {
    add((this.#try as Try).endpoint.cells, ENDPOINT_OWN.timeouts, 1);
    this.#tryFailed(reason === 'connect_timeout' ? 'connect-failure' : 'timeout', reason);
  }

  /** True when the status is retried: then this response is dropped. */
  #retriesStatus(tried: Try, now: number): boolean {
    const { retry } = this.#policies;
    if (retry === null || !retry.statuses.includes(this.status)) return false;
    if (!this.#mayRetry('status')) return false;
    // The rest of it is our own loss.
    tried.praise(now);
    this.#dropStream();
    this.#retry(now);
    return true;
  }

  #mayRetry(condition: RetryCondition): boolean {
    const { cells } = this.#serviceOfTarget as ServiceState;
    const { tries } = this;
    const replayable = this.replay.isWhole;
    const idempotent = isIdempotent(this.method);
    return mayRetry(this.#policies.retry, { tries, replayable, idempotent, condition }, cells);
  }

  #retry(now: number): void {
    const { retry } = this.#policies;
    const tried = this.#try as Try;
    const { endpoint } = tried;
    if (this.status === 0 && !tried.blamed) abandonTry(endpoint);
    else {
      const latencyMs = tried.latencyMs(now);
      this.waitedMs += latencyMs;
      endTry(endpoint, this.status, latencyMs);
    }
    this.status = 0;
    this.pick.avoid = endpoint;
    this.#try = null;
    this.#deadline.endTry();
    add(this.#service.cells, SERVICE_OWN.retries, 1);
    const delayMs = retry === null ? 0 : retryDelayMs(retry, this.tries, this.#context.random);
    if (delayMs < 1) return this.#nextTry();
    this.#arm();
    // Nobody takes the body meanwhile; without one, a caller that leaves should be noticed.
    if (!this.#requestDone) this.#caller.pause();
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
    this.#startTry(this.#context.clock.nowMs(), this.replay.buffer, this.#headAgain());
    this.#sendAgain();
  }

  #fail(reason: FailureReason, retryAfterMs = 0): void {
    const answered = this.#phase === BODY;
    const { status } = FAILURES[reason];
    if (answered || status === 0) return this.#cut(reason);
    this.status = status;
    this.#end(reason);
    this.#caller.reply(reason, retryAfterMs);
  }

  /** Ends the request without an answer of ours. */
  #cut(reason: FailureReason): void {
    if (this.#phase !== BODY) this.status = 0;
    this.#end(reason);
    this.#caller.abort();
  }

  #end(reason: FailureReason): void {
    this.failure = reason;
    this.#backoff?.cancel();
    this.#backoff = null;
    this.#dropStream();
    const now = this.#context.clock.nowMs();
    if (blamesEndpoint(reason)) this.#try?.blame(now);
    this.#finish(now);
  }

  #dropStream(): void {
    const tried = this.#try;
    if (tried === null || tried.stream === null) return;
    const { stream } = tried;
    tried.stream = null;
    stream.close();
  }

  #finish(now = this.#context.clock.nowMs()): void {
    const tried = this.#try;
    // A tunnel lasts as long as its users like; what counts is how long it took to open.
    const endMs = this.status === 101 && tried !== null ? tried.headMs : now;
    endRequest(this, this.#service.cells, endMs);
    if (tried !== null) endLastTry(this, tried, this.#serviceOfTarget, now);
    this.#context.accessLog?.write(this.#caller, this, now);
    const { rule, failure } = this;
    if (rule !== '' && failure !== '') {
      const endpoint = tried === null ? null : tried.endpoint;
      tellRule(this.#context.rules, this.#caller, { rule, reason: failure, endpoint });
    }
    this.#phase = IDLE;
    this.deadlineMs = Infinity;
    this.#try = null;
    this.replay.release();
  }

  /** Files the earliest of all deadlines of the current phase, or a look at whether a slow reader takes anything. */
  #arm(): void {
    const caller = this.#caller;
    const tried = this.#try;
    let due = this.#deadline.due(this.#phase === WAITING);
    if (tried !== null && tried.steadyAtMs < due) due = tried.steadyAtMs;
    const toEndpoint = this.#stream?.waitingBytes ?? 0;
    const isSlow = caller.paused || caller.waitingBytes > 0 || toEndpoint > 0;
    if (isSlow) due = Math.min(due, this.#context.wheel.nowMs + this.#deadline.lookMs);
    this.deadlineMs = due;
    this.#context.wheel.arm(this);
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
