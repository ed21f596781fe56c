/** From the start of the process to ready, and the first second of traffic against the seconds after it. */

import type { Sample } from '../figures.ts';
import type { Lab } from '../lab.ts';
import { PEERS } from '../peers/all.ts';
import type { Peer } from '../peers/peer.ts';
import { formatNumber } from '../text.ts';
import { FixedRate } from '../workload.ts';
import { planFor } from './rate.ts';
import { roundOrder, type Pace } from './stage.ts';

export async function start(lab: Lab, pace: Pace): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let round = 1; round <= pace.rounds; round += 1) {
    for (const peer of roundOrder(PEERS, round)) {
      const figures = await coldStart(lab, pace, peer);
      samples.push({ subject: peer.name, round, figures });
      lab.progress(
        `start ${round}/${pace.rounds} ${peer.name}: ready in ${formatNumber(figures['readyMs'], 0)} ms, p99 ${formatNumber(figures['firstP99Micros'], 0)} µs in the first second, ${formatNumber(figures['steadyP99Micros'], 0)} µs after it`,
      );
    }
  }
  return samples;
}

/** The generator is rehearsed before the proxy starts: all that is cold is the proxy. */
async function coldStart(lab: Lab, pace: Pace, peer: Peer): Promise<Sample['figures']> {
  const plan = planFor(lab, null, { durationMs: 1_000 + pace.seconds * 1_000, firstMs: 1_000 });
  const load = new FixedRate(lab, plan);
  try {
    await load.rehearsed();
    const running = await peer.start(lab);
    try {
      load.go({ ...plan.target, host: running.host, port: running.port });
      const result = await load.result();
      return {
        readyMs: running.readyMs,
        firstP99Micros: result.first.p99Micros,
        firstMaxMicros: result.first.maxMicros,
        steadyP99Micros: result.steady.p99Micros,
        steadyMaxMicros: result.steady.maxMicros,
        firstToSteady: result.first.p99Micros / Math.max(result.steady.p99Micros, 1),
        failed: result.failed + result.unsent,
      };
    } finally {
      await running.stop();
    }
  } finally {
    await load.stop();
  }
}
