/**
 * Calls the mesh as any Pod does, to see whether callers are served:
 *
 *   name ──► address of the shadow Service ──► an agent's proxy port ──► Service maesh-probe: a replica of the controller
 *            and the proxy port of each connected agent, a few per round ──┘
 */

import type { Clock, Timer } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { Problem } from '../../model/service.ts';
import type { Outcome, Target } from './call.ts';
import { agentProblem, nameProblem } from './problem.ts';

export interface ProbeTarget {
  /** `maesh-probe.maesh.maesh`. */
  readonly host: string;
  /** What that name must resolve to. */
  readonly address: string;
  readonly port: number;
  readonly proxyPort: number;
}

export interface ProbedAgent {
  /** `maesh/maesh-agent-x7k2p`. */
  readonly agent: string;
  readonly node: string;
  /** Of its Pod. */
  readonly address: string;
}

export interface DataPathProbeOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** null while Service `maesh-probe` has no mesh name. */
  readonly target: () => ProbeTarget | null;
  /** Those that are connected to this replica and ready: one that drains sends callers elsewhere. */
  readonly agents: () => readonly ProbedAgent[];
  /** Addresses of a name, as this Pod resolves it; null where callers ask another resolver. Rejects with a code of `node:dns`. */
  readonly resolve: ((host: string) => Promise<readonly string[]>) | null;
  readonly call: (target: Target) => Promise<Outcome>;
  /** What is told may have changed. */
  readonly onChange: () => void;
}

export type PathState = 'unknown' | 'no-name' | Outcome['state'];

export interface PathStatus {
  readonly state: PathState;
  /** The code or status that it failed with, or ''. */
  readonly detail: string;
  readonly durationMs: number;
}

const PERIOD_MS = 30_000;
const PERIOD_FAILING_MS = 5_000;
/** Share of a period that is left to chance. */
const JITTER = 0.2;
/** Failures in a row before it is a Problem. */
const FAILURES_BEFORE_PROBLEM = 2;
/** Agents that are called in one round; of more, others in the next one. */
const AGENTS_PER_ROUND_MAX = 10;
/** Agents that have a Problem of their own. */
const PROBLEMS_MAX = 20;
const UNKNOWN: PathStatus = { state: 'unknown', detail: '', durationMs: 0 };

interface Path {
  status: PathStatus;
  failures: number;
}

export class DataPathProbe {
  readonly #options: DataPathProbeOptions;
  readonly #name: Path = { status: UNKNOWN, failures: 0 };
  /** By `ProbedAgent.agent`, in the order in which they were called last. */
  readonly #agents = new Map<string, Path & { readonly probed: ProbedAgent }>();
  #target: ProbeTarget | null = null;
  #timer: Timer | null = null;
  /** Outcomes of a run that was stopped do not count. */
  #run = 0;

  constructor(options: DataPathProbeOptions) {
    this.#options = options;
  }

  /** Calls at once, then every 30 s, and every 5 s while something fails. */
  start(): void {
    this.#timer?.cancel();
    void this.#round(++this.#run);
  }

  stop(): void {
    this.#run += 1;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Of the way through name, address and whichever agent it leads to. */
  get status(): PathStatus {
    return this.#name.status;
  }

  /** Of the way through the proxy port of an agent of this replica. */
  statusOf(agent: string): PathStatus {
    return this.#agents.get(agent)?.status ?? UNKNOWN;
  }

  problems(): readonly Problem[] {
    const target = this.#target;
    if (target === null) return [];
    const failing = [...this.#agents.values()].filter(isProblem).slice(0, PROBLEMS_MAX);
    return [
      ...(isProblem(this.#name) ? [nameProblem(target, this.#name.status)] : []),
      ...failing.map(({ probed, status }) => agentProblem(probed, target, status)),
    ];
  }

  /** Never rejects. */
  async #round(run: number): Promise<void> {
    const { clock, random } = this.#options;
    const target = this.#options.target();
    if (target === null) this.#forget();
    else await this.#callAll(target, run);
    if (run !== this.#run) return;
    this.#target = target;
    this.#options.onChange();
    const isFailing = [this.#name, ...this.#agents.values()].some(({ failures }) => failures > 0);
    const periodMs = target === null || isFailing ? PERIOD_FAILING_MS : PERIOD_MS;
    this.#timer = clock.after(periodMs * (1 - JITTER / 2 + JITTER * random.next()), () => {
      void this.#round(run);
    });
  }

  #forget(): void {
    this.#name.status = UNKNOWN;
    this.#name.failures = 0;
    this.#agents.clear();
  }

  async #callAll(target: ProbeTarget, run: number): Promise<void> {
    const probed = this.#next();
    const [byName, ...byAgent] = await Promise.all([
      this.#callName(target),
      ...probed.map(({ address }) =>
        this.#options.call({ address, port: target.proxyPort, host: target.host }),
      ),
    ]);
    // What was found of a target or an agent that changed meanwhile says nothing of what is there now.
    const now = this.#options.target();
    if (run !== this.#run || now === null || !isSame(now, target)) return;
    take(this.#name, byName);
    for (const [index, each] of probed.entries()) {
      const outcome = byAgent[index];
      if (outcome === undefined) continue;
      const path = this.#agents.get(each.agent) ?? { status: UNKNOWN, failures: 0, probed: each };
      take(path, outcome);
      this.#agents.delete(each.agent);
      this.#agents.set(each.agent, { ...path, probed: each });
    }
  }

  /** Those that fail, those that were never called, then those that were called longest ago. Forgets those that are gone. */
  #next(): readonly ProbedAgent[] {
    const present = new Map(this.#options.agents().map((each) => [each.agent, each]));
    for (const [agent, { probed }] of this.#agents) {
      if (present.get(agent)?.address !== probed.address) this.#agents.delete(agent);
    }
    const known = [...this.#agents.values()];
    const failing = known.filter(({ failures }) => failures > 0);
    const well = known.filter(({ failures }) => failures === 0);
    const fresh = [...present.values()].filter(({ agent }) => !this.#agents.has(agent));
    // Half of a round at most for those that fail: the others are looked at too.
    return [
      ...failing.slice(0, AGENTS_PER_ROUND_MAX / 2).map(({ probed }) => probed),
      ...fresh,
      ...well.map(({ probed }) => probed),
    ].slice(0, AGENTS_PER_ROUND_MAX);
  }

  async #callName(target: ProbeTarget): Promise<PathStatus> {
    const { resolve, call } = this.#options;
    const { host, port } = target;
    let address = target.address;
    if (resolve !== null) {
      try {
        const found = await resolve(host);
        const isRight = found.includes(address);
        if (!isRight) return { state: 'no-name', detail: found.join(', '), durationMs: 0 };
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
        return { state: 'no-name', detail: code, durationMs: 0 };
      }
    }
    return call({ address, port, host });
  }
}

function take(path: Path, outcome: PathStatus): void {
  path.status = outcome;
  path.failures = outcome.state === 'works' ? 0 : path.failures + 1;
}

function isProblem({ failures }: Path): boolean {
  return failures >= FAILURES_BEFORE_PROBLEM;
}

function isSame(a: ProbeTarget, b: ProbeTarget): boolean {
  return a.host === b.host && a.address === b.address && a.proxyPort === b.proxyPort;
}
