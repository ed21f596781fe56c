/** `npm run fuzz -- [TARGET|all] [--seconds N] [--runs N] [--seed S]`: throws mutated inputs at parsers and checks invariants. */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { TARGETS } from './targets.ts';
import { type FuzzJob, seedOf } from './worker.ts';

const SECONDS_DEFAULT = 10;
const PROGRESS_MS = 5000;

/** Runs one target; a worker that starts no new run between two ticks hangs in the last one. */
async function fuzz(job: FuzzJob): Promise<boolean> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: job });
  let last = 0;
  const tick = setInterval(() => {
    const run = Atomics.load(job.progress, 0);
    if (run === last) {
      console.error(`${job.target}: an input took more than ${PROGRESS_MS} ms`);
      console.error(
        `Reproduce: npm run fuzz -- ${job.target} --runs 1 --seed ${seedOf(job.seed, Math.max(0, run - 1))}`,
      );
      void worker.terminate();
      return;
    }
    last = run;
    console.log(`${job.target}: ${run} inputs`);
  }, PROGRESS_MS);
  const [code]: unknown[] = await once(worker, 'exit');
  clearInterval(tick);
  return code === 0;
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,15}$/u.test(text)) throw new Error(`--${name} must be a whole number, not "${text}"`);
  return Number(text);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: 'string' }, runs: { type: 'string' }, seed: { type: 'string' } },
  });
  const wanted = positionals[0] ?? 'all';
  const targets = TARGETS.filter((target) => wanted === 'all' || target.name === wanted);
  if (targets.length === 0) {
    throw new Error(
      `no target "${wanted}": there are all, ${TARGETS.map((target) => target.name).join(', ')}`,
    );
  }
  const runs =
    values.runs === undefined ? Number.POSITIVE_INFINITY : wholeNumber('runs', values.runs);
  const unlimited = values.seconds === undefined && values.runs !== undefined;
  const seconds = wholeNumber('seconds', values.seconds ?? String(SECONDS_DEFAULT));
  const seed =
    values.seed === undefined ? Date.now() >>> 0 : wholeNumber('seed', values.seed) >>> 0;
  for (const { name } of targets) {
    const progress = new Int32Array(new SharedArrayBuffer(4));
    const ms = unlimited ? Number.POSITIVE_INFINITY : seconds * 1000;
    if (!(await fuzz({ target: name, seed, runs, ms, progress }))) process.exitCode = 1;
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
