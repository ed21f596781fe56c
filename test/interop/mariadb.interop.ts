/** MariaDB on a port of TCP, whose server speaks first: its client, through the mesh and without it, and load on two servers. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { userInfo } from 'node:os';
import type { At } from '../e2e/support/manifests.ts';
import { until } from '../e2e/support/until.ts';
import { meshed, missing, places, Program, temporary } from './tcp-servers.ts';
import { run } from './tools.ts';

const SERVER = '/usr/sbin/mariadbd';
const SKIP = missing(
  [SERVER, 'mariadb-install-db', 'mariadb', 'mariadb-slap'],
  'mariadb-server, mariadb-client',
);
const USER = userInfo().username;

async function server(t: TestContext, at: At): Promise<Program> {
  const data = temporary(t, 'mariadb');
  const common = ['--no-defaults', `--datadir=${data}`, `--user=${USER}`];
  await run('mariadb-install-db', [
    ...common,
    '--skip-test-db',
    '--auth-root-authentication-method=normal',
  ]);
  const where = [`--bind-address=${at.address}`, `--port=${at.port}`, '--skip-name-resolve'];
  const files = [`--socket=${join(data, 'socket')}`, `--pid-file=${join(data, 'pid')}`];
  const small = ['--innodb-flush-log-at-trx-commit=0', '--innodb-buffer-pool-size=16M'];
  const args = [...common, ...where, ...files, ...small, '--skip-grant-tables'];
  return await new Program(t, SERVER, args).listens(at);
}

const to = ({ address, port }: At): string[] => [
  '--no-defaults',
  '--protocol=TCP',
  `--host=${address}`,
  `--port=${port}`,
  '--user=root',
];

const ask = (at: At, sql: string): Promise<string> =>
  run('mariadb', [...to(at), '--batch', '--skip-column-names', '--max-allowed-packet=64M'], sql);

/** What statements of many kinds are answered. */
function answers(at: At): Promise<string> {
  return ask(
    at,
    `CREATE OR REPLACE DATABASE shop; USE shop;
     CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(100), picture LONGBLOB);
     INSERT INTO items SELECT seq, CONCAT('item ', seq), REPEAT(MD5(seq), 20) FROM seq_1_to_2000;
     SELECT COUNT(*), MD5(GROUP_CONCAT(name ORDER BY id)) FROM items;
     START TRANSACTION; DELETE FROM items WHERE id > 10; ROLLBACK;
     SELECT * FROM items WHERE id IN (1, 1999) ORDER BY id;
     SELECT REPEAT('abcdefgh', 500000);
     PREPARE one FROM 'SELECT ? + 1'; SET @a = 41; EXECUTE one USING @a;
     SELECT 'ü', NULL, 0x00;`,
  );
}

test('MariaDB', { skip: SKIP }, async (t) => {
  const all = await places(2);
  const [plain, other] = all;
  assert(plain !== undefined && other !== undefined);
  const [first] = await Promise.all(all.map((at) => server(t, at)));
  assert(first !== undefined);
  const one = await meshed(t, 'mysql', [plain]);
  const both = await meshed(t, 'mysql', all);

  await t.test('statements are answered as without the mesh', async () => {
    const direct = await answers(plain);
    assert.ok(direct.length > 4_000_000, `${direct.length} characters`);
    const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
    assert.equal(hash(await answers(one)), hash(direct));
  });

  await t.test('an error is that of the server', async () => {
    const sql = 'SELECT * FROM nowhere.nothing;';
    await assert.rejects(ask(plain, sql), /ERROR 1146/);
    await assert.rejects(ask(one, sql), /ERROR 1146/);
  });

  await t.test(
    'mariadb-slap loses no query, on connections that stay and on new ones',
    async () => {
      const load = ['--concurrency=10', '--number-of-queries=2000', '--query=SELECT 1', '--silent'];
      const slap = (at: At, ...more: string[]): Promise<string> =>
        run('mariadb-slap', [...to(at), ...load, ...more, '--create-schema=slap', '--no-drop']);
      for (const at of [plain, other]) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        await ask(at, 'CREATE DATABASE IF NOT EXISTS slap;');
      }
      await slap(both);
      await slap(both, '--detach=1');
    },
  );

  await t.test('a server that is killed costs its connections, and no new one', async (each) => {
    /** Clients that wait in the server until the end of the test. */
    const waiting = Array.from({ length: 8 }, () => {
      const args = [...to(both), '--batch', '--skip-reconnect', '-e', 'SELECT SLEEP(200)'];
      return new Program(each, 'mariadb', args);
    });
    const ends: (number | null)[] = [];
    for (const { exit } of waiting) void exit.then((code) => ends.push(code));
    const sleeping =
      "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%';";
    const count = async (at: At): Promise<number> => Number(await ask(at, sleeping));
    let had = 0;
    for (let seen = 0; seen < 8;) {
      // oxlint-disable-next-line no-await-in-loop -- until all are there
      const [here, there] = await Promise.all([count(plain), count(other)]);
      had = here;
      seen = here + there;
    }
    each.diagnostic(`the killed server has ${had} of 8 clients`);
    assert.ok(had > 0 && had < 8);
    await first.stop();
    for (let i = 0; i < 20; i++) {
      // oxlint-disable-next-line no-await-in-loop -- a connection each
      assert.equal((await ask(both, 'SELECT 1;')).trim(), '1');
    }
    await until('its clients have noticed', () => ends.length >= had);
    assert.equal(await count(other), 8 - had);
    assert.equal(ends.length, had);
    assert.ok(ends.every((code) => code !== 0));
    for (const { err } of waiting) if (err !== '') assert.match(err, /ERROR 20(?:13|06)/);
  });
});
