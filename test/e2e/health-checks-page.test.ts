/** docs/tasks/health-checks.md as somebody follows it: its manifest, its commands, and what it says that they print. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call } from './support/call.ts';
import { maesh } from './support/mesh.ts';
import { followPage } from './support/page.ts';
import { until } from './support/until.ts';

const PORT = 8080;

test('the page on health checks holds what it says', async (t) => {
  const { mesh, folder, manifest, hosts, here, printed } = await followPage(t, 'health-checks.md');
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
