/** docs/tasks/failover.md as somebody follows it: its manifest, its commands, and what it says that they print. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call } from './support/call.ts';
import { maesh } from './support/mesh.ts';
import { followPage } from './support/page.ts';
import { until } from './support/until.ts';

const PORT = 8080;
const METRIC = 'maesh_failed_over_requests_total{service="shop/web"}';

interface Stats {
  readonly services: readonly { readonly key: string; readonly failedOverPerSecond: number }[];
}

test('the page on failover holds what it says', async (t) => {
  const { mesh, folder, manifest, hosts, here, printed } = await followPage(t, 'failover.md');
  const address = await mesh.addressOf('shop/web');
  /** Who answers so many calls. */
  const who = async (count: number): Promise<string[]> => {
    const answers = new Set<string>();
    for (let i = 1; i <= count; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { body } = await call({ address, port: PORT, path: `/?${i}` });
      answers.add(body.trim());
    }
    return [...answers].sort();
  };
  const failedOver = async (): Promise<number> => {
    const { services } = await mesh.json<Stats>('/api/stats?namespace=shop');
    const found = services.find(({ key }) => key === 'shop/web');
    assert(found !== undefined);
    return found.failedOverPerSecond;
  };
  const [own = '', ...others] = hosts.map((host) => `200 from ${host}`);
  const lines = printed("'http://web.shop.maesh:8080/?[1-6]'").split('\n');
  assert.deepEqual(
    lines.map((line) => here(line).replace(/^ *\d+ /, '')),
    [own, ...others],
  );
  assert.deepEqual(await who(6), [own]);
  assert.equal(await failedOver(), 0);
  assert.equal(await mesh.metric(METRIC), 0);
  await until('the checks have failed', async () => (await who(1))[0] !== own);
  const before = await mesh.metric(METRIC);
  assert.deepEqual(await who(20), others);
  assert.equal((await mesh.metric(METRIC)) - before, 20, 'as the page says');
  await until('the figures of the last seconds show it', async () => {
    await who(2);
    return (await failedOver()) > 0;
  });

  const url = `http://web.shop.maesh:${PORT}/`;
  const { stdout } = await maesh(['explain', '--admin', mesh.admin, url]);
  assert.ok(stdout.includes(printed('bin/maesh explain')), stdout);

  folder.write('web.yaml', here(manifest).replace(`?fail=${hosts[0]}`, ''));
  await until('some calls come back', async () => (await who(20)).includes(own));
  await until('all calls come back', async () => (await who(20)).join() === own);
  await until('the figures forget it', async () => (await failedOver()) === 0);
});
