/** What a stage of the benchmark is: it measures, in rounds, and gives samples. */

import type { Sample } from '../figures.ts';
import type { Lab } from '../lab.ts';
import { oneCore, type Peer, type RunningPeer } from '../peers/peer.ts';
import { usage, type Usage } from '../sampling.ts';

export interface Pace {
  readonly rounds: number;
  /** Length of one measured run. */
  readonly seconds: number;
  /** Load on each proxy before the first measured run. */
  readonly warmSeconds: number;
  readonly quick: boolean;
  /** Pairs of peers get their load at the same time: on a busy machine both are disturbed by the same others then. */
  readonly together: boolean;
}

export type MeasureStage = (lab: Lab, pace: Pace) => Promise<Sample[]>;

/** All peers running at once, idle but for the one that is measured: rounds alternate without restarts between. */
export async function withPeers<T>(
  lab: Lab,
  peers: readonly Peer[],
  use: (running: ReadonlyMap<string, RunningPeer>) => Promise<T>,
): Promise<T> {
  const running = new Map<string, RunningPeer>();
  try {
    for (const peer of peers) running.set(peer.name, await peer.start(lab, oneCore(lab)));
    return await use(running);
  } finally {
    await Promise.all([...running.values()].map((peer) => peer.stop()));
  }
}

export interface CpuSpent {
  readonly cpuMs: number;
  /** Share of the proxy's core that others used meanwhile, hypervisor included: above some 5 % the run is doubtful. */
  readonly foreignPercent: number;
}

/** Runs `work` and says what the process used meanwhile, its children too. */
export async function metered<T>(
  lab: Lab,
  pid: number,
  work: () => Promise<T>,
): Promise<{ readonly result: T } & CpuSpent> {
  const { result, cpuMs, foreignPercent } = await meteredTogether(lab, [pid], work);
  return { result, cpuMs: cpuMs[0] ?? 0, foreignPercent };
}

/** The same for several processes that are at work at the same time; what one uses is not foreign to the others. */
export async function meteredTogether<T>(
  lab: Lab,
  pids: readonly number[],
  work: () => Promise<T>,
): Promise<{
  readonly result: T;
  readonly cpuMs: readonly number[];
  readonly foreignPercent: number;
}> {
  const look = (): Usage[] => pids.map((pid) => usage(pid, lab.proxyCore));
  const before = look();
  const result = await work();
  const after = look();
  const cpuMs = after.map((each, i) => each.cpuMs - (before[i]?.cpuMs ?? 0));
  const [first, last] = [before[0], after[0]];
  if (first === undefined || last === undefined) return { result, cpuMs, foreignPercent: 0 };
  const own = cpuMs.reduce((sum, each) => sum + each, 0);
  const foreignMs = last.coreBusyMs - first.coreBusyMs - own + last.stolenMs - first.stolenMs;
  const foreignPercent = Math.max(0, (100 * foreignMs) / (last.atMs - first.atMs));
  return { result, cpuMs, foreignPercent };
}

/** Others used more of the core than that: the run is doubtful. */
export const DOUBTFUL_PERCENT = 5;

/** Said beside a run that others disturbed; '' for a good one. */
export function doubt(figures: Sample['figures']): string {
  const percent = figures['foreignPercent'] ?? 0;
  return percent > DOUBTFUL_PERCENT
    ? ` (others used ${percent.toFixed(0)} % of the core: doubtful)`
    : '';
}

/** Order of the subjects in a round: every other round backwards, so that no one always follows the same one. */
export function roundOrder<T>(subjects: readonly T[], round: number): readonly T[] {
  return round % 2 === 0 ? subjects.toReversed() : subjects;
}
