/** One target in a thread of its own, so that the main thread can tell a hang and name the input. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread, workerData } from 'node:worker_threads';
import { seededRandom } from '../../src/base/random.ts';
import { mutate } from './mutate.ts';
import type { FuzzTarget } from './target.ts';
import { TARGETS } from './targets.ts';

export interface FuzzJob {
  readonly target: string;
  readonly seed: number;
  readonly runs: number;
  readonly ms: number;
  /** `[0]` counts the runs started: it stands still when one hangs. */
  readonly progress: Int32Array;
}

/** One input may take this long; it is far above a garbage collection on a busy machine. */
const INPUT_MS_MAX = 1000;
/** What the heap may have grown by at the end, after garbage collection. */
const GROWTH_BYTES_MAX = 4 * 1024 * 1024;
/** Runs that compile the code and fill the caches that growth must not be blamed on. */
const WARM_RUNS = 10_000;

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

/** The seed of run `run`, so that one failing input can be made again alone. */
export function seedOf(seed: number, run: number): number {
  return (seed + Math.imul(run, 0x9e3779b1)) >>> 0;
}

function heapBytes(): number {
  if (typeof collect === 'function') collect();
  return process.memoryUsage().heapUsed;
}

function fail(target: FuzzTarget, seed: number, input: Buffer, error: unknown): void {
  console.error(`${target.name}: failed on ${JSON.stringify(input.toString('latin1'))}`);
  console.error(error);
  console.error(`Reproduce: npm run fuzz -- ${target.name} --runs 1 --seed ${seed}`);
}

/** @returns whether all runs passed */
function fuzz(target: FuzzTarget, job: FuzzJob): boolean {
  for (const input of target.seeds) target.run(input);
  let before = 0;
  let slowestMs = 0;
  let run = 0;
  const start = performance.now();
  for (; run < job.runs; run++) {
    if (performance.now() - start > job.ms) break;
    if (run === WARM_RUNS) before = heapBytes();
    Atomics.store(job.progress, 0, run + 1);
    const seed = seedOf(job.seed, run);
    const input = mutate(seededRandom(seed), target.seeds, target.dictionary);
    const began = performance.now();
    try {
      target.run(input);
    } catch (error) {
      fail(target, seed, input, error);
      return false;
    }
    const tookMs = performance.now() - began;
    slowestMs = Math.max(slowestMs, tookMs);
    if (tookMs > INPUT_MS_MAX) {
      fail(target, seed, input, new Error(`took ${tookMs.toFixed(0)} ms`));
      return false;
    }
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const grownBytes = before === 0 ? 0 : heapBytes() - before;
  const grown = before === 0 ? 'not judged' : `${(grownBytes / 1024).toFixed(0)} KiB`;
  console.log(
    `${target.name}: ${run} inputs in ${seconds} s, slowest ${slowestMs.toFixed(1)} ms, heap growth ${grown}, seed ${job.seed}`,
  );
  if (grownBytes <= GROWTH_BYTES_MAX) return true;
  console.error(
    `${target.name}: the heap grew by ${grownBytes} bytes, more than ${GROWTH_BYTES_MAX}`,
  );
  return false;
}

if (!isMainThread) {
  const job = workerData as FuzzJob;
  const target = TARGETS.find(({ name }) => name === job.target)!;
  if (!fuzz(target, job)) process.exitCode = 1;
}
