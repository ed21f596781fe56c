/** A page of docs/tasks as somebody follows it: its manifest, its stand-ins, and what it says that commands print. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ownRange } from '../../support/ranges.ts';
import { Folder } from './manifests.ts';
import { Mesh } from './mesh.ts';
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
}

/** Follows the page until the mesh serves its manifest. */
export async function followPage(t: TestContext, name: string): Promise<Followed> {
  const page = readFileSync(join(ROOT, 'docs/tasks', name), 'utf8');
  const range = ownRange();
  const net = range.host(1).replace(/\.1$/, '');
  const here = (text: string): string => text.replaceAll(/\b127\.1\.10(?=\.\d)/g, net);
  const [, manifest = ''] = /^```yaml\n([\s\S]*?)^```$/m.exec(page) ?? [];
  const folder = new Folder();
  folder.write('web.yaml', here(manifest));
  const hosts = [1, 2, 3].map((last) => range.host(last));
  const standIns = spawn(process.execPath, ['examples/tasks/server.mjs', ...hosts], { cwd: ROOT });
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
  return { mesh, folder, manifest, hosts, here, printed };
}
