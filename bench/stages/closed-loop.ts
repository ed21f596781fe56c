/** CPU per request and requests per second with wrk as fast as it goes: bodies of three sizes, and connection churn. */

import type { Sample, StageName } from '../figures.ts';
import type { Lab } from '../lab.ts';
import type { RunningPeer } from '../peers/peer.ts';
import { formatNumber } from '../text.ts';
import { wrk } from '../workload.ts';
import { doubt, metered, roundOrder, withPeers, type MeasureStage, type Pace } from './stage.ts';

export interface Workload {
  readonly name: StageName;
  readonly path: '/small' | '/10k' | '/1m';
  readonly connections: number;
  /** Extra request header lines. */
  readonly headers: string;
}

export const WORKLOADS = {
  small: { name: 'small', path: '/small', connections: 64, headers: '' },
  '10k': { name: '10k', path: '/10k', connections: 64, headers: '' },
  '1m': { name: '1m', path: '/1m', connections: 16, headers: '' },
  churn: { name: 'churn', path: '/small', connections: 32, headers: 'Connection: close\r\n' },
} as const satisfies Record<string, Workload>;

export function closedLoop(workload: Workload): MeasureStage {
  return (lab, pace) =>
    withPeers(lab, lab.peersFor(workload.name), async (running) => {
      const samples: Sample[] = [];
      for (const [name, peer] of running) {
        lab.progress(`${workload.name}: warm ${name} up`);
        await drive(lab, { peer, workload, seconds: pace.warmSeconds });
      }
      for (let round = 1; round <= pace.rounds; round += 1) {
        for (const [name, peer] of roundOrder([...running], round)) {
          const figures = await drive(lab, { peer, workload, seconds: pace.seconds });
          samples.push({ subject: name, round, figures });
          lab.progress(progressLine(workload, { name, round, pace, figures }));
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

/** One run of wrk on one proxy. */
export async function drive(
  lab: Lab,
  { peer, workload, seconds }: Drive,
): Promise<Sample['figures']> {
  const { path, connections } = workload;
  const headers = `${workload.headers}${peer.headers}`;
  const target = { host: peer.host, port: peer.port, path, headers };
  const { result, cpuMs, foreignPercent } = await metered(lab, peer.child.pid, () =>
    wrk(lab, { target, connections, seconds }),
  );
  const good = Math.max(result.requests - result.failed, 1);
  return {
    cpuMicros: (cpuMs * 1_000) / good,
    requestsPerSecond: good / result.seconds,
    p50Micros: result.p50Micros,
    p99Micros: result.p99Micros,
    failed: result.failed,
    foreignPercent,
  };
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
