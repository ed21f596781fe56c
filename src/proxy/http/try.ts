/** One try of a request on one endpoint. */

import type { FailureReason } from '../../model/failure.ts';
import type { LimitPolicy, Policies, RetryCondition } from '../../model/policy.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import { reportAnswer, reportFailure, reportSuccess, STEADY_MS } from '../balance/health.ts';
import { ENDPOINT_OWN } from '../ledger/layout.ts';
import { Defect } from '../net/copy-whole.ts';
import { abandonTry, add, endTry } from '../call/account.ts';
import type { EndpointStream } from './stream.ts';

export class Try {
  readonly endpoint: EndpointState;
  /** Null once the try is over, or its connection belongs to a tunnel. */
  stream: EndpointStream | null;
  /** When the endpoint got the last of the request that there was by then; its time runs from here. */
  startedMs: number;
  /** When the head of the final response, or a 101, came; 0 before. */
  headMs = 0;
  /** When a response that goes on counts as a success; Infinity before its head and afterwards. */
  steadyAtMs = Infinity;
  /** It counts as failed already. */
  #blamed = false;
  readonly #policies: Policies;

  constructor(stream: EndpointStream, policies: Policies, now: number) {
    this.endpoint = stream.endpoint;
    this.stream = stream;
    this.#policies = policies;
    this.startedMs = now;
  }

  /** Once per try, however much goes wrong with it. */
  blame(now: number): void {
    if (this.#blamed) return;
    this.#blamed = true;
    reportFailure(this.endpoint, this.#policies, now);
  }

  /** Another try follows. Returns how long this one kept the request waiting, 0 when that is not its fault. */
  giveUp(status: number, now: number): number {
    if (status === 0 && !this.#blamed) {
      abandonTry(this.endpoint);
      return 0;
    }
    const latencyMs = this.latencyMs(now);
    endTry(this.endpoint, status, latencyMs);
    return latencyMs;
  }

  /** The response has ended: its connection may serve another request. */
  release(limits: LimitPolicy): void {
    const { stream } = this;
    if (stream === null) throw new Defect('a response ended on a connection that was let go');
    stream.release(limits);
    this.stream = null;
  }

  /** Lets go of the connection. */
  drop(): void {
    const { stream } = this;
    this.stream = null;
    stream?.close();
  }

  /** It took too long. Returns the condition under which another one may follow. */
  timedOut(reason: FailureReason): RetryCondition {
    add(this.endpoint.cells, ENDPOINT_OWN.timeouts, 1);
    return reason === 'connect_timeout' ? 'connect-failure' : 'timeout';
  }

  /** The head of a response that is no failure came. */
  answered(now: number): void {
    reportAnswer(this.endpoint, now - this.startedMs, this.#policies, now);
  }

  /** It becomes a tunnel, and did as it should. */
  switched(now: number): void {
    this.answered(now);
    this.praise(now);
    this.headMs = now;
  }

  /** The response goes on. */
  watchBody(now: number): void {
    this.steadyAtMs = now + STEADY_MS;
  }

  /** It did as it should. Not when the try counts as failed, by its status. */
  praise(now: number): void {
    this.steadyAtMs = Infinity;
    if (!this.#blamed) reportSuccess(this.endpoint, this.#policies, now);
  }

  /**
   * How long the endpoint has kept the request waiting: from when it had the whole request to the head of its response, or to now
   * without one. How fast the caller sends and reads is none of its business.
   */
  latencyMs(now: number): number {
    return (this.headMs > 0 ? this.headMs : now) - this.startedMs;
  }
}
