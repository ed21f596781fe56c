/** Asks the resolver of this pod for the mesh domains, as every caller in the cluster does, and says why it does not work. */

import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { Problem } from '../../model/service.ts';
import { PeriodicProbe, Streak } from '../periodic-probe.ts';
import { problemOf } from './problem.ts';
import type { DomainStatus, ProbeState } from './status.ts';

/** What is asked of `Resolver` in `node:dns/promises`, made with a timeout below the period. */
export interface SoaResolver {
  resolveSoa(domain: string): Promise<{ readonly nsname: string }>;
}

export interface DnsProbeOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Makes a new one for each query: it sends from a port of its own, so kube-proxy leads it where it likes. */
  readonly resolver: () => SoaResolver;
  /** Lower case, without a dot at the end. */
  readonly domains: readonly string[];
}

/**
 * Queries for a domain in each round. Any of them may reach another replica of the cluster DNS, and replicas read their
 * configuration each in its own time: callers are served when all of them have.
 */
const ASKS = 8;
/** One of these is said by a server that has another configuration. The others happen now and then to anybody. */
const DECIDED: ReadonlySet<ProbeState> = new Set(['not-forwarded', 'foreign', 'refused']);

export class DnsProbe {
  readonly #options: DnsProbeOptions;
  readonly #domains: readonly Streak<DomainStatus>[];
  readonly #probe: PeriodicProbe;

  constructor(options: DnsProbeOptions) {
    const { clock, random, domains } = options;
    this.#options = options;
    this.#domains = domains.map((domain) => new Streak({ domain, state: 'unknown', detail: '' }));
    this.#probe = new PeriodicProbe({ clock, random, ask: (isOver) => this.#ask(isOver) });
  }

  start(): void {
    this.#probe.start();
  }

  stop(): void {
    this.#probe.stop();
  }

  /** One per domain that failed twice in a row. */
  problems(): readonly Problem[] {
    return this.#domains
      .filter(({ isProblem }) => isProblem)
      .map(({ status }) => problemOf(status));
  }

  async #ask(isOver: () => boolean): Promise<'well' | 'failing'> {
    const { resolver } = this.#options;
    const found = await Promise.all(
      this.#domains.map(async (streak) => {
        const { domain } = streak.status;
        return { streak, status: { domain, ...(await askAround(resolver, domain)) } };
      }),
    );
    if (isOver()) return 'well';
    for (const { streak, status } of found) streak.take(status);
    return this.#domains.some(({ isFailing }) => isFailing) ? 'failing' : 'well';
  }
}

export interface Answer {
  readonly state: ProbeState;
  readonly detail: string;
}

/** What all say, or one that says otherwise; never throws. */
async function askAround(resolver: () => SoaResolver, domain: string): Promise<Answer> {
  const ask = (): Promise<Answer> => askOnce(resolver(), domain);
  const [first, ...others] = await Promise.all([ask(), ...Array.from({ length: ASKS - 1 }, ask)]);
  const answers = [first, ...others];
  const wrong = answers.find(({ state }) => DECIDED.has(state));
  if (wrong === undefined) return first;
  const count = answers.filter(({ state }) => state === wrong.state).length;
  const share = count === ASKS ? '' : `, ${count} of ${ASKS} queries`;
  return { state: wrong.state, detail: `${wrong.detail}${share}` };
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
