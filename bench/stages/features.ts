/** What each feature costs: Services with one policy each in the same maesh, and a second maesh that writes access logs. */

import { join } from 'node:path';
import type { Sample } from '../figures.ts';
import type { Lab } from '../lab.ts';
import { crowd, manifest } from '../manifests.ts';
import {
  AFFINITY,
  benchService,
  BREAKER,
  cookieHeader,
  RATE_LIMIT,
  RETRY,
  SERVICE_PORT,
  SERVICES,
  startMaesh,
  type RunningMaesh,
} from '../peers/maesh.ts';
import { drive, progressLine, WORKLOADS } from './closed-loop.ts';
import { roundOrder, type Pace } from './stage.ts';

interface Variant {
  readonly subject: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly accessLog: boolean;
}

const VARIANTS: readonly Variant[] = [
  { subject: 'plain', annotations: {}, accessLog: false },
  { subject: 'rate limit', annotations: RATE_LIMIT, accessLog: false },
  { subject: 'breaker', annotations: BREAKER, accessLog: false },
  { subject: 'retry', annotations: RETRY, accessLog: false },
  { subject: 'affinity', annotations: AFFINITY, accessLog: false },
  {
    subject: 'all policies',
    annotations: { ...RATE_LIMIT, ...BREAKER, ...RETRY, ...AFFINITY },
    accessLog: false,
  },
  { subject: 'access log', annotations: {}, accessLog: true },
  {
    subject: 'all',
    annotations: { ...RATE_LIMIT, ...BREAKER, ...RETRY, ...AFFINITY },
    accessLog: true,
  },
];

export async function features(lab: Lab, pace: Pace): Promise<Sample[]> {
  const quiet = await start(lab, false);
  const logging = await start(lab, true).catch(async (error: unknown) => {
    await quiet.stop();
    throw error;
  });
  try {
    return await measure(lab, pace, (variant) => (variant.accessLog ? logging : quiet));
  } finally {
    await Promise.all([quiet.stop(), logging.stop()]);
  }
}

async function measure(
  lab: Lab,
  pace: Pace,
  processOf: (variant: Variant) => RunningMaesh,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const run = async (variant: Variant, seconds: number): Promise<Sample['figures']> => {
    const running = processOf(variant);
    const host = running.address(`bench/${serviceName(variant)}`);
    const target = { host, port: SERVICE_PORT };
    const headers = AFFINITY_KEYS.every((key) => key in variant.annotations)
      ? await cookieHeader(target)
      : '';
    const peer = { ...target, child: running.child, headers };
    return drive(lab, { peer, workload: WORKLOADS.small, seconds });
  };
  for (const variant of VARIANTS) {
    lab.progress(`features: warm "${variant.subject}" up`);
    await run(variant, pace.warmSeconds);
  }
  for (let round = 1; round <= pace.rounds; round += 1) {
    for (const variant of roundOrder(VARIANTS, round)) {
      const figures = await run(variant, pace.seconds);
      samples.push({ subject: variant.subject, round, figures });
      lab.progress(
        progressLine({ name: 'features' }, { name: variant.subject, round, pace, figures }),
      );
    }
  }
  return samples;
}

const AFFINITY_KEYS = Object.keys(AFFINITY);

function start(lab: Lab, accessLog: boolean): Promise<RunningMaesh> {
  const services = VARIANTS.filter((variant) => variant.accessLog === accessLog).map((variant) =>
    benchService(lab, serviceName(variant), variant.annotations),
  );
  const rest = crowd({
    services: SERVICES - services.length,
    endpointsEach: 2,
    port: SERVICE_PORT,
  });
  const name = accessLog ? 'maesh-logging' : 'maesh-quiet';
  return startMaesh(lab, {
    name,
    files: { 'crowd.json': manifest(rest), 'bench.json': manifest(services) },
    flags: accessLog
      ? ['--access-log', 'json', '--access-log-path', join(lab.dir, 'access.log')]
      : [],
    readyTimeoutMs: 20_000,
  });
}

function serviceName(variant: Variant): string {
  return variant.subject.replaceAll(' ', '-');
}
