/** The results as people read them: the bars, a table per stage, charts; and the raw figures as JSON. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BARS, HAPROXY_LIMITS, verdict, type Bar } from './bars.ts';
import { comparison, type Contest } from './compare.ts';
import { barChart, type BarChart } from './chart.ts';
import { median, STAGES, subjects, type Figures, type Stage, type StageName } from './figures.ts';
import { LAYOUTS, stageTable } from './tables.ts';
import { PROCESSORS, type Processor } from './processor.ts';
import { formatNumber, markdownTable, plainTable, type Table } from './text.ts';

function barsTable(figures: Figures): Table {
  return {
    head: ['', 'measured', 'bar', 'aim', 'verdict'],
    rows: BARS.map((bar) => [
      bar.label,
      amount(bar, bar.value(figures)),
      limitText(bar, bar.limit(figures)),
      limitText(bar, bar.aim),
      verdict(bar, figures),
    ]),
  };
}

/** `≤ 1.00 ×`; '' for none. */
function limitText(bar: Bar, limit: number | null): string {
  return limit === null ? '' : `${bar.side === 'at most' ? '≤' : '≥'} ${amount(bar, limit)}`;
}

export function terminalReport(figures: Figures): string {
  const parts = measured(figures).map(
    (stage) => `${LAYOUTS[stage.name].title}\n${plainTable(stageTable(stage))}`,
  );
  return [...parts, `Bars\n${plainTable(barsTable(figures))}`].join('\n\n');
}

/** What earlier runs on that make of processor left: stages measured one by one add up to a whole report. */
export function readFigures(dir: string, processor: Processor): Figures {
  const path = join(dir, processor, 'figures.json');
  const figures: Figures = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
  return figures;
}

/**
 * Writes results.md, figures.json and one SVG per chart into the folder of the processor under `dir`, and the bars of all
 * processors side by side into `dir` itself.
 */
export function writeReport(dir: string, processor: Processor, figures: Figures): void {
  writeFigures(join(dir, processor), figures);
  const all = PROCESSORS.map((each): [Processor, Figures] => [each, readFigures(dir, each)]);
  const there = all.filter(([, each]) => measured(each).length > 0);
  writeFileSync(join(dir, 'results.md'), overview(new Map(there)));
}

/** The bars, with a pair of columns for each processor that was measured. */
export function overview(results: ReadonlyMap<Processor, Figures>): string {
  const table: Table = {
    head: ['', ...[...results.keys()].flatMap((each) => [each, 'bar', 'verdict'])],
    rows: BARS.map((bar) => [
      bar.label,
      ...[...results.values()].flatMap((figures) => [
        amount(bar, bar.value(figures)),
        limitText(bar, bar.limit(figures)),
        verdict(bar, figures),
      ]),
    ]),
  };
  const links = [...results].map(
    ([each, figures]) =>
      `- [${each}](${each}/results.md): ${[...new Set(measured(figures).map((stage) => stage.machine.cpu))].join(', ')}`,
  );
  return `${[
    '# Results',
    'Written by `npm run bench`; [README.md](README.md) says how it is measured. All tables, a page for each make of processor:',
    links.join('\n'),
    '## Bars',
    markdownTable(table),
  ].join('\n\n')}\n`;
}

function writeFigures(dir: string, figures: Figures): void {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'figures.json'), `${JSON.stringify(figures, null, 1)}\n`);
  writeFileSync(join(dir, 'results.md'), markdownReport(figures));
  for (const [name, chart] of charts(figures)) {
    writeFileSync(join(dir, `${name}.svg`), barChart(chart));
  }
}

export function markdownReport(figures: Figures): string {
  const drawn = charts(figures);
  const parts = measured(figures).map((stage) => {
    const { title } = LAYOUTS[stage.name];
    const chart = drawn.get(stage.name);
    return [
      `## ${title}`,
      ...(chart === undefined ? [] : [`![${chart.title}](${stage.name}.svg)`]),
      markdownTable(stageTable(stage)),
      provenance(stage),
    ].join('\n\n');
  });
  return `${[
    '# Results',
    'Written by `npm run bench`; [README.md](../README.md) says how it is measured. Medians over the rounds, ratios within a round.',
    '## Bars',
    markdownTable(barsTable(figures)),
    ...parts,
  ].join('\n\n')}\n`;
}

