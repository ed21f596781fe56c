/** Commands of the system, and processes that go on, each in a network namespace if asked. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Long enough for a machine that is slow and busy with other things. What is promised in less is measured and asserted where
 * it is promised; nothing waits for the end of this but what fails.
 */
const TIMEOUT_MS = 120_000;

/** The tools of `iproute2` and `nftables` are where only root looks. */
const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;

export interface RunOptions {
  readonly input?: string;
  /** Name of a network namespace below /run/netns. */
  readonly netns?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Only `env`, nothing of the test's own. */
  readonly bareEnv?: boolean;
  /** Killed after so long; the outcome then has code 124. Default TIMEOUT_MS. */
  readonly timeoutMs?: number;
}

export interface Outcome {
  /** Exit code; 128 and more for a signal, as a shell counts. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function inNetns(argv: readonly string[], netns: string | undefined): readonly string[] {
  return netns === undefined ? argv : ['nsenter', `--net=/run/netns/${netns}`, '--', ...argv];
}

/** Runs to the end; an exit code is an outcome, only a command that cannot be started is an error. */
export async function attempt(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const [command = '', ...rest] = inNetns(argv, options.netns);
  const child = spawn(command, rest, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: options.bareEnv === true ? options.env : { ...process.env, PATH, ...options.env },
  });
  let [stdout, stderr, late] = ['', '', false];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // A command that ends before it has read all its input says so with its exit code.
  child.stdin.on('error', () => undefined).end(options.input ?? '');
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, options.timeoutMs ?? TIMEOUT_MS);
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    return { code: late ? 124 : (code ?? (signal === null ? 1 : 128)), stdout, stderr };
  } finally {
    clearTimeout(timer);
  }
}

/** Runs to the end and gives what was written; anything but exit code 0 is an error that quotes the command. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await attempt(argv, options);
  if (code !== 0) {
    throw new Error(`Command failed with ${code}: ${argv.join(' ')}\n${stderr}${stdout}`.trim());
  }
  return stdout;
}

export interface DaemonOptions {
  readonly name: string;
  readonly argv: readonly string[];
  readonly netns: string;
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A process that goes on until it is told; its output goes to a file. */
export class Daemon {
  readonly name: string;
  readonly #options: DaemonOptions;
  #child: ChildProcess | undefined;

  constructor(options: DaemonOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && !this.#child.signalCode;
  }

  /** Starts it; nothing when it runs. Whoever needs it to be ready asks it. */
  start(): void {
    if (this.running) return;
    const { argv, netns, logFile, env } = this.#options;
    const [command = '', ...rest] = inNetns(argv, netns);
    const log = openSync(logFile, 'a');
    // Signals of the terminal are for the test, which then stops its daemons in order.
    this.#child = spawn(command, rest, {
      detached: true,
      stdio: ['ignore', log, log],
      env: { PATH, HOME: '/nonexistent', ...env },
    });
    this.#child.on('error', (error) => {
      throw new Error(`Cannot start ${this.name}: ${error.message}`, { cause: error });
    });
    this.#child.unref();
    closeSync(log);
  }

  /** Sends a signal and waits for the end; SIGKILL after 10 s. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.running) return;
    child.ref();
    const ended = once(child, 'exit');
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(timer);
  }

  /** The last lines of its log, for an error. */
  tail(lines = 15): string {
    return readFileSync(this.#options.logFile, 'utf8').split('\n').slice(-lines).join('\n');
  }
}

export interface WaitOptions {
  readonly timeoutMs?: number;
  readonly everyMs?: number;
}

/**
 * Asks until the answer is neither undefined nor false. An error of the question counts as "not yet"; the last one
 * is the cause of the error when time is up.
 */
export async function waitFor<T>(
  what: string,
  question: () => T | Promise<T>,
  { timeoutMs = TIMEOUT_MS, everyMs = 100 }: WaitOptions = {},
): Promise<Exclude<T, undefined | false>> {
  const end = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await question();
      if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > end) {
      const why = cause instanceof Error ? `: ${cause.message}` : '';
      throw new Error(`Waited ${timeoutMs} ms in vain for ${what}${why}`, { cause });
    }
    await sleep(everyMs);
  }
}
