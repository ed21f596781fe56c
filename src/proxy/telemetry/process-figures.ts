/** What the operating system and the runtime say about this process, and how late this thread's event loop runs. */

import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface ProcessFigures {
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  /** Buffers and the memory that threads share. */
  readonly externalBytes: number;
  /** User and system time of all threads. */
  readonly cpuSeconds: number;
  /** Unix time. */
  readonly startTimeSeconds: number;
}

export function readProcessFigures(wallMs: number): ProcessFigures {
  const memory = process.memoryUsage();
  const cpu = process.cpuUsage();
  return {
    residentBytes: memory.rss,
    heapUsedBytes: memory.heapUsed,
    externalBytes: memory.external,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    startTimeSeconds: Math.round(wallMs / 1000 - process.uptime()),
  };
}

/** How much later than asked timers run, since the last read, in milliseconds. */
export interface EventLoopDelay {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const RESOLUTION_MS = 20;

/** Measures the event loop of the thread that makes it. */
export class EventLoopMonitor {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  constructor() {
    this.#histogram.enable();
  }

  /** The figures since the last call; reading starts a new interval. */
  read(): EventLoopDelay {
    const { count } = this.#histogram;
    const delayMs = (nanos: number): number =>
      count === 0 ? 0 : Math.max(nanos / 1e6 - RESOLUTION_MS, 0);
    const figures = {
      p50Ms: delayMs(this.#histogram.percentile(50)),
      p99Ms: delayMs(this.#histogram.percentile(99)),
      maxMs: delayMs(this.#histogram.max),
    };
    this.#histogram.reset();
    return figures;
  }

  stop(): void {
    this.#histogram.disable();
  }
}
