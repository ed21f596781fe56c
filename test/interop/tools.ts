/** What the interop tests run, installed by scripts/interop-tools.sh; and why they are skipped where that cannot be. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { until } from '../e2e/support/until.ts';
import { type Built, buildGo, GO_FOLDER } from './go-tools.ts';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export type Language = 'python' | 'node' | 'go';

const installed = spawnSync(path('../../scripts/interop-tools.sh'), { encoding: 'utf8' });
const [modules = '', python = ''] = installed.stdout.trim().split('\n').slice(-2);

export const SKIP: string | false =
  installed.status === 0
    ? false
    : `the servers and clients are missing: ${installed.stderr.trim()}`;

/** With the packages of `python/requirements.txt`. */
export const PYTHON = `${python}/bin/python3`;

/** Server and client of the interop cases of gRPC, in Node and in Go. */
export const GRPC_INTEROP = 'grpc-interop';
let goGrpc: Built | null = null;

/** Built when it is first asked for. */
export function grpcOfGo(): Built {
  goGrpc ??= buildGo('grpc');
  return goGrpc;
}

function command(language: Language, script: 'serve' | 'call', words: readonly string[]): string[] {
  if (language === 'go' && words[0] === GRPC_INTEROP)
    return [`${grpcOfGo().folder}/grpc`, script, ...words.slice(1)];
  if (language === 'go') return [`${GO_FOLDER}/pages`, script, ...words];
  return language === 'python'
    ? [`${python}/bin/python3`, path(`./python/${script}.py`), ...words]
    : [process.execPath, path(`./node/${script}.mjs`), ...words];
}

/** Far longer than any program takes on a busy machine: what hangs says what it has printed. */
const RUN_MS = 200_000;

export const env = {
  ...process.env,
  MODULES: modules,
  PYTHONDONTWRITEBYTECODE: '1',
  PYTHONUNBUFFERED: '1',
  NODE_ENV: 'production',
};

/** A server of its own process group, since many start workers. */
export class ServerProcess {
  readonly #child: ChildProcess;
  #said = '';
  #ended = false;

  constructor(language: Language, name: string, at: { address: string; port: number }) {
    const [program = '', ...args] = command(language, 'serve', [name, at.address, String(at.port)]);
    this.#child = spawn(program, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    this.#child.once('close', () => (this.#ended = true));
  }

  /** Resolves once it accepts connections. */
  static async start(
    language: Language,
    name: string,
    at: { address: string; port: number },
  ): Promise<ServerProcess> {
    const server = new ServerProcess(language, name, at);
    await until(
      `${name} listens`,
      () => {
        if (server.#ended) throw new Error(`${name} ended: ${server.#said}`);
        return accepts(at);
      },
      60_000,
    );
    return server;
  }

  async stop(): Promise<void> {
    this.signal('SIGKILL');
    if (this.#child.pid !== undefined) await until('the server is gone', () => this.#ended);
  }

  /** SIGTERM lets it finish what runs. */
  signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid !== undefined && !this.#ended) process.kill(-pid, signal);
  }

  get ended(): boolean {
    return this.#ended;
  }
}

export function accepts({ address, port }: { address: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** Program and arguments of a client. */
export function clientCommand(language: Language, words: readonly string[]): string[] {
  return command(language, 'call', words);
}

/** What a client printed, one line per call. */
export function runClient(
  language: Language,
  name: string,
  origin: string,
  only: readonly string[] = [],
): Promise<string[]> {
  const [program = '', ...args] = command(language, 'call', [name, origin, ...only]);
  return run(program, args).then((out) => out.trim().split('\n'));
}

/** What a program printed that reads `input`; rejects when it fails. */
export function run(
  program: string,
  args: readonly string[],
  input: string | Buffer = '',
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'], timeout: RUN_MS });
    // It may end before it has read all.
    child.stdin.on('error', () => undefined).end(input);
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(out);
      else reject(new Error(`${program} ended with ${code}: ${err}\n${out}`));
    });
  });
}

/** Why a test of an installed program is skipped; false where it is there. */
export function lacks(program: string): string | false {
  const { error } = spawnSync(program, ['--version']);
  return error === undefined ? false : `${program} is not installed`;
}
