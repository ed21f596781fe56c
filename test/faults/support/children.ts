/** The load generator and the endpoints as child processes. */

import { type ChildProcess, fork } from 'node:child_process';
import type { TestContext } from 'node:test';
import type { EndpointsMessage } from './endpoints.ts';
import { type LoadOptions, type LoadReport, RUNS } from './figures.ts';

/** One of the files beside this one. */
export function startChild(name: string, isApart = false): ChildProcess {
  return fork(new URL(name, import.meta.url), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    ...(isApart ? { execPath: 'unshare', execArgv: ['-n', process.execPath] } : {}),
  });
}

export class LoadProcess {
  readonly #child = startChild('./load.ts');
  /** Resolves once each load runs: a process may take its time to start. */
  readonly runs: Promise<void>;

  constructor(...loads: readonly LoadOptions[]) {
    this.runs = new Promise((resolve, reject) => {
      this.#child.on('message', (message) => message === RUNS && resolve());
      this.#child.once('exit', (code) => reject(new Error(`The load ended with ${code}`)));
    });
    // Not everybody waits for it.
    this.runs.catch(() => undefined);
    this.#child.send({ start: loads });
  }

  /** Of the only load. */
  async stop(): Promise<LoadReport> {
    const [report] = await this.stopAll();
    return report as LoadReport;
  }

  /** Lets what runs finish and resolves with the figures of each load. */
  stopAll(): Promise<readonly LoadReport[]> {
    return new Promise((resolve, reject) => {
      this.#child.on('message', (reports) => {
        if (reports === RUNS) return;
        resolve(reports as readonly LoadReport[]);
        // Now it ends.
        this.#child.disconnect();
      });
      this.#child.once('exit', (code) => reject(new Error(`The load ended with ${code}`)));
      this.#child.send('stop');
    });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

export class EndpointsProcess {
  readonly #child: ChildProcess;

  /**
   * It ends with the test, also with one that fails before it has said what to clean up. One that is apart has a network namespace of
   * its own.
   */
  constructor(t?: TestContext, { isApart = false } = {}) {
    this.#child = startChild('./endpoints.ts', isApart);
    t?.after(() => this.stop());
  }

  get child(): ChildProcess {
    return this.#child;
  }

  /** Resolves once all of them listen. */
  open(endpoints: Required<EndpointsMessage>['open']): Promise<void> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null): void =>
        reject(new Error(`The endpoints ended with ${code}`));
      this.#child.once('exit', onExit);
      this.#child.once('message', () => {
        this.#child.off('exit', onExit);
        resolve();
      });
      this.tell({ open: endpoints });
    });
  }

  tell(message: EndpointsMessage): void {
    if (this.#child.connected) this.#child.send(message);
  }

  stop(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}

/** `12345 sent (400.0/s), 0 failed …` */
export function show(report: LoadReport): string {
  const { sent, ok, failed, seconds } = report;
  return (
    `${sent} sent (${(sent / seconds).toFixed(0)}/s for ${seconds.toFixed(1)} s), ${ok} answered, ${failed.length} failed; ` +
    `p50 ${report.p50Ms.toFixed(2)} ms, p99 ${report.p99Ms.toFixed(1)} ms, max ${report.maxMs.toFixed(0)} ms; ` +
    `${report.opened} connections, ${report.closedIdle} closed while idle, ${report.unseen} requests to be sent again, ${report.lost} datagrams lost`
  );
}

/** Failures by what happened, with how often and when. */
export function showFailed({ failed }: LoadReport): string {
  const groups = new Map<string, number[]>();
  for (const { kind, what, atMs } of failed) {
    const key = `${kind}: ${what}`;
    groups.set(key, [...(groups.get(key) ?? []), atMs]);
  }
  return [...groups]
    .map(
      ([key, times]) =>
        `${times.length} × ${key} (at ${times
          .slice(0, 5)
          .map((ms) => ms.toFixed(0))
          .join(', ')} ms)`,
    )
    .join('\n');
}
