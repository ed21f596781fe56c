/** Puts into Problems and log lines what happens to shadow Services. */

import type { Log } from '../base/log.ts';
import type { Problem } from '../model/service.ts';
import type { AbilityGate } from './ability-gate.ts';
import type { StarvedPort } from './decide.ts';
import type { LedgerEntry } from './ledger.ts';
import type { PortRange } from './ports.ts';
import type { Damaged } from './shadow.ts';
import * as problems from './problems.ts';
import type { HeldPort } from './wanted.ts';
import type { Written } from './writer.ts';

export interface ReporterOptions {
  /** The mesh namespace. */
  readonly namespace: string;
  readonly proxyPorts: PortRange;
  readonly log: Log;
}

type Subject = Pick<LedgerEntry, 'name' | 'service'>;

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #problems: problems.ShadowProblems;

  constructor(open: problems.ShadowProblems, options: ReporterOptions) {
    this.#problems = open;
    this.#options = options;
  }

  starved(entry: Subject, ports: readonly StarvedPort[]): void {
    if (ports.length === 0) {
      this.#problems.takeBack(entry.name, 'starved');
      return;
    }
    const problem = problems.starvedProblem(this.#subject(entry), ports, this.#options.proxyPorts);
    this.#problems.tell(entry.name, 'starved', problem);
  }

  /** Ports that wait for agents which cannot serve them. */
  held(entry: Subject, ports: readonly HeldPort[], abilities: Pick<AbilityGate, 'lacking'>): void {
    const missing = [...new Set(ports.flatMap((port) => port.missing))];
    const agents = [...new Set(missing.flatMap((ability) => abilities.lacking(ability)))];
    // Right after the start it is only a matter of seconds.
    if (agents.length === 0) {
      this.#problems.takeBack(entry.name, 'held');
      return;
    }
    const problem = problems.heldProblem(this.#subject(entry), ports, { missing, agents });
    this.#problems.tell(entry.name, 'held', problem);
  }

  late(entry: Subject, afterMs: number, laggards: readonly string[]): void {
    this.#happened(entry, 'late', problems.lateProblem(this.#subject(entry), afterMs, laggards));
  }

  drifted(entry: Subject): void {
    const problem = problems.driftProblem(this.#subject(entry), 'changed', 'it was restored');
    this.#happened(entry, 'drift', problem);
  }

  recreated(entry: LedgerEntry, { shadow }: Written): void {
    const addresses = shadow.clusterIPs.join(', ');
    const isSame = shadow.clusterIPs.length > 0 && addresses === entry.clusterIPs.join(', ');
    const outcome = isSame
      ? 'it was created again with the same address and proxy ports'
      : `it was created again with another address, ${addresses}`;
    this.#happened(entry, 'drift', problems.driftProblem(this.#subject(entry), 'deleted', outcome));
  }

  /** A copy stays what it is; anything else is repaired at once. */
  damaged(entry: Subject, damaged: Damaged): void {
    const problem = problems.damagedProblem(this.#subject(entry), damaged);
    if (damaged.isMisnamed) this.#problems.tell(entry.name, 'damaged', problem);
    else this.#happened(entry, 'drift', problem);
  }

  /** The copy is gone. */
  noCopy(name: string): void {
    this.#problems.takeBack(name, 'damaged');
  }

  foreign(entry: Subject): void {
    this.#problems.tell(entry.name, 'foreign', problems.foreignProblem(this.#subject(entry)));
  }

  ours(entry: Subject): void {
    this.#problems.takeBack(entry.name, 'foreign');
  }

  changed(entry: Subject, fields: readonly string[]): void {
    if (fields.length === 0) this.#problems.takeBack(entry.name, 'changed');
    else
      this.#problems.tell(
        entry.name,
        'changed',
        problems.changedProblem(this.#subject(entry), fields),
      );
  }

  failed(entry: Subject, message: string): void {
    const { name, service } = entry;
    this.#options.log.warn('Cannot write a shadow Service', { name, service, error: message });
    this.#problems.tell(name, 'write', problems.writeProblem(this.#subject(entry), message));
  }

  succeeded(entry: Subject): void {
    this.#problems.takeBack(entry.name, 'write');
  }

  /** Nothing of it is left to tell. */
  removed(entry: Subject): void {
    for (const kind of ['drift', 'late', 'changed', 'damaged', 'foreign', 'write'] as const)
      this.#problems.takeBack(entry.name, kind);
  }

  orphans(count: number, live: number, lossMs: number): void {
    this.#problems.tell('', 'damaged', problems.orphansProblem(count, live, lossMs));
  }

  noOrphans(): void {
    this.#problems.takeBack('', 'damaged');
  }

  #happened(entry: Subject, kind: problems.ProblemKind, problem: Problem): void {
    this.#options.log.warn(problem.message, { service: entry.service });
    this.#problems.tell(entry.name, kind, problem, true);
  }

  #subject({ service, name }: Subject): problems.Subject {
    return { service, name, namespace: this.#options.namespace };
  }
}
