/** Servers of PostgreSQL, of the newest version that is installed. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import tls from 'node:tls';
import type { At } from '../e2e/support/manifests.ts';
import { until } from '../e2e/support/until.ts';

export const BIN = newest('/usr/lib/postgresql');
export const SKIP =
  BIN === '' ? 'PostgreSQL is missing: install it (Debian package postgresql)' : false;
/** PostgreSQL does not run as root. */
const NOBODY = 65_534;
const isRoot = userInfo().uid === 0;

/** The folder of programs of the newest version, '' without one. */
function newest(folder: string): string {
  try {
    const [version] = readdirSync(folder).toSorted((a, b) => Number(b) - Number(a));
    return version === undefined ? '' : join(folder, version, 'bin');
  } catch {
    return '';
  }
}

const asNobody = isRoot ? { uid: NOBODY, gid: NOBODY } : {};

/** Of a folder: it belongs to whom the servers run as. */
export function own(folder: string): void {
  if (isRoot) chownSync(folder, NOBODY, NOBODY);
}

function made(program: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8', ...asNobody });
  assert.equal(status, 0, stderr);
}

/** One server with a certificate of its own, on its own data. */
export class Server {
  readonly address: string;
  readonly #data: string;
  readonly #port: number;
  #child: ChildProcess | null = null;
  #said = '';

  constructor(folder: string, address: string, port: number, names: readonly string[]) {
    this.address = address;
    this.#port = port;
    this.#data = join(folder, address);
    mkdirSync(this.#data);
    own(this.#data);
    const auth = ['--auth=trust', '--username=postgres', '--no-sync', '--encoding=UTF8'];
    made(join(BIN, 'initdb'), ['-D', this.#data, ...auth]);
    const key = join(this.#data, 'server.key');
    const all = names.map((name) => `DNS:${name}`).join(',');
    const name = ['-subj', `/CN=${names[0]}`, '-addext', `subjectAltName=${all}`, '-days', '2'];
    const out = ['-keyout', key, '-out', this.certificate];
    made('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...name, ...out]);
    chmodSync(key, 0o600);
  }

  get certificate(): string {
    return join(this.#data, 'server.crt');
  }

  /** Speaks TLS from the first byte in front of it, as servers from version 17 on do by themselves. */
  async front(t: TestContext): Promise<At> {
    const options = {
      cert: readFileSync(this.certificate),
      key: readFileSync(join(this.#data, 'server.key')),
      ALPNProtocols: ['postgresql'],
    };
    const front = tls.createServer(options, (socket) => {
      const behind = net.connect(this.#port, this.address);
      socket.pipe(behind).pipe(socket);
      for (const each of [socket, behind])
        each.on('error', () => [socket, behind].map((other) => other.destroy()));
    });
    t.after(() => front.close());
    front.on('tlsClientError', () => undefined).listen(0, this.address);
    await once(front, 'listening');
    return { address: this.address, port: (front.address() as net.AddressInfo).port };
  }

  async start(): Promise<void> {
    const settings = [
      `listen_addresses=${this.address}`,
      `port=${this.#port}`,
      'unix_socket_directories=',
      'ssl=on',
      'fsync=off',
      `application_name=${this.address}`,
    ];
    const args = ['-D', this.#data, ...settings.flatMap((setting) => ['-c', setting])];
    const child = spawn(join(BIN, 'postgres'), args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      ...asNobody,
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    this.#child = child;
    const at = ['-h', this.address, '-p', String(this.#port)];
    const isReady = (): boolean => {
      assert.equal(child.exitCode, null, this.#said);
      return spawnSync(join(BIN, 'pg_isready'), at).status === 0;
    };
    await until(`${this.address} is ready`, isReady, 100_000);
  }

  /** Its children notice that it is gone, and cut their callers. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null) return;
    child.kill('SIGQUIT');
    await until('the server is gone', () => child.exitCode !== null || child.signalCode !== null);
  }
}
