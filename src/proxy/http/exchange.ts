/**
 * One request and its response, from the parsed head to the account, between a stream of a caller and one of an endpoint. Each
 * caller stream owns one and uses it again for every request.
 *
 *   begin ─ identify ─ rate limit ─ route ─ backend ─ breaker ─┬─ pick endpoint ─ send ─ await head ─ pass body ─ account
 *                                                  (next try) ◄┴───────── failed before a byte was answered
 */

import { blamesEndpoint, FAILURES, type FailureReason } from '../../model/failure.ts';
import type { RetryCondition } from '../../model/policy.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import type { Socket, SocketError } from '../net/socket.ts';
import type { Expiring } from '../net/deadline-wheel.ts';
import { noEndpointReason } from '../call/admit.ts';
import { admit } from './admit.ts';
import { abort, flush, locationOf, reply, sendBody, sendEnd } from './answer.ts';
import { BackoffWait } from './backoff-wait.ts';
import { CallerWait } from './caller-wait.ts';
import type { ThreadContext } from './context.ts';
import { Course } from './course.ts';
import { enter } from './enter.ts';
import { ExchangeDeadline } from './exchange-deadline.ts';
import { type Head, METHOD_OTHER } from '../head/head.ts';
import type { Redirector } from '../head/redirector.ts';
import { PickFacts } from '../call/pick-facts.ts';
import { overdue } from './overdue.ts';
import { RequestRecord } from './record.ts';
import { Replay } from './replay.ts';
import { isIdempotent } from './retry.ts';
import type { Rule } from '../head/rule.ts';
import type { CallerStream, EndpointStream, EndpointUser } from './stream.ts';
import { Try } from './try.ts';
import { openTunnel } from './open-tunnel.ts';
import type { WebPreflight } from './web-call.ts';

const IDLE = 0;
/** The response head has not come yet. */
const WAITING = 1;
const BODY = 2;
/** Its bytes belong to a tunnel, which has a deadline of its own. */
const TUNNEL = 3;

export class Exchange implements EndpointUser, Expiring {
  readonly pick: PickFacts;
  readonly replay: Replay;
  readonly record: RequestRecord;
  /** METHOD_*. */
  method = METHOD_OTHER;
  deadlineMs = Infinity;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #callerWait = new CallerWait();
  readonly #deadline = new ExchangeDeadline();
  readonly #context: ThreadContext;
  readonly #caller: CallerStream;
  readonly #course: Course;
  readonly #backoff = new BackoffWait();
  #phase = IDLE;
  #upgrade = false;

  constructor(caller: CallerStream, context: ThreadContext) {
    this.#caller = caller;
    this.#context = context;
    this.#course = new Course(caller.port.rules.service);
    this.pick = new PickFacts(context.settings.node);
    this.replay = new Replay(context);
    this.record = new RequestRecord(caller.port.rules, this.replay);
  }

  get active(): boolean {
    return this.#phase !== IDLE;
  }

  /** Between two callers: nothing of the last one is kept alive. */
  detach(): void {
    this.#context.wheel.disarm(this);
    this.record.detach();
    this.pick.reset(undefined);
    this.#course.detach();
  }

  /** What the request keeps, and what its endpoint has not taken. */
  get waitingBytes(): number {
    return this.replay.pinnedBytes + (this.record.stream?.waitingBytes ?? 0);
  }

