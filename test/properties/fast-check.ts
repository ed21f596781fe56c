/**
 * Stands in for fast-check in a run with many inputs: the same library. Each property gets its ordinary inputs, however long they
 * take, and then more of them as long as its time lasts.
 */

import { appendFileSync } from 'node:fs';
import { getTestContext } from 'node:test';
import * as real from 'fast-check';
import { forgetOwners } from './light.ts';
import { tryMany } from './many.ts';
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
  if (only !== null) forgetOwners();
  const startedMs = performance.now();
  const rounds =
    only === null
      ? { ordinary, more: (ORDER.factor - 1) * ordinary, ms: ORDER.ms }
      : { ordinary: 0, more: only.inputs, ms: ORDER.ms };
  const report = (inputs: number): void => {
    const ms = performance.now() - startedMs;
    const tried: Tried = { test, index, inputs, ordinary, ms };
    if (ORDER.report !== '') appendFileSync(ORDER.report, `${JSON.stringify(tried)}\n`);
  };
  // A seed or a path that a test fixes would try the same inputs again.
  const free = parameters === undefined ? {} : withoutSeed(parameters);
  const inputs = tryMany(property, free, rounds);
  if (typeof inputs === 'number') return report(inputs);
  return (async () => report(await inputs))();
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
