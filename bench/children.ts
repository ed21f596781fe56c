/** Processes of one benchmark: pinned to a core, logging to files, all ended with the benchmark whatever happens. */

import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Command {
  /** Names the log file; unique in one benchmark or the log is appended to. */
  readonly name: string;
  /** The core it runs on, or all that it may run on. */
  readonly core: number | readonly number[];
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Opens its standard input for `Child.write`. */
  readonly input?: 'pipe';
}

export interface Child {
  readonly name: string;
  readonly pid: number;
  /** `performance.now()` just before it was started. */
  readonly startedAtMs: number;
  /** Resolves with the exit code, or -1 when a signal ended it. */
  readonly exited: Promise<number>;
  isRunning(): boolean;
  /** Writes to its standard input; only with `input: 'pipe'`. */
  write(text: string): void;
  /** The end of what it wrote. */
  tail(lines?: number): string;
  output(): string;
  /** SIGTERM, then SIGKILL after 3 s; may be called twice. */
  stop(): Promise<void>;
}

export class Children {
  readonly #dir: string;
  readonly #taskset: string;
  /** How to stop each process that runs. */
  readonly #stops = new Map<ChildProcess, () => Promise<void>>();

  /** Logs go to `dir`; `taskset` is the path of that tool. */
  constructor(dir: string, taskset: string) {
    this.#dir = dir;
    this.#taskset = taskset;
    process.once('exit', () => this.#killAll());
  }

  spawn(command: Command): Child {
    const log = join(this.#dir, `${command.name}.log`);
    const out = join(this.#dir, `${command.name}.out`);
    const errFile = openSync(log, 'a');
    const outFile = openSync(out, 'w');
    const startedAtMs = performance.now();
    const child = spawn(
      this.#taskset,
      ['-c', [command.core].flat().join(','), command.command, ...command.args],
      {
        stdio: [command.input ?? 'ignore', outFile, errFile],
        env: { ...process.env, ...command.env },
      },
    );
    closeSync(errFile);
    closeSync(outFile);
    const exited = new Promise<number>((resolve) => {
      child.once('error', () => resolve(-1));
      child.once('exit', (code) => resolve(code ?? -1));
    }).then((code) => {
      this.#stops.delete(child);
      return code;
    });
    const stop = async (): Promise<void> => {
      if (!this.#stops.has(child)) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 3_000);
      await exited;
      clearTimeout(timer);
    };
    this.#stops.set(child, stop);
    return {
      name: command.name,
      pid: child.pid ?? 0,
      startedAtMs,
      exited,
      isRunning: () => this.#stops.has(child),
      write: (text) => void child.stdin?.write(text),
      tail: (lines = 8) =>
        `${read(log)}${read(out)}`.trimEnd().split('\n').slice(-lines).join('\n'),
      output: () => read(out),
      stop,
    };
  }

  /** Runs a tool to its end and gives its standard output. Fails on an exit code other than 0 or after `timeoutMs`. */
  async run(command: Command, timeoutMs: number): Promise<string> {
    const child = this.spawn(command);
    const timer = setTimeout(() => void child.stop(), timeoutMs);
    const code = await child.exited;
    clearTimeout(timer);
    if (code !== 0) {
      throw new Error(`${command.name} ended with ${code} within ${timeoutMs} ms: ${child.tail()}`);
    }
    return child.output();
  }

  /** Ends all that still runs. */
  async stopAll(): Promise<void> {
    await Promise.all([...this.#stops.values()].map((stop) => stop()));
  }

  #killAll(): void {
    for (const child of this.#stops.keys()) child.kill('SIGTERM');
  }
}

function read(path: string): string {
  return readFileSync(path, 'utf8');
}
