/** One container of a pod: a process that is started, watched, probed and stopped. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  closeSync,
  constants,
  createWriteStream,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  type WriteStream,
} from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { attempt, run } from '../command.ts';
import { attemptAction, ProbeLoop, type Target } from './probe.ts';
import { type ContainerRoot, scriptOf } from './root.ts';
import { type ContainerRecord, type ContainerSpec, PodError } from './types.ts';

export type State =
  | { readonly kind: 'waiting'; readonly reason: string; readonly message: string }
  | { readonly kind: 'running'; readonly startedAt: string }
  | {
      readonly kind: 'terminated';
      readonly exitCode: number;
      readonly signal: number;
      readonly reason: string;
      readonly startedAt: string;
      readonly finishedAt: string;
    };

/** What a start needs and only the pod knows. */
export type Prepared = Omit<ContainerRoot, 'folder'> & { readonly record: ContainerRecord };

export interface ContainerOptions {
  readonly spec: ContainerSpec;
  readonly folder: string;
  readonly netns: string;
  readonly address: string;
  /** The pod's, for a container that its probes end. */
  readonly graceSeconds: number;
  onChange(): void;
  onUnhealthy(probe: string): void;
}

/** The containers' environment has another PATH. */
const NSENTER = '/usr/bin/nsenter';
/** Everything of its own but users, and nothing outlives it. */
const UNSHARE =
  `unshare --mount --pid --uts --ipc --fork --kill-child=KILL --propagation=slave -- /bin/sh`.split(
    ' ',
  );
const READY_POLL_MS = 10;
/** Number of a signal in an exit status, as far as containers end by them. */
const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15,
};

export class Container {
  readonly spec: ContainerSpec;
  state: State = { kind: 'waiting', reason: 'ContainerCreating', message: '' };
  lastState: State | undefined;
  restarts = 0;
  started = false;
  image = '';
  readonly #options: ContainerOptions;
  #ready = false;
  #pid = 0;
  #child: ChildProcess | undefined;
  #probes: ProbeLoop[] = [];
  #record: ContainerRecord | undefined;
  #runs = 0;
  #launched: Promise<void> = Promise.resolve();

  constructor(options: ContainerOptions) {
    this.spec = options.spec;
    this.#options = options;
  }

  get running(): boolean {
    return this.state.kind === 'running';
  }

  get ready(): boolean {
    return this.running && this.started && this.#ready;
  }

  /** Starts the process; resolves with its exit code when it has ended. */
  async run(prepared: Prepared): Promise<number> {
    const { record, ...root } = prepared;
    const folder = join(this.#options.folder, String(this.#runs++));
    for (const name of ['root', 'upper', 'scratch'])
      mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, 'run.sh'), scriptOf({ ...root, folder }), { mode: 0o600 });
    this.#record = record;
    const log = createWriteStream(record.logFile, { flags: 'a' });
    const { writers, ended: outputEnded } = await openPipes(folder, record, log);
    const setupLog = join(this.#options.folder, 'setup.log');
    const setup = openSync(setupLog, 'w');
    const child = spawn(
      NSENTER,
      [`--net=/run/netns/${this.#options.netns}`, '--', ...UNSHARE, join(folder, 'run.sh')],
      {
        stdio: ['ignore', setup, setup, ...writers],
        detached: true,
        env: { PATH: process.env['PATH'] ?? '' },
      },
    );
    for (const file of [setup, ...writers]) closeSync(file);
    this.#child = child;
    const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    this.#launched = this.#awaitPid(child, folder);
    await this.#launched;
    if (this.#pid === 0) {
      await ended;
      throw new PodError('FailedStart', readFileSync(setupLog, 'utf8'));
    }
    const startedAt = now();
    this.state = { kind: 'running', startedAt };
    this.#write(this.#pid);
    this.#startProbes();
    this.#options.onChange();
    const [code, signal] = await ended;
    await outputEnded;
    await new Promise<void>((resolve) => log.end(resolve));
    this.#stopProbes();
    this.#pid = 0;
    this.#child = undefined;
    this.started = this.#ready = false;
    const exitCode = code ?? 128 + (SIGNALS[signal ?? ''] ?? 0);
    this.state = {
      kind: 'terminated',
      exitCode,
      signal: exitCode > 128 ? exitCode - 128 : 0,
      reason: exitCode === 0 ? 'Completed' : 'Error',
      startedAt,
      finishedAt: now(),
    };
    this.#write(0);
    rmSync(folder, { recursive: true, force: true });
    this.#options.onChange();
    return exitCode;
  }

  wait(reason: string, message: string): void {
    if (this.state.kind === 'terminated') this.lastState = this.state;
    this.state = { kind: 'waiting', reason, message };
    this.#options.onChange();
  }

