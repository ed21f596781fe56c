/** One caller of one service at a steady rate, counting what it sees: it knows nothing of the mesh. */

import { Agent, request, type IncomingMessage } from 'node:http';
import type { Clock, Timer } from '../../src/base/clock.ts';

export interface CallerOptions {
  /** Name of the service, for the counts. */
  readonly service: string;
  /** Where the mesh listens for it. */
  readonly address: string;
  readonly port: number;
  /** `web.shop.maesh`, sent as Host. */
  readonly host: string;
  readonly requestsPerSecond: number;
  /** The caller's own address, by which the mesh knows it. */
  readonly source: string;
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
const IN_FLIGHT_MAX = 100;
const TICK_MS = 5;
/** No caller of the demo waits longer; far beyond every limit that the mesh keeps. */
const GIVE_UP_MS = 10_000;

export class Caller {
  readonly #options: CallerOptions;
  readonly #agent: Agent;
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
    this.#agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT_MAX, maxFreeSockets: 8 });
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
    this.#agent.destroy();
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
    const { address, port, host, source, service } = this.#options;
    const user = this.#sent % USERS;
    this.#sent++;
    this.#inFlight++;
    if (this.#firstMs === 0) this.#firstMs = now;
    this.#lastMs = now;
    const call = request({
      agent: this.#agent,
      host: address,
      port,
      path: `/${service}`,
      localAddress: source,
      timeout: GIVE_UP_MS,
      headers: { host, 'x-user': String(user) },
    });
    let isOver = false;
    const finish = (error: string): void => {
      if (isOver) return;
      isOver = true;
      this.#end(error, now);
    };
    call.on('timeout', () =>
      call.destroy(Object.assign(new Error('gave up'), { code: 'GAVE_UP' })),
    );
    call.on('error', (error) => finish('code' in error ? String(error.code) : error.message));
    call.on('response', (response) => {
      response.resume();
      response.on('end', () => {
        if (response.complete) this.#account(response, user, now);
        finish(response.complete ? '' : 'CUT_SHORT');
      });
      response.on('error', () => finish('CUT_SHORT'));
    });
    call.end();
  }

  #account(response: IncomingMessage, user: number, sentMs: number): void {
    const status = response.statusCode ?? 0;
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
    const pod = response.headers['x-served-by'];
    if (typeof pod === 'string') {
      this.#pods[pod] = (this.#pods[pod] ?? 0) + 1;
      if (status === 200) this.#podsOfUser[user]?.add(pod);
      return;
    }
    if (status !== 429 && status !== 503) return;
    if (response.headers['retry-after'] === undefined) this.#withoutHint++;
    else if (status === 503) {
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