  /** Starts a request whose head stands in `data[start, end)`. Then comes its body, if it `hasBody`; call `flush` afterwards. */
  // oxlint-disable-next-line max-params -- once per request, without an object
  begin(data: Buffer, head: Head, start: number, end: number, hasBody: boolean): void {
    const { port, source } = this.#caller;
    const now = this.#context.nowMs();
    this.#reset(head, now);
    this.replay.begin(data, head, start, end);
    this.replay.done = !hasBody;
    const entry = enter(this.#caller, this.replay, data, head);
    this.record.begin(data, head, now);
    if (typeof entry === 'string') return this.#fail(entry);
    if (entry !== null) return this.#answerPreflight(entry, data, head);
    const verdict = admit(port, data, head, source, now, this.#context);
    this.record.ruling = verdict.target === null ? null : verdict.target.service;
    if (verdict.failure !== '') return this.#fail(verdict.failure, verdict.retryAfterMs);
    const { redirect, mirrors } = verdict.taken;
    if (redirect !== null) return this.#redirect(redirect, data, head);
    this.#course.take(verdict, this.#context.path.matched);
    if (mirrors !== null)
      this.replay.copies = this.#context.mirrors.draw(mirrors, head, this.#caller);
    this.replay.bodyMax = this.#course.rules.retry?.bodyBytes ?? 0;
    const { grpc } = this.record;
    grpc.untilMs = this.#deadline.setRequest(now, this.#course.rules.timeouts, grpc.deadlineMs);
    if (grpc.untilMs <= now) return this.#fail('deadline_exceeded');
    this.#course.readKeys(this.pick, data, head, source.addressHash);
    this.#noteWait();
    this.#startTry(now, data, head);
  }

  /** Content of the request; false when nobody wants more of it. */
  onRequestBody(data: Buffer | null, start: number, end: number): boolean {
    if (!this.replay.take(data, start, end, this.record.stream)) {
      this.onBadRequest('web_base64');
      return false;
    }
    const max = this.#course.policies.limits.requestBodyBytes;
    if (max === 0 || this.replay.bodyBytes <= max) return true;
    this.#fail('body_too_large');
    return false;
  }

  /** Where content of the request may go without being seen; null when it must be kept, or there is no such place now. */
  get requestSocket(): Socket | null {
    return this.replay.isSeen ? null : (this.record.stream?.bodySocket ?? null);
  }

  onRequestEnd(trailers: Buffer | null): void {
    if (!this.replay.mayEnd) return this.onBadRequest('web_base64');
    this.replay.finish(trailers);
    this.#noteWait();
  }

  /** The framing of the request broke a rule: its end cannot be found. */
  onBadRequest(rule: Rule | ''): void {
    this.record.rule = rule;
    this.#fail('bad_request');
  }

  /** Sends what came. */
  flush(): void {
    const { replay } = this;
    const stream = this.record.stream;
    if (stream !== null && !replay.send(stream) && !replay.done) this.#caller.pause();
    if (!replay.fed) return;
    replay.fed = false;
    this.#deadline.lastActivityMs = this.#context.wheel.nowMs;
    if (stream !== null) this.#endpointsTurn();
  }

  /** The endpoint has all that there is of the request, or it is on its way; once that is the whole, its time counts. */
  #endpointsTurn(): void {
    if (this.#phase !== WAITING || this.record.tried === null) return;
    const now = this.#context.nowMs();
    this.record.tried.startedMs = now;
    if (!this.replay.done) return;
    this.#deadline.requestSent(now);
    this.#arm();
  }

  /** We do not read from the caller any more: looks are needed at whether it is still there, and whether anything moves. */
  onCallerPaused(): void {
    if (this.#phase === IDLE || this.#phase === TUNNEL) return;
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
        ? !this.replay.done && !this.#caller.paused
        : this.#caller.waitingBytes > 0;
    this.#callerWait.note(isCallersTurn, this.#context.wheel.nowMs);
  }

  onConnected(): void {
    this.#deadline.connected(this.#context.wheel.nowMs);
    this.#arm();
  }

  onResponseActivity(): void {
    this.#deadline.lastActivityMs = this.#context.wheel.nowMs;
  }

  onInterim(data: Buffer, head: Head): void {
    if (!this.#caller.sendInterim(data, head)) this.record.stream?.pause();
  }

  onResponseHead(data: Buffer, head: Head): void {
    const tried = this.record.present;
    const now = this.#context.nowMs();
    tried.headMs = now;
    if (this.record.noteHead(data, head)) tried.blame(now);
    else tried.answered(now);
    if (this.#retriesAnswer(tried, now)) return;
    const cookie = this.#course.cookie(tried.endpoint, this.pick);
    this.#phase = BODY;
    this.#callerWait.end(this.#context.wheel.nowMs);
    tried.watchBody(now);
    this.#caller.sendHead(data, head, cookie, this.#course.editResponse(data, head, this.record));
  }

  onResponseBody(data: Buffer | null, start: number, end: number): void {
    this.record.responseBytes += end - start;
    if (!sendBody(this.#caller, this.replay.web, data, start, end)) this.onBadBody('web_message');
  }

  get responseSocket(): Socket | null {
    return this.replay.web === null ? this.#caller.bodySocket : null;
  }

  onResponseRead(): void {
    if (!flush(this.#caller, this.replay.web)) {
      this.record.stream?.pause();
      this.#noteWait();
    }
    this.#arm();
  }

  onResponseEnd(trailers: Buffer | null): void {
    if (!sendEnd(this.#caller, this.replay.web, trailers)) return this.onBadBody('web_message');
    const tried = this.record.present;
    tried.release(this.#course.policies.limits);
    const now = this.#context.nowMs();
    if (this.record.noteEnd(trailers)) tried.blame(now);
    else if (!this.record.isOverdue) tried.praise(now);
    this.#finish(now);
    this.#caller.onExchangeDone();
  }

  onBadHead(reason: FailureReason, rule: Rule | ''): void {
    this.record.rule = rule;
    this.#tryFailed(null, reason);
  }

  onBadBody(rule: Rule | ''): void {
    this.record.rule = rule;
    this.#fail('bad_response_body');
  }

  onSwitch(data: Buffer, head: Head, from: number, end: number): void {
    const tried = this.record.present;
    // What follows the body of the request is the first of the new protocol, not a part of the body.
    if (!this.#upgrade || !head.upgrade || !this.replay.done || tried.stream === null)
      return this.onBadHead('bad_response', 'upgrade_unasked');
    tried.switched(this.#context.nowMs());
    this.#phase = TUNNEL;
    this.#caller.sendSwitch(data, head, from, end);
    this.record.beginTunnel(end - from);
    const limits = this.#course.rules.timeouts;
    const parts = { caller: this.#caller, endpoint: tried.stream, limits, home: tried.endpoint };
    tried.stream = null;
    this.#context.wheel.disarm(this);
    openTunnel(this.#context, parts, { data, head, from, end }, (result) => {
      this.record.endTunnel(result);
      this.#finish();
    });
  }

  onHeadWanted(): void {
    this.#sendHead(this.replay.buffer, this.#headAgain());
  }

  #sendHead(data: Buffer, head: Head): void {
    const edit = this.#course.editRequest(data, head, this.record, this.#context);
    this.record.stream?.sendHead(data, head, this.#caller, edit);
  }

  onEndpointDrain(): void {
    this.#caller.resume();
  }

  /** The rest of the request is read and dropped until the response, if there is one, has been read. */
  onEndpointDeaf(): void {
    this.#caller.resume();
  }

  onEndpointClosed(error: SocketError | null): void {
    const stream = this.record.stream;
    if (stream === null) return;
    const isBody = this.#phase === BODY;
    const mayResend = !isBody && this.record.mayResend(stream, this.method);
    if (mayResend) return this.#resend(stream.endpoint);
    const reason = this.record.lossOf(stream, error, isBody, this.#context.nowMs());
    if (isBody) this.#fail(reason);
    else this.#tryFailed(stream.connected ? 'reset' : 'connect-failure', reason);
  }

  onDefect(error: unknown): void {
    this.#caller.onDefect(error);
  }

  /**
   * The drain is over; others need the room that the caller takes; or an assertion failed somewhere on the way of this request, and
   * neither connection can be trusted with another one.
   */
  giveUp(reason: 'draining' | 'caller_shed' | 'internal'): void {
    this.#fail(reason);
  }

  /** The caller can take more. */
  onCallerDrain(): void {
    this.#noteWait();
    this.record.stream?.resume();
  }

  /** The caller is gone: nobody waits for the rest. */
  onCallerClosed(): void {
    if (this.#phase !== IDLE) this.#fail('caller_gone');
  }

  onDeadline(nowMs: number): void {
    if (this.#phase === IDLE) return;
    const tried = this.record.tried;
    if (tried !== null && nowMs >= tried.steadyAtMs) tried.praise(nowMs);
    const onTheirWay =
      this.#caller.bytesOnTheirWay() + (this.record.stream?.bytesOnTheirWay() ?? 0);
    this.#deadline.noteMovement(onTheirWay, nowMs);
    if (this.#caller.hasLeft()) return this.#fail('caller_gone');
    const limit = this.#deadline.expired(nowMs, this.#phase === WAITING);
    if (limit === '') return this.#arm();
    const isBody = this.#phase === BODY;
    const callerTookMost = this.#callerWait.total(nowMs) * 2 > nowMs - this.record.startedMs;
    const waiting = { isBody, callerTookMost, request: this.record };
    const reason = overdue(limit, waiting, this.#caller, this.record.stream);
    const isTry = !isBody && this.record.stream !== null && limit !== 'request';
    if (isTry && blamesEndpoint(reason))
      this.#tryFailed(this.record.present.timedOut(reason), reason);
    else this.#fail(reason);
  }

  #reset(head: Head, now: number): void {
    const { port } = this.#caller;
    this.pick.reset(this.#caller.source.identify());
    this.record.reset(port.rules, now);
    this.method = head.method;
    this.#callerWait.reset();
    this.#phase = WAITING;
    this.#course.begin(port.rules.service);
    this.#upgrade = head.upgrade;
    this.#deadline.reset(now, this.#context.settings.callerIdleMs);
  }

  #startTry(now: number, data: Buffer, head: Head): void {
    const { backend } = this.#course;
    const endpoint = backend.pick(this.pick, now);
    if (endpoint === null) return this.#fail(noEndpointReason(backend, this.pick));
    this.record.tries++;
    const stream = this.#context.connector.acquire(endpoint, this, isIdempotent(this.method));
    this.#begin(stream, now, data, head);
  }

  /** Same endpoint, fresh connection: a stale one is nobody's failure and no retry. */
  #resend(endpoint: EndpointState): void {
    const head = this.#headAgain();
    this.record.tried?.drop();
    endpoint.end();
    const stream = this.#context.connector.dial(endpoint, this);
    this.#begin(stream, this.#context.nowMs(), this.replay.buffer, head);
    this.#sendAgain();
  }

  #headAgain(): Head {
    return this.replay.mark(this.#caller.headAgain(this.replay.buffer, this.replay.headBytes));
  }

  /** Sends all that is kept; a caller that waited for the stream before may go on. */
  #sendAgain(): void {
    if (this.record.stream === null) return;
    this.#caller.resume();
    this.flush();
  }

  #begin(stream: EndpointStream, now: number, data: Buffer, head: Head): void {
    stream.endpoint.begin();
    this.record.tried = new Try(stream, this.#course.policies, now);
    this.#deadline.beginTry(now, this.#course.rules.timeouts, stream.connected);
    if (this.replay.done) this.#deadline.requestSent(now);
    this.replay.rewind();
    this.#arm();
    this.#sendHead(data, head);
  }

  /** A try ended without a response that may be passed on: another one, or the failure it is. */
  #tryFailed(condition: RetryCondition | null, reason: FailureReason): void {
    const now = this.#context.nowMs();
    this.record.tried?.drop();
    if (blamesEndpoint(reason)) this.record.tried?.blame(now);
    if (this.#course.mayRetry(condition, this.record, this.method)) this.#retry(now);
    else this.#fail(reason);
  }

  /** True when the answer is one to retry: then it is dropped. */
  #retriesAnswer(tried: Try, now: number): boolean {
    const condition = this.#course.conditionOf(this.record, this.#deadline.leftMs(now));
    if (condition === '' || !this.#course.mayRetry(condition, this.record, this.method))
      return false;
    // The rest of it is our own loss.
    if (!this.record.isOverdue) tried.praise(now);
    tried.drop();
    this.#retry(now);
    return true;
  }

  #retry(now: number): void {
    this.pick.avoid = this.record.giveUpTry(now);
    this.#deadline.endTry();
    const delayMs = this.#course.backoffMs(this.record, this.#context.random);
    if (delayMs < 1) return this.#nextTry();
    this.#arm();
    // Nobody takes the body meanwhile; without one, a caller that leaves should be noticed.
    if (!this.replay.done) this.#caller.pause();
    const next = (): void => this.#nextTry();
    const onDefect = (error: unknown): void => this.#caller.onDefect(error);
    this.#backoff.begin(this.#context.clock, delayMs, next, onDefect);
  }

  #nextTry(): void {
    this.#startTry(this.#context.nowMs(), this.replay.buffer, this.#headAgain());
    this.#sendAgain();
  }

  /** The route sends the caller elsewhere. */
  #redirect(redirect: Redirector, data: Buffer, head: Head): void {
    const location = locationOf(redirect, this.#caller, { data, head }, this.#context);
    this.record.redirect(redirect.status);
    this.#finish();
    this.#caller.redirect(redirect.status, location, redirect.extra);
  }

  #answerPreflight(web: WebPreflight, data: Buffer, head: Head): void {
    // The access log may read the head anew.
    const lines = web.lines(data, head);
    this.record.status = web.status;
    this.#finish();
    this.#caller.answer(web.status, lines, true);
  }

  #fail(reason: FailureReason, retryAfterMs = 0): void {
    const { status, connection } = FAILURES[reason];
    if (this.#phase !== WAITING || connection === 'reset') return this.#cut(reason);
    const { web } = this.replay;
    this.record.status = status;
    this.#end(reason);
    reply(this.#caller, web, reason, retryAfterMs);
  }

  /** Ends the request without an answer of ours. */
  #cut(reason: FailureReason): void {
    const { web } = this.replay;
    const isAnswered = this.#phase !== WAITING;
    if (!isAnswered) this.record.status = 0;
    this.#end(reason);
    abort(this.#caller, web, reason, isAnswered);
  }

  #end(reason: FailureReason): void {
    this.record.failure = reason;
    this.#backoff.cancel();
    this.record.tried?.drop();
    const now = this.#context.nowMs();
    if (blamesEndpoint(reason)) this.record.tried?.blame(now);
    this.#finish(now);
  }

  #finish(now = this.#context.nowMs()): void {
    this.record.finish(this.#context, this.#caller, now);
    this.#phase = IDLE;
    this.#course.end();
    this.deadlineMs = Infinity;
  }

  /** Files the earliest of all deadlines of the current phase, or a look at whether a slow reader takes anything. */
  #arm(): void {
    const caller = this.#caller;
    const steadyAtMs = this.record.tried?.steadyAtMs ?? Infinity;
    const due = Math.min(this.#deadline.due(this.#phase === WAITING), steadyAtMs);
    const isSlow =
      caller.paused || caller.waitingBytes + (this.record.stream?.waitingBytes ?? 0) > 0;
    const lookMs = isSlow ? this.#context.wheel.nowMs + this.#deadline.lookMs : Infinity;
    this.deadlineMs = Math.min(due, lookMs);
    this.#context.wheel.arm(this);
  }
}