  /** preStop, SIGTERM, and SIGKILL when the grace is over; resolves when the process is gone. */
  async stop(graceSeconds: number): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const gone = once(child, 'exit');
    await this.#launched;
    const deadline = performance.now() + graceSeconds * 1_000;
    const left = (): number => Math.max(0, deadline - performance.now());
    const preStop = this.spec.lifecycle?.preStop;
    if (preStop !== undefined && graceSeconds > 0) {
      const hook =
        preStop.sleep === undefined
          ? attemptAction(preStop, this.#target, left())
          : sleep(preStop.sleep.seconds * 1_000, true);
      await Promise.race([hook, sleep(left()), gone]);
    }
    if (graceSeconds > 0) this.signal('SIGTERM');
    const timer = setTimeout(
      () => this.signal('SIGKILL'),
      Math.max(left(), graceSeconds > 0 ? 2_000 : 0),
    );
    await gone;
    clearTimeout(timer);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#pid === 0) return;
    try {
      process.kill(this.#pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  /** Readiness goes on while a pod ends; what would restart a container does not. */
  endLiveness(): void {
    const [readiness] = this.#probes;
    for (const probe of this.#probes.slice(1)) probe.stop();
    this.#probes = readiness === undefined ? [] : [readiness];
  }

  async #awaitPid(child: ChildProcess, folder: string): Promise<void> {
    const file = join(folder, 'pid');
    for (let ended = false; !ended;) {
      // Asked before the file is read: one that ends at once has begun all the same.
      ended = child.exitCode !== null || child.signalCode !== null;
      const text = readIfThere(file);
      if (text.endsWith('\n')) {
        this.#pid = Number(text);
        return;
      }
      if (!ended) await sleep(READY_POLL_MS);
    }
  }

  #startProbes(): void {
    const { startupProbe } = this.spec;
    if (startupProbe === undefined) {
      this.#startLater();
      return;
    }
    this.#probes = [
      new ProbeLoop(startupProbe, this.#target, (healthy) => {
        this.#stopProbes();
        if (healthy) this.#startLater();
        else this.#fail('startup', startupProbe.terminationGracePeriodSeconds);
      }),
    ];
  }

  #startLater(): void {
    const { readinessProbe, livenessProbe } = this.spec;
    this.started = true;
    this.#ready = readinessProbe === undefined;
    // Readiness is the first, see endLiveness().
    const readiness =
      readinessProbe &&
      new ProbeLoop(readinessProbe, this.#target, (healthy) => {
        this.#ready = healthy;
        if (!healthy) this.#options.onUnhealthy('Readiness');
        this.#options.onChange();
      });
    const liveness =
      livenessProbe &&
      new ProbeLoop(livenessProbe, this.#target, (healthy) => {
        if (!healthy) this.#fail('Liveness', livenessProbe.terminationGracePeriodSeconds);
      });
    this.#probes = [readiness, liveness].filter((probe) => probe !== undefined);
    this.#options.onChange();
  }

  #fail(probe: string, graceSeconds = this.#options.graceSeconds): void {
    this.#options.onUnhealthy(probe);
    this.#stopProbes();
    void this.stop(graceSeconds);
  }

  #stopProbes(): void {
    for (const probe of this.#probes) probe.stop();
    this.#probes = [];
  }

  get #target(): Target {
    const { spec, address } = this.#options;
    return { address, spec, exec: (argv, timeoutMs) => this.#exec(argv, timeoutMs) };
  }

  async #exec(argv: readonly string[], timeoutMs: number): Promise<boolean> {
    if (this.#record === undefined || this.#pid === 0) return false;
    const command = execInside({ ...this.#record, pid: this.#pid }, argv);
    const { code } = await attempt(command.argv, { env: command.env, bareEnv: true, timeoutMs });
    return code === 0;
  }

  /** Tells the test where the container is; a reader never sees half a file. */
  #write(pid: number): void {
    if (this.#record === undefined) return;
    const file = join(this.#options.folder, 'container.json');
    writeFileSync(`${file}.new`, JSON.stringify({ ...this.#record, pid }), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
}

/**
 * Pipes for output and errors, as a real runtime has them: not Node's own, which are sockets, and not files, which
 * could be truncated. Both are the container's user's, so that it can open /dev/stdout.
 */
async function openPipes(
  folder: string,
  { user, group }: ContainerRecord,
  log: WriteStream,
): Promise<{ readonly writers: readonly number[]; readonly ended: Promise<unknown> }> {
  const paths = [join(folder, 'stdout'), join(folder, 'stderr')];
  await run(['mkfifo', '-m', '600', ...paths]);
  const opened = paths.map((path) => {
    chownSync(path, user, group);
    // The reader first: a writer waits for one. Whoever opens it sees no end before there was a writer.
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(path, constants.O_WRONLY);
    const socket = new Socket({ fd: reader, readable: true, writable: false });
    socket.pipe(log, { end: false });
    return { writer, ended: once(socket, 'close') };
  });
  return {
    writers: opened.map(({ writer }) => writer),
    ended: Promise.all(opened.map(({ ended }) => ended)),
  };
}

/** The command that runs `argv` in a container as its user and with its environment. */
export function execInside(
  { pid, user, group, env }: ContainerRecord,
  argv: readonly string[],
): { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> } {
  const namespaces = ['-m', '-n', '-p', '-u', '-i', '-r', '-w'];
  return {
    argv: [
      NSENTER,
      '-t',
      String(pid),
      ...namespaces,
      '-S',
      String(user),
      '-G',
      String(group),
      '--',
      ...argv,
    ],
    env,
  };
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/** As Kubernetes writes times: whole seconds. */
export function now(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`;
}
