/** The whole-number constants of src: their values are the bounds that the pages tell. */

import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const SRC = join(import.meta.dirname, '../../../src');
const CONSTANT = /^(?:export )?const ([A-Z][A-Z0-9_]*) = ([0-9_ *<+()]+);$/gm;
/** A constant with such a name is a bound, and must be on the page. */
const BOUND = /(_MAX|_TIMEOUT_MS|BACKLOG)$/;
/** Follow from other bounds. */
const DERIVED = new Set(['BYTES_PER_CHAR_MAX', 'TRAILER_LINES_BYTES_MAX', 'LINE_BYTES_MAX']);

/** All of them, as `folder/file.ts NAME`. */
export function readConstants(): Map<string, number> {
  const found = new Map<string, number>();
  for (const file of globSync('**/*.ts', { cwd: SRC })) {
    if (/\.(test|fixture|fuzz)\.ts$/.test(file)) continue;
    const source = readFileSync(join(SRC, file), 'utf8');
    for (const [, name = '', text = ''] of source.matchAll(CONSTANT)) {
      found.set(`${file} ${name}`, evaluate(text.replaceAll('_', '')));
    }
  }
  return found;
}

/** Whether the constant, `folder/file.ts NAME`, is a bound by its name. */
export function isBound(where: string): boolean {
  const name = where.split(' ')[1] ?? '';
  return BOUND.test(name) && !DERIVED.has(name);
}

/** Products and shifts of whole numbers, which is how bounds are written. */
function evaluate(text: string): number {
  const [base = '', shift = '0'] = text.split('<<');
  return (
    base.split('*').reduce((product, factor) => product * Number(factor), 1) * 2 ** Number(shift)
  );
}

const BYTES: readonly (readonly [number, string])[] = [
  [1_048_576, ' MiB'],
  [1_024, ' KiB'],
  [1, ' bytes'],
];
const TIMES: readonly (readonly [number, string])[] = [
  [60_000, ' min'],
  [1_000, ' s'],
  [1, ' ms'],
];

/** The value in the unit that the name of its constant says: `64 KiB`, `10 s`, `16,384`. */
export function showBound(where: string, value: number): string {
  const name = where.split(' ')[1] ?? '';
  const units = /(^|_)BYTES(_|$)/.test(name) ? BYTES : /(^|_)MS(_|$)/.test(name) ? TIMES : [];
  // One and a half minutes are 90 s.
  const [size, unit] = units.find(([each]) => value % each === 0) ?? [1, ''];
  return `${(value / size).toLocaleString('en')}${unit}`;
}
