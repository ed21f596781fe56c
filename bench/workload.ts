/** The load generators as processes on the load core: wrk as fast as it goes, our own and hey at a fixed rate. */

import { fileURLToPath } from 'node:url';
import type { Child } from './children.ts';
import type { Lab } from './lab.ts';
import { REHEARSED, type LoadPlan, type LoadResult } from './load.ts';
import type { LoadTarget } from './load-connection.ts';
import type { Identity } from './tls.ts';

export interface ClosedLoop {
  readonly target: LoadTarget;
  readonly connections: number;
  readonly seconds: number;
  /** A thread on each of them; one on the load core when missing. */
  readonly cores?: readonly number[];
  /** Speaks TLS, in the version that this says; plain when missing. It believes anybody. */
  readonly secure?: Identity;
}

/** What a closed loop brought; generators add latencies, by figure. */
export interface ClosedLoopResult {
  readonly requests: number;
  readonly seconds: number;
  /** Broken connections, timeouts and answers that are not 2xx. */
  readonly failed: number;
}

export interface WrkResult extends ClosedLoopResult {
  readonly p50Micros: number;
  readonly p99Micros: number;
}

/** As many requests as fit, each connection sending the next one when it has its answer. */
export async function wrk(lab: Lab, load: ClosedLoop): Promise<WrkResult> {
  const { target, cores = [lab.loadCore], secure } = load;
  const scheme = secure === undefined ? 'http' : 'https';
  const headers = target.headers
    .split('\r\n')
    .filter((line) => line !== '')
    .flatMap((line) => ['-H', line]);
  const output = await lab.children.run(
    {
      // Several may run at once.
      name: `wrk-${target.host}-${target.port}`,
      core: cores,
      command: lab.tools.wrk.path,
      ...(secure !== undefined && { env: { OPENSSL_CONF: secure.files.openssl } }),
      args: [
        '-t',
        `${cores.length}`,
        '-c',
        `${load.connections}`,
        '-d',
        `${load.seconds}s`,
        '--latency',
        ...headers,
        `${scheme}://${target.host}:${target.port}${target.path}`,
      ],
    },
    load.seconds * 1_000 + 10_000,
  );
  return parseWrk(output);
}

export function parseWrk(output: string): WrkResult {
  const [, requests, time = ''] = /(\d+) requests in ([\d.]+\w+)/.exec(output) ?? [];
  if (requests === undefined) throw new Error(`Cannot read what wrk says: ${output}`);
  const socketErrors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(
    output,
  );
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? 0);
  const broken = (socketErrors ?? []).slice(1).reduce((sum, count) => sum + Number(count), 0);
  return {
    requests: Number(requests),
    seconds: micros(time) / 1e6,
    failed: refused + broken,
    p50Micros: micros(/^\s+50%\s+(\S+)/m.exec(output)?.[1] ?? ''),
    p99Micros: micros(/^\s+99%\s+(\S+)/m.exec(output)?.[1] ?? ''),
  };
}

/** `1.50ms` → 1,500. */
export function micros(text: string): number {
  const [, value = '0', unit = ''] = /^([\d.]+)(us|ms|s|m|h)$/.exec(text) ?? [];
  const factor = { us: 1, ms: 1e3, s: 1e6, m: 6e7, h: 3.6e9 }[unit] ?? 0;
  return Number(value) * factor;
}

export interface HeyResult {
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly requests: number;
}

/** A second opinion on latency: hey paces each of its workers, counts from the moment it sends, and skips what is late. */
export async function hey(
  lab: Lab,
  load: ClosedLoop & { readonly rate: number },
): Promise<HeyResult> {
  const { target } = load;
  const output = await lab.children.run(
    {
      name: 'hey',
      core: lab.loadCore,
      command: lab.tools.hey.path,
      env: { GOMAXPROCS: '1' },
      args: [
        '-z',
        `${load.seconds}s`,
        '-c',
        `${load.connections}`,
        '-q',
        `${Math.round(load.rate / load.connections)}`,
        `http://${target.host}:${target.port}${target.path}`,
      ],
    },
    load.seconds * 1_000 + 10_000,
  );
  const at = (percent: number): number =>
    Number(new RegExp(`${percent}%+ in ([\\d.]+) secs`).exec(output)?.[1] ?? Number.NaN) * 1e6;
  const requests = /\[200\]\s+(\d+) responses/.exec(output)?.[1];
  return { p50Micros: at(50), p99Micros: at(99), requests: Number(requests ?? 0) };
}

/** A fixed rate without coordinated omission, in a process of its own: rehearse, wait for `go`, measure, end. */
export class FixedRate {
  readonly #child: Child;
  readonly #limitMs: number;

  constructor(lab: Lab, plan: LoadPlan) {
    this.#limitMs = plan.durationMs + 20_000;
    this.#child = lab.children.spawn({
      name: 'load',
      core: lab.loadCore,
      command: process.execPath,
      args: [fileURLToPath(new URL('./load.ts', import.meta.url)), JSON.stringify(plan)],
      input: 'pipe',
    });
  }

  /** Resolves when the generator has run its own code often enough and waits. */
  async rehearsed(): Promise<void> {
    const giveUp = performance.now() + 20_000;
    while (!this.#child.output().includes(REHEARSED)) {
      if (!this.#child.isRunning() || performance.now() > giveUp) {
        throw new Error(`The load generator does not get ready: ${this.#child.tail()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Starts the schedule on `target`. */
  go(target: LoadTarget): void {
    this.#child.write(`${JSON.stringify(target)}\n`);
  }

  async result(): Promise<LoadResult> {
    const timer = setTimeout(() => void this.#child.stop(), this.#limitMs);
    const code = await this.#child.exited;
    clearTimeout(timer);
    if (code !== 0) throw new Error(`The load generator ended with ${code}: ${this.#child.tail()}`);
    const result: LoadResult = JSON.parse(this.#child.output().replace(REHEARSED, ''));
    return result;
  }

  stop(): Promise<void> {
    return this.#child.stop();
  }
}
