/** Redis on a port of TCP: redis-cli and redis-benchmark, through the mesh and without it. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { At } from '../e2e/support/manifests.ts';
import { until } from '../e2e/support/until.ts';
import { meshed, missing, places, Program, temporary } from './tcp-servers.ts';
import { run } from './tools.ts';

const SKIP = missing(['redis-server', 'redis-cli', 'redis-benchmark'], 'redis-server, redis-tools');
const MESSAGES = 200;
const MANY = 20_000;

async function server(t: TestContext, at: At): Promise<Program> {
  const where = ['--bind', at.address, '--port', String(at.port), '--protected-mode', 'no'];
  const kept = ['--save', '', '--appendonly', 'no', '--dir', temporary(t, 'redis')];
  return await new Program(t, 'redis-server', [...where, ...kept]).listens(at);
}

const to = ({ address, port }: At): string[] => ['-h', address, '-p', String(port)];
const cli = (at: At, args: readonly string[], input: string | Buffer = ''): Promise<string> =>
  run('redis-cli', [...to(at), ...args], input);

/** What commands of many kinds are answered, on one connection. */
async function answers(at: At): Promise<string> {
  const long = 'v'.repeat(300_000);
  const commands = [
    'FLUSHALL',
    'SET plain "a\\r\\nb\\x00c"',
    'GET plain',
    `SET long ${long}`,
    'STRLEN long',
    'GET long',
    'RPUSH list 1 2 3',
    'LRANGE list 0 -1',
    'MULTI',
    'INCR counter',
    'INCR counter',
    'EXEC',
    'GET nothing',
    'LPUSH plain 1',
    'EVAL "return {1,{2,\'three\'}}" 0',
    'BLPOP nobody 0.1',
  ];
  return await cli(at, ['--no-raw'], `${commands.join('\n')}\n`);
}

/** What a subscriber hears that has `subscriber`, when others publish at `publisher`. */
async function heard(t: TestContext, subscriber: At, publisher: At): Promise<string> {
  const program = new Program(t, 'redis-cli', [...to(subscriber), 'subscribe', 'news']);
  await program.says(/subscribe\s+news\s+1/);
  const lines = Array.from({ length: MESSAGES }, (_, i) => `PUBLISH news message-${i}\n`);
  await cli(publisher, [], lines.join(''));
  await program.says(new RegExp(`message-${MESSAGES - 1}\n`));
  const { out } = program;
  await program.stop();
  return out;
}

/** Commands all at once, as the protocol has them. */
function pipelined(count: number): Buffer {
  const bulk = (word: string): string => `$${word.length}\r\n${word}\r\n`;
  const one = (i: number): string =>
    `*3\r\n${['SET', `key-${i}`, `value-${i}`].map(bulk).join('')}`;
  return Buffer.from(Array.from({ length: count }, (_, i) => one(i)).join(''));
}

test('Redis', { skip: SKIP }, async (t) => {
  const all = await places(2);
  const [plain] = all;
  assert(plain !== undefined);
  const [first] = await Promise.all(all.map((at) => server(t, at)));
  assert(first !== undefined);
  const one = await meshed(t, 'redis', [plain]);
  const both = await meshed(t, 'redis', all);

  await t.test('commands are answered as without the mesh', async () => {
    const direct = await answers(plain);
    assert.match(direct, /\(integer\) 300000/);
    assert.match(direct, /WRONGTYPE/);
    assert.equal(await answers(one), direct);
  });

  await t.test('subscribers hear all, whoever of the two goes through the mesh', async (each) => {
    const direct = await heard(each, plain, plain);
    assert.equal(direct.match(/message-\d+/g)?.length, MESSAGES);
    assert.equal(await heard(each, one, plain), direct);
    assert.equal(await heard(each, plain, one), direct);
    assert.equal(await heard(each, one, one), direct);
  });

  await t.test(`${MANY} commands at once are all answered`, async () => {
    const said = /errors: 0, replies: 20000\b/;
    assert.match(await cli(plain, ['--pipe'], pipelined(MANY)), said);
    await cli(plain, ['FLUSHALL']);
    assert.match(await cli(one, ['--pipe'], pipelined(MANY)), said);
    assert.equal((await cli(plain, ['DBSIZE'])).trim(), String(MANY));
  });

  await t.test('redis-benchmark ends as without the mesh, pipelined and not', async (each) => {
    for (const pipeline of ['1', '16']) {
      const amount = ['-c', '20', '-n', '5000', '-P', pipeline, '-d', '100', '--csv'];
      const tests = ['-t', 'ping,set,get,incr,lpush,lrange_100,mset'];
      const bench = (at: At): Promise<string> =>
        run('redis-benchmark', [...to(at), ...amount, ...tests]);
      /** The first column: the test. Second: its requests per second. */
      const rows = (text: string): string[][] =>
        text
          .trim()
          .split('\n')
          .map((line) => line.replaceAll('"', '').split(','));
      // oxlint-disable no-await-in-loop -- one load after the other
      const direct = rows(await bench(plain));
      const through = rows(await bench(both));
      // oxlint-enable no-await-in-loop
      const names = (all: string[][]): (string | undefined)[] => all.map(([name]) => name);
      assert.ok(direct.length > 6);
      assert.deepEqual(names(through), names(direct));
      for (const [name, rate] of through.slice(1)) assert.ok(Number(rate) > 0, String(name));
      each.diagnostic(
        `pipelines of ${pipeline}: ${rate('GET', through)}, ${rate('GET', direct)} without the mesh`,
      );
    }
  });

  await t.test(
    'a server that is killed costs its subscribers, and no new connection',
    async (each) => {
      const others = all.filter((at) => at !== plain);
      const subscribers = Array.from(
        { length: 8 },
        () => new Program(each, 'redis-cli', [...to(both), 'subscribe', 'news']),
      );
      await Promise.all(subscribers.map((each) => each.says(/subscribe\s+news\s+1/)));
      const count = async (at: At): Promise<number> =>
        Number((await cli(at, ['--raw', 'PUBSUB', 'NUMSUB', 'news'])).trim().split('\n')[1]);
      const had = await count(plain);
      each.diagnostic(`the killed server has ${had} of 8 subscribers`);
      assert.ok(had > 0 && had < 8);
      await first.stop();
      // Each says something to whoever it has.
      const [other] = others;
      assert(other !== undefined);
      assert.equal(await count(other), 8 - had);
      for (let i = 0; i < 50; i++) {
        // oxlint-disable-next-line no-await-in-loop -- a connection each
        assert.equal((await cli(both, ['SET', `after-${i}`, 'x'])).trim(), 'OK');
      }
      await cli(other, ['PUBLISH', 'news', 'the-last-one']);
      const hears = (): number =>
        subscribers.filter(({ out }) => out.includes('the-last-one')).length;
      await until('the others hear it', () => hears() >= 8 - had);
    },
  );
});

function rate(test: string, rows: readonly string[][]): string {
  const [, perSecond = ''] = rows.find(([name]) => name === test) ?? [];
  return `${test} ${Math.round(Number(perSecond))}/s`;
}
