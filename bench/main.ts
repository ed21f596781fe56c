/**
 * `npm run bench`: measures maesh against HAProxy, nginx, Envoy and Traefik and says which bars it meets, or a commit of maesh
 * against another one.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commandLine } from '../test/support/command-line.ts';
import { BARS, verdict } from './bars.ts';
import { buildCheckout, buildCommit, commitOf, resolveCommit, type Build } from './builds.ts';
import { Children } from './children.ts';
import { comparison, contest, type Contest } from './compare.ts';
import type { Figures, Stage, StageName } from './figures.ts';
import { describeMachine, findTools, type Tools } from './host.ts';
import type { Lab } from './lab.ts';
import { HELP, readOptions, type BenchOptions } from './options.ts';
import { peersFor } from './peers/all.ts';
import { processorName, processorOf } from './processor.ts';
import { comparisonReport, readFigures, terminalReport, writeReport } from './report.ts';
import { closedLoop, WORKLOADS } from './stages/closed-loop.ts';
import { features } from './stages/features.ts';
import { http2, lacking } from './stages/http2.ts';
import { memory } from './stages/memory.ts';
import { rate } from './stages/rate.ts';
import { scale } from './stages/scale.ts';
import type { MeasureStage, Pace } from './stages/stage.ts';
import { start } from './stages/start.ts';
import { tcp } from './stages/tcp.ts';
import { threads } from './stages/threads.ts';
import { tls } from './stages/tls.ts';
import { udp } from './stages/udp.ts';
import { plainTable } from './text.ts';
import { startUpstream } from './upstream.ts';

const MEASURES: Readonly<Record<StageName, MeasureStage>> = {
  small: closedLoop(WORKLOADS.small),
  '10k': closedLoop(WORKLOADS['10k']),
  '1m': closedLoop(WORKLOADS['1m']),
  churn: closedLoop(WORKLOADS.churn),
  'tls-new': tls('tls-new'),
  'tls-resumed': tls('tls-resumed'),
  'tls-bulk': tls('tls-bulk'),
  'tls-endpoints': tls('tls-endpoints'),
  'h2-20': http2('h2-20'),
  'h2-100': http2('h2-100'),
  'h2-h1': http2('h2-h1'),
  grpc: http2('grpc'),
  'tcp-bulk': tcp('tcp-bulk'),
  'tcp-churn': tcp('tcp-churn'),
  udp,
  rate,
  features,
  start,
  memory: memory('memory'),
  'tcp-memory': tcp('tcp-memory'),
  threads,
  scale,
};

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const startedMs = performance.now();

async function main(): Promise<number> {
  const options = commandLine(HELP, (args) => readOptions(args, ROOT));
  const processor = processorOf(processorName());
  const earlier = readFigures(options.out, processor);
  if (options.report) {
    writeReport(options.out, processor, earlier);
    process.stdout.write(`Written to ${options.out}\n`);
    return 0;
  }
  const { figures: measured, contest: commits } = await measure(options, toolsHere(options));
  if (commits !== null) {
    writeComparison(options.out, measured, commits);
    return 0;
  }
  const figures = { ...earlier, ...measured };
  writeReport(options.out, processor, figures);
  process.stdout.write(`\n${terminalReport(figures)}\n\nWritten to ${options.out}\n`);
  const missed = BARS.some((bar) => verdict(bar, figures) === 'MISS');
  return options.assert && missed ? 1 : 0;
}

function toolsHere({ against }: BenchOptions): Tools {
  const found = findTools();
  if (!found.ok) {
    throw new Error(
      `Cannot find ${found.missing.join(', ')}: run "scripts/bench-tools.sh", which installs them`,
    );
  }
  if (found.tools.traefik === null && against === '') {
    progress('Traefik is left out: "scripts/bench-tools.sh" builds it, where Go 1.26 is');
  }
  return found.tools;
}

function writeComparison(dir: string, figures: Figures, commits: Contest): void {
  const name = `${commits.newer}-against-${commits.older}`;
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, `${name}.md`), comparisonReport(figures, commits));
  writeFileSync(join(dir, `${name}.json`), `${JSON.stringify(figures, null, 1)}\n`);
  const table = plainTable(comparison(figures, commits));
  process.stdout.write(`\n${table}\n\nWritten to ${join(dir, name)}.md and .json\n`);
}

interface Measured {
  readonly figures: Figures;
  /** Null when other proxies were measured. */
  readonly contest: Contest | null;
}

async function measure(options: BenchOptions, tools: Tools): Promise<Measured> {
  // Before anything is built: a commit that is not there ends it at once.
  for (const name of [options.commit, options.against]) {
    if (name !== '') resolveCommit(ROOT, name);
  }
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
    const newer = buildOf(options, dir);
    const older = options.against === '' ? null : olderBuild(options, dir, newer);
    const commits = older === null ? null : contest(newer, older);
    const lab: Lab = {
      dir,
      children,
      tools,
      proxyCore,
      loadCore,
      upstream: await startUpstream({ children, tools, dir, cores: [loadCore], endpoints: 3 }),
      callers: 'http1',
      tls: null,
      carries: 'http',
      progress,
      maesh: newer.command,
      root: ROOT,
      peersFor: (name) => commits?.peersFor(name) ?? peersFor(tools, name),
    };
    return { figures: await runStages(lab, options, newer.commit), contest: commits };
  } finally {
    await children.stopAll();
  }
}

function buildOf(options: BenchOptions, dir: string): Build {
  const place = { root: ROOT, dir, progress };
  if (options.commit !== '') return buildCommit(place, options.commit);
  if (options.maesh !== '') return { command: options.maesh, commit: commitOf(ROOT) };
  return buildCheckout(place);
}

/** A commit against itself is one build, run twice: what is measured then is the benchmark. */
function olderBuild(options: BenchOptions, dir: string, newer: Build): Build {
  const same = resolveCommit(ROOT, options.against) === newer.commit;
  return same
    ? { ...newer, commit: `${newer.commit}-again` }
    : buildCommit({ root: ROOT, dir, progress }, options.against);
}

async function runStages(lab: Lab, options: BenchOptions, commit: string): Promise<Figures> {
  const { rounds, seconds, quick, together } = options;
  const pace: Pace = { rounds, seconds, warmSeconds: quick ? 1 : 3, quick, together };
  const figures: Partial<Record<StageName, Stage>> = {};
  for (const name of options.only) {
    const reason = lacking(lab.tools, name);
    if (reason !== null) {
      lab.progress(reason);
      continue;
    }
    figures[name] = {
      name,
      day: new Date().toISOString().slice(0, 10),
      commit,
      quick,
      machine: describeMachine(lab.tools),
      samples: await MEASURES[name](lab, pace),
    };
  }
  return figures;
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

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
