/** Servers of TCP from packages of Debian, and a mesh in front of them. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type At, endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { freePorts } from '../support/ports.ts';
import { ownRange } from '../support/ranges.ts';
import { accepts } from './tools.ts';

/** Why tests of these programs are skipped; false where all of them are there. */
export function missing(programs: readonly string[], packages: string): string | false {
  const gone = programs.filter((program) => spawnSync(program, ['--version']).error !== undefined);
  if (gone.length === 0) return false;
  return `${gone.join(', ')} missing: install the Debian packages ${packages}`;
}

/** A program that runs until the end of the test, or until it is stopped. */
export class Program {
  /** Standard output. */
  out = '';
  err = '';
  readonly exit: Promise<number | null>;
  readonly child: ChildProcess;
  #ended = false;

  constructor(t: TestContext, program: string, args: readonly string[]) {
    this.child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.out += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.err += text));
    this.child.stdin?.on('error', () => undefined);
    this.exit = new Promise((resolve) => {
      this.child.once('error', () => resolve(null));
      this.child.once('close', (code) => {
        this.#ended = true;
        resolve(code);
      });
    });
    t.after(() => this.stop());
  }

  /** Resolves once it accepts connections. */
  async listens(at: At): Promise<this> {
    const isUp = (): Promise<boolean> => {
      if (this.#ended) throw new Error(`it ended: ${this.err}${this.out}`);
      return accepts(at);
    };
    await until(`${this.child.spawnfile} listens`, isUp, 60_000);
    return this;
  }

  /** Resolves once it has printed that. */
  async says(what: RegExp): Promise<void> {
    await until(`${this.child.spawnfile} says ${String(what)}`, () => {
      if (this.#ended && !what.test(this.out)) throw new Error(`it ended: ${this.err}${this.out}`);
      return what.test(this.out);
    });
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!this.#ended) this.child.kill(signal);
    await this.exit;
  }
}

export function temporary(t: TestContext, name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `maesh-${name}-`));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** So many addresses, all with one port that is free. */
export async function places(count: number): Promise<readonly At[]> {
  const [port = 0] = await freePorts(1);
  const range = ownRange();
  return Array.from({ length: count }, (_, i) => ({ address: range.host(i + 1), port }));
}

export interface Meshed extends At {
  readonly mesh: Mesh;
}

/** A mesh with one Service, whose port speaks this and has these endpoints. */
export async function meshed(
  t: TestContext,
  appProtocol: string,
  all: readonly At[],
): Promise<Meshed> {
  const [port = 0] = await freePorts(1);
  const folder = new Folder();
  const spec = { ports: [{ name: 'http', port, appProtocol }] };
  folder.put('all.yaml', service('interop/it', port, { spec }), endpoints('interop/it', all));
  const mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 2 });
  t.after(async () => {
    await mesh.stop();
    folder.remove();
  });
  return { mesh, port, address: await mesh.addressOf('interop/it') };
}
