/** iperf3 through the mesh: its control connection over TCP and its datagrams over UDP, on one number. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numberAt } from '../../src/base/record.ts';
import { missing, places, Program } from './tcp-servers.ts';
import { run } from './tools.ts';
import { meshedBoth } from './udp-servers.ts';

const SKIP = missing(['iperf3'], 'iperf3');
const BYTES = 20_000_000;

test('iperf3 -u', { skip: SKIP }, async (t) => {
  const [place] = await places(1);
  assert(place !== undefined);
  const { address, port } = place;
  await new Program(t, 'iperf3', ['-s', '-B', address, '-p', String(port)]).listens(place);
  const { at } = await meshedBoth(t, [place]);
  for (const more of [[], ['-R'], ['-l', '60000'], ['-l', '64', '-b', '2M', '-n', '500K']]) {
    const args = ['-c', at.address, '-p', String(at.port), '-u', '-b', '100M', '-n', String(BYTES)];
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const out = await run('iperf3', [...args, ...more, '-J']);
    const report: unknown = JSON.parse(out);
    const lost = numberAt(report, 'end', 'sum', 'lost_percent');
    const all = numberAt(report, 'end', 'sum', 'packets');
    t.diagnostic(`${more.join(' ')}: ${lost} % of ${all} datagrams were lost`);
    // The kernel drops what waits for a thread that a busy machine holds up: how much of it says nothing of the mesh.
    assert.ok(all * (1 - lost / 100) > 100, out);
  }
});
