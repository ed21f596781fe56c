/** Resident memory after start, after load, and per idle connection; it varies little, so a third of the rounds will do. */

import type { Sample, StageName } from '../figures.ts';
import type { Lab } from '../lab.ts';
import { LoadConnection } from '../load-connection.ts';
import { oneCore, type Peer, type RunningPeer } from '../peers/peer.ts';
import { memory as memoryOf } from '../sampling.ts';
import { formatNumber } from '../text.ts';
import { wrk } from '../workload.ts';
import { type MeasureStage, roundOrder, type Pace } from './stage.ts';

const IDLE_CONNECTIONS = 5_000;

export function memory(name: 'memory' | 'tcp-memory'): MeasureStage {
  return (lab, pace) => measureAll(lab, pace, name);
}

async function measureAll(lab: Lab, pace: Pace, name: StageName): Promise<Sample[]> {
  const samples: Sample[] = [];
  const peers = lab.peersFor(name);
  const rounds = Math.ceil(pace.rounds / 3);
  for (const [round, peer] of inRounds(peers, rounds)) {
    const figures = await measure(lab, pace, peer);
    samples.push({ subject: peer.name, round, figures });
    lab.progress(
      `${name} ${round}/${rounds} ${peer.name}: ${formatNumber(figures['loadedRssMb'], 1)} MB after load, ${formatNumber(figures['idleConnectionKb'], 1)} kB per idle connection`,
    );
  }
  return samples;
}

function inRounds(peers: readonly Peer[], rounds: number): [number, Peer][] {
  return Array.from({ length: rounds }, (_, i) => i + 1).flatMap((round) =>
    roundOrder(peers, round).map((peer): [number, Peer] => [round, peer]),
  );
}

async function measure(lab: Lab, pace: Pace, peer: Peer): Promise<Sample['figures']> {
  const running = await peer.start(lab, oneCore(lab));
  try {
    const fresh = memoryOf(running.child.pid);
    for (const path of ['/small', '/1m', '/10k', '/small']) {
      const target = { host: running.host, port: running.port, path, headers: '' };
      await wrk(lab, { target, connections: 64, seconds: pace.seconds });
    }
    const loaded = memoryOf(running.child.pid);
    const connections = await openIdle(running, IDLE_CONNECTIONS);
    const crowded = memoryOf(running.child.pid);
    for (const connection of connections) connection.close();
    return {
      freshRssMb: fresh.rssMb,
      loadedRssMb: loaded.rssMb,
      peakRssMb: loaded.peakRssMb,
      loadedPssMb: loaded.pssMb,
      idleConnectionKb: ((crowded.pssMb - loaded.pssMb) * 1_000) / IDLE_CONNECTIONS,
    };
  } finally {
    await running.stop();
  }
}

/** Connections that each made one request, 50 at a time, and now wait. */
async function openIdle(running: RunningPeer, count: number): Promise<LoadConnection[]> {
  const target = { host: running.host, port: running.port, path: '/small', headers: '' };
  const connections: LoadConnection[] = [];
  const open = async (): Promise<void> => {
    let answered: (ok: boolean) => void = () => undefined;
    const connection = new LoadConnection(target, (ok) => answered(ok));
    connections.push(connection);
    await connection.open();
    const answer = new Promise<boolean>((resolve) => (answered = resolve));
    connection.send(0);
    if (!(await answer)) throw new Error(`Connection ${connections.length} got no 200`);
  };
  for (let done = 0; done < count; done += 50) {
    await Promise.all(Array.from({ length: Math.min(50, count - done) }, open));
  }
  return connections;
}
