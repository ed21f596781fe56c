/** Made-up figures for tests. */

import type { Sample, Stage } from './figures.ts';

export function stageOf(
  name: Stage['name'],
  samples: readonly Sample[],
  cpu: string = 'a CPU',
): Stage {
  const machine = { cpu, cores: 2, memoryGb: 4, kernel: '6', node: 'v26', tools: { wrk: '4' } };
  return { name, day: '2026-11-22', commit: 'abc', quick: false, machine, samples };
}

export function sampleOf(subject: string, round: number, figures: Sample['figures']): Sample {
  return { subject, round, figures };
}
