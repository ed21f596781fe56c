/**
 * Calls the mesh as any Pod does, to see whether callers are served:
 *
 *   name ──► address of the shadow Service ──► an agent's proxy port ──► Service maesh-probe: a replica of the controller
 *            and the proxy port of each connected agent, a few per round ──┘
 */

import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { Problem } from '../../model/service.ts';
import { PeriodicProbe, Streak } from '../periodic-probe.ts';
import type { Outcome, Target } from './call.ts';
import { agentProblem, nameProblem } from './problem.ts';
import type { PathStatus, ProbedAgent, ProbeTarget } from './status.ts';

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
}

/** Agents that are called in one round; of more, others in the next one. */
const AGENTS_PER_ROUND_MAX = 10;
/** Agents that have a Problem of their own. */
const PROBLEMS_MAX = 20;
const UNKNOWN: PathStatus = { state: 'unknown', detail: '', durationMs: 0 };

interface AgentPath {
  readonly probed: ProbedAgent;
  readonly path: Streak<PathStatus>;
}

export class DataPathProbe {
  readonly #options: DataPathProbeOptions;
  readonly #probe: PeriodicProbe;
  readonly #name = new Streak(UNKNOWN);
  /** By `ProbedAgent.agent`, in the order in which they were called last. */
  readonly #agents = new Map<string, AgentPath>();
  #target: ProbeTarget | null = null;

  constructor(options: DataPathProbeOptions) {
    const { clock, random } = options;
    this.#options = options;
    this.#probe = new PeriodicProbe({ clock, random, ask: (isOver) => this.#ask(isOver) });
  }

  start(): void {
    this.#probe.start();
  }

  stop(): void {
    this.#probe.stop();
  }

  /** Of the way through name, address and whichever agent it leads to. */
  get status(): PathStatus {
    return this.#name.status;
  }

  /** Of the way through the proxy port of an agent of this replica. */
  statusOf(agent: string): PathStatus {
    return this.#agents.get(agent)?.path.status ?? UNKNOWN;
  }

  problems(): readonly Problem[] {
    const target = this.#target;
    if (target === null) return [];
    const failing = [...this.#agents.values()].filter(({ path }) => path.isProblem);
    return [
      ...(this.#name.isProblem ? [nameProblem(target, this.#name.status)] : []),
      ...failing
        .slice(0, PROBLEMS_MAX)
        .map(({ probed, path }) => agentProblem(probed, target, path.status)),
    ];
  }

  async #ask(isOver: () => boolean): Promise<'well' | 'failing'> {
    const target = this.#options.target();
    if (target === null) this.#forget();
    else await this.#callAll(target, isOver);
    if (isOver()) return 'well';
    this.#target = target;
    const paths = [this.#name, ...[...this.#agents.values()].map(({ path }) => path)];
    return target === null || paths.some(({ isFailing }) => isFailing) ? 'failing' : 'well';
  }

  #forget(): void {
    this.#name.forget();
    this.#agents.clear();
  }

  async #callAll(target: ProbeTarget, isOver: () => boolean): Promise<void> {
    const probed = this.#next();
    const [byName, ...byAgent] = await Promise.all([
      this.#callName(target),
      ...probed.map(({ address }) =>
        this.#options.call({ address, port: target.proxyPort, host: target.host }),
      ),
    ]);
    // What was found of a target or an agent that changed meanwhile says nothing of what is there now.
    const now = this.#options.target();
    if (isOver() || now === null || !isSame(now, target)) return;
    this.#name.take(byName);
    for (const [index, each] of probed.entries()) {
      const outcome = byAgent[index];
      if (outcome === undefined) continue;
      const path = this.#agents.get(each.agent)?.path ?? new Streak(UNKNOWN);
      path.take(outcome);
      this.#agents.delete(each.agent);
      this.#agents.set(each.agent, { path, probed: each });
    }
  }

  /** Those that fail, those that were never called, then those that were called longest ago. Forgets those that are gone. */
  #next(): readonly ProbedAgent[] {
    const present = new Map(this.#options.agents().map((each) => [each.agent, each]));
    for (const [agent, { probed }] of this.#agents) {
      if (present.get(agent)?.address !== probed.address) this.#agents.delete(agent);
    }
    const known = [...this.#agents.values()];
    const failing = known.filter(({ path }) => path.isFailing);
    const well = known.filter(({ path }) => !path.isFailing);
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

function isSame(a: ProbeTarget, b: ProbeTarget): boolean {
  return a.host === b.host && a.address === b.address && a.proxyPort === b.proxyPort;
}
