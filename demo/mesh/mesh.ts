/** The mesh as a newcomer would start it: `bin/maesh up` as a child process, its start-up lines read, its end awaited. */

import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type Clock, delay } from '../../src/base/clock.ts';
import { DemoError } from '../error.ts';

export interface MeshOptions {
  readonly folder: string;
  readonly serviceCidr: string;
  /** 0 takes any free port. */
  readonly adminPort: number;
  /** 0 takes any free port. */
  readonly dnsPort: number;
  readonly clock: Clock;
}

export interface RunningMesh {
  /** `http://127.0.0.1:9000` */
  readonly admin: string;
  /** `127.0.0.1:5353` */
  readonly dns: string;
  readonly pid: number;
  /** Settles when the process ends, with what it said last. */
  readonly ended: Promise<Error>;
  /** SIGTERM, then SIGKILL after 5 s. Settles when the process is gone; may be called twice. */
  stop(): Promise<void>;
}

const START_MS = 20_000;
const STOP_MS = 5_000;
const LINES_KEPT = 3;
const LINE_MAX = 240;

/** Resolves once the mesh serves all it was told to. Rejects with a `DemoError` that carries the mesh's own words. */
export async function startMesh(options: MeshOptions): Promise<RunningMesh> {
  const child = spawnMesh(options);
  const said: string[] = [];
  const found = new Map<string, string>();
  const announced = new Promise<void>((resolve) => {
    lines(child.stdout, (line) => {
      const match = /^\s*(admin|dns)\s+(\S+)/.exec(line);
      if (match?.[1] !== undefined && match[2] !== undefined) found.set(match[1], match[2]);
      if (found.has('admin') && found.has('dns')) resolve();
    });
    lines(child.stderr, (line) => {
      said.push(line.slice(0, LINE_MAX));
      if (said.length > LINES_KEPT) said.shift();
    });
  });
  const words = (): string => (said.length === 0 ? 'it said nothing' : said.join(' | '));
  const ended = new Promise<Error>((resolve) => {
    child.once('error', (error) =>
      resolve(new DemoError(`Cannot start "bin/maesh up": ${error.message}`)),
    );
    child.once('close', (code, signal) =>
      resolve(new DemoError(`The mesh ended (${signal ?? `code ${code}`}): ${words()}`)),
    );
  });
  const stop = (): Promise<void> => stopChild(child, options.clock);
  const timeout = new Promise<Error>((resolve) => {
    options.clock.after(START_MS, () =>
      resolve(new DemoError(`The mesh did not start within ${START_MS / 1_000} s: ${words()}`)),
    );
  });
  const first = await Promise.race([announced, ended, timeout]);
  const admin = found.get('admin') ?? '';
  const giveUp = new AbortController();
  const ready =
    first instanceof Error
      ? first
      : await Promise.race([isReady(admin, options.clock, giveUp.signal), ended, timeout]);
  giveUp.abort();
  if (ready instanceof Error) {
    await stop();
    throw ready;
  }
  return { admin, dns: found.get('dns') ?? '', pid: child.pid ?? 0, ended, stop };
}

function lines(stream: Readable | null, read: (line: string) => void): void {
  if (stream !== null) createInterface({ input: stream }).on('line', read);
}

function spawnMesh(options: MeshOptions): ChildProcess {
  const bin = fileURLToPath(new URL('../../bin/maesh', import.meta.url));
  const guard = new URL('./with-parent.ts', import.meta.url).href;
  const flags = [
    ['-f', options.folder],
    ['--service-cidr', options.serviceCidr],
    ['--admin', `127.0.0.1:${options.adminPort}`],
    ['--dns', `127.0.0.1:${options.dnsPort}`],
    ['--drain-timeout', '1s'],
  ];
  const inherited = process.env['NODE_OPTIONS'] ?? '';
  return spawn(bin, ['up', ...flags.flat()], {
    // A group of its own: Ctrl-C reaches the demo, which ends the traffic first and then the mesh.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: `${inherited} --import=${guard}`.trim() },
  });
}

async function isReady(admin: string, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const response = await fetch(`${admin}/readyz`, { signal });
      await response.arrayBuffer();
      if (response.status === 200) return;
    } catch {
      // Not listening yet: the race against the time limit ends this.
    }
    await delay(clock, 50);
  }
}

async function stopChild(child: ChildProcess, clock: Clock): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.kill('SIGTERM');
  const timer = clock.after(STOP_MS, () => child.kill('SIGKILL'));
  await gone;
  timer.cancel();
}
