/** The make of a processor: costs differ so much between makes that each has results of its own. */

import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** In the order of the columns of a page with several. */
export const PROCESSORS = ['amd', 'intel', 'arm', 'other'] as const;
export type Processor = (typeof PROCESSORS)[number];

export function processorOf(cpu: string): Processor {
  if (/\bamd\b|epyc/i.test(cpu)) return 'amd';
  if (/intel|xeon/i.test(cpu)) return 'intel';
  return /\barm|aarch|neoverse|graviton/i.test(cpu) ? 'arm' : 'other';
}

/** The processor of this machine, with family and model where its name says neither: `AMD EPYC (family 26, model 2)`. */
export function processorName(): string {
  const name = cpus()[0]?.model ?? 'unknown';
  const info = readFileSync('/proc/cpuinfo', 'utf8');
  const family = /^cpu family\s*: (\d+)/m.exec(info)?.[1];
  const model = /^model\s*: (\d+)/m.exec(info)?.[1];
  if (name === 'unknown') return `${process.arch}, of unknown name`;
  return family === undefined ? name : `${name} (family ${family}, model ${model ?? 'unknown'})`;
}
