/** Callers of several nodes that call a name while something happens, and what they lost. */

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { LoadResult, LoadSpec } from '../app.ts';
import { type WayName, WAYS } from '../app-ways.ts';
import { Load, WAY_PORTS } from '../app-manifests.ts';
import type { Bed } from '../bed/bed.ts';

export interface LoadPlan {
  readonly namespace: string;
  readonly url: string;
  /** Default: both. */
  readonly nodes?: readonly string[];
  /** Of each kind on each node; default CONNECTIONS. */
  readonly connections?: number;
  /** Between two requests of a connection, also when the first one failed; default THINK_MS. */
  readonly thinkMs?: number;
  /** Those that stay call by HTTP/2, gRPC and TCP, too: one connection for each, which lives for some seconds. */
  readonly hasWays?: boolean;
}

export interface Count {
  readonly ok: number;
  readonly failed: number;
  readonly reasons: Readonly<Record<string, number>>;
  /** From the first failure to the last. Where a load had more than the app keeps times of: at least so long. */
  readonly failingMs: number;
  readonly slowestMs: number;
}

export interface Counts {
  /** Connections without end: they notice only what happens behind the proxy, or to it. */
  readonly kept: Count;
  /** A few requests on a connection, then the name is looked up anew: they notice DNS and kube-proxy too. */
  readonly fresh: Count;
  /** Empty without the other ways. */
  readonly ways: Readonly<Partial<Record<WayName, Count>>>;
}

export const CONNECTIONS = 4;
export const THINK_MS = 20;
/** Requests on a connection of the `fresh` ones. */
const PER_CONNECTION = 3;
/** Answers of each load before and after what is done under it. */
const BEFORE = 20;
const AFTER = 100;
/** Of each of the other ways, in all: a call of gRPC takes a fifth of a second. */
const WAY_OK_MIN = 8;
export const WAY_THINK_MS = 100;
const WAY_TIMEOUT_MS = 5_000;

type Pace = Pick<LoadSpec, 'connections'> & { readonly thinkMs: number };

/** For names of pods, which stay for a while after their end. */
let started = 0;

/** Two pods on each node that call all the time, until the end of the test at the latest. */
export class Loads {
  readonly #t: TestContext;
  readonly #pace: Pace;
  readonly #url: string;
  readonly #kept: readonly Load[];
  readonly #fresh: readonly Load[];
  #counts: Promise<Counts> | undefined;

