/** Ten seconds of the demo by script: break, slow down, heal, then judge what callers, replicas and mesh counted. */

import { type Clock, delay } from '../../src/base/clock.ts';
import { weightShare, type Demo } from '../demo.ts';
import type { Shop } from '../shop/manifest.ts';
import type { MeshSample } from '../stats.ts';
import { assess, type CheckFigures, type CheckLine } from './assess.ts';

const VICTIM = 'web-2';
const BREAK_AT_MS = 1_500;
const HEAL_AT_MS = 4_000;
const END_AT_MS = 10_000;
const SAMPLE_MS = 50;
/** What is to be seen comes later on a busy machine; it is waited for so much longer. */
const LATE_MS_MAX = 20_000;
/** Between two samples; what is more, the machine stood still. */
const GAP_MS_MAX = 250;

/** Plays the script and returns the judgement. `say` gets a line for each thing done. */
export async function runCheck(
  demo: Demo,
  clock: Clock,
  say: (text: string) => void,
): Promise<CheckLine[]> {
  const startMs = clock.nowMs();
  const watch = watchMesh(demo, clock);
  const slow = serviceOf(demo.manifests, 'recommend').pods.map((pod) => pod.name);

  await delay(clock, BREAK_AT_MS);
  say(`${VICTIM} refuses connections, recommend becomes slow`);
  const brokenMs = clock.nowMs();
  await demo.shop.setMode(VICTIM, 'refuse');
  await Promise.all(slow.map((pod) => demo.shop.setMode(pod, 'slow')));

  await delay(clock, startMs + HEAL_AT_MS - clock.nowMs());
  await watch.until((samples) => {
    const after = samples.filter(({ atMs }) => atMs >= brokenMs);
    return after.some(isOut) && after.some((sample) => breakerOf(sample) === 'open');
  });
  say(`${VICTIM} and recommend are well again`);
  await Promise.all([VICTIM, ...slow].map((pod) => demo.shop.setMode(pod, 'well')));
  const healedMs = clock.nowMs();

  await delay(clock, startMs + END_AT_MS - clock.nowMs());
  await watch.until((samples) => {
    const last = samples.at(-1);
    return last !== undefined && !isOut(last) && breakerOf(last) === 'closed';
  });
  const callers = await demo.traffic.finish();
  const samples = await watch.end();
  const mesh = await demo.sample();
  const ads = serviceOf(demo.manifests, 'ads').annotations;
  const figures: CheckFigures = {
    callers,
    replicas: await demo.shop.counts(),
    mesh,
    web: {
      pod: VICTIM,
      brokenMs,
      ejectedMs: firstAt(samples, brokenMs, isOut),
      healedMs,
      restoredMs: firstAt(samples, healedMs, (sample) => !isOut(sample)),
    },
    recommend: {
      slowFromMs: brokenMs,
      openedMs: firstAt(samples, brokenMs, (sample) => breakerOf(sample) === 'open'),
      healedMs,
      closedMs: firstAt(samples, healedMs, (sample) => breakerOf(sample) === 'closed'),
      atEnd: breakerOf(mesh),
    },
    stillMs: Math.round(longestGapMs(samples) > GAP_MS_MAX ? longestGapMs(samples) : 0),
    rateLimit: {
      average: Number(ads['maesh.dev/ratelimit-average']),
      burst: Number(ads['maesh.dev/ratelimit-burst']),
    },
    canaryShare: weightShare(serviceOf(demo.manifests, 'catalog'), 'catalog-v2'),
  };
  return assess(figures);
}

function longestGapMs(samples: readonly MeshSample[]): number {
  const gaps = samples.slice(1).map(({ atMs }, i) => atMs - (samples[i]?.atMs ?? atMs));
  return Math.max(0, ...gaps);
}

interface Watch {
  /** Resolves once that was seen, or nobody waits for it any more. */
  until(isSeen: (samples: readonly MeshSample[]) => boolean): Promise<void>;
  /** What was seen; throws what went wrong meanwhile. */
  end(): Promise<MeshSample[]>;
}

/** Samples the mesh from now on. */
function watchMesh(demo: Demo, clock: Clock): Watch {
  const samples: MeshSample[] = [];
  const over = new AbortController();
  const loop = async (): Promise<null> => {
    while (!over.signal.aborted) {
      samples.push(await demo.sample());
      await delay(clock, SAMPLE_MS);
    }
    return null;
  };
  const done = loop().catch((error: unknown) => error);
  return {
    async until(isSeen) {
      const endMs = clock.nowMs() + LATE_MS_MAX;
      while (!isSeen(samples) && clock.nowMs() < endMs) await delay(clock, SAMPLE_MS);
    },
    async end() {
      over.abort();
      const error = await done;
      if (error !== null) throw error;
      return samples;
    },
  };
}

function isOut(sample: MeshSample): boolean {
  const web = sample.services.find((service) => service.name === 'web');
  return web?.endpoints.find((endpoint) => endpoint.pod === VICTIM)?.health !== 'ready';
}

function breakerOf(sample: MeshSample): CheckFigures['recommend']['atEnd'] {
  return sample.services.find((service) => service.name === 'recommend')?.breaker ?? 'none';
}

function firstAt(
  samples: readonly MeshSample[],
  fromMs: number,
  holds: (sample: MeshSample) => boolean,
): number {
  return samples.find((sample) => sample.atMs >= fromMs && holds(sample))?.atMs ?? Number.NaN;
}

function serviceOf(shop: Shop, name: string): Shop['services'][number] {
  const service = shop.services.find((other) => other.name === name);
  if (service === undefined) throw new Error(`Cannot find the Service "${name}" in examples/shop`);
  return service;
}
