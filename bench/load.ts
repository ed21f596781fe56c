/**
 * An open-loop load generator at a fixed rate: request i is due at start + i / rate, and its latency counts from then, so
 * that a proxy which stalls cannot hide the requests it kept from being sent (coordinated omission). Keep-alive
 * connections take turns; a request that finds none free waits in its place. Runs as a process of its own
 * (`node load.ts PLAN`): it rehearses until its standard input names the target, and prints the result as JSON.
 */

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { systemClock } from '../src/base/clock.ts';
import { Histogram } from './histogram.ts';
import { LoadConnection, type LoadTarget } from './load-connection.ts';

export interface LoadPlan {
  readonly target: LoadTarget;
  /** Requests per second, 1 to 50,000. */
  readonly rate: number;
  /** Keep-alive connections, 1 to 10,000. */
  readonly connections: number;
  readonly durationMs: number;
  /** Times, ascending, that cut the run into windows with latencies of their own, by when a request was due; [] for one. */
  readonly cutsMs: readonly number[];
  /** What the process runs before, for at least that long, so that its own code is compiled when it counts. */
  readonly rehearsal: { readonly target: LoadTarget; readonly durationMs: number };
}

/** The line that the process prints when it expects a target (JSON, one line) on its standard input. */
export const REHEARSED = 'rehearsed';

export interface LatencySummary {
  readonly count: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly p999Micros: number;
  readonly maxMicros: number;
}

export interface LoadResult {
  readonly completed: number;
  /** Answers other than 200 and connections that broke. */
  readonly failed: number;
  /** Requests that were due and never sent because all connections were busy to the end. */
  readonly unsent: number;
  /** One more than there are cuts. */
  readonly windows: readonly LatencySummary[];
  /** The last window. */
  readonly steady: LatencySummary;
  /** How late requests were sent although a connection was free: the generator's own share of every latency. */
  readonly lateP99Micros: number;
}

/** Runs one schedule to its end; the connections are open before the first request is due. */
export async function runLoad(plan: Omit<LoadPlan, 'rehearsal'>): Promise<LoadResult> {
  const pacemaker = await startPacemaker(plan.rate);
  try {
    return await new Schedule(plan, pacemaker).run();
  } finally {
    await pacemaker.stop();
  }
}

/** Longer than any proxy takes to start; after it the generator only waits for its target. */
const REHEARSAL_MAX_MS = 60_000;

class Schedule {
  readonly #plan: Omit<LoadPlan, 'rehearsal'>;
  readonly #pacemaker: Pacemaker;
  #total: number;
  readonly #windows: readonly Histogram[];
  readonly #late = new Histogram();
  readonly #connections: LoadConnection[] = [];
  /** Free connections in the order they became free. */
  readonly #free: Int32Array;
  #freeHead = 0;
  #freeCount = 0;
  #next = 0;
  #inFlight = 0;
  #failed = 0;
  #startMs = 0;
  #finish: () => void = () => undefined;

  constructor(plan: Omit<LoadPlan, 'rehearsal'>, pacemaker: Pacemaker) {
    this.#plan = plan;
    this.#pacemaker = pacemaker;
    this.#total = Math.floor((plan.rate * plan.durationMs) / 1_000);
    this.#free = new Int32Array(plan.connections);
    this.#windows = [...plan.cutsMs, 0].map(() => new Histogram());
  }

