/** Loads from pods of several nodes at once, and what they lost together. */

import type { TestContext } from 'node:test';
import type { LoadSpec } from '../app.ts';
import { Load } from '../app-manifests.ts';
import type { Bed } from '../bed/bed.ts';
import type { MeshBed } from './mesh.ts';

export interface LoadsOptions {
  readonly namespace: string;
  readonly url: string;
  /** Default: both. */
  readonly nodes?: readonly string[];
  /** Connections of each load; default 4. */
  readonly connections?: number;
}

export interface Lost {
  readonly requests: number;
  readonly failed: number;
  readonly reasons: Readonly<Record<string, number>>;
  /** Unix ms from the first to the last failure of each load, the longest. */
  readonly longestMs: number;
  readonly maxMs: number;
}

/** Between two requests of a connection. */
export const THINK_MS = 10;
/** Connections of a pair of loads on one node, by default. */
export const CONNECTIONS = 8;
/** Requests on a connection of the load that connects and resolves anew. */
const PER_CONNECTION = 5;

let count = 0;

/** On each node one load whose connections stay, and one that connects and resolves anew every few requests. */
export class Loads {
  readonly #loads: readonly Load[];

  private constructor(loads: readonly Load[]) {
    this.#loads = loads;
  }

  /** Resolves once all have success. */
  static async start(bed: Bed, options: LoadsOptions): Promise<Loads> {
    const { namespace, url, nodes = ['n1', 'n2'], connections = CONNECTIONS / 2 } = options;
    const common: LoadSpec = { url, connections, thinkMs: THINK_MS };
    const starts = nodes.flatMap((node) =>
      [common, { ...common, perConnection: PER_CONNECTION }].map(async (spec) => {
        const name = `load-${++count}`;
        return await Load.start(bed, { namespace, name, node, spec });
      }),
    );
    return new Loads(await Promise.all(starts));
  }

  /** Waits until each has so much more success. */
  async more(requests: number): Promise<void> {
    await Promise.all(this.#loads.map((load) => load.more(requests)));
  }

  async stop(): Promise<Lost> {
    const results = await Promise.all(this.#loads.map((load) => load.stop()));
    const reasons: Record<string, number> = {};
    let [requests, failed, longestMs, maxMs] = [0, 0, 0, 0];
    for (const result of results) {
      requests += result.ok + result.failed;
      failed += result.failed;
      maxMs = Math.max(maxMs, Math.round(result.maxMs));
      for (const [reason, number] of Object.entries(result.reasons))
        reasons[reason] = (reasons[reason] ?? 0) + number;
      const times = result.failures.map(({ at }) => Date.parse(at));
      longestMs = Math.max(longestMs, (times.at(-1) ?? 0) - (times[0] ?? 0));
    }
    return { requests, failed, reasons, longestMs, maxMs };
  }
}

export function tell(t: TestContext, what: string, lost: Lost, bound = 0): void {
  const { requests, failed, reasons, longestMs, maxMs } = lost;
  const details = failed === 0 ? '' : `, over ${longestMs} ms: ${JSON.stringify(reasons)}`;
  t.diagnostic(
    `${what}: ${requests} requests, ${failed} failed (bound ${bound})${details}; slowest ${maxMs} ms`,
  );
}

/** Requests for a Service (`namespace/name`) that an agent (`namespace/name` of its Pod) has carried. */
export async function carriedBy(mesh: MeshBed, agent: string, service: string): Promise<number> {
  const path = `/api/v1/namespaces/${agent.replace('/', '/pods/')}:9000/proxy/metrics`;
  let sum = 0;
  for (const line of (await mesh.bed.kubectl(['get', '--raw', path])).split('\n')) {
    if (!line.startsWith('maesh_requests_total{') || !line.includes(`service="${service}"`))
      continue;
    sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}
