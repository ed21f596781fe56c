/** From the start of the process to ready; the first second of traffic, and the next four, against the time after them. */

import type { Sample } from '../figures.ts';
import type { Lab } from '../lab.ts';
import { oneCore, type Peer } from '../peers/peer.ts';
import { formatNumber } from '../text.ts';
import { FixedRate } from '../workload.ts';
import { planFor } from './rate.ts';
import { doubt, metered, roundOrder, type Pace } from './stage.ts';

export async function start(lab: Lab, pace: Pace): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let round = 1; round <= pace.rounds; round += 1) {
    // Without a proxy, too: what the generator's own new connections cost is in everybody's first second.
    for (const peer of roundOrder([null, ...lab.peersFor('start')], round)) {
      const subject = peer?.name ?? 'direct';
      const figures = await coldStart(lab, pace, peer);
      samples.push({ subject, round, figures });
      lab.progress(
        `start ${round}/${pace.rounds} ${subject}: ready in ${formatNumber(figures['readyMs'], 0)} ms, p99 ${formatNumber(figures['firstP99Micros'], 0)} µs in the first second, ${formatNumber(figures['nextP99Micros'], 0)} µs in the next four, ${formatNumber(figures['steadyP99Micros'], 0)} µs then${doubt(figures)}`,
      );
    }
  }
  return samples;
}

/** The generator is rehearsed before the proxy starts: all that is cold is the proxy. */
async function coldStart(lab: Lab, pace: Pace, peer: Peer | null): Promise<Sample['figures']> {
  const length = { durationMs: 5_000 + pace.seconds * 1_000, cutsMs: [1_000, 5_000] };
  const load = new FixedRate(lab, planFor(lab, null, length));
  try {
    await load.rehearsed();
    const running = (await peer?.start(lab, oneCore(lab))) ?? null;
    try {
      const { result, foreignPercent } = await metered(lab, running?.child.pid ?? 0, () => {
        load.go(planFor(lab, running, length).target);
        return load.result();
      });
      const [first, next] = result.windows;
      const { steady } = result;
      return {
        ...(running === null ? {} : { readyMs: running.readyMs }),
        firstP99Micros: first!.p99Micros,
        firstMaxMicros: first!.maxMicros,
        nextP99Micros: next!.p99Micros,
        nextMaxMicros: next!.maxMicros,
        steadyP99Micros: steady.p99Micros,
        steadyMaxMicros: steady.maxMicros,
        firstToSteady: first!.p99Micros / Math.max(steady.p99Micros, 1),
        failed: result.failed + result.unsent,
        foreignPercent,
      };
    } finally {
      await running?.stop();
    }
  } finally {
    await load.stop();
  }
}
