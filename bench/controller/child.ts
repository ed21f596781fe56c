/** Processes of this benchmark: their output goes to a file, they end with the benchmark whatever ends it, and what they cost can be read. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { processCpuMs } from '../sampling.ts';

export interface ChildOptions {
  readonly name: string;
  readonly argv: readonly string[];
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A group of memory to run in; '' for none. */
  readonly cgroup?: string;
}

export class Child {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #logFile: string;

  constructor({ name, argv, logFile, env = {}, cgroup = '' }: ChildOptions) {
    this.name = name;
    this.#logFile = logFile;
    const log = openSync(logFile, 'a');
    // Each exec keeps the process id; the signal comes when the benchmark dies, however that happens.
    const enter = 'test -z "$1" || echo $$ >"$1/cgroup.procs"; shift; exec "$@"';
    const shell = ['-c', enter, 'sh', cgroup, 'setpriv', '--pdeathsig', 'KILL', '--', ...argv];
    this.#process = spawn('/bin/sh', shell, {
      // Signals of the terminal are for the benchmark, which then ends its processes in order.
      detached: true,
      stdio: ['ignore', log, log],
      env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, HOME: '/nonexistent', ...env },
    });
    this.#process.once('error', (error) => {
      throw new Error(`Cannot start ${name}: ${error.message}`, { cause: error });
    });
    closeSync(log);
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Fails with the end of its log when it is not running any more. */
  mustRun(): void {
    if (this.isRunning) return;
    const { exitCode, signalCode } = this.#process;
    throw new Error(`${this.name} ended with ${exitCode ?? signalCode}:\n${this.tail()}`);
  }

  /** Asks it to end, and insists after `patienceMs`; the exit code, -1 for a signal. May be called twice. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGKILL', patienceMs = 30_000): Promise<number> {
    if (this.isRunning) {
      const ended = once(this.#process, 'exit');
      this.#process.kill(signal);
      const timer = setTimeout(() => this.#process.kill('SIGKILL'), patienceMs);
      await ended;
      clearTimeout(timer);
    }
    return this.#process.exitCode ?? -1;
  }

  /** Seconds of CPU so far, of all its threads. */
  cpuSeconds(): number {
    this.mustRun();
    return processCpuMs(this.#pid) / 1_000;
  }

  /** Resident memory now, and the most that there was since the last `resetPeak()`, in MB (10^6 bytes). */
  memory(): { readonly rssMb: number; readonly peakMb: number } {
    const status = this.#proc('status');
    const read = (field: string): number =>
      (Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1_024) / 1e6;
    return { rssMb: read('VmRSS'), peakMb: read('VmHWM') };
  }

  /** proc_pid_clear_refs(5): 5 resets the peak. */
  resetPeak(): void {
    writeFileSync(`/proc/${this.#pid}/clear_refs`, '5');
  }

  tail(lines = 15): string {
    return readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }

  get #pid(): number {
    return this.#process.pid ?? 0;
  }

  #proc(file: string): string {
    this.mustRun();
    return readFileSync(`/proc/${this.#pid}/${file}`, 'utf8');
  }
}
