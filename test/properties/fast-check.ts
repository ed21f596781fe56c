/**
 * Stands in for fast-check in a run with many inputs: the same library. Each property gets its ordinary inputs, however long they
 * take, and then more of them as long as its time lasts.
 */

import { appendFileSync } from 'node:fs';
import { getTestContext } from 'node:test';
import * as real from 'fast-check';
import { readOrder } from './order.ts';
import type { Tried } from './order.ts';

export * from 'fast-check';

const ORDER = readOrder(process.env);
const RUNS_DEFAULT = 100;

/** How many properties each test of this process has had so far. */
const seen = new Map<string, number>();

function assertMany<T>(
  property: real.IRawProperty<T>,
  parameters: real.Parameters<T> | undefined,
): Promise<void> | void {
  const test = getTestContext()?.name ?? '';
  const index = seen.get(test) ?? 0;
  seen.set(test, index + 1);
  const { only } = ORDER;
  if (only !== null && (only.test !== test || only.index !== index)) return undefined;
  const ordinary = parameters?.numRuns ?? RUNS_DEFAULT;
  const startedMs = performance.now();
  // A seed or a path that a test fixes would try the same inputs again.
  const free = parameters === undefined ? {} : withoutSeed(parameters);
  const first = { ...free, numRuns: ordinary };
  const more = {
    ...free,
    numRuns: only === null ? (ORDER.factor - 1) * ordinary : only.inputs,
    interruptAfterTimeLimit: ORDER.ms,
  };
  const rounds = (only === null ? [first, more] : [more]).filter(({ numRuns }) => numRuns > 0);
  let inputs = 0;
  const done = (): void => {
    const ms = performance.now() - startedMs;
    const tried: Tried = { test, index, inputs, ordinary, ms };
    if (ORDER.report !== '') appendFileSync(ORDER.report, `${JSON.stringify(tried)}\n`);
  };
  if (property.isAsync()) {
    return (async () => {
      for (const each of rounds) {
        const details = await real.check(property as real.IAsyncProperty<T>, each);
        inputs += details.numRuns;
        if (details.failed) throw failure(await real.asyncDefaultReportMessage(details), details);
      }
      done();
    })();
  }
  for (const each of rounds) {
    const details = real.check(property as real.IProperty<T>, each);
    inputs += details.numRuns;
    if (details.failed) throw failure(real.defaultReportMessage(details), details);
  }
  done();
  return undefined;
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

export const assert = assertMany as typeof real.assert;

// oxlint-disable-next-line import/no-default-export -- the library has one, and tests import it
export default { ...real, assert };
