/** CPU per request and requests per second as fast as it goes: bodies of three sizes and connection churn with wrk. */

import type { Sample, StageName } from '../figures.ts';
import type { Lab } from '../lab.ts';
import type { LoadTarget } from '../load-connection.ts';
import type { RunningPeer } from '../peers/peer.ts';
import { processCpuMs } from '../sampling.ts';
import { formatNumber } from '../text.ts';
import { wrk, type ClosedLoopResult } from '../workload.ts';
import {
  doubt,
  meteredTogether,
  roundOrder,
  withPeers,
  type MeasureStage,
  type Pace,
} from './stage.ts';

export interface Workload {
  readonly name: StageName;
  readonly path: string;
  /** Extra request header lines. */
  readonly headers: string;
  /** Drives one target; all figures of the result that it has beyond those of every generator are kept. */
  generate(lab: Lab, target: LoadTarget, seconds: number): Promise<ClosedLoopResult>;
}

export const WORKLOADS = {
  small: ofWrk('small', { path: '/small', connections: 64 }),
  '10k': ofWrk('10k', { path: '/10k', connections: 64 }),
  '1m': ofWrk('1m', { path: '/1m', connections: 16 }),
  churn: ofWrk('churn', { path: '/small', connections: 32, headers: 'Connection: close\r\n' }),
} as const satisfies Record<string, Workload>;

interface WrkWorkload {
  readonly path: '/small' | '/10k' | '/1m';
  readonly connections: number;
  readonly headers?: string;
}

function ofWrk(name: StageName, { path, connections, headers = '' }: WrkWorkload): Workload {
  return {
    name,
    path,
    headers,
    generate: (lab, target, seconds) => wrk(lab, { target, connections, seconds }),
  };
}

export function closedLoop(workload: Workload): MeasureStage {
  return (lab, pace) =>
    withPeers(lab, lab.peersFor(workload.name), async (running) => {
      const samples: Sample[] = [];
      for (const [name, peer] of running) {
        lab.progress(`${workload.name}: warm ${name} up`);
        await drive(lab, { peer, workload, seconds: pace.warmSeconds });
      }
      const groups = pace.together ? pairsOf([...running]) : [...running].map((each) => [each]);
      for (let round = 1; round <= pace.rounds; round += 1) {
        for (const group of roundOrder(groups, round)) {
          const peers = group.map(([, peer]) => peer);
          const all = await driveTogether(lab, { peers, workload, seconds: pace.seconds });
          for (const [i, figures] of all.entries()) {
            const name = group[i]?.[0] ?? '';
            samples.push({ subject: name, round, figures });
            lab.progress(progressLine(workload, { name, round, pace, figures }));
          }
        }
      }
      return samples;
    });
}

interface Drive {
  readonly peer: Pick<RunningPeer, 'child' | 'host' | 'port' | 'headers'>;
  readonly workload: Workload;
  readonly seconds: number;
}

/** One run of the generator on one proxy. */
export async function drive(
  lab: Lab,
  { peer, workload, seconds }: Drive,
): Promise<Sample['figures']> {
  const [figures = {}] = await driveTogether(lab, { peers: [peer], workload, seconds });
  return figures;
}

interface DriveTogether extends Omit<Drive, 'peer'> {
  readonly peers: readonly Drive['peer'][];
}

/** A run of the generator on each of several proxies, all at the same time on the one core. */
async function driveTogether(
  lab: Lab,
  { peers, workload, seconds }: DriveTogether,
): Promise<Sample['figures'][]> {
  const run = ({ host, port, headers }: Drive['peer']): Promise<ClosedLoopResult> => {
    const target = { host, port, path: workload.path, headers: `${workload.headers}${headers}` };
    return workload.generate(lab, target, seconds);
  };
  const pids = peers.map((peer) => peer.child.pid);
  const upstreamMs = (): number =>
    lab.upstream.pids.reduce((sum, pid) => sum + processCpuMs(pid), 0);
  const before = upstreamMs();
  const metered = await meteredTogether(lab, pids, () => Promise.all(peers.map(run)));
  const upstreamMicros = (upstreamMs() - before) * 1_000;
  const allGood = metered.result.reduce((sum, result) => sum + goodOf(result), 0);
  return metered.result.map((result, i) => {
    const { requests, seconds: took, failed, ...latency } = result;
    const good = goodOf({ requests, failed });
    return {
      cpuMicros: ((metered.cpuMs[i] ?? 0) * 1_000) / good,
      requestsPerSecond: good / took,
      ...latency,
      failed,
      upstreamMicros: upstreamMicros / allGood,
      foreignPercent: metered.foreignPercent,
    };
  });
}

function goodOf({ requests, failed }: Pick<ClosedLoopResult, 'requests' | 'failed'>): number {
  return Math.max(requests - failed, 1);
}

function pairsOf<T>(list: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(list.length / 2) }, (_, i) => list.slice(2 * i, 2 * i + 2));
}

interface Progress {
  readonly name: string;
  readonly round: number;
  readonly pace: Pace;
  readonly figures: Sample['figures'];
}

export function progressLine(workload: { readonly name: string }, progress: Progress): string {
  const { name, round, pace, figures } = progress;
  const failed = figures['failed'] === 0 ? '' : `, ${figures['failed']} FAILED`;
  return `${workload.name} ${round}/${pace.rounds} ${name}: ${formatNumber(figures['cpuMicros'], 1)} µs CPU each, ${formatNumber(figures['requestsPerSecond'], 0)} a second${failed}${doubt(figures)}`;
}
