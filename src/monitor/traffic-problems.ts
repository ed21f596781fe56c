/** Services that fail their callers, as Problems: what agents report, and Services without an endpoint. */

import type { Clock } from '../base/clock.ts';
import type { Problem, Service, Snapshot } from '../model/service.ts';
import { noEndpointProblem, type Trouble, troubleProblem } from '../model/trouble.ts';

export interface TrafficProblemsOptions {
  readonly clock: Clock;
  readonly snapshot: () => Snapshot;
  /** `namespace/name` of a Service that others watch. */
  readonly except: string;
  /** Of the agents of this replica, and of all others as far as they are known. */
  readonly troubles: () => Iterable<Trouble>;
}

/** A Service may be without an endpoint for this long: its only Pod is being replaced. */
const BARE_MS = 15_000;
/** Problems that are made here. */
const PROBLEMS_MAX = 500;

export class TrafficProblems {
  readonly #options: TrafficProblemsOptions;
  /** Since when a Service has had no endpoint. */
  #bare = new Map<string, number>();

  constructor(options: TrafficProblemsOptions) {
    this.#options = options;
  }

  /** Services that are not known (any more) have none. To be called every second or so: what lasts is told by it. */
  problems(): readonly Problem[] {
    const { services } = this.#options.snapshot();
    const found = new Map<string, Problem>();
    /** Told better by those who were called. */
    const called = new Set<string>();
    for (const trouble of this.#options.troubles()) {
      const service = services.get(trouble.service);
      if (service === undefined || service.key === this.#options.except) continue;
      if (found.size >= PROBLEMS_MAX) break;
      if (trouble.detail === 'no_endpoint') called.add(service.key);
      found.set(JSON.stringify(trouble), troubleProblem(trouble, service));
    }
    return [...found.values(), ...this.#bareProblems(services.values(), called)].slice(
      0,
      PROBLEMS_MAX,
    );
  }

  *#bareProblems(services: Iterable<Service>, called: ReadonlySet<string>): Generator<Problem> {
    const nowMs = this.#options.clock.nowMs();
    const bare = new Map<string, number>();
    for (const service of services) {
      const problem = noEndpointProblem(service);
      if (problem === null || service.key === this.#options.except) continue;
      const sinceMs = this.#bare.get(service.key) ?? nowMs;
      bare.set(service.key, sinceMs);
      if (nowMs - sinceMs >= BARE_MS && !called.has(service.key)) yield problem;
    }
    this.#bare = bare;
  }
}
