/** A page of docs/tasks as somebody follows it: its manifest, its stand-ins, and what it says that commands print. */

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { ownRange } from '../../support/ranges.ts';
import { Folder } from './manifests.ts';
import { BIN, Mesh } from './mesh.ts';
import { until } from './until.ts';

const ROOT = join(import.meta.dirname, '../../..');

interface Followed {
  readonly mesh: Mesh;
  readonly folder: Folder;
  /** The manifest of the page. */
  readonly manifest: string;
  /** The addresses of the stand-ins. */
  readonly hosts: readonly string[];
  /** The stand-ins of the page are at addresses that another test may have. */
  readonly here: (text: string) => string;
  /** What the page shows after a command that has this in it. */
  readonly printed: (command: string) => string;
  /** Runs the commands of the block that has this in it, and gives what they print. */
  readonly run: (command: string) => Promise<string>;
}

interface PageOptions {
  /** The script that stands for the Pods. */
  readonly standIns?: string;
  /** Where the part of the page begins that is followed. */
  readonly from?: string;
  /** What the page makes beside its manifest, before the mesh starts. */
  readonly prepare?: (folder: Folder, run: Followed['run']) => Promise<void>;
}

const execute = promisify(execFile);

/** Follows the page until the mesh serves its manifest. */
export async function followPage(
  t: TestContext,
  name: string,
  { standIns: script = 'server.mjs', from = '', prepare }: PageOptions = {},
): Promise<Followed> {
  const text = readFileSync(join(ROOT, 'docs/tasks', name), 'utf8');
  const page = text.slice(text.indexOf(from));
  const range = ownRange();
  const net = range.host(1).replace(/\.1$/, '');
  const here = (text: string): string => text.replaceAll(/\b127\.1\.[12]0(?=\.\d)/g, net);
  const [, manifest = ''] = /^```yaml\n([\s\S]*?)^```$/m.exec(page) ?? [];
  const folder = new Folder();
  folder.write('web.yaml', here(manifest));
  const run = async (command: string, admin = ''): Promise<string> => {
    const blocks = page.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm);
    const [, , block] =
      [...blocks].find(([, kind, body]) => kind === '' && body?.includes(command)) ?? [];
    assert(block !== undefined, `the page has no command ${command}`);
    const commands = here(block).replaceAll('bin/maesh', BIN);
    const env = { ...process.env, MAESH_ADMIN: admin };
    return (await execute('bash', ['-c', commands], { cwd: folder.path, env })).stdout.trimEnd();
  };
  await prepare?.(folder, run);
  const hosts = [1, 2, 3].map((last) => range.host(last));
  const standIns = spawn(process.execPath, [`examples/tasks/${script}`, ...hosts], { cwd: ROOT });
  let said = '';
  standIns.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  const mesh = new Mesh({ paths: [folder.path], cidr: ownRange().cidr });
  t.after(async () => {
    standIns.kill();
    await mesh.stop();
    folder.remove();
  });
  await mesh.ready();
  await until('the stand-ins serve', () => said.split('\n').length === 4);
  const printed = (command: string): string => {
    const [, text] = page.slice(page.indexOf(command)).split(/^```text\n([\s\S]*?)^```$/m);
    return (text ?? assert.fail(`the page shows nothing of ${command}`)).trimEnd();
  };
  return {
    mesh,
    folder,
    manifest,
    hosts,
    here,
    printed,
    run: (command) => run(command, mesh.admin),
  };
}
