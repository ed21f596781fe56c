/** One caller of one service at a steady rate, counting what it sees: it knows nothing of the mesh. */

import type { Clock, Timer } from '../../src/base/clock.ts';
import type { Speaks } from '../shop/behaviour.ts';
import { type Asked, IN_FLIGHT_MAX, type Place, type Speaker, speakerFor } from './speakers.ts';

export interface CallerOptions extends Place {
  readonly speaks: Speaks;
  readonly requestsPerSecond: number;
  readonly clock: Clock;
}

/** What the caller saw so far. */
export interface Outcome {
  readonly sent: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** Requests that got no whole answer, by system error code. */
  readonly errors: Readonly<Record<string, number>>;
  /** Answers by the Pod that gave them. */
  readonly pods: Readonly<Record<string, number>>;
  /** Users (x-user 0 to 39) who met more than one Pod. */
  readonly movedUsers: number;
  /** Answers 429 or 503 by the mesh without Retry-After. */
  readonly refusedWithoutHint: number;
  /** Answers 503 with Retry-After: those of an open breaker. */
  readonly refusedWithHint: number;
  /** Mean time to an answer 503 with Retry-After. */
  readonly refusedMeanMs: number;
  readonly slowestMs: number;
  readonly inFlight: number;
  /** Not sent because too many were waiting already. */
  readonly heldBack: number;
  /** Clock times of the first and the last request. */
  readonly firstMs: number;
  readonly lastMs: number;
}

const USERS = 40;
const TICK_MS = 5;

export class Caller {
  readonly #options: CallerOptions;
  readonly #speaker: Speaker;
  readonly #statuses: Record<string, number> = {};
  readonly #errors: Record<string, number> = {};
  readonly #pods: Record<string, number> = {};
  readonly #podsOfUser: Set<string>[] = Array.from({ length: USERS }, () => new Set());
  #sent = 0;
  #inFlight = 0;
  #heldBack = 0;
  #withoutHint = 0;
  #withHint = 0;
  #refusedMs = 0;
  #slowestMs = 0;
  #firstMs = 0;
  #lastMs = 0;
  #owed = 0;
  #beforeMs = 0;
  #timer: Timer | undefined;
  #idle: (() => void) | undefined;

  constructor(options: CallerOptions) {
    this.#options = options;
    this.#speaker = speakerFor(options.speaks, options);
  }

  start(): void {
    const { clock } = this.#options;
    this.#beforeMs = clock.nowMs();
    this.#timer = clock.every(TICK_MS, () => this.#tick());
  }

  /** Sends nothing more and settles when the last answer is there. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    if (this.#inFlight > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    this.#speaker.close();
  }

  outcome(): Outcome {
    return {
      sent: this.#sent,
      statuses: { ...this.#statuses },
      errors: { ...this.#errors },
      pods: { ...this.#pods },
      movedUsers: this.#podsOfUser.filter((pods) => pods.size > 1).length,
      refusedWithoutHint: this.#withoutHint,
      refusedWithHint: this.#withHint,
      refusedMeanMs: this.#withHint === 0 ? 0 : this.#refusedMs / this.#withHint,
      slowestMs: this.#slowestMs,
      inFlight: this.#inFlight,
      heldBack: this.#heldBack,
      firstMs: this.#firstMs,
      lastMs: this.#lastMs,
    };
  }

  #tick(): void {
    const now = this.#options.clock.nowMs();
    // A stalled machine must not turn into a storm: at most half a second's requests are made up for.
    const passedMs = Math.min(now - this.#beforeMs, 500);
    this.#beforeMs = now;
    this.#owed += (passedMs * this.#options.requestsPerSecond) / 1_000;
    for (; this.#owed >= 1; this.#owed--) {
      if (this.#inFlight >= IN_FLIGHT_MAX) this.#heldBack++;
      else this.#send(now);
    }
  }

  #send(now: number): void {
    const user = this.#sent % USERS;
    this.#sent++;
    this.#inFlight++;
    if (this.#firstMs === 0) this.#firstMs = now;
    this.#lastMs = now;
    void this.#speaker.ask(user).then((asked) => {
      if (asked.error === '') this.#account(asked, user, now);
      this.#end(asked.error, now);
    });
  }

  #account({ status, pod, hasHint }: Asked, user: number, sentMs: number): void {
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
    if (pod !== '') {
      this.#pods[pod] = (this.#pods[pod] ?? 0) + 1;
      if (status === '200') this.#podsOfUser[user]?.add(pod);
      return;
    }
    if (status !== '429' && status !== '503') return;
    if (!hasHint) this.#withoutHint++;
    else if (status === '503') {
      this.#withHint++;
      this.#refusedMs += this.#options.clock.nowMs() - sentMs;
    }
  }

  #end(error: string, sentMs: number): void {
    this.#inFlight--;
    if (error !== '') this.#errors[error] = (this.#errors[error] ?? 0) + 1;
    this.#slowestMs = Math.max(this.#slowestMs, this.#options.clock.nowMs() - sentMs);
    if (this.#inFlight === 0) this.#idle?.();
  }
}