/** A commit of maesh against another one. */
export function comparisonReport(figures: Figures, commits: Contest): string {
  const from = measured(figures).map((stage) => `- ${stage.name}: ${provenance(stage)}`);
  return `${[
    `# ${commits.newer} against ${commits.older}`,
    'Medians over the rounds; "new ÷ old" is the median of the ratios within a round, and with 95 % it lies between "from" and "to" (all of them, with fewer than 6 rounds). In a disturbed round others used more than 5 % of the core.',
    markdownTable(comparison(figures, commits)),
    from.join('\n'),
  ].join('\n\n')}\n`;
}

function measured(figures: Figures): Stage[] {
  return STAGES.flatMap((name) => figures[name] ?? []);
}

function provenance(stage: Stage): string {
  const { machine } = stage;
  const rounds = Math.max(...stage.samples.map((sample) => sample.round));
  const tools = Object.entries(machine.tools).map(([name, version]) => `${name} ${version}`);
  return `${stage.day}, commit ${stage.commit}, ${rounds} round${rounds === 1 ? '' : 's'}${stage.quick ? ' (quick: short runs, only a hint)' : ''}; ${machine.cores} × ${machine.cpu}, ${machine.memoryGb} GB, Linux ${machine.kernel}, Node ${machine.node}; ${tools.join(', ')}.`;
}

const DIGITS: Readonly<Record<Bar['unit'], number>> = { '×': 2, '%': 0, MB: 0, kB: 1, ms: 0 };

function amount(bar: Bar, value: number | null): string {
  return value === null ? '–' : `${formatNumber(value, DIGITS[bar.unit])} ${bar.unit}`;
}

interface Drawing {
  readonly stage: StageName;
  readonly title: string;
  readonly note: string;
  readonly figure: string;
  readonly digits: number;
  readonly unit: string;
  /** Bar of maesh against HAProxy, drawn as a line at this multiple of HAProxy's value. */
  readonly limit: number | null;
}

const MICROS = { digits: 1, unit: 'µs' } as const;

const DRAWINGS: readonly Drawing[] = [
  drawing('small', 'CPU per small request', 'cpuMicros', MICROS),
  drawing('10k', 'CPU per request, 10 kB bodies', 'cpuMicros', MICROS),
  drawing('1m', 'CPU per request, 1 MB bodies', 'cpuMicros', { digits: 0, unit: 'µs' }),
  drawing('churn', 'CPU per new connection', 'cpuMicros', MICROS),
  drawing('tls-new', 'CPU per whole handshake of TLS', 'cpuMicros', { digits: 0, unit: 'µs' }),
  drawing('tls-resumed', 'CPU per resumed handshake of TLS', 'cpuMicros', {
    digits: 0,
    unit: 'µs',
  }),
  drawing('tls-bulk', 'CPU per request over TLS, 1 MB bodies', 'cpuMicros', {
    digits: 0,
    unit: 'µs',
  }),
  drawing('tls-endpoints', 'CPU per small request, TLS to endpoints', 'cpuMicros', MICROS),
  drawing('h2-20', 'CPU per request of HTTP/2, 4 × 20 streams', 'cpuMicros', MICROS),
  drawing('h2-100', 'CPU per request of HTTP/2, 4 × 100 streams', 'cpuMicros', MICROS),
  drawing('h2-h1', 'CPU per request of HTTP/2 to HTTP/1.1', 'cpuMicros', MICROS),
  drawing('grpc', 'CPU per unary call of gRPC', 'cpuMicros', MICROS),
  drawing('tcp-bulk', 'CPU per 64 MiB of TCP', 'cpuMicros', { digits: 0, unit: 'µs' }),
  drawing('tcp-churn', 'CPU per new connection of TCP', 'cpuMicros', MICROS),
  drawing('udp', 'CPU per datagram and its answer', 'cpuMicros', MICROS),
  drawing('rate', 'p99 at 5,000 requests/s', 'p99Micros', { digits: 0, unit: 'µs' }),
  drawing('features', 'CPU per request with each feature', 'cpuMicros', MICROS),
  drawing('start', 'Process start to ready', 'readyMs', { digits: 0, unit: 'ms' }),
  drawing('memory', 'Resident memory after load', 'loadedRssMb', { digits: 0, unit: 'MB' }),
];

function drawing(
  stage: StageName,
  title: string,
  figure: string,
  rest: Pick<Drawing, 'digits' | 'unit'>,
): Drawing {
  const limit = new Map<string, number>(Object.entries(HAPROXY_LIMITS)).get(stage) ?? null;
  return { stage, title, note: 'Shorter is better.', figure, limit, ...rest };
}

function charts(figures: Figures): Map<string, BarChart> {
  const found = new Map<string, BarChart>();
  for (const drawn of DRAWINGS) {
    const stage = figures[drawn.stage];
    if (stage !== undefined) found.set(drawn.stage, chartOf(drawn, stage));
  }
  return found;
}

function chartOf(drawn: Drawing, stage: Stage): BarChart {
  const base = median(stage, 'haproxy', drawn.figure);
  return {
    title: drawn.title,
    note: drawn.note,
    bars: subjects(stage).flatMap((label) => {
      const value = median(stage, label, drawn.figure);
      if (value === null) return [];
      const text = `${formatNumber(value, drawn.digits)} ${drawn.unit}`;
      return [{ label, value, text, own: label.startsWith('maesh') || stage.name === 'features' }];
    }),
    mark:
      drawn.limit === null || base === null
        ? null
        : { value: base * drawn.limit, label: `bar: ${drawn.limit} × HAProxy` },
  };
}
