/** What a request has beyond others when it is a call of gRPC: a deadline, the status that it ends with, what is said of its tries. */

import {
  GRPC_CODES,
  GRPC_DEADLINE_EXCEEDED,
  GRPC_UNKNOWN,
  grpcNumberOfHttp,
} from '../../model/grpc-status.ts';
import type { RetryCondition } from '../../model/policy.ts';
import { type ExtraField, ExtraFields } from '../head/field-changes.ts';
import type { HeadEdit } from '../head/filter.ts';
import {
  numberOfField,
  PUSHBACK_NEVER,
  PUSHBACK_NONE,
  pushbackMs,
  saysGrpc,
  statusOfHead,
  statusOfLines,
  TIMEOUT_BAD,
  timeoutMs,
  timeoutText,
} from '../head/grpc-field.ts';
import { FRAMING_NONE, type Head } from '../head/head.ts';
import { dropNamed, findNamed } from '../head/named.ts';
import { isFailureStatus } from './retry.ts';

const TIMEOUT = 'grpc-timeout';
const ATTEMPTS = 'grpc-previous-rpc-attempts';
/** What an endpoint is told is rounded down, and so is what its clock says of it. */
const EARLY_MS = 2;

export class GrpcCall {
  /** The request is one. */
  active = false;
  /** Clock milliseconds when its caller gives up; Infinity when it does not say. */
  deadlineMs = Infinity;
  /** When its time is over, be it by the limit of the Service. */
  untilMs = Infinity;
  /** Tries that an endpoint may have seen and that were followed by another one. */
  seen = 0;
  /** The number of the status that the endpoint gave; -1 as long as there is none. */
  #said = -1;
  /** The endpoint answered in gRPC. */
  isSpoken = false;
  /** What is read is all of the answer: nothing of it was passed on. */
  #isWhole = false;
  #timeoutMs = 0;
  /** Those of the caller itself. */
  #attempts = 0;
  #pushbackMs = PUSHBACK_NONE;
  /** Tries before the last one that was pushed back: from there on waits grow anew. */
  #pushedAt = 0;

  /** Another request begins. */
  reset(): void {
    this.active = false;
    this.deadlineMs = Infinity;
    this.#said = -1;
    this.isSpoken = false;
  }

  begin(data: Buffer, head: Head, now: number): void {
    this.active = true;
    this.seen = 0;
    this.#pushedAt = 0;
    this.#pushbackMs = PUSHBACK_NONE;
    this.#attempts = Math.max(0, numberOfField(data, head, ATTEMPTS));
    const at = findNamed(data, head, TIMEOUT);
    if (at < 0) return;
    const ms = timeoutMs(data, head.fields[at + 3] as number, head.fields[at + 4] as number);
    // It is the endpoint's to say what it thinks of one that breaks the grammar.
    if (ms === TIMEOUT_BAD) return;
    this.#timeoutMs = ms;
    this.deadlineMs = now + ms;
  }

  /** The head of an answer came. */
  readHead(data: Buffer, head: Head): void {
    this.#said = statusOfHead(data, head);
    this.isSpoken = saysGrpc(data, head);
    this.#isWhole = head.framing === FRAMING_NONE;
    this.#pushbackMs = pushbackMs(data, head);
  }

  /** The answer ended. Callers take one without any status for UNKNOWN. */
  readEnd(trailers: Buffer | null, httpStatus: number): void {
    const said = trailers === null ? -1 : statusOfLines(trailers);
    if (said >= 0) this.#said = said;
    else if (this.#said < 0 && httpStatus === 200) this.#said = GRPC_UNKNOWN;
  }

  /** The answer is dropped: another try follows. */
  dropAnswer(): void {
    this.#said = -1;
    this.isSpoken = false;
  }

  /** The number of the status that the caller makes of what the endpoint answered. */
  statusWith(httpStatus: number): number {
    return this.#said < 0 ? grpcNumberOfHttp(httpStatus) : this.#said;
  }

  /** The HTTP status that the answer counts as. */
  countedAs(httpStatus: number): number {
    // An index that an array cannot have is looked up as the name of a property.
    return this.#said < 0 ? httpStatus : (GRPC_CODES[this.#said]?.http ?? httpStatus);
  }

  /** The answer says that the endpoint could not do its work. */
  isFailure(httpStatus: number): boolean {
    return isFailureStatus(this.countedAs(httpStatus)) && !this.isOverdue;
  }

  /** The endpoint gave up when the caller would have: that says nothing about the endpoint. */
  get isOverdue(): boolean {
    return this.#said === GRPC_DEADLINE_EXCEEDED && this.deadlineMs !== Infinity;
  }

  /** Its time is over, as far as the endpoint can tell that was told so. */
  isOver(now: number): boolean {
    return this.active && now >= this.deadlineMs - EARLY_MS;
  }

  /** The answer is one of gRPC, and other statuses do not count. */
  get hasStatus(): boolean {
    return this.#said >= 0;
  }

  /** The condition for another try that the answer meets; '' for none. */
  retryCondition(leftMs: number): RetryCondition | '' {
    const waits = this.#pushbackMs !== PUSHBACK_NEVER && this.#pushbackMs < leftMs;
    return this.#isWhole && waits ? (GRPC_CODES[this.#said]?.retry ?? '') : '';
  }

  /** What the endpoint said of the wait before another try, once; -1 when the policy decides. */
  takePushback(tries: number): number {
    const ms = this.#pushbackMs;
    this.#pushbackMs = PUSHBACK_NONE;
    if (ms < 0) return -1;
    this.#pushedAt = tries;
    return ms;
  }

  /** Tries by which the policy reckons the wait. */
  triesSincePushback(tries: number): number {
    return tries - this.#pushedAt;
  }

  /**
   * Says to the endpoint how much time is left, where that is less than the caller said, and how many have seen the call. `edit` is
   * what is changed anyway, null for nothing; `spare` serves when there is something then.
   */
  edit(
    data: Buffer,
    head: Head,
    edits: { readonly edit: HeadEdit | null; readonly spare: HeadEdit },
    now: number,
  ): HeadEdit | null {
    const leftMs = this.untilMs - now;
    const isLess = this.deadlineMs !== Infinity && leftMs <= this.#timeoutMs - 1;
    if (!isLess && this.seen === 0) return edits.edit;
    const added: ExtraField[] = [];
    // A filter may have taken it out.
    if (isLess && dropNamed(data, head, TIMEOUT))
      added.push({ name: TIMEOUT, value: timeoutText(Math.max(0, leftMs)) });
    if (this.seen > 0) {
      dropNamed(data, head, ATTEMPTS);
      added.push({ name: ATTEMPTS, value: String(this.#attempts + this.seen) });
    }
    if (added.length === 0) return edits.edit;
    const edit = edits.edit ?? edits.spare.clear();
    edit.extra = new ExtraFields([...(edit.extra?.list ?? []), ...added]);
    return edit;
  }
}
