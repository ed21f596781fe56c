/** The way of one request, kept for all its tries: where it leads, under which policies, and what is changed on it. */

import type { Random } from '../../base/random.ts';
import type { Policies, RetryCondition } from '../../model/policy.ts';
import type { RoutePolicies } from '../../model/route.ts';
import type { Service } from '../../model/service.ts';
import type { BackendState } from '../balance/backend-state.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import type { ExtraFields } from '../head/field-changes.ts';
import type { HeadEdit, TargetFilters } from '../head/filter.ts';
import type { Head } from '../head/head.ts';
import { Defect } from '../net/copy-whole.ts';
import { retryDelayMs } from '../policy/backoff.ts';
import type { ThreadContext } from './context.ts';
import { nobodys } from './nobodys.ts';
import type { PickFacts } from '../call/pick-facts.ts';
import type { RequestRecord } from './record.ts';
import { affinityCookie, readKeys } from './request-key.ts';
import { isIdempotent, mayRetry } from './retry.ts';
import type { Verdict } from '../call/verdict.ts';

const NOBODYS = nobodys<Policies>('a request without a caller');

export class Course {
  /** Those of the Service whose backend was chosen; before, of the one that was called. */
  policies: Policies;
  /** Retries, time limits and affinity. */
  rules: RoutePolicies;
  /** Null before there is one, and between two requests. */
  #backend: BackendState | null = null;
  #filters: TargetFilters | null = null;
  #matched = 0;

  constructor({ policies }: Service) {
    this.policies = policies;
    this.rules = policies;
  }

  /** A request begins; nothing is decided on it but which Service it calls. */
  begin({ policies }: Service): void {
    this.policies = policies;
    this.rules = policies;
    this.#filters = null;
  }

  /** It may go on to a target; `matched` is what its route matched of its path. */
  take({ target, taken, filters }: Verdict, matched: number): void {
    if (target === null || target.service === null)
      throw new Defect('a request was admitted that leads nowhere');
    this.#backend = target.backend;
    this.policies = target.service.service.policies;
    this.rules = taken.policies;
    this.#filters = filters;
    this.#matched = matched;
  }

  /** Where its tries go. */
  get backend(): BackendState {
    if (this.#backend === null) throw new Defect('a request that leads nowhere wants a try');
    return this.#backend;
  }

  /** It is over; what it was accounted by may still be asked for. */
  end(): void {
    this.#backend = null;
    this.#filters = null;
  }

  /** Between two callers: nothing of the last one is kept alive. */
  detach(): void {
    this.end();
    this.policies = NOBODYS;
    this.rules = NOBODYS;
  }

  /** Whether another try may follow: takes a token of the retry budget then. */
  mayRetry(
    condition: RetryCondition | null,
    { tries, service, grpc, isReplayable: replayable }: RequestRecord,
    method: number,
  ): boolean {
    if (condition === null) return false;
    const facts = { tries, replayable, idempotent: isIdempotent(method), condition };
    const may = mayRetry(this.rules.retry, facts, service.cells);
    if (may && condition !== 'connect-failure') grpc.seen++;
    return may;
  }

  /** What a request says of where it wants to go. */
  readKeys(pick: PickFacts, data: Buffer, head: Head, addressHash: number): void {
    readKeys(pick, this.rules, this.policies, data, head, addressHash);
  }

  /** The line that binds the session of the caller to an endpoint; null for none. */
  cookie(endpoint: EndpointState, { affinity }: PickFacts): Buffer | null {
    return affinityCookie(this.rules.affinity, endpoint, affinity);
  }

  /** The condition for another try that an answer meets, when there is so much time left; '' for none. */
  conditionOf({ status, grpc }: RequestRecord, leftMs: number): RetryCondition | '' {
    const { retry } = this.rules;
    if (retry === null) return '';
    if (grpc.active && grpc.hasStatus) return grpc.retryCondition(leftMs);
    return retry.statuses.includes(status) ? 'status' : '';
  }

  /** How long to wait before the next try. */
  backoffMs({ tries, grpc }: RequestRecord, random: Random): number {
    const { retry } = this.rules;
    if (retry === null) return 0;
    if (!grpc.active) return retryDelayMs(retry, tries, random);
    const pushedBackMs = grpc.takePushback(tries);
    if (pushedBackMs >= 0) return pushedBackMs;
    return retryDelayMs(retry, grpc.triesSincePushback(tries), random);
  }

  /** What is changed of a request, whose head stands as it came, for the present try; null for nothing. */
  editRequest(
    data: Buffer,
    head: Head,
    { grpc, present, web }: RequestRecord,
    context: ThreadContext,
  ): HeadEdit | null {
    const filtered = this.#applyFilters(data, head, context);
    if (!grpc.active) return filtered;
    const edit = web === null ? filtered : web.editRequest(data, head, filtered, context.edit);
    return grpc.edit(data, head, { edit, spare: context.edit }, present.startedMs);
  }

  #applyFilters(data: Buffer, head: Head, context: ThreadContext): HeadEdit | null {
    const filters = this.#filters;
    if (filters === null || filters.request === null) return null;
    context.path.matched = this.#matched;
    return filters.request.apply(data, head, context.path, context.edit);
  }

  /** Marks what of a final response stays behind. Returns what is added, null for nothing. */
  editResponse(data: Buffer, head: Head, { web }: RequestRecord): ExtraFields | null {
    const filters = this.#filters;
    const response = filters === null ? null : filters.response;
    if (web !== null) return web.editResponse(data, head, response);
    if (response === null) return null;
    response.mark(data, head);
    return response.extra;
  }
}
