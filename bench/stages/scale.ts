/** 10,000 Services with 100,000 endpoints: start, memory, how soon an update is live, and what it does to others' traffic. */

import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { middle, type Sample } from '../figures.ts';
import type { Lab } from '../lab.ts';
import { untilListening } from '../listeners.ts';
import type { LoadPlan } from '../load.ts';
import { crowd, manifest, type ServiceShape } from '../manifests.ts';
import {
  benchService,
  BREAKER,
  RATE_LIMIT,
  RETRY,
  SERVICE_PORT,
  startMaesh,
  type MaeshOptions,
  type RunningMaesh,
} from '../peers/maesh.ts';
import { ask } from '../probe.ts';
import { memory } from '../sampling.ts';
import { formatNumber } from '../text.ts';
import { FixedRate } from '../workload.ts';
import { planFor } from './rate.ts';
import { metered, type Pace } from './stage.ts';

const SERVICES = 10_000;
const ENDPOINTS_EACH = 10;
const FILES = 100;
/** Traffic of another Service while updates arrive, requests per second. */
const RATE = 2_000;
const UPDATES_PER_SECOND = 10;
const READY_TIMEOUT_MS = 120_000;

export async function scale(lab: Lab, pace: Pace): Promise<Sample[]> {
  lab.progress(`scale: write ${formatNumber(SERVICES, 0)} Services`);
  const files = manifests(lab);
  lab.progress('scale: start');
  const { running, started } = await start(lab, files);
  try {
    const small = new Updates(lab, running, 'probe.json', []);
    const large = new Updates(lab, running, 'mixed.json', mixedCrowd());
    const live = await liveness(lab, pace, { small, large });
    const samples: Sample[] = [{ subject: 'maesh', round: 1, figures: { ...started, ...live } }];
    const plan: LoadPlan = {
      ...planFor(
        lab,
        { host: running.address('bench/web'), port: SERVICE_PORT },
        { durationMs: pace.seconds * 1_000, cutsMs: [] },
      ),
      rate: RATE,
    };
    await trafficRun(lab, running, { plan, meanwhile: () => undefined });
    for (let round = 1; round <= pace.rounds; round += 1) {
      const figures = await disturbance(lab, running, { plan, updates: small });
      samples.push({ subject: 'maesh', round, figures });
      lab.progress(
        `scale ${round}/${pace.rounds}: p99 ${formatNumber(figures['calmP99Micros'], 0)} µs without updates, ${formatNumber(figures['updatingP99Micros'], 0)} µs with ${UPDATES_PER_SECOND} a second`,
      );
    }
    return samples;
  } finally {
    await running.stop();
  }
}

async function start(
  lab: Lab,
  files: MaeshOptions['files'],
): Promise<{ readonly running: RunningMaesh; readonly started: Sample['figures'] }> {
  let listening = Promise.resolve(Number.NaN);
  const running = await startMaesh(lab, {
    name: 'scale',
    files,
    flags: [],
    readyTimeoutMs: READY_TIMEOUT_MS,
    whileStarting(child) {
      const awaited = { port: SERVICE_PORT, count: SERVICES, timeoutMs: READY_TIMEOUT_MS };
      listening = untilListening({ ...awaited, child });
      // Heard below, when all is ready.
      listening.catch(() => undefined);
    },
  });
  const listenersMs = await listening;
  const readyRssMb = memory(running.child.pid).rssMb;
  lab.progress(
    `scale: ready in ${formatNumber(running.readyMs, 0)} ms with ${formatNumber(readyRssMb, 0)} MB, listeners open in ${formatNumber(listenersMs, 0)} ms`,
  );
  return { running, started: { readyMs: running.readyMs, listenersMs, readyRssMb } };
}

function manifests(lab: Lab): Record<string, string> {
  const files: Record<string, string> = {};
  const shapes = crowd({ services: SERVICES, endpointsEach: ENDPOINTS_EACH, port: SERVICE_PORT });
  const perFile = SERVICES / FILES;
  for (let file = 0; file < FILES - 1; file += 1) {
    const name = `crowd-${String(file).padStart(3, '0')}.json`;
    files[name] = manifest(shapes.slice(file * perFile, (file + 1) * perFile));
  }
  const web = benchService(lab, 'web', { ...RETRY, ...BREAKER, ...RATE_LIMIT });
  files['web.json'] = manifest([web]);
  files['probe.json'] = manifest([probe(lab, 'probe', 0)]);
  files['mixed.json'] = manifest([...mixedCrowd(), probe(lab, 'mixed', 0)]);
  return files;
}

/** The last hundred of the crowd, which share a file with a Service that is updated. */
function mixedCrowd(): ServiceShape[] {
  return crowd({ services: SERVICES, endpointsEach: ENDPOINTS_EACH, port: SERVICE_PORT }).slice(
    (SERVICES / FILES) * (FILES - 1),
  );
}

