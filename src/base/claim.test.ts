import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { existsSync } from 'node:fs';

import { claim } from './claim.ts';

const hasList = existsSync('/proc/net/unix');
const options = { skip: hasList ? false : 'Linux lists abstract sockets in /proc/net/unix' };
/** Another run of this test must not be in the way. */
const KIND = `test-${process.pid}`;

interface Other {
  readonly child: ChildProcess;
  /** How many had claimed before it. */
  readonly found: number;
}

/** Another process that claims this, gives up when it finds others, and lives until it is killed. */
async function other(t: TestContext, kind: string, what: string): Promise<Other> {
  const script = `
    import { claim } from ${JSON.stringify(new URL('./claim.ts', import.meta.url).href)};
    const { holders, release } = await claim(${JSON.stringify(kind)}, ${JSON.stringify(what)});
    if (holders.length > 0) release();
    console.log(holders.length);
    process.stdin.resume();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const [text] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, found: Number(text.toString()) };
}

test(
  'claim() finds who serves a range that overlaps, until that process is gone',
  options,
  async (t) => {
    const { child: holder } = await other(t, KIND, '127.5.0.0/16');
    const pids = async (what: string): Promise<number[]> => {
      const { holders, release } = await claim(KIND, what);
      release();
      return holders.map(({ pid }) => pid);
    };
    for (const what of ['127.5.0.0/16', '127.5.3.0/24', '127.0.0.0/8', '127.5.0.0/32']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      assert.deepEqual(await pids(what), [holder.pid], what);
    }
    for (const what of ['127.6.0.0/16', '127.4.255.0/24', 'a.name:9443']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      assert.deepEqual(await pids(what), [], what);
    }
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    assert.deepEqual(await pids('127.5.0.0/16'), [], 'nothing is left of it');
  },
);

test(
  'claim() lets exactly one of several go on that start at the same moment',
  options,
  async (t) => {
    const all = await Promise.all([1, 2, 3].map(() => other(t, `${KIND}-race`, '127.7.0.0/16')));
    const found = all.map((one) => one.found);
    assert.equal(found.filter((count) => count === 0).length, 1, found.join(' '));
  },
);
