/** docs/tasks/health-checks.md as somebody follows it: its manifest, its commands, and what it says that they print. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ownRange } from '../support/ranges.ts';
import { call } from './support/call.ts';
import { Folder } from './support/manifests.ts';
import { maesh, Mesh } from './support/mesh.ts';
import { until } from './support/until.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGE = readFileSync(join(ROOT, 'docs/tasks/health-checks.md'), 'utf8');
const PORT = 8080;

/** What the page shows after a command that has this in it. */
function printed(command: string): string {
  const [, text] = PAGE.slice(PAGE.indexOf(command)).split(/^```text\n([\s\S]*?)^```$/m);
  return (text ?? assert.fail(`the page shows nothing of ${command}`)).trimEnd();
}

test('the page on health checks holds what it says', async (t) => {
  const range = ownRange();
  const net = range.host(1).replace(/\.1$/, '');
  /** The stand-ins of the page are at addresses that another test may have. */
  const here = (text: string): string => text.replaceAll(/\b127\.1\.10(?=\.\d)/g, net);
  const [, manifest = ''] = /^```yaml\n([\s\S]*?)^```$/m.exec(PAGE) ?? [];
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
  const address = await mesh.addressOf('shop/web');
  /** As `uniq -c` does: how many calls each answer got. */
  const calls = async (count: number): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (let i = 1; i <= count; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { body } = await call({ address, port: PORT, path: `/?${i}` });
      counts[body.trim()] = (counts[body.trim()] ?? 0) + 1;
    }
    return counts;
  };
  const all = hosts.map((host) => `200 from ${host}`);
  await calls(6);
  const [log = ''] = printed('The log of the mesh')
    .split(/^WARN +/m)
    .slice(1);
  await until('the log has the line', () => `${mesh.stdout}${mesh.stderr}`.includes(here(log)));
  assert.deepEqual(Object.keys(await calls(20)).sort(), all.slice(1));

  const url = `http://web.shop.maesh:${PORT}/`;
  const { stdout } = await maesh(['explain', '--admin', mesh.admin, url]);
  assert.ok(stdout.includes(here(printed('bin/maesh explain'))), stdout);
  for (const line of printed('^maesh_health_checks_total').split('\n')) {
    const name = line.slice(0, line.lastIndexOf(' '));
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.ok((await mesh.metric(name)) > 0, name);
  }

  folder.write('web.yaml', here(manifest).replace(`?fail=${hosts[0]}`, ''));
  await until('all are called again', async () => Object.keys(await calls(20)).length === 3);
});
