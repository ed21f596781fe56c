/** `npm run fuzz`: throws mutated inputs at parsers and checks invariants. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { commandLine } from '../support/command-line.ts';
import { help, readOptions } from './options.ts';
import { TARGETS } from './targets.ts';
import { type FuzzJob, seedOf } from './worker.ts';

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

const names = TARGETS.map(({ name }) => name);
const {
  targets,
  runs,
  ms,
  seed: given,
} = commandLine(help(names), (args) => readOptions(args, names));
const seed = given ?? Date.now() >>> 0;
for (const target of targets) {
  const progress = new Int32Array(new SharedArrayBuffer(4));
  if (!(await fuzz({ target, seed, runs, ms, progress }))) process.exitCode = 1;
}
