/**
 * One request and its response, from the parsed head to the account. Each caller connection owns one and uses it again
 * for every request: nothing is allocated here but what a retry or a long body needs.
 *
 *   begin ─ identify ─ rate limit ─ route ─ backend ─ breaker ─┬─ pick endpoint ─ send ─ await head ─ pass body ─ account
 *                                                  (next try) ◄┴───────── failed before a byte was answered
 */

import type { Timer } from '../../base/clock.ts';
import { FAILURES, type FailureReason } from '../../model/failure.ts';
import type { Policies, RetryCondition } from '../../model/policy.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import type { PickRequest } from '../balance/backend-state.ts';
import { reportFailure, reportSuccess } from '../balance/health.ts';
import type { ThreadContext } from '../context.ts';
import { ENDPOINT_OWN, SERVICE_OWN, SERVICE_WORD } from '../ledger/layout.ts';
import { retryDelayMs } from '../policy/backoff.ts';
import { breakerAdmits } from '../policy/breaker.ts';
import { takeToken } from '../policy/rate-limit.ts';
import type { PortState, RouteState, ServiceState, Target } from '../table.ts';
import { add, countFailure, countForBreaker, countRequest, countTry } from './account.ts';
import { BODY_OVERHEAD_BYTES, BodyPass } from './body.ts';
import type { CallerConnection } from './caller-connection.ts';
import { EndpointConnection, type ConnectionUser } from './endpoint-connection.ts';
import {
  BAD,
  FRAMING_CLOSE,
  FRAMING_LENGTH,
  FRAMING_NONE,
  type Head,
  INCOMPLETE,
  METHOD_DELETE,
  METHOD_GET,
  METHOD_HEAD,
  METHOD_OPTIONS,
  METHOD_PUT,
  METHOD_TRACE,
} from './head.ts';
import {
  requestHeadBound,
  RESPONSE_AS_IS,
  RESPONSE_CHUNKED,
  RESPONSE_UNTIL_CLOSE,
  writeRequestHead,
  writeResponseHead,
} from './head-writer.ts';
import { writeLocalReply } from './local-reply.ts';
import { affinityCookie, affinityToken, hashOf } from './request-key.ts';
import { parseResponseHead } from './response-head.ts';
import { mayRetry } from './retry.ts';
import { Tunnel } from './tunnel.ts';

/** How long the kernel gets to hear that an endpoint had closed before a request reached it; see `#probeStale`. */
const STALE_PROBE_MS = 50;
const PROBE_BYTES = Buffer.from('\r\n');
/** Largest body that is read and thrown away to keep a connection after an early answer. */
const DISCARD_BYTES_MAX = 262_144;

const IDLE = 0;
const SENDING = 1;
const BODY = 2;
/** Answered by the proxy; the rest of the request body is read and dropped. */
const DISCARDING = 3;

export class Exchange implements ConnectionUser, PickRequest {
  phase = IDLE;
  readonly request = new BodyPass();
  // What the balancer asks for.
  hash = -1;
  node = '';
  zone = '';
  avoid: EndpointState | null = null;
  affinity = '';
  /** Tries so far, for the log. */
  tries = 0;
  status = 0;
  failure: FailureReason | '' = '';
  startedMs = 0;
  lastActivityMs = 0;
  endpoint: EndpointState | null = null;
  readonly response = new BodyPass();
  /** The head and as much of the body as fits, as it is sent: for another try, and for the log. */
  kept: Buffer | null = null;
  methodEnd = 0;
  targetEnd = 0;
  readonly #context: ThreadContext;
  readonly #caller: CallerConnection;
  #service: ServiceState | null = null;
  #target: Target | null = null;
  #policies: Policies | null = null;
  #keptEnd = 0;
  #sent = 0;
  #replayable = false;
  #upstream: EndpointConnection | null = null;
  #method = 0;
  #idempotent = false;
  http10 = false;
  #keepAlive = false;
  #upgrade = false;
  #expectsContinue = false;
  #tryStartedMs = 0;
  #requestDeadlineMs = Infinity;
  #connectDeadlineMs = Infinity;
  #tryDeadlineMs = Infinity;
  #backoff: Timer | null = null;
  #probing = false;
  #responseKeepAlive = false;
  #closeAfter = false;
  /** A socket may still hold a part of `kept`. */
  #keptShared = false;

