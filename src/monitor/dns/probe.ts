/** Asks the resolver of this pod for the mesh domains, as every caller in the cluster does, and says why it does not work. */

import type { Clock, Timer } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { Problem } from '../../model/service.ts';
import { problemOf } from './problem.ts';

/** `works`: the mesh answers. `foreign`: somebody else answers for this domain. The others say how it fails. */
export type ProbeState =
  | 'unknown'
  | 'works'
  | 'not-forwarded'
  | 'foreign'
  | 'no-answer'
  | 'failed-behind'
  | 'refused'
  | 'error';

/** What is asked of `Resolver` in `node:dns/promises`, made with a timeout below the period. */
export interface SoaResolver {
  resolveSoa(domain: string): Promise<{ readonly nsname: string }>;
}

export interface DnsProbeOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly resolve: SoaResolver;
  /** Lower case, without a dot at the end. */
  readonly domains: readonly string[];
  /** Called when a state changes. */
  readonly onChange: () => void;
}

export interface DomainStatus {
  readonly domain: string;
  readonly state: ProbeState;
  /** The resolver's own word for what failed, or ''. */
  readonly detail: string;
}

const PERIOD_MS = 30_000;
const PERIOD_FAILING_MS = 5_000;
/** Share of a period that is left to chance, so that replicas do not ask together. */
const JITTER = 0.2;
/** Failures in a row before it is a problem: one lost packet is none. */
const FAILURES_BEFORE_PROBLEM = 2;

interface Domain {
  status: DomainStatus;
  failures: number;
}

export class DnsProbe {
  readonly #options: DnsProbeOptions;
  readonly #domains: readonly Domain[];
  #timer: Timer | null = null;
  #isStarted = false;
  /** Answers of a run that was stopped do not count. */
  #run = 0;

  constructor(options: DnsProbeOptions) {
    this.#options = options;
    this.#domains = options.domains.map((domain) => ({
      status: { domain, state: 'unknown', detail: '' },
      failures: 0,
    }));
  }

  /** Asks at once, then every 30 s, and every 5 s while a domain fails. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    void this.#ask(++this.#run);
  }

  stop(): void {
    this.#isStarted = false;
    this.#run += 1;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** One per domain that failed twice in a row. */
  problems(): readonly Problem[] {
    return this.#domains
      .filter(({ failures }) => failures >= FAILURES_BEFORE_PROBLEM)
      .map(({ status }) => problemOf(status));
  }

  /** Never throws: what the resolver throws is the result. */
  async #ask(run: number): Promise<void> {
    const { clock, random, resolve, onChange } = this.#options;
    const results = await Promise.all(
      this.#domains.map(({ status }) => askOnce(resolve, status.domain)),
    );
    if (run !== this.#run) return;
    let hasChanged = false;
    for (const [index, domain] of this.#domains.entries()) {
      const result = results[index];
      if (result !== undefined && this.#take(domain, result)) hasChanged = true;
    }
    const isFailing = this.#domains.some(({ failures }) => failures > 0);
    const periodMs = isFailing ? PERIOD_FAILING_MS : PERIOD_MS;
    this.#timer = clock.after(periodMs * (1 - JITTER / 2 + JITTER * random.next()), () => {
      void this.#ask(run);
    });
    if (hasChanged) onChange();
  }

  /** True when that changes what is told. */
  #take(domain: Domain, result: Answer): boolean {
    const before = domain.status;
    const wasProblem = domain.failures >= FAILURES_BEFORE_PROBLEM;
    domain.failures = result.state === 'works' ? 0 : domain.failures + 1;
    const isProblem = domain.failures >= FAILURES_BEFORE_PROBLEM;
    const isSame = before.state === result.state;
    domain.status = { domain: before.domain, ...result };
    return !isSame || wasProblem !== isProblem;
  }
}

export interface Answer {
  readonly state: ProbeState;
  readonly detail: string;
}

/** What the resolver says to one question; never throws. */
export async function askOnce(resolve: SoaResolver, domain: string): Promise<Answer> {
  try {
    const { nsname } = await resolve.resolveSoa(domain);
    const isOurs = nsname === domain || nsname.endsWith(`.${domain}`);
    return { state: isOurs ? 'works' : 'foreign', detail: isOurs ? '' : nsname };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return { state: STATE_OF_CODE[code] ?? 'error', detail: code };
  }
}

/** Codes of `node:dns`. A domain that exists without a SOA record of its own is somebody else's. */
const STATE_OF_CODE: Readonly<Record<string, ProbeState>> = {
  ENOTFOUND: 'not-forwarded',
  ENODATA: 'foreign',
  ESERVFAIL: 'failed-behind',
  EREFUSED: 'refused',
  ETIMEOUT: 'no-answer',
  ECONNREFUSED: 'no-answer',
};
