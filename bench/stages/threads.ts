/**
 * What a second thread on a second core gives. The load and the upstream need cores as well, and two cores are all that many
 * machines have: so one thread, one wrk and one upstream worker share one core, then two of each share two. Everything is
 * doubled, so twice the requests are all that can be; `direct`, the same without a proxy, shows what the machine itself gives.
 */

import type { Sample } from '../figures.ts';
import type { Lab } from '../lab.ts';
import type { Peer, RunningPeer } from '../peers/peer.ts';
import { usage } from '../sampling.ts';
import { formatNumber } from '../text.ts';
import { startUpstream, type Upstream } from '../upstream.ts';
import { wrk } from '../workload.ts';
import { roundOrder, type Pace } from './stage.ts';

const CONNECTIONS_PER_THREAD = 64;

interface Scene {
  readonly threads: number;
  readonly cores: readonly number[];
  readonly upstream: Upstream;
  readonly running: ReadonlyMap<string, RunningPeer>;
}

export async function threads(lab: Lab, pace: Pace): Promise<Sample[]> {
  const peers = lab.peersFor('threads');
  const scenes: Scene[] = [];
  try {
    scenes.push(await scene(lab, peers, [lab.proxyCore]));
    scenes.push(await scene(lab, peers, [lab.proxyCore, lab.loadCore]));
    return await measure(lab, pace, { peers, scenes });
  } finally {
    await Promise.all(scenes.map(close));
  }
}

/** Upstream and peers with a thread per core, idle until they are measured. */
async function scene(lab: Lab, peers: readonly Peer[], cores: readonly number[]): Promise<Scene> {
  const { children, tools, dir } = lab;
  const upstream = await startUpstream({ children, tools, dir, cores, endpoints: 3 });
  const running = new Map<string, RunningPeer>();
  const made = { threads: cores.length, cores, upstream, running };
  try {
    for (const peer of peers) {
      running.set(peer.name, await peer.start({ ...lab, upstream }, made));
    }
  } catch (error) {
    await close(made);
    throw error;
  }
  return made;
}

async function close({ running, upstream }: Scene): Promise<void> {
  await Promise.all([...running.values()].map((peer) => peer.stop()));
  await upstream.stop();
}

async function measure(
  lab: Lab,
  pace: Pace,
  { peers, scenes }: { readonly peers: readonly Peer[]; readonly scenes: readonly Scene[] },
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const subjects = ['direct', ...peers.map((peer) => peer.name)];
  for (const subject of subjects) {
    lab.progress(`threads: warm ${subject} up`);
    for (const each of scenes) await drive(lab, each, { subject, seconds: pace.warmSeconds });
  }
  for (let round = 1; round <= pace.rounds; round += 1) {
    for (const subject of roundOrder(subjects, round)) {
      const runs: Run[] = [];
      for (const each of scenes) {
        runs.push(await drive(lab, each, { subject, seconds: pace.seconds }));
      }
      const figures = figuresOf(runs);
      samples.push({ subject, round, figures });
      lab.progress(
        `threads ${round}/${pace.rounds} ${subject}: ${formatNumber(figures['oneRequestsPerSecond'], 0)} requests/s with one, ${formatNumber(figures['speedup'], 2)} × that with two`,
      );
    }
  }
  return samples;
}

interface Run {
  readonly requestsPerSecond: number;
  /** Null without a proxy. */
  readonly cpuMicros: number | null;
  readonly failed: number;
}

async function drive(
  lab: Lab,
  at: Scene,
  { subject, seconds }: { readonly subject: string; readonly seconds: number },
): Promise<Run> {
  const peer = at.running.get(subject);
  const { host, port } = peer ?? { host: at.upstream.addresses[0] ?? '', port: at.upstream.port };
  const before = peer === undefined ? 0 : usage(peer.child.pid, lab.proxyCore).cpuMs;
  const result = await wrk(lab, {
    target: { host, port, path: '/small', headers: peer?.headers ?? '' },
    connections: CONNECTIONS_PER_THREAD * at.threads,
    seconds,
    cores: at.cores,
  });
  const cpuMs = peer === undefined ? null : usage(peer.child.pid, lab.proxyCore).cpuMs - before;
  const good = Math.max(result.requests - result.failed, 1);
  return {
    requestsPerSecond: good / result.seconds,
    cpuMicros: cpuMs === null ? null : (cpuMs * 1_000) / good,
    failed: result.failed,
  };
}

function figuresOf([one, two]: readonly Run[]): Sample['figures'] {
  if (one === undefined || two === undefined) return {};
  return {
    speedup: two.requestsPerSecond / one.requestsPerSecond,
    oneRequestsPerSecond: one.requestsPerSecond,
    twoRequestsPerSecond: two.requestsPerSecond,
    ...(one.cpuMicros === null ? {} : { oneCpuMicros: one.cpuMicros }),
    ...(two.cpuMicros === null ? {} : { twoCpuMicros: two.cpuMicros }),
    failed: one.failed + two.failed,
  };
}
