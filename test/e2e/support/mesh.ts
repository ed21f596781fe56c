/** `bin/maesh up` as a child process, as a user starts it: its lines are read, its end awaited. */

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { until } from './until.ts';

export const BIN = fileURLToPath(new URL('../../../bin/maesh', import.meta.url));
/** Ends the mesh when the test process goes, however it goes. */
const GUARD = new URL('../../../demo/mesh/with-parent.ts', import.meta.url).href;

/** Beside callers who want all of the machine. */
const START_MS = 100_000;

export interface MeshOptions {
  readonly paths: readonly string[];
  /** A range of its own inside 127.0.0.0/8, so that test files can run side by side. */
  readonly cidr: string;
  readonly threads?: number;
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Command before `maesh`, such as setpriv. */
  readonly prefix?: readonly string[];
  /** Leave out --admin and --dns: `flags`, `env` or a file give them. */
  readonly bare?: boolean;
}

export class Mesh {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  /** Exit code, or the signal that ended it. */
  readonly exit: Promise<number | string>;

  constructor(options: MeshOptions) {
    const { paths, cidr, threads = 1, flags = [], env = {}, prefix = [], bare = false } = options;
    const free = bare ? [] : ['--admin', '127.0.0.1:0', '--dns', '127.0.0.1:0'];
    const args = ['up', ...paths.flatMap((path) => ['-f', path]), '--service-cidr', cidr, ...free];
    if (!bare) args.push('--threads', String(threads));
    const [command = BIN, ...rest] = [...prefix, BIN, ...args, ...flags];
    const inherited = env['NODE_OPTIONS'] ?? process.env['NODE_OPTIONS'] ?? '';
    this.child = spawn(command, rest, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env, NODE_OPTIONS: `${inherited} --import=${GUARD}`.trim() },
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.exit = new Promise((resolve) => {
      this.child.once('error', (error) => resolve(error.message));
      this.child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
    });
  }

  /** A mesh that serves everything it was given. */
  static async start(options: MeshOptions): Promise<Mesh> {
    const mesh = new Mesh(options);
    await mesh.ready();
    return mesh;
  }

  /** `http://127.0.0.1:9000`; '' before the welcome. */
  get admin(): string {
    return /^ +admin +(\S+)/m.exec(this.stdout)?.[1] ?? '';
  }

  /** Port of the DNS server; 0 before the welcome. */
  get dnsPort(): number {
    return Number(/^ +dns +\S+:(\d+)/m.exec(this.stdout)?.[1] ?? 0);
  }

  async ready(timeoutMs = START_MS): Promise<void> {
    let ended: number | string | null = null;
    void this.exit.then((code) => (ended = code));
    try {
      await until(
        'the mesh is ready',
        () => {
          if (ended !== null) return true;
          return this.admin !== '' && this.stdout.includes('  hosts ');
        },
        timeoutMs,
      );
    } catch (error) {
      await this.stop('SIGKILL');
      throw new Error(`The mesh did not start: ${this.stderr}`, { cause: error });
    }
    if (ended !== null) throw new Error(`The mesh ended (${String(ended)}): ${this.stderr}`);
  }

  /** Ends it, and resolves with the exit code or signal. */
  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    this.child.kill(signal);
    return this.exit;
  }

  async json<T>(path: string): Promise<T> {
    const response = await fetch(`${this.admin}${path}`);
    return (await response.json()) as T;
  }

  async status(path: string): Promise<number> {
    const response = await fetch(`${this.admin}${path}`);
    await response.arrayBuffer();
    return response.status;
  }

  async problems(): Promise<readonly ProblemJson[]> {
    return (await this.json<{ problems: ProblemJson[] }>('/api/problems')).problems;
  }

  /** Address of a Service, `namespace/name`. */
  async addressOf(key: string): Promise<string> {
    const { services } = await this.json<{ services: ServiceJson[] }>('/api/services');
    const found = services.find((service) => service.key === key);
    if (found === undefined) throw new Error(`The mesh has no Service ${key}`);
    return found.address;
  }

  /** The value of a metric whose line begins with `name`, labels included; 0 when there is none. */
  async metric(name: string): Promise<number> {
    const response = await fetch(`${this.admin}/metrics`);
    const line = (await response.text()).split('\n').find((text) => text.startsWith(`${name} `));
    return Number(line?.slice(name.length + 1) ?? 0);
  }
}

export interface ProblemJson {
  readonly severity: string;
  readonly object: string;
  readonly field: string;
  readonly value: string;
  readonly message: string;
  readonly remedy: string;
  readonly location: string;
}

interface ServiceJson {
  readonly key: string;
  readonly address: string;
}

/** Runs another command of maesh to its end. */
export async function maesh(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  return run(BIN, args, env);
}

/** Runs any command to its end. */
export function run(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}
