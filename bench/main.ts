/** `npm run bench`: measures maesh against HAProxy, nginx, Envoy and Traefik and says which bars it meets. */

import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BARS, verdict } from './bars.ts';
import { Children } from './children.ts';
import type { Figures, Stage, StageName } from './figures.ts';
import { describeMachine, findTools, type Tools } from './host.ts';
import type { Lab } from './lab.ts';
import { HELP, readOptions, type BenchOptions } from './options.ts';
import { peersFor } from './peers/all.ts';
import { terminalReport, writeReport } from './report.ts';
import { closedLoop, WORKLOADS } from './stages/closed-loop.ts';
import { features } from './stages/features.ts';
import { memory } from './stages/memory.ts';
import { rate } from './stages/rate.ts';
import { scale } from './stages/scale.ts';
import type { MeasureStage, Pace } from './stages/stage.ts';
import { start } from './stages/start.ts';
import { startUpstream } from './upstream.ts';

const MEASURES: Readonly<Record<StageName, MeasureStage>> = {
  small: closedLoop(WORKLOADS.small),
  '10k': closedLoop(WORKLOADS['10k']),
  '1m': closedLoop(WORKLOADS['1m']),
  churn: closedLoop(WORKLOADS.churn),
  rate,
  features,
  start,
  memory,
  scale,
};

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const startedMs = performance.now();

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2), ROOT);
  if (options === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  const found = findTools();
  if (!found.ok) {
    throw new Error(
      `Cannot find ${found.missing.join(', ')}: run "scripts/bench-tools.sh", which installs them`,
    );
  }
  const figures = { ...readFigures(options.out), ...(await measure(options, found.tools)) };
  writeReport(options.out, figures);
  process.stdout.write(`\n${terminalReport(figures)}\n\nWritten to ${options.out}\n`);
  const missed = BARS.some((bar) => verdict(bar, figures) === 'MISS');
  return options.assert && missed ? 1 : 0;
}

async function measure(options: BenchOptions, tools: Tools): Promise<Figures> {
  const dir = mkdtempSync(join(tmpdir(), 'maesh-bench-'));
  const children = new Children(dir, tools.taskset.path);
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // A child that still runs would write into the folder while it is removed.
    process.once(signal, () => void children.stopAll().finally(() => process.exit(130)));
  }
  const { proxyCore, loadCore } = options;
  pinSelf(tools, loadCore);
  try {
    const upstream = await startUpstream({ children, tools, dir, core: loadCore, endpoints: 3 });
    const lab: Lab = {
      dir,
      children,
      tools,
      proxyCore,
      loadCore,
      upstream,
      progress,
      maesh: options.maesh === '' ? stage(dir) : options.maesh,
      root: ROOT,
      peersFor: (name) => peersFor(tools, name),
    };
    const pace: Pace = {
      rounds: options.rounds,
      seconds: options.quick ? 2 : 8,
      warmSeconds: options.quick ? 1 : 3,
      quick: options.quick,
    };
    const figures: Partial<Record<StageName, Stage>> = {};
    for (const name of options.only) {
      figures[name] = {
        name,
        day: new Date().toISOString().slice(0, 10),
        commit: commit(),
        quick: options.quick,
        machine: describeMachine(tools),
        samples: await MEASURES[name](lab, pace),
      };
    }
    return figures;
  } finally {
    await children.stopAll();
  }
}

/** What people run is the package: builds it, and lays it out in `dir` as npm would. Gives its command. */
function stage(dir: string): string {
  progress('build maesh');
  try {
    execFileSync('npm', ['run', 'build'], { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    const output = error instanceof Error && 'stdout' in error ? String(error.stdout).trim() : '';
    throw new Error(
      `Cannot build maesh: ${output}; mend that, or measure the sources with "--maesh bin/maesh"`,
      { cause: error },
    );
  }
  const root = join(dir, 'package');
  mkdirSync(root);
  for (const name of ['dist', 'bin', 'package.json'])
    cpSync(join(ROOT, name), join(root, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  return join(root, 'bin/maesh');
}

function progress(text: string): void {
  const seconds = Math.round((performance.now() - startedMs) / 1_000);
  process.stdout.write(`${`${seconds}`.padStart(5)} s  ${text}\n`);
}

/** The benchmark itself must not disturb the core of the proxy. */
function pinSelf(tools: Tools, core: number): void {
  execFileSync(tools.taskset.path, ['-a', '-c', '-p', `${core}`, `${process.pid}`], {
    stdio: 'ignore',
  });
}

/** What an earlier run left there: stages measured one by one add up to a whole report. */
function readFigures(dir: string): Figures {
  const path = join(dir, 'figures.json');
  const figures: Figures = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
  return figures;
}

function commit(): string {
  try {
    const run = (args: readonly string[]): string =>
      execFileSync('git', ['-C', ROOT, ...args], { encoding: 'utf8' }).trim();
    const changed = run(['status', '--porcelain', '--untracked-files=no', '--', 'src', 'bench']);
    return `${run(['rev-parse', '--short', 'HEAD'])}${changed === '' ? '' : '+'}`;
  } catch {
    return 'unknown';
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