  async run(): Promise<LoadResult> {
    const { plan, finished } = { plan: this.#plan, finished: this.#finished() };
    await Promise.all(
      Array.from({ length: plan.connections }, (_, i) => {
        const connection = new LoadConnection(plan.target, (ok) => this.#done(i, ok));
        this.#connections.push(connection);
        return connection.open();
      }),
    );
    for (let i = 0; i < plan.connections; i += 1) this.#release(i);
    this.#startMs = this.#pacemaker.begin(() => this.#pump());
    // A schedule that cannot be kept still ends: what was not sent by then is reported.
    const limit = setTimeout(() => this.#finish(), plan.durationMs + 5_000);
    await finished;
    clearTimeout(limit);
    for (const connection of this.#connections) connection.close();
    return this.#result();
  }

  /** Nothing more becomes due. */
  stop(): void {
    this.#total = this.#next;
    if (this.#inFlight === 0) this.#finish();
  }

  #finished(): Promise<void> {
    return new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  #dueMs(index: number): number {
    return this.#startMs + (index * 1_000) / this.#plan.rate;
  }

  #pump(): void {
    const nowMs = systemClock.nowMs();
    while (this.#freeCount > 0 && this.#next < this.#total && this.#dueMs(this.#next) <= nowMs) {
      const index = this.#free[this.#freeHead]!;
      this.#freeHead = (this.#freeHead + 1) % this.#free.length;
      this.#freeCount -= 1;
      this.#inFlight += 1;
      const dueMs = this.#dueMs(this.#next);
      if (this.#freeCount > 0) this.#late.record((nowMs - dueMs) * 1_000);
      this.#next += 1;
      this.#connections[index]!.send(dueMs);
    }
    if (nowMs > this.#startMs + this.#plan.durationMs + 1_000) this.#finish();
  }

  #done(index: number, ok: boolean): void {
    const connection = this.#connections[index]!;
    const { dueMs } = connection;
    this.#inFlight -= 1;
    if (ok) {
      const micros = (systemClock.nowMs() - dueMs) * 1_000;
      this.#windows[this.#windowOf(dueMs - this.#startMs)]!.record(micros);
    } else {
      this.#failed += 1;
    }
    this.#release(index);
    if (this.#next === this.#total && this.#inFlight === 0) this.#finish();
    else if (this.#next < this.#total && this.#freeCount === 1) this.#pump();
  }

  #windowOf(atMs: number): number {
    const { cutsMs } = this.#plan;
    let window = 0;
    while (window < cutsMs.length && atMs >= cutsMs[window]!) window += 1;
    return window;
  }

  #release(index: number): void {
    this.#free[(this.#freeHead + this.#freeCount) % this.#free.length] = index;
    this.#freeCount += 1;
  }

  #result(): LoadResult {
    const windows = this.#windows.map(summary);
    return {
      completed: windows.reduce((sum, window) => sum + window.count, 0),
      failed: this.#failed,
      unsent: this.#total - this.#next + this.#inFlight,
      windows,
      steady: windows.at(-1)!,
      lateP99Micros: this.#late.quantile(0.99),
    };
  }
}

interface Pacemaker {
  /** Starts the ticks anew and gives the time of the first one. */
  begin(onDue: () => void): number;
  stop(): Promise<unknown>;
}

/** Resolves when its thread waits: starting a thread takes tens of milliseconds that belong to no request. */
async function startPacemaker(rate: number): Promise<Pacemaker> {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const startMs = new Float64Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL('./load-pacemaker.ts', import.meta.url), {
    workerData: { gate, startMs, periodMs: Math.max(1_000 / rate, 0.1) },
  });
  let due = (): void => undefined;
  await once(worker, 'message');
  worker.on('message', () => due());
  return {
    begin(onDue) {
      due = onDue;
      startMs[0] = systemClock.nowMs() + 1;
      Atomics.add(gate, 0, 1);
      Atomics.notify(gate, 0);
      return startMs[0];
    },
    stop: () => worker.terminate(),
  };
}

function summary(histogram: Histogram): LatencySummary {
  return {
    count: histogram.count,
    p50Micros: histogram.quantile(0.5),
    p99Micros: histogram.quantile(0.99),
    p999Micros: histogram.quantile(0.999),
    maxMicros: histogram.maxMicros,
  };
}

/** The rehearsal ends where the schedule begins: a pause would let caches, clocks and the collector go cold again. */
async function main(plan: LoadPlan): Promise<void> {
  // The kernel may delay a timer by 50 µs to save wake-ups; here that would be part of every latency.
  writeFileSync('/proc/self/timerslack_ns', '1');
  const asked = new Promise<string>((resolve) => {
    process.stdin.once('data', (chunk) => resolve(chunk.toString()));
  });
  const pacemaker = await startPacemaker(plan.rate);
  const { target: stage, durationMs } = plan.rehearsal;
  const rehearsal = new Schedule(
    { ...plan, target: stage, durationMs: REHEARSAL_MAX_MS, cutsMs: [] },
    pacemaker,
  );
  setTimeout(() => process.stdout.write(`${REHEARSED}\n`), durationMs);
  const rehearsed = rehearsal.run();
  const target: LoadTarget = JSON.parse(await asked);
  rehearsal.stop();
  await rehearsed;
  process.stdin.destroy();
  const result = await new Schedule({ ...plan, target }, pacemaker).run();
  await pacemaker.stop();
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

if (import.meta.main) await main(JSON.parse(process.argv[2] ?? '{}'));
