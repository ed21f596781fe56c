/** The figures of the controller's benchmark, the bar, and both as text. */

import { formatNumber, plainTable } from '../text.ts';
import type { Options } from './options.ts';

/** What happened between two moments of a controller's life. */
export interface Phase {
  readonly name: string;
  readonly seconds: number;
  /** Most resident memory within it, and at its end; MB (10^6 bytes). */
  readonly peakMb: number;
  readonly settledMb: number;
  /** CPU that was used, in cores. */
  readonly cores: {
    readonly controller: number;
    readonly apiServer: number;
    readonly etcd: number;
    readonly agents: number;
  };
}

/** Requests of one kind as the API server counted them, in the first phase. */
export interface Requests {
  readonly what: string;
  readonly count: number;
  readonly meanMs: number;
}

export interface Figures {
  readonly size: Pick<
    Options,
    'services' | 'endpoints' | 'nodes' | 'agents' | 'published' | 'changes'
  >;
  readonly memoryLimit: string;
  readonly phases: readonly Phase[];
  /** From the start of the process, in seconds. */
  readonly firstReadySeconds: number;
  readonly announcedSeconds: number;
  readonly publishedSeconds: number;
  readonly restartReadySeconds: number;
  readonly agentsBackSeconds: number;
  /** To shadow Services by the restarted controller; none is right. */
  readonly restartWrites: number;
  readonly requests: readonly Requests[];
  /** Answers of the API server that sent the controller away for a while (429). */
  readonly refused: number;
}

/** Memory of the controller at the largest size that issue and documents promise. */
export const MEMORY_BAR_MB = 700;

export function peakMb({ phases }: Figures): number {
  return Math.max(...phases.map((phase) => phase.peakMb));
}

export function isMet(figures: Figures): boolean {
  return peakMb(figures) < MEMORY_BAR_MB && figures.restartWrites === 0;
}

export function report(figures: Figures): string {
  const { size, phases, requests } = figures;
  const number = (value: number): string => formatNumber(value, 0);
  const making = figures.announcedSeconds - figures.firstReadySeconds;
  const made = size.services - size.published;
  const perSecond = made > 0 && making > 0 ? formatNumber(made / making, 1) : '–';
  const memory = plainTable({
    head: ['', 's', 'peak MB', 'settled MB', 'cores: controller', 'API server', 'etcd', 'agents'],
    rows: phases.map(({ name, seconds, peakMb, settledMb, cores }) => [
      name,
      number(seconds),
      number(peakMb),
      number(settledMb),
      ...[cores.controller, cores.apiServer, cores.etcd, cores.agents].map((each) =>
        formatNumber(each, 2),
      ),
    ]),
  });
  const times = plainTable({
    head: ['From the start of the process', ''],
    rows: [
      ['ready, first start', `${formatNumber(figures.firstReadySeconds, 1)} s`],
      ['all shadow Services are there', `${number(figures.announcedSeconds)} s`],
      ['all are published', `${number(figures.publishedSeconds)} s`],
      ['shadow Services made', `${perSecond} a second`],
      ['ready, restart', `${formatNumber(figures.restartReadySeconds, 1)} s`],
      ['all agents are served, restart', `${formatNumber(figures.agentsBackSeconds, 1)} s`],
      ['writes to shadow Services, restart', number(figures.restartWrites)],
    ],
  });
  const asked = plainTable({
    head: ['Requests until all were published', 'count', 'mean ms'],
    rows: [
      ...requests.map(({ what, count, meanMs }) => [what, number(count), formatNumber(meanMs, 1)]),
      ['refused for now (429)', number(figures.refused), ''],
    ],
  });
  const most = peakMb(figures);
  const verdict = `${isMet(figures) ? 'PASS' : 'MISS'}  peak memory ${number(most)} MB, ${formatNumber(most / MEMORY_BAR_MB, 2)} of the bar (< ${MEMORY_BAR_MB} MB)`;
  const title = `${number(size.services)} Services, ${number(size.services * size.endpoints)} endpoints and Pods, ${number(size.nodes)} Nodes, ${number(size.agents)} agents; ${figures.memoryLimit}`;
  return [title, memory, times, asked, verdict].join('\n\n');
}
