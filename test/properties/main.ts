/**
 * `npm run properties`: every test file with a property, with 50 times the inputs and fresh seeds. A failure prints its seed; what
 * it shows is a defect, of the code or of the test. Each property gets its ordinary inputs first. The time that is then left is
 * shared: the last lines say who got less than 50 times, and how many times. On a busy machine that is fewer, but no failure.
 */

import { execFile } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { commandLine } from '../support/command-line.ts';
import { HELP, readOptions } from './options.ts';
import { writeOrder } from './order.ts';
import type { Order, Tried } from './order.ts';
import { cheapFirst, shareOf } from './share.ts';

const ROOT = join(import.meta.dirname, '../..');
const { times: FACTOR, seconds: SECONDS, files: GIVEN } = commandLine(HELP, readOptions);
const END_MS = performance.now() + SECONDS * 1_000;
const WORKERS = Math.min(2, availableParallelism());
/** Time of each property beyond its ordinary inputs, while all files run: enough for the cheap ones. */
const FIRST_MS = 500;
/** What a process needs to start; a property with less time than that is left as it is. */
const START_MS = 1_000;

interface Property {
  readonly file: string;
  readonly tried: Tried;
  inputs: number;
  ms: number;
}

const folder = mkdtempSync(join(tmpdir(), 'maesh-properties-'));
let reports = 0;
/** Files, and what is wrong with the run itself. */
const failures: string[] = [];

/** Runs one file, and hands back what its properties report. What fails is printed. */
async function run(file: string, order: Omit<Order, 'report'>): Promise<Tried[]> {
  const report = join(folder, String(reports++));
  const pattern = order.only === null ? '' : order.only.test.replaceAll(/[^\w ]/g, String.raw`\$&`);
  const args = [
    '--disable-warning=ExperimentalWarning',
    '--expose-internals',
    '--import=./test/properties/many-inputs.ts',
    '--test-reporter=spec',
    `--test-timeout=${300_000 + order.ms}`,
    ...(pattern === '' ? [] : [`--test-name-pattern=/^${pattern}$/`]),
    file,
  ];
  // A file is started several times, and all share most of the code: it is compiled once.
  const cache = { NODE_COMPILE_CACHE: join(folder, 'code') };
  const env = { ...process.env, ...cache, ...writeOrder({ ...order, report }) };
  await new Promise<void>((resolve) => {
    const options = { cwd: ROOT, env, maxBuffer: 64 * 1024 * 1024 };
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      if (error !== null) {
        failures.push(file);
        process.stdout.write(`${file} failed: ${error.message}\n${stdout}${stderr}\n`);
      }
      resolve();
    });
  });
  return readReport(report);
}

function readReport(report: string): Tried[] {
  let text = '';
  try {
    text = readFileSync(report, 'utf8');
  } catch {
    // A file that failed before its first property has none.
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Tried);
}

/** Takes from the front of the queue with as many workers as there are cores. */
async function all<T>(queue: T[], work: (item: T, waiting: number) => Promise<void>) {
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      await work(item, queue.length + 1);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
}

/** Files with properties. */
function testFiles(): string[] {
  if (GIVEN.length > 0) return GIVEN.map((file) => relative(ROOT, file));
  return globSync('{src,test,demo,bench}/**/*.test.ts', { cwd: ROOT })
    .filter((file) => /from 'fast-check'/.test(readFileSync(join(ROOT, file), 'utf8')))
    .toSorted();
}

async function ordinary(): Promise<Property[]> {
  const properties: Property[] = [];
  await all(testFiles(), async (file) => {
    const ms = Math.max(0, Math.min(FIRST_MS, END_MS - performance.now()));
    const order = { factor: FACTOR, ms, only: null };
    for (const tried of await run(file, order)) {
      properties.push({ file, tried, inputs: tried.inputs, ms: tried.ms });
    }
  });
  return properties;
}

async function more(properties: readonly Property[]): Promise<void> {
  const lacking = properties
    .map((property) => ({ property, lack: FACTOR * property.tried.ordinary - property.inputs }))
    .filter(({ lack }) => lack > 0)
    .map(({ property, lack }) => ({
      property,
      lack,
      needMs: (lack * property.ms) / Math.max(1, property.inputs),
    }));
  await all(cheapFirst(lacking), async (next, waiting) => {
    const leftMs = END_MS - performance.now();
    const ms = shareOf(leftMs, WORKERS, waiting) - START_MS;
    if (ms <= 0) return;
    const { property, lack } = next;
    const { test, index } = property.tried;
    const only = { test, index, inputs: lack };
    const before = failures.length;
    const found = await run(property.file, { factor: FACTOR, ms: Math.ceil(ms), only });
    for (const tried of found) {
      property.inputs += tried.inputs;
      property.ms += tried.ms;
    }
    if (found.length > 0 || failures.length > before) return;
    failures.push(`${property.file} has no property ${index} in "${test}" any more`);
  });
}

const times = ({ inputs, tried }: Property): number => inputs / tried.ordinary;

const properties = await ordinary();
const seconds = (): number => Math.round(performance.now() / 1_000);
process.stdout.write(
  `${properties.length} properties got their ordinary inputs in ${seconds()} s\n`,
);
if (failures.length === 0) await more(properties);
rmSync(folder, { recursive: true });

const short = properties.filter((each) => times(each) < FACTOR);
// After a failure nobody got more, and that is the news.
const told = failures.length === 0 ? short : [];
for (const each of told.toSorted((one, other) => times(one) - times(other))) {
  const { tried, file, inputs } = each;
  const figure =
    inputs === tried.ordinary
      ? `only the ordinary ${inputs} inputs`
      : `${times(each).toFixed(1)} times (${inputs} inputs)`;
  process.stdout.write(`  ${figure}: ${file}: ${tried.test}\n`);
}
const inputs = properties.reduce((sum, each) => sum + each.inputs, 0);
const starved = properties.filter((each) => times(each) < 1).length;
process.stdout.write(
  `${properties.length} properties, ${inputs} inputs, ${seconds()} s: ${properties.length - short.length} got ${FACTOR} times their inputs, ` +
    `${short.length} fewer, ${starved} less than their ordinary ones; ${failures.length} failures\n`,
);
for (const failure of failures) process.stdout.write(`  failed: ${failure}\n`);
process.exitCode = failures.length > 0 || starved > 0 || properties.length === 0 ? 1 : 0;
