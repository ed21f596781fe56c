/** Network namespaces: a test runs itself again in one of its own, and puts peers into others, behind links that it can cut. */

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../e2e/support/mesh.ts';

const INNER = 'MAESH_TEST_IN_NAMESPACE';

/** This process is the one in the namespace. */
export function isInside(): boolean {
  return process.env[INNER] === '1';
}

/**
 * Runs the test file again in a namespace with these settings, where it passes; skips the test where that is not allowed.
 * Resolves with what it prints, of which the lines that match are shown here too.
 */
export async function passInside(
  t: TestContext,
  file: string,
  set: string,
  shown: RegExp | null = null,
): Promise<string | null> {
  if (isInside()) return skip(t, 'this is the namespace');
  const allowed = await run('unshare', ['-n', 'sh', '-c', set]).catch(() => null);
  if (allowed?.code !== 0) return skip(t, 'needs the right to make a network namespace');
  const self = fileURLToPath(file);
  const again = `unset NODE_TEST_CONTEXT; ${set} && exec "${process.execPath}" --test --test-reporter=tap "${self}"`;
  const { code, stdout } = await run('unshare', ['-n', 'sh', '-c', again], { [INNER]: '1' });
  for (const line of stdout.split('\n')) if (shown?.test(line)) t.diagnostic(line.slice(2));
  assert.equal(code, 0, stdout);
  return stdout;
}

function skip(t: TestContext, why: string): null {
  t.skip(why);
  return null;
}

/** A link to the namespace of a process, which has another one than we. */
export class Link {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #ours: string;

  private constructor(name: string, child: ChildProcess, ours: string) {
    this.#name = name;
    this.#child = child;
    this.#ours = ours;
  }

  /** Both ends have their address, and are up. */
  static async make(child: ChildProcess, ours: string, theirs: string): Promise<Link> {
    const name = `to${child.pid}`;
    const there = `of${child.pid}`;
    const pid = await namespaceOf(child);
    ip('link', 'add', name, 'type', 'veth', 'peer', 'name', there);
    ip('link', 'set', there, 'netns', pid);
    ip('addr', 'add', `${ours}/24`, 'dev', name);
    ip('link', 'set', name, 'up');
    const link = new Link(name, child, ours);
    link.#inside('ip', 'addr', 'add', `${theirs}/24`, 'dev', there);
    link.#inside('ip', 'link', 'set', there, 'up');
    return link;
  }

  /** The whole range is ours, and within reach of the other side. */
  open(cidr: string): void {
    ip('route', 'add', 'local', cidr, 'dev', 'lo');
    this.#inside('ip', 'route', 'add', cidr, 'via', this.#ours);
  }

  /** From now on nothing arrives, and nobody is told. */
  cut(t: TestContext): void {
    this.#inside('ip', 'link', 'set', `of${this.#child.pid}`, 'down');
    t.diagnostic(`${this.#name} is cut`);
  }

  #inside(...command: readonly string[]): void {
    execFileSync('nsenter', ['-t', String(this.#child.pid), '-n', ...command]);
  }
}

function ip(...words: readonly string[]): void {
  execFileSync('ip', words);
}

/** Once it is one of its own. */
async function namespaceOf({ pid }: ChildProcess): Promise<string> {
  const ours = execFileSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' });
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- until it is
    const { stdout } = await run('readlink', [`/proc/${pid}/ns/net`]);
    if (stdout !== '' && stdout !== ours) return String(pid);
  }
}
