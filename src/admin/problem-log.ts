/** Tells the operator of each problem once when it appears and once when it is gone. */

import type { Log } from '../base/log.ts';
import type { Problem } from '../model/service.ts';

/** More than this many new ones at a time are summed up: the whole list is in /api/problems and `maesh check`. */
const SHOWN_MAX = 20;

export class ProblemLog {
  readonly #log: Log;
  #known = new Map<string, Problem>();

  constructor(log: Log) {
    this.#log = log;
  }

  show(problems: readonly Problem[]): void {
    const now = new Map(problems.map((problem) => [idOf(problem), problem]));
    const added = [...now].filter(([id]) => !this.#known.has(id)).map(([, problem]) => problem);
    for (const problem of added.slice(0, SHOWN_MAX)) this.#tell(problem);
    if (added.length > SHOWN_MAX) {
      this.#log.warn(`${added.length - SHOWN_MAX} more problems: "maesh check" lists them all`);
    }
    const gone = [...this.#known].filter(([id]) => !now.has(id));
    for (const [, problem] of gone.slice(0, SHOWN_MAX)) {
      this.#log.info(`Fixed: ${placeOf(problem)}`);
    }
    this.#known = now;
  }

  #tell(problem: Problem): void {
    const where = problem.location === '' ? '' : ` (${problem.location})`;
    const text = `${placeOf(problem)}${valueOf(problem)}: ${problem.message}; ${problem.remedy}${where}`;
    if (problem.severity === 'error') this.#log.error(text);
    else this.#log.warn(text);
  }
}

/** A problem of a whole file has no field. */
function placeOf({ object, field }: Problem): string {
  return field === '' ? object : `${object} ${field}`;
}

/** Values make a line useful, but a mapping in a wrong place may have anything in it: the `env` of a container, too. */
function valueOf({ value }: Problem): string {
  return value === '' || /^[{[]/.test(value) ? '' : ` is "${value}"`;
}

function idOf(problem: Problem): string {
  return JSON.stringify([
    problem.severity,
    problem.object,
    problem.field,
    problem.value,
    problem.message,
  ]);
}
