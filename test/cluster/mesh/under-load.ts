/** Callers of both nodes that call a mesh name while something happens: those that keep connections, those that do not. */

import type { TestContext } from 'node:test';
import type { LoadResult } from '../app.ts';
import { Load } from '../app-manifests.ts';
import type { Bed } from '../bed/bed.ts';

type Started = readonly Load[];

export interface Loads {
  /** Connections without end, by node: they notice only what happens behind the proxy, or to it. */
  readonly kept: readonly Load[];
  /** Three requests on a connection, then the name is looked up anew: they notice DNS and kube-proxy too. */
  readonly fresh: readonly Load[];
  /** Waits until each of them has had so many more answers. */
  readonly more: (count: number) => Promise<void>;
}

export interface Count {
  readonly ok: number;
  readonly failed: number;
  readonly reasons: Readonly<Record<string, number>>;
  readonly failures: LoadResult['failures'];
  readonly maxMs: number;
}

export interface Counts {
  readonly kept: Count;
  readonly fresh: Count;
  /** As `fresh`, for the plain name beside; nothing when there was none. */
  readonly plain: Count;
}

export interface LoadPlan {
  readonly namespace: string;
  readonly url: string;
  /** A URL that does not go through the mesh, called as often, to compare with. */
  readonly plainUrl?: string;
  /** Default: both. */
  readonly nodes?: readonly string[];
  /** Default 5,000. */
  readonly timeoutMs?: number;
}

const CONNECTIONS = 4;
const THINK_MS = 20;

/** Runs `body` while callers call, prints what they counted, and gives it. */
export async function underLoad(
  t: TestContext,
  bed: Bed,
  plan: LoadPlan,
  body: (loads: Loads) => Promise<void>,
): Promise<Counts> {
  const { namespace, url, plainUrl, nodes = ['n1', 'n2'], timeoutMs = 5_000 } = plan;
  const start = async (kind: string, to: string, perConnection?: number): Promise<Started> => {
    const common = { url: to, connections: CONNECTIONS, thinkMs: THINK_MS, timeoutMs };
    const spec = { ...common, ...(perConnection === undefined ? {} : { perConnection }) };
    const loads = nodes.map((node) => {
      const name = `${kind}-${node}-${Date.now().toString(36)}`;
      return Load.start(bed, { namespace, name, node, spec });
    });
    return await Promise.all(loads);
  };
  const [kept, fresh, plain] = await Promise.all([
    start('kept', url),
    start('fresh', url, 3),
    plainUrl === undefined ? [] : start('plain', plainUrl, 3),
  ]);
  const all = [...kept, ...fresh, ...plain];
  const more = async (count: number): Promise<void> => {
    await Promise.all(all.map((load) => load.more(count)));
  };
  let counts: Counts | undefined;
  try {
    await more(20);
    await body({ kept, fresh, more });
    await more(20);
  } finally {
    const [ofKept, ofFresh, ofPlain] = await Promise.all([kept, fresh, plain].map(stop));
    counts = { kept: sum(ofKept), fresh: sum(ofFresh), plain: sum(ofPlain) };
    for (const [kind, count] of Object.entries(counts) as [string, Count][]) {
      if (count.ok + count.failed > 0) tell(t, kind, count);
    }
  }
  return counts;
}

async function stop(loads: Started): Promise<readonly LoadResult[]> {
  return await Promise.all(loads.map((load) => load.stop()));
}

function tell(t: TestContext, kind: string, count: Count): void {
  const { ok, failed, reasons, maxMs, failures } = count;
  const why = failed === 0 ? '' : ` ${JSON.stringify(reasons)}`;
  t.diagnostic(`${kind}: ${ok} ok, ${failed} failed${why}, slowest ${Math.round(maxMs)} ms`);
  const [first] = failures;
  if (first !== undefined) t.diagnostic(`  from ${first.at} to ${failures.at(-1)?.at}`);
}

function sum(results: readonly LoadResult[] = []): Count {
  const reasons: Record<string, number> = {};
  for (const result of results) {
    for (const [reason, count] of Object.entries(result.reasons)) {
      reasons[reason] = (reasons[reason] ?? 0) + count;
    }
  }
  return {
    ok: results.reduce((all, { ok }) => all + ok, 0),
    failed: results.reduce((all, { failed }) => all + failed, 0),
    reasons,
    failures: results.flatMap(({ failures }) => failures).sort((a, b) => (a.at < b.at ? -1 : 1)),
    maxMs: Math.max(0, ...results.map(({ maxMs }) => maxMs)),
  };
}
