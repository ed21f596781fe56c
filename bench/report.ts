/** The results as people read them: the bars, a table per stage, charts; and the raw figures as JSON. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BARS, verdict, type Bar } from './bars.ts';
import { barChart, type BarChart } from './chart.ts';
import { median, STAGES, subjects, type Figures, type Stage, type StageName } from './figures.ts';
import { LAYOUTS, stageTable } from './tables.ts';
import { formatNumber, markdownTable, plainTable, type Table } from './text.ts';

function barsTable(figures: Figures): Table {
  return {
    head: ['', 'measured', 'bar', 'aim', 'verdict'],
    rows: BARS.map((bar) => [
      bar.label,
      amount(bar, bar.value(figures)),
      `≤ ${amount(bar, bar.limit)}`,
      bar.aim === null ? '' : `≤ ${amount(bar, bar.aim)}`,
      verdict(bar, figures),
    ]),
  };
}

export function terminalReport(figures: Figures): string {
  const parts = measured(figures).map(
    (stage) => `${LAYOUTS[stage.name].title}\n${plainTable(stageTable(stage))}`,
  );
  return [...parts, `Bars\n${plainTable(barsTable(figures))}`].join('\n\n');
}

/** Writes results.md, figures.json and one SVG per chart into `dir`. */
export function writeReport(dir: string, figures: Figures): void {
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
    'Written by `npm run bench`; [README.md](README.md) says how it is measured. Medians over the rounds, ratios within a round.',
    '## Bars',
    markdownTable(barsTable(figures)),
    ...parts,
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

function amount(bar: Bar, value: number | null): string {
  return value === null ? '–' : `${formatNumber(value, bar.unit === '×' ? 2 : 0)} ${bar.unit}`;
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

const DRAWINGS: readonly Drawing[] = [
  drawing('small', 'CPU per small request', 'cpuMicros', { digits: 1, unit: 'µs', limit: 1.25 }),
  drawing('10k', 'CPU per request, 10 kB bodies', 'cpuMicros', {
    digits: 1,
    unit: 'µs',
    limit: null,
  }),
  drawing('1m', 'CPU per request, 1 MB bodies', 'cpuMicros', {
    digits: 0,
    unit: 'µs',
    limit: null,
  }),
  drawing('churn', 'CPU per new connection', 'cpuMicros', { digits: 1, unit: 'µs', limit: null }),
  drawing('rate', 'p99 at 5,000 requests/s', 'p99Micros', { digits: 0, unit: 'µs', limit: 1.2 }),
  drawing('features', 'CPU per request with each feature', 'cpuMicros', {
    digits: 1,
    unit: 'µs',
    limit: null,
  }),
  drawing('start', 'Process start to ready', 'readyMs', { digits: 0, unit: 'ms', limit: null }),
  drawing('memory', 'Resident memory after load', 'loadedRssMb', {
    digits: 0,
    unit: 'MB',
    limit: null,
  }),
];

function drawing(
  stage: StageName,
  title: string,
  figure: string,
  rest: Pick<Drawing, 'digits' | 'unit' | 'limit'>,
): Drawing {
  return { stage, title, note: 'Shorter is better.', figure, ...rest };
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
      return [{ label, value, text, own: label === 'maesh' || stage.name === 'features' }];
    }),
    mark:
      drawn.limit === null || base === null
        ? null
        : { value: base * drawn.limit, label: `bar: ${drawn.limit} × HAProxy` },
  };
}
