/** Stands in for fast-check in a run with many inputs: the same library, with more runs of each property, up to a time limit. */

import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';
import * as real from 'fast-check';

export * from 'fast-check';

/** One line of the file MAESH_TEST_INPUTS_REPORT: what one property got. */
export interface Tried {
  readonly file: string;
  /** Inputs that were tried. */
  readonly inputs: number;
  /** Inputs that it was to get. */
  readonly wanted: number;
}

const FACTOR = Number(process.env['MAESH_TEST_INPUTS'] ?? 50);
const SECONDS = Number(process.env['MAESH_TEST_INPUTS_SECONDS'] ?? 10);
const REPORT = process.env['MAESH_TEST_INPUTS_REPORT'] ?? '';
const RUNS_DEFAULT = 100;

function more<T>(
  property: real.IRawProperty<T>,
  parameters: real.Parameters<T> | undefined,
): real.Parameters<T> {
  const wanted = FACTOR * (parameters?.numRuns ?? RUNS_DEFAULT);
  const note = ({ numRuns: inputs }: real.RunDetails<T>): void => {
    const tried: Tried = { file: relative('.', process.argv[1] ?? ''), inputs, wanted };
    if (REPORT !== '') appendFileSync(REPORT, `${JSON.stringify(tried)}\n`);
  };
  const limited = {
    // A seed or a path that a test fixes would try the same inputs again.
    ...(parameters === undefined ? {} : withoutSeed(parameters)),
    numRuns: wanted,
    interruptAfterTimeLimit: SECONDS * 1_000,
  };
  if (!property.isAsync()) {
    const reporter = (details: real.RunDetails<T>): void => {
      note(details);
      if (details.failed) throw failure(real.defaultReportMessage(details), details);
    };
    return { ...limited, reporter };
  }
  const asyncReporter = async (details: real.RunDetails<T>): Promise<void> => {
    note(details);
    if (details.failed) throw failure(await real.asyncDefaultReportMessage(details), details);
  };
  return { ...limited, asyncReporter };
}

function failure<T>(message: string | undefined, { errorInstance }: real.RunDetails<T>): Error {
  return new Error(message, { cause: errorInstance });
}

function withoutSeed<T>({
  seed: _seed,
  path: _path,
  ...rest
}: real.Parameters<T>): real.Parameters<T> {
  return rest;
}

export const assert = (<T>(property: real.IRawProperty<T>, parameters?: real.Parameters<T>) =>
  real.assert(property, more(property, parameters))) as typeof real.assert;

// oxlint-disable-next-line import/no-default-export -- the library has one, and tests import it
export default { ...real, assert };