/** A Service with one endpoint that says which one it is. */
function probe(lab: Lab, name: string, endpoint: number): ServiceShape {
  const shape = benchService(lab, name, {});
  return { ...shape, endpoints: [shape.endpoints[endpoint] ?? ''] };
}

/** Moves one Service from one endpoint to another and back by rewriting its file. */
class Updates {
  readonly service: string;
  readonly #lab: Lab;
  readonly #running: RunningMaesh;
  readonly #file: string;
  readonly #others: readonly ServiceShape[];
  #endpoint = 0;

  /** `others` are the further Services of the same file. */
  constructor(lab: Lab, running: RunningMaesh, file: string, others: readonly ServiceShape[]) {
    this.#lab = lab;
    this.#running = running;
    this.#file = file;
    this.#others = others;
    this.service = file.replace('.json', '');
  }

  /** Writes beside and renames, so that no half-written file is ever seen. */
  write(): void {
    this.#endpoint = 1 - this.#endpoint;
    const text = manifest([...this.#others, probe(this.#lab, this.service, this.#endpoint)]);
    const path = join(this.#running.manifests, this.#file);
    writeFileSync(join(this.#lab.dir, 'next.json'), text);
    renameSync(join(this.#lab.dir, 'next.json'), path);
  }

  /** Milliseconds from the write to the first answer of the new endpoint. */
  async untilLive(): Promise<number> {
    const target = {
      host: this.#running.address(`bench/${this.service}`),
      port: SERVICE_PORT,
      path: '/who',
    };
    this.write();
    const writtenAt = performance.now();
    for (;;) {
      const answer = await ask(target);
      const nowMs = performance.now();
      if (answer?.body === this.#lab.upstream.addresses[this.#endpoint]) return nowMs - writtenAt;
      if (nowMs - writtenAt > 10_000) {
        throw new Error(`The update of ${this.#file} is not live after 10 s`);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

async function liveness(
  lab: Lab,
  pace: Pace,
  updates: { readonly small: Updates; readonly large: Updates },
): Promise<Sample['figures']> {
  const count = pace.quick ? 10 : 50;
  const times = async (one: Updates): Promise<number[]> => {
    const list = [];
    for (let i = 0; i < count; i += 1) list.push(await one.untilLive());
    lab.progress(`scale: ${one.service} updates live in ${formatNumber(middle(list), 1)} ms`);
    return list;
  };
  const small = await times(updates.small);
  const large = await times(updates.large);
  return {
    liveMs: middle(small) ?? Number.NaN,
    liveMaxMs: Math.max(...small),
    liveLargeFileMs: middle(large) ?? Number.NaN,
    liveLargeFileMaxMs: Math.max(...large),
  };
}

/** The same traffic without and with updates of another Service. */
async function disturbance(
  lab: Lab,
  running: RunningMaesh,
  { plan, updates }: { readonly plan: LoadPlan; readonly updates: Updates },
): Promise<Sample['figures']> {
  const calm = await trafficRun(lab, running, { plan, meanwhile: () => undefined });
  const beforeMb = memory(running.child.pid).rssMb;
  let written = 0;
  const busy = await trafficRun(lab, running, {
    plan,
    meanwhile: () => {
      updates.write();
      written += 1;
    },
  });
  const updatedRssMb = memory(running.child.pid).rssMb;
  return {
    calmP99Micros: calm.p99Micros,
    calmMaxMicros: calm.maxMicros,
    updatingP99Micros: busy.p99Micros,
    updatingMaxMicros: busy.maxMicros,
    lateP99Micros: Math.max(calm.lateP99Micros, busy.lateP99Micros),
    failed: calm.failed + busy.failed,
    cpuPerUpdateMs: (busy.cpuMs - calm.cpuMs) / Math.max(written, 1),
    updatedRssMb,
    rssPerUpdateKb: ((updatedRssMb - beforeMb) * 1_000) / Math.max(written, 1),
  };
}

interface TrafficRun {
  readonly plan: LoadPlan;
  /** Called at the pace of updates while traffic flows. */
  readonly meanwhile: () => void;
}

interface Traffic {
  readonly p99Micros: number;
  readonly maxMicros: number;
  readonly lateP99Micros: number;
  readonly failed: number;
  readonly cpuMs: number;
}

async function trafficRun(
  lab: Lab,
  running: RunningMaesh,
  { plan, meanwhile }: TrafficRun,
): Promise<Traffic> {
  const load = new FixedRate(lab, plan);
  await load.rehearsed();
  const timer = setInterval(meanwhile, 1_000 / UPDATES_PER_SECOND);
  try {
    const { result, cpuMs } = await metered(lab, running.child.pid, () => {
      load.go(plan.target);
      return load.result();
    });
    const { p99Micros, maxMicros } = result.steady;
    const { lateP99Micros } = result;
    const failed = result.failed + result.unsent;
    return { p99Micros, maxMicros, lateP99Micros, failed, cpuMs };
  } finally {
    clearInterval(timer);
  }
}
