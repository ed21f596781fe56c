/** Loads from a process of their own: callers that keep their connections, and callers that open one for each request. */

import { callDatagrams } from './datagram-caller.ts';
import { Figures, type LoadOptions, type LoadReport, RUNS } from './figures.ts';
import { callHttp1 } from './http1-caller.ts';
import { callHttp2 } from './http2-caller.ts';
import { callLines } from './line-caller.ts';

const CALLERS = {
  http1: callHttp1,
  http2: callHttp2,
  grpc: callHttp2,
  tcp: callLines,
  websocket: callLines,
  udp: callDatagrams,
} as const;

class Load {
  readonly #figures: Figures;
  readonly #timer: NodeJS.Timeout;

  constructor(options: LoadOptions) {
    const figures = new Figures(options);
    this.#figures = figures;
    const call = CALLERS[options.speaks ?? 'http1'];
    for (let i = 0; i < options.keepAlive; i++) call(figures, 'keep-alive');
    let due = 0;
    const startMs = performance.now();
    this.#timer = setInterval(() => {
      const target = ((performance.now() - startMs) / 1_000) * options.newPerSecond;
      for (; due < target; due++) call(figures, 'new');
    }, 2);
  }

  get isRunning(): boolean {
    return this.#figures.isRunning;
  }

  async stop(): Promise<LoadReport> {
    this.#figures.stopping = true;
    clearInterval(this.#timer);
    while (this.#figures.busy > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    return this.#figures.report();
  }
}

let loads: readonly Load[] = [];
process.on('message', (message: { start: readonly LoadOptions[] } | 'stop') => {
  if (message !== 'stop') {
    loads = message.start.map((options) => new Load(options));
    const timer = setInterval(() => {
      if (!loads.every((load) => load.isRunning)) return;
      clearInterval(timer);
      process.send?.(RUNS);
    }, 5);
  } else {
    void Promise.all(loads.map((load) => load.stop())).then((reports) => {
      process.send?.(reports);
    });
  }
});
process.on('disconnect', () => process.exit());