  constructor(caller: CallerConnection, context: ThreadContext) {
    this.#caller = caller;
    this.#context = context;
  }

  get active(): boolean {
    return this.phase !== IDLE;
  }

  /** True while bytes of the caller belong to the body of this request. */
  get wantsBody(): boolean {
    return this.phase !== IDLE && !this.request.done;
  }

  /** Starts a request whose head stands in `data`. Feed the body and call `flush` afterwards. */
  begin(data: Buffer, head: Head, headBytes: number): void {
    const { port } = this.#caller;
    const context = this.#context;
    const now = context.clock.nowMs();
    this.#reset(port, head, now);
    const service = port.service;
    add(service.cells, SERVICE_OWN.inFlight, 1);
    const inFlight = Atomics.add(service.cells.words, service.cells.w + SERVICE_WORD.inFlight, 1);
    this.#writeHead(data, head, headBytes);
    if (inFlight >= service.service.policies.limits.requestsInFlight)
      return this.#refuse('overloaded', 0);
    if (service.rate !== null) {
      const waitMs =
        service.callers === null
          ? takeToken(service.cells, service.rate, now)
          : service.callers.take(this.#caller.addressHash, service.rate, now);
      if (waitMs > 0) return this.#refuse('rate_limited', waitMs);
    }
    const target = chooseTarget(port.routes[0], context);
    if (target === null) return this.#refuse('no_route', 0);
    this.#target = target;
    if (target.service === null) return this.#refuse('no_endpoint', 0);
    const policies = target.service.service.policies;
    this.#policies = policies;
    if (policies.breaker !== null) {
      const waitMs = breakerAdmits(target.service.cells, now, context.random);
      if (waitMs > 0) return this.#refuse('breaker_open', waitMs);
    }
    const { requestBodyBytes } = policies.limits;
    if (requestBodyBytes > 0 && head.contentLength > requestBodyBytes)
      return this.#refuse('body_too_large', 0);
    if (policies.timeouts.requestMs > 0)
      this.#requestDeadlineMs = now + policies.timeouts.requestMs;
    if (policies.balance.hashKey !== null) {
      this.hash = hashOf(policies.balance.hashKey, data, head, this.#caller.addressHash);
    }
    if (policies.affinity !== null)
      this.affinity = affinityToken(policies.affinity.cookie, data, head);
    this.#startTry(now);
  }

  /** Takes body bytes from `data[pos, end)` and returns how far it came. Nothing is sent before `flush`, if it fits. */
  feed(data: Buffer, pos: number, end: number): number {
    this.lastActivityMs = this.#context.wheel.nowMs;
    const room = end - pos + BODY_OVERHEAD_BYTES;
    if (this.phase === DISCARDING) return this.#discard(data, pos, end);
    if (this.#replayable && this.#makeRoom(room)) {
      const at = this.request.pass(data, pos, end, this.kept as Buffer, this.#keptEnd);
      if (at < 0) return this.#badBody(end);
      this.#keptEnd = at;
    } else {
      this.#replayable = false;
      this.flush();
      const at = this.request.pass(data, pos, end, this.#context.out, 0);
      if (at < 0) return this.#badBody(end);
      const upstream = this.#upstream;
      if (upstream !== null && at > 0 && !this.#context.writeOut(upstream.socket, at))
        this.#caller.pause();
    }
    const max = this.#policies?.limits.requestBodyBytes ?? 0;
    if (max > 0 && this.request.bytes > max) this.#fail('body_too_large');
    return this.phase === IDLE ? end : this.request.pos;
  }

  /** Sends what was fed. */
  flush(): void {
    const upstream = this.#upstream;
    if (upstream === null || this.#sent === this.#keptEnd) return;
    const from = this.#sent;
    this.#sent = this.#keptEnd;
    const more = upstream.socket.write((this.kept as Buffer).subarray(from, this.#keptEnd));
    if (!more && !this.request.done) this.#caller.pause();
  }

  onConnected(): void {
    this.#connectDeadlineMs = Infinity;
    this.lastActivityMs = this.#context.wheel.nowMs;
    const tryMs = this.#policies?.timeouts.tryMs ?? 0;
    if (tryMs > 0) this.#tryDeadlineMs = this.#tryStartedMs + tryMs;
    this.arm();
  }

  onResponseData(data: Buffer, length: number): void {
    this.lastActivityMs = this.#context.wheel.nowMs;
    let pos = 0;
    while (this.phase === SENDING && pos < length) {
      const head = this.#context.responseHead;
      const next = parseResponseHead(data, pos, length, head, this.#context.settings, this.#method);
      if (next === INCOMPLETE)
        return (this.#upstream as EndpointConnection).keep(data, pos, length);
      if (next === BAD) {
        const tooLarge = head.failure === 'response_head_too_large';
        return this.#tryFailed(null, tooLarge ? 'response_head_too_large' : 'bad_response', false);
      }
      if (head.status >= 200) return this.#respond(data, next, length, head);
      if (head.status === 101) return this.#switchProtocols(data, next, length, head);
      pos = next;
      if (!this.http10) this.#writeInterim(data, head);
    }
    if (this.phase === BODY) this.#passResponse(data, pos, length);
  }

  onResponseEnd(): void {
    if (this.phase === BODY && this.response.framing === FRAMING_CLOSE) {
      const at = this.response.finish(this.#context.out, 0);
      if (at > 0) this.#context.writeOut(this.#caller.socket, at);
      return this.#complete();
    }
    if (this.phase === SENDING && this.#mayBeStale()) return this.#probeStale();
    this.onUpstreamClosed(null);
  }

  onUpstreamDrain(): void {
    this.#caller.resume();
  }

  onUpstreamClosed(error: NodeJS.ErrnoException | null): void {
    const upstream = this.#upstream;
    if (upstream === null) return;
    if (this.phase === BODY) {
      if (this.response.framing === FRAMING_CLOSE && error === null) return this.onResponseEnd();
      return this.#fail('endpoint_reset_body');
    }
    if (!upstream.connected) {
      add(upstream.endpoint.cells, ENDPOINT_OWN.connectFailures, 1);
      return this.#tryFailed('connect-failure', 'connect_failed', false);
    }
    // The request provably never reached a live socket, or may be repeated anyway: the connection was stale.
    const stale =
      this.#mayBeStale() && (this.#idempotent || (this.#probing && error?.code === 'EPIPE'));
    if (!stale) add(upstream.endpoint.cells, ENDPOINT_OWN.resets, 1);
    this.#tryFailed('reset', 'endpoint_reset', stale);
  }

  /** The caller can take more. */
  onCallerDrain(): void {
    this.#upstream?.socket.resume();
  }

  /** The caller is gone: nobody waits for the rest. */
  onCallerClosed(): void {
    if (this.phase === DISCARDING) this.phase = IDLE;
    else if (this.phase !== IDLE) this.#fail('caller_gone');
  }

  /** Looks at what is due; the caller connection's deadline covers its exchange. */
  onDeadline(nowMs: number): void {
    if (this.phase === DISCARDING) return this.#stopDiscarding();
    if (nowMs >= this.#requestDeadlineMs) return this.#fail('request_timeout');
    if (nowMs >= this.#connectDeadlineMs) {
      if (this.endpoint !== null) add(this.endpoint.cells, ENDPOINT_OWN.timeouts, 1);
      return this.#tryFailed('connect-failure', 'connect_timeout', false);
    }
    if (this.phase === SENDING && nowMs >= this.#tryDeadlineMs) return this.#tryTimedOut();
    const idleMs = this.#policies?.timeouts.idleMs ?? 0;
    if (idleMs > 0 && nowMs >= this.lastActivityMs + idleMs) {
      if (!this.request.done && this.phase === SENDING) return this.#fail('request_body_timeout');
      if (this.phase === SENDING) return this.#tryTimedOut();
      return this.#fail('response_idle_timeout');
    }
    this.arm();
  }

  /** Files the earliest of all deadlines of the current phase. */
  arm(): void {
    let due = this.#requestDeadlineMs;
    if (this.#connectDeadlineMs < due) due = this.#connectDeadlineMs;
    if (this.phase === SENDING && this.#tryDeadlineMs < due) due = this.#tryDeadlineMs;
    const idleMs = this.#policies?.timeouts.idleMs ?? this.#context.settings.callerIdleMs;
    const idle = idleMs > 0 ? this.lastActivityMs + idleMs : Infinity;
    this.#caller.deadlineMs = idle < due ? idle : due;
    this.#context.wheel.arm(this.#caller);
  }

  #reset(port: PortState, head: Head, now: number): void {
    const caller = this.#caller;
    this.phase = SENDING;
    this.startedMs = now;
    this.lastActivityMs = now;
    this.tries = 0;
    this.status = 0;
    this.failure = '';
    this.endpoint = null;
    this.avoid = null;
    this.hash = -1;
    this.affinity = '';
    const identity = caller.identify();
    this.node = identity === undefined ? '' : identity.node;
    this.zone = identity === undefined ? '' : identity.zone;
    this.#service = port.service;
    this.#target = null;
    this.#policies = null;
    this.#upstream = null;
    this.#method = head.method;
    this.#idempotent = isIdempotent(head.method);
    this.http10 = head.minor === 0;
    this.#keepAlive = head.keepAlive;
    this.#upgrade = head.upgrade;
    this.#expectsContinue = head.expectContinue;
    this.#requestDeadlineMs = Infinity;
    this.#connectDeadlineMs = Infinity;
    this.#tryDeadlineMs = Infinity;
    this.#probing = false;
    this.#closeAfter = false;
    this.#keptShared = false;
    this.response.begin(FRAMING_NONE, 0, false);
    this.request.begin(head.framing, head.contentLength, head.chunked);
  }

  #writeHead(data: Buffer, head: Head, headBytes: number): void {
    const bound = requestHeadBound(headBytes) + this.#caller.forwarding.address.length;
    let kept = this.#context.takeSlab();
    if (bound > kept.length) {
      this.#context.giveSlab(kept);
      kept = Buffer.allocUnsafeSlow(bound);
    }
    this.kept = kept;
    this.#keptEnd = writeRequestHead(
      kept,
      data,
      head,
      this.#caller.forwarding,
      this.#caller.fallbackHost,
    );
    this.#sent = 0;
    this.#replayable = true;
    this.methodEnd = head.methodEnd - head.methodStart;
    const target = head.targetEnd - head.targetStart;
    this.targetEnd = this.methodEnd + 1 + (target === 0 ? 1 : target);
  }

  /** Grows the kept bytes for `more`; false when the request is too long to be kept. */
  #makeRoom(more: number): boolean {
    const kept = this.kept as Buffer;
    const needed = this.#keptEnd + more;
    if (needed <= kept.length) return true;
    const bodyMax = this.#policies?.retry?.bodyBytes ?? 0;
    if (this.request.bytes + more > bodyMax + BODY_OVERHEAD_BYTES) return false;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, kept.length * 2));
    kept.copy(larger, 0, 0, this.#keptEnd);
    this.kept = larger;
    return true;
  }

  #startTry(now: number): void {
    const target = this.#target as Target;
    const endpoint = target.backend.pick(this, now);
    if (endpoint === null) {
      return this.#fail(target.backend.size === 0 ? 'no_endpoint' : 'no_healthy_endpoint');
    }
    this.tries++;
    this.#send(endpoint, EndpointConnection.acquire(endpoint, this.#context, this), now);
  }

  #send(endpoint: EndpointState, upstream: EndpointConnection, now: number): void {
    const { timeouts } = this.#policies as Policies;
    endpoint.begin();
    this.endpoint = endpoint;
    this.#upstream = upstream;
    this.#tryStartedMs = now;
    this.#probing = false;
    this.#connectDeadlineMs =
      !upstream.connected && timeouts.connectMs > 0 ? now + timeouts.connectMs : Infinity;
    this.#tryDeadlineMs = timeouts.tryMs > 0 ? now + timeouts.tryMs : Infinity;
    this.#sent = 0;
    this.arm();
  }

  #writeInterim(data: Buffer, head: Head): void {
    const { out } = this.#context;
    const how = {
      framing: RESPONSE_AS_IS,
      close: false,
      http10: false,
      upgrade: false,
      extra: null,
    };
    this.#context.writeOut(this.#caller.socket, writeResponseHead(out, 0, data, head, how));
    // The caller may now send its body: it has the whole idle time for that.
    this.#expectsContinue = false;
  }

  #respond(data: Buffer, headEnd: number, length: number, head: Head): void {
    const policies = this.#policies as Policies;
    const now = this.#context.clock.nowMs();
    const { status } = head;
    if (policies.retry !== null && this.#retryStatus(status, now)) return;
    const endpoint = this.endpoint as EndpointState;
    const latencyMs = now - this.#tryStartedMs;
    if (isFailureStatus(status)) this.#endpointFailed(endpoint, now);
    else reportSuccess(endpoint, latencyMs, policies, now);
    this.status = status;
    const { framing } = head;
    const asIs = framing === FRAMING_NONE || framing === FRAMING_LENGTH;
    const { draining } = this.#context;
    this.#responseKeepAlive = head.keepAlive;
    this.#closeAfter =
      !this.#keepAlive ||
      draining ||
      this.#caller.port.closed ||
      !this.request.done ||
      (!asIs && this.http10);
    this.response.begin(framing, head.contentLength, !asIs && !this.http10);
    const cookie = policies.affinity;
    const at = writeResponseHead(this.#context.out, 0, data, head, {
      framing: asIs ? RESPONSE_AS_IS : this.http10 ? RESPONSE_UNTIL_CLOSE : RESPONSE_CHUNKED,
      close: this.#closeAfter,
      http10: this.http10,
      upgrade: false,
      extra: cookie === null ? null : affinityCookie(cookie, endpoint, this.affinity),
    });
    this.phase = BODY;
    this.#tryDeadlineMs = Infinity;
    this.#passBody(data, headEnd, length, at);
  }

  #passResponse(data: Buffer, pos: number, length: number): void {
    this.#passBody(data, pos, length, 0);
  }

  /** Sends body bytes behind what already stands in the write buffer, in one write. */
  #passBody(data: Buffer, pos: number, length: number, from: number): void {
    const at = this.response.pass(data, pos, length, this.#context.out, from);
    if (at < 0) return this.#fail('bad_response_body');
    const more = at === 0 || this.#context.writeOut(this.#caller.socket, at);
    if (this.response.done) {
      // Bytes beyond the response mean that the endpoint is out of step: its connection is not used again.
      if (this.response.pos < length) this.#responseKeepAlive = false;
      return this.#complete();
    }
    if (!more) this.#upstream?.socket.pause();
  }

  #switchProtocols(data: Buffer, headEnd: number, length: number, head: Head): void {
    if (!this.#upgrade || !head.upgrade) return this.#tryFailed(null, 'bad_response', false);
    const now = this.#context.clock.nowMs();
    const policies = this.#policies as Policies;
    reportSuccess(this.endpoint as EndpointState, now - this.#tryStartedMs, policies, now);
    this.status = 101;
    const how = {
      framing: RESPONSE_AS_IS,
      close: false,
      http10: false,
      upgrade: true,
      extra: null,
    };
    let at = writeResponseHead(this.#context.out, 0, data, head, how);
    at += data.copy(this.#context.out, at, headEnd, length);
    this.#context.writeOut(this.#caller.socket, at);
    const upstream = this.#upstream as EndpointConnection;
    const { cells } = this.#service as ServiceState;
    add(cells, SERVICE_OWN.upgradesActive, 1);
    const tunnel = new Tunnel(
      this.#context,
      { caller: this.#caller, upstream },
      policies.timeouts.idleMs,
      (sent, received) => {
        add(cells, SERVICE_OWN.upgradesActive, -1);
        this.request.bytes += sent;
        this.response.bytes += received;
        this.#finish();
      },
    );
    this.#upstream = null;
    this.#caller.switchTo(tunnel);
  }

  #complete(): void {
    const upstream = this.#upstream as EndpointConnection;
    const { limits } = this.#policies as Policies;
    this.#upstream = null;
    this.#keptShared = upstream.socket.writableLength !== 0;
    if (this.#responseKeepAlive && this.request.done && !this.#keptShared) {
      upstream.release(limits.idleConnectionsPerEndpoint, limits.idleConnectionMs);
    } else upstream.close();
    this.#finish();
    this.#caller.onExchangeDone(this.#closeAfter);
  }

  /** A try ended without a response that may be passed on: another one, or the failure it is. */
  #tryFailed(condition: RetryCondition | null, reason: FailureReason, stale: boolean): void {
    const endpoint = this.endpoint as EndpointState;
    const now = this.#context.clock.nowMs();
    this.#dropUpstream();
    this.#connectDeadlineMs = Infinity;
    this.#tryDeadlineMs = Infinity;
    if (stale && this.#replayable) {
      endpoint.end();
      return this.#resend(endpoint, new EndpointConnection(endpoint, this.#context, this), now);
    }
    this.#endpointFailed(endpoint, now);
    if (condition !== null && this.#canRetry(condition)) return this.#retry(now);
    this.#fail(reason);
  }

  #tryTimedOut(): void {
    add((this.endpoint as EndpointState).cells, ENDPOINT_OWN.timeouts, 1);
    this.#tryFailed('timeout', 'try_timeout', false);
  }

  #endpointFailed(endpoint: EndpointState, now: number): void {
    add(endpoint.cells, ENDPOINT_OWN.failed, 1);
    reportFailure(endpoint, this.#policies as Policies, now);
  }

  /** True when the status is retried: then this response is dropped. */
  #retryStatus(status: number, now: number): boolean {
    const { retry } = this.#policies as Policies;
    if (retry === null || !retry.statuses.includes(status) || !this.#canRetry('status'))
      return false;
    this.#endpointFailed(this.endpoint as EndpointState, now);
    this.status = status;
    this.#dropUpstream();
    this.#retry(now);
    return true;
  }

  #canRetry(condition: RetryCondition): boolean {
    const service = (this.#target as Target).service as ServiceState;
    const tryFacts = {
      tries: this.tries,
      replayable: this.#replayable,
      idempotent: this.#idempotent,
      condition,
    };
    return mayRetry((this.#policies as Policies).retry, tryFacts, service.cells);
  }

  #retry(now: number): void {
    const { retry } = this.#policies as Policies;
    this.#countTry(now);
    this.status = 0;
    this.avoid = this.endpoint;
    this.endpoint = null;
    add((this.#service as ServiceState).cells, SERVICE_OWN.retries, 1);
    const delayMs = retry === null ? 0 : retryDelayMs(retry, this.tries, this.#context.random);
    if (delayMs < 1) return this.#nextTry();
    this.arm();
    this.#backoff = this.#context.clock.after(delayMs, () => this.#nextTry());
  }

  #nextTry(): void {
    this.#backoff = null;
    this.#startTry(this.#context.clock.nowMs());
    this.flush();
  }

  #resend(endpoint: EndpointState, upstream: EndpointConnection, now: number): void {
    this.#send(endpoint, upstream, now);
    this.flush();
  }

  #mayBeStale(): boolean {
    return this.#upstream?.reused === true && this.#replayable;
  }

  /**
   * An endpoint closed a reused connection before it answered. For a request that must not run twice, find out whether
   * it had closed before the request came: then its kernel has refused our bytes with a reset, and the next write fails
   * with EPIPE at once. Otherwise the endpoint has read the request and may have acted on it.
   */
  #probeStale(): void {
    if (this.#idempotent) return this.onUpstreamClosed(null);
    const upstream = this.#upstream as EndpointConnection;
    this.#probing = true;
    this.#context.clock.after(STALE_PROBE_MS, () => {
      if (this.#upstream !== upstream || upstream.closed) return;
      upstream.socket.write(PROBE_BYTES, (error) => {
        if (error === null || error === undefined) upstream.socket.destroy();
      });
    });
  }

  #discard(data: Buffer, pos: number, end: number): number {
    const at = this.request.pass(data, pos, end, this.#context.out, 0);
    if (at < 0 || this.request.bytes > DISCARD_BYTES_MAX) this.#stopDiscarding();
    else if (this.request.done) {
      this.phase = IDLE;
      this.#caller.onExchangeDone(this.#closeAfter);
    }
    return at < 0 ? end : this.request.pos;
  }

  #stopDiscarding(): void {
    this.phase = IDLE;
    this.#caller.onExchangeDone(true);
  }

  #badBody(end: number): number {
    this.#fail('bad_request');
    return end;
  }

  /** Ends the request before a backend was asked. */
  #refuse(reason: FailureReason, retryAfterMs: number): void {
    this.#fail(reason, retryAfterMs);
  }

  #fail(reason: FailureReason, retryAfterMs = 0): void {
    const answered = this.phase === BODY;
    this.failure = reason;
    this.#backoff?.cancel();
    this.#backoff = null;
    this.#dropUpstream();
    const { status } = FAILURES[reason];
    if (!answered) this.status = status;
    this.#finish();
    const caller = this.#caller;
    if (answered || status === 0) return caller.abort();
    // Only a short body is worth reading to keep the connection; after Expect it may never come.
    const dropRest = !this.request.done;
    this.#closeAfter =
      !this.#keepAlive ||
      this.#context.draining ||
      caller.port.closed ||
      (dropRest && !this.#mayDiscard(reason));
    const reply = {
      reason,
      retryAfterMs,
      close: this.#closeAfter,
      head: this.#method === METHOD_HEAD,
      http10: this.http10,
    };
    this.#context.writeOut(caller.socket, writeLocalReply(this.#context.out, reply));
    if (!dropRest || this.#closeAfter) return caller.onExchangeDone(this.#closeAfter);
    this.phase = DISCARDING;
    this.lastActivityMs = this.#context.wheel.nowMs;
    caller.resume();
  }

  #mayDiscard(reason: FailureReason): boolean {
    return (
      !this.#expectsContinue &&
      reason !== 'bad_request' &&
      reason !== 'body_too_large' &&
      reason !== 'request_body_timeout'
    );
  }

  #dropUpstream(): void {
    if (this.#upstream === null) return;
    if (this.#upstream.socket.writableLength !== 0) this.#keptShared = true;
    this.#upstream.close();
    this.#upstream = null;
  }

  #countTry(now: number): void {
    const { endpoint } = this;
    if (endpoint === null) return;
    endpoint.end();
    countTry(endpoint, this.status, now - this.#tryStartedMs);
  }

  #finish(): void {
    const now = this.#context.clock.nowMs();
    const { cells } = this.#service as ServiceState;
    Atomics.sub(cells.words, cells.w + SERVICE_WORD.inFlight, 1);
    add(cells, SERVICE_OWN.inFlight, -1);
    const fromEndpoint = this.endpoint !== null;
    if (fromEndpoint) {
      const status = this.failure === '' ? this.status : 0;
      const localStatus = this.status;
      this.status = status;
      this.#countTry(now);
      this.status = localStatus;
      const breaker = (this.#target as Target).service?.statusCells ?? null;
      if (breaker !== null && this.failure !== 'caller_gone') countForBreaker(breaker, status);
    }
    countRequest(cells, this.status, now - this.startedMs);
    add(cells, SERVICE_OWN.requestBytes, this.request.bytes);
    add(cells, SERVICE_OWN.responseBytes, this.response.bytes);
    if (this.failure !== '') countFailure(cells, this.failure);
    if (this.#context.accessLog !== null) this.#caller.logAccess(this, now);
    this.phase = IDLE;
    this.endpoint = null;
    const kept = this.kept as Buffer;
    this.kept = null;
    if (!this.#keptShared) this.#context.giveSlab(kept);
  }
}

function chooseTarget(route: RouteState | undefined, context: ThreadContext): Target | null {
  if (route === undefined) return null;
  const { targets, weights } = route;
  if (targets.length === 1) return targets[0] as Target;
  let rest = context.random.next() * route.totalWeight;
  for (let i = 0; i < targets.length; i++) {
    rest -= weights[i] as number;
    if (rest < 0) return targets[i] as Target;
  }
  return null;
}

function isIdempotent(method: number): boolean {
  return (
    method === METHOD_GET ||
    method === METHOD_HEAD ||
    method === METHOD_PUT ||
    method === METHOD_DELETE ||
    method === METHOD_OPTIONS ||
    method === METHOD_TRACE
  );
}

/** Statuses that say that the endpoint could not do its work. */
function isFailureStatus(status: number): boolean {
  return status === 502 || status === 503 || status === 504;
}