  private constructor(t: TestContext, url: string, pace: Pace, loads: readonly Load[][]) {
    this.#t = t;
    this.#url = url;
    this.#pace = pace;
    [this.#kept = [], this.#fresh = []] = loads;
    t.after(() => this.stop());
  }

  /** Resolves once all have success. */
  static async start(t: TestContext, bed: Bed, plan: LoadPlan): Promise<Loads> {
    const { namespace, url, nodes = ['n1', 'n2'] } = plan;
    const { connections = CONNECTIONS, thinkMs = THINK_MS } = plan;
    const start = async (kind: string, more: Partial<LoadSpec>): Promise<Load[]> => {
      const spec = { url, connections, thinkMs, ...more };
      const loads = nodes.map((node) => {
        const name = `${kind}-${node}-${++started}`;
        return Load.start(bed, { namespace, name, node, spec });
      });
      return await Promise.all(loads);
    };
    const { hostname: host } = new URL(url);
    const ways = { host, ...WAY_PORTS, thinkMs: WAY_THINK_MS, timeoutMs: WAY_TIMEOUT_MS };
    const kinds = [
      start('kept', plan.hasWays === true ? { ways } : {}),
      start('fresh', { perConnection: PER_CONNECTION }),
    ];
    return new Loads(t, url, { connections, thinkMs }, await Promise.all(kinds));
  }

  /** Waits until each of them has had so many more answers: what was done meanwhile was done under load. */
  async more(count: number): Promise<void> {
    await Promise.all([...this.#kept, ...this.#fresh].map((load) => load.more(count)));
  }

  /** Ends them all, prints what they counted, and gives it; a second call gives the same. */
  stop(): Promise<Counts> {
    this.#counts ??= this.#stop();
    return this.#counts;
  }

  async #stop(): Promise<Counts> {
    const stop = (loads: readonly Load[]): Promise<readonly LoadResult[]> =>
      Promise.all(loads.map((load) => load.stop()));
    const [ofKept, ofFresh] = await Promise.all([stop(this.#kept), stop(this.#fresh)]);
    const counts = {
      kept: sum(ofKept, this.#pace),
      fresh: sum(ofFresh, this.#pace),
      ways: sumWays(ofKept),
    };
    const { ways, ...kinds } = counts;
    for (const [kind, count] of Object.entries({ ...kinds, ...ways })) {
      const { ok, failed, reasons, failingMs, slowestMs } = count;
      const why = failed === 0 ? '' : ` within ${failingMs} ms: ${JSON.stringify(reasons)}`;
      const what = `${this.#url} ${kind}: ${ok} ok, ${failed} failed${why}`;
      this.#t.diagnostic(`${what}; slowest ${slowestMs} ms`);
    }
    return counts;
  }
}

/** Each of the other ways, of all pods. */
function sumWays(results: readonly LoadResult[]): Counts['ways'] {
  const pace = { connections: 1, thinkMs: WAY_THINK_MS };
  const counts = WAYS.flatMap((way) => {
    const all = results.flatMap(({ ways }) => ways[way] ?? []);
    return all.length === 0 ? [] : [[way, sum(all, pace)] as const];
  });
  return Object.fromEntries(counts);
}

/** Does something while callers call, and waits until they all have had answers after it. */
export async function underLoad(
  t: TestContext,
  bed: Bed,
  plan: LoadPlan,
  body: (loads: Loads) => Promise<void>,
): Promise<Counts> {
  const loads = await Loads.start(t, bed, plan);
  await loads.more(BEFORE);
  await body(loads);
  await loads.more(AFTER);
  return await loads.stop();
}

export function assertNoneLost(counts: Counts): void {
  const { kept, fresh } = counts;
  assert.deepEqual([kept.reasons, fresh.reasons], [{}, {}]);
  assert.ok(kept.ok > AFTER && fresh.ok > AFTER);
  assertWays(counts, {});
}

/** How requests of the other ways may have ended, and how many of each; where nothing is said, none. */
export function assertWays(
  { ways }: Counts,
  allowed: Readonly<Partial<Record<WayName, { readonly ends: RegExp; readonly max: number }>>>,
): void {
  for (const [way, { ok, failed, reasons }] of Object.entries(ways)) {
    const { ends, max } = allowed[way as WayName] ?? { ends: /^$/, max: 0 };
    for (const reason of Object.keys(reasons)) assert.match(reason, ends, way);
    assert.ok(failed <= max, `${way}: ${failed} of at most ${max} failed`);
    assert.ok(ok >= WAY_OK_MIN, `${way}: ${ok} answered`);
  }
}

type Counted = Pick<LoadResult, 'ok' | 'failed' | 'reasons' | 'maxMs' | 'failures'>;

function sum(results: readonly Counted[], pace: Pace): Count {
  const reasons: Record<string, number> = {};
  let [ok, failed, firstMs, lastMs, slowestMs] = [0, 0, Number.POSITIVE_INFINITY, 0, 0];
  for (const result of results) {
    ok += result.ok;
    failed += result.failed;
    slowestMs = Math.max(slowestMs, result.maxMs);
    for (const [reason, count] of Object.entries(result.reasons))
      reasons[reason] = (reasons[reason] ?? 0) + count;
    const times = result.failures.map(({ at }) => Date.parse(at));
    // Of the first hundred only the app keeps the time. All others came after, and no connection fails twice within `thinkMs`.
    const others = result.failed - times.length;
    firstMs = Math.min(firstMs, ...times.slice(0, 1));
    lastMs = Math.max(lastMs, (times.at(-1) ?? 0) + (others / pace.connections) * pace.thinkMs);
  }
  const failingMs = failed === 0 ? 0 : Math.round(lastMs - firstMs);
  return { ok, failed, reasons, failingMs, slowestMs: Math.round(slowestMs) };
}
