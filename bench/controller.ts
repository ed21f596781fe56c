/**
 * `npm run bench:controller`: memory of a real controller at a real API server, from a first install with 10,000 Services
 * to a restart. Agents are simulated in that they do not look at what they are sent; no Pod runs, but all are there.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findTools, ROOT } from '../test/cluster/bed/tools.ts';
import { commandLine } from '../test/support/command-line.ts';
import { HELP, type Options, readOptions } from './controller/options.ts';
import { isMet, report } from './controller/report.ts';
import { Run } from './controller/run.ts';

/** Of scripts/cluster-tools.sh: this machine cannot do it. */
const CANNOT = 77;
const INTERRUPTED = 130;

const startedMs = performance.now();

async function main(): Promise<number> {
  const options = commandLine(HELP, (args) => readOptions(args, process.env));
  // A cluster that is there is of no use here.
  delete process.env['MAESH_TEST_EXTERNAL'];
  // Its words are for people, and standard output may be for a program.
  const script = join(ROOT, 'scripts/cluster-tools.sh');
  const { status } = spawnSync(script, { stdio: ['ignore', process.stderr, process.stderr] });
  if (status !== 0) return status ?? CANNOT;
  return await measure(options);
}

async function measure(options: Options): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'maesh-bench-controller-'));
  const run = new Run({ options, folder, tools: findTools(), progress });
  const clean = async (): Promise<void> => {
    await run.stop();
    if (options.keep) progress(`the logs are in ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void clean().finally(() => process.exit(INTERRUPTED)));
  }
  try {
    const figures = await run.figures();
    const text = options.output === 'json' ? JSON.stringify(figures, null, 2) : report(figures);
    process.stdout.write(`${options.output === 'json' ? '' : '\n'}${text}\n`);
    return options.assert && !isMet(figures) ? 1 : 0;
  } finally {
    await clean();
  }
}

function progress(text: string): void {
  const seconds = Math.round((performance.now() - startedMs) / 1_000);
  process.stderr.write(`${`${seconds}`.padStart(5)} s  ${text}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
