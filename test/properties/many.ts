/** A property with many inputs: its ordinary ones, however long they take, and then more of them as long as its time lasts. */

import * as fc from 'fast-check';

export interface Rounds {
  /** Inputs that are tried in any case. */
  readonly ordinary: number;
  /** Further inputs, as far as the time goes. Time that is over before the first of them ends is no failure. */
  readonly more: number;
  readonly ms: number;
}

/** What is found in the last moment still gets time to become a small counterexample. */
const SHRINK_MS = 30_000;

/** @returns how many inputs were tried; of a property that waits, a promise. Throws, or rejects, with the counterexample. */
export function tryMany<T>(
  property: fc.IRawProperty<T>,
  parameters: fc.Parameters<T>,
  { ordinary, more, ms }: Rounds,
  now: () => number = () => performance.now(),
): Promise<number> | number {
  const first = () => fc.check(property, { ...parameters, numRuns: ordinary });
  const rest = () => fc.check(bounded(property, now() + ms, now), { ...parameters, numRuns: more });
  const rounds = [...(ordinary > 0 ? [first] : []), ...(more > 0 ? [rest] : [])];
  let inputs = 0;
  if (property.isAsync()) {
    return (async () => {
      for (const round of rounds) {
        const details = await round();
        if (isFailure(details)) throw failure(await fc.asyncDefaultReportMessage(details), details);
        inputs += details.numRuns;
      }
      return inputs;
    })();
  }
  for (const round of rounds) {
    const details = round() as fc.RunDetails<T>;
    if (isFailure(details)) throw failure(fc.defaultReportMessage(details), details);
    inputs += details.numRuns;
  }
  return inputs;
}

/** The library also calls it a failure when the time is over before one input. */
function isFailure<T>(details: fc.RunDetails<T>): boolean {
  return details.failed && !(details.interrupted && details.counterexamplePath === null);
}

function failure<T>(message: string | undefined, { errorInstance }: fc.RunDetails<T>): Error {
  return new Error(message, { cause: errorInstance });
}

/**
 * The same property until a point in time. An input that has begun always ends: the library's own limit leaves it running
 * beside whatever comes next.
 */
function bounded<T>(
  property: fc.IRawProperty<T>,
  endMs: number,
  now: () => number,
): fc.IRawProperty<T> {
  let end = endMs;
  let failed = false;
  const tried = <R>(result: R): R => {
    if (!failed && result !== null && !fc.PreconditionFailure.isFailure(result)) {
      failed = true;
      end = Math.max(end, now() + SHRINK_MS);
    }
    return result;
  };
  return {
    isAsync: () => property.isAsync(),
    generate: (random, run) => property.generate(random, run),
    shrink: (value) => property.shrink(value),
    runBeforeEach: () => property.runBeforeEach(),
    runAfterEach: () => property.runAfterEach(),
    run: (value) => {
      if (now() >= end) {
        const over = new fc.PreconditionFailure(true);
        return property.isAsync() ? Promise.resolve(over) : over;
      }
      const result = property.run(value);
      return result instanceof Promise ? result.then(tried) : tried(result);
    },
  };
}
