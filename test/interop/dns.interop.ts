/** A DNS server on one number over UDP and TCP: dnsmasq and dig, through the mesh and without it, and while one of two servers is killed. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { At } from '../e2e/support/manifests.ts';
import { missing, places, Program } from './tcp-servers.ts';
import { run } from './tools.ts';
import { meshedBoth } from './udp-servers.ts';

const SKIP = missing(['dnsmasq', 'dig'], 'dnsmasq-base, bind9-dnsutils');
const LONG = 'x'.repeat(250);

async function server(t: TestContext, at: At): Promise<Program> {
  const here = [
    '--edns-packet-max=4096',
    '--no-daemon',
    '--no-hosts',
    '--no-resolv',
    '--bind-interfaces',
    '--user=',
    '--pid-file=',
  ];
  const where = [`--listen-address=${at.address}`, `--port=${at.port}`];
  const records = [
    '--address=/a.test/192.0.2.7',
    '--address=/a.test/2001:db8::7',
    `--txt-record=who.test,${at.address}`,
    // It does not fit into a datagram of old.
    `--txt-record=long.test,${Array.from({ length: 8 }, () => LONG).join()}`,
  ];
  return await new Program(t, 'dnsmasq', [
    '--conf-file=/dev/null',
    ...here,
    ...where,
    ...records,
  ]).listens(at);
}

const dig = ({ address, port }: At, ...words: string[]): Promise<string> =>
  run('dig', [`@${address}`, '-p', String(port), '+tries=1', '+timeout=30', ...words]);

/** Without what differs each time. */
async function answer(at: At, ...words: string[]): Promise<string> {
  const text = await dig(at, '+nocomments', '+nostats', '+nocmd', '+noquestion', ...words);
  return text.trim();
}

test('DNS by UDP and TCP on one number', { skip: SKIP }, async (t) => {
  const all = await places(2);
  const [plain] = all;
  assert(plain !== undefined);
  const servers: Program[] = [];
  // oxlint-disable-next-line no-await-in-loop -- two of them
  for (const at of all) servers.push(await server(t, at));
  const { mesh, at } = await meshedBoth(t, all);

  await t.test('dig gets through the mesh what it gets without it', async () => {
    for (const how of ['+notcp', '+tcp', '+notcp +noedns', '+tcp +noedns']) {
      for (const what of ['A a.test', 'AAAA a.test', 'TXT long.test', 'MX a.test']) {
        const words = [...how.split(' '), ...what.split(' ')];
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        assert.equal(await answer(at, ...words), await answer(plain, ...words), words.join(' '));
      }
    }
    // It is cut, and dig asks again over TCP.
    const long = await dig(at, '+noedns', 'TXT', 'long.test');
    assert.match(long, /retrying in TCP mode/);
    assert.match(long, new RegExp(`"${LONG}"`));
    assert.match(await dig(at, '+bufsize=4096', 'TXT', 'long.test'), /\(UDP\)/);
  });

  await t.test('both servers are asked', async () => {
    const who = await Promise.all(
      Array.from({ length: 20 }, () => answer(at, '+short', 'TXT', 'who.test')),
    );
    assert.deepEqual(
      [...new Set(who)].toSorted(),
      all.map(({ address }) => `"${address}"`).toSorted(),
    );
  });

  await t.test('a server that is killed costs what was under way, and no more', async () => {
    const [first] = servers;
    const asked = Array.from({ length: 60 }, async (_, i) => {
      await new Promise((resolve) => setTimeout(resolve, i * 50));
      if (i === 15) await first?.stop();
      // It asks again after a second, as a resolver does.
      return answer(at, '+tries=4', '+timeout=1', '+short', 'A', 'a.test');
    });
    // Before its answer dig says that one was lost.
    const answers = (await Promise.all(asked)).map((text) => text.split('\n').at(-1));
    assert.deepEqual([...new Set(answers)], ['192.0.2.7']);
    const name = 'maesh_udp_dropped_datagrams_total{service="interop/it",reason="unreachable"}';
    t.diagnostic(`${await mesh.metric(name)} datagrams met an ICMP error`);
  });
});
