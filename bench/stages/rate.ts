/** Latency at a fixed 5,000 requests a second, through each proxy and without one, and what hey says to it. */

import type { Sample } from '../figures.ts';
import type { Lab } from '../lab.ts';
import type { LoadPlan } from '../load.ts';
import type { RunningPeer } from '../peers/peer.ts';
import { formatNumber } from '../text.ts';
import { FixedRate, hey, wrk } from '../workload.ts';
import { doubt, metered, roundOrder, withPeers, type Pace } from './stage.ts';

const RATE = 5_000;
const CONNECTIONS = 64;

export async function rate(lab: Lab, pace: Pace): Promise<Sample[]> {
  return withPeers(lab, lab.peersFor('rate'), async (running) => {
    const samples: Sample[] = [];
    for (const [name, peer] of running) {
      lab.progress(`rate: warm ${name} up`);
      const target = { host: peer.host, port: peer.port, path: '/small', headers: '' };
      await wrk(lab, { target, connections: CONNECTIONS, seconds: pace.warmSeconds });
    }
    for (let round = 1; round <= pace.rounds; round += 1) {
      for (const [name, peer] of roundOrder([['direct', null] as const, ...running], round)) {
        const figures = {
          ...(await fixedRate(lab, pace, peer)),
          ...(round === 1 ? await secondOpinion(lab, pace, peer) : {}),
        };
        samples.push({ subject: name, round, figures });
        lab.progress(
          `rate ${round}/${pace.rounds} ${name}: p50 ${formatNumber(figures['p50Micros'], 0)} µs, p99 ${formatNumber(figures['p99Micros'], 0)} µs${doubt(figures)}`,
        );
      }
    }
    return samples;
  });
}

/** A plan on a peer, or on the upstream itself when `peer` is null. */
export function planFor(
  lab: Lab,
  peer: Pick<RunningPeer, 'host' | 'port'> | null,
  options: Pick<LoadPlan, 'durationMs' | 'cutsMs'>,
): LoadPlan {
  const direct = {
    host: lab.upstream.addresses[0] ?? '',
    port: lab.upstream.port,
    path: '/small',
    headers: '',
  };
  return {
    target: peer === null ? direct : { ...direct, host: peer.host, port: peer.port },
    rate: RATE,
    connections: CONNECTIONS,
    rehearsal: { target: direct, durationMs: 1_000 },
    ...options,
  };
}

async function fixedRate(
  lab: Lab,
  pace: Pace,
  peer: RunningPeer | null,
): Promise<Sample['figures']> {
  const plan = planFor(lab, peer, { durationMs: pace.seconds * 1_000, cutsMs: [] });
  const load = new FixedRate(lab, plan);
  await load.rehearsed();
  const { result, cpuMs, foreignPercent } = await metered(lab, peer?.child.pid ?? 0, () => {
    load.go(plan.target);
    return load.result();
  });
  const latency = {
    p50Micros: result.steady.p50Micros,
    p99Micros: result.steady.p99Micros,
    p999Micros: result.steady.p999Micros,
    maxMicros: result.steady.maxMicros,
    lateP99Micros: result.lateP99Micros,
    failed: result.failed + result.unsent,
  };
  if (peer === null) return latency;
  return { ...latency, cpuMicros: (cpuMs * 1_000) / Math.max(result.completed, 1), foreignPercent };
}

async function secondOpinion(
  lab: Lab,
  pace: Pace,
  peer: RunningPeer | null,
): Promise<Sample['figures']> {
  const { target } = planFor(lab, peer, { durationMs: 0, cutsMs: [] });
  const seconds = pace.quick ? 2 : 5;
  const result = await hey(lab, { target, connections: CONNECTIONS, seconds, rate: RATE });
  return { heyP50Micros: result.p50Micros, heyP99Micros: result.p99Micros };
}
