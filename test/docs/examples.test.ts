/** What a newcomer runs first says that it runs, or why it does not. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { maesh } from '../../src/cli/maesh.fixture.ts';
import { ownRange } from '../support/ranges.ts';
import { eventually } from '../support/wire.ts';

const ROOT = join(import.meta.dirname, '../..');

interface Started {
  readonly child: ChildProcess;
  text: string;
}

function start(t: TestContext, ...args: readonly string[]): Started {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill());
  const started: Started = { child, text: '' };
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (started.text += text));
  return started;
}

/** All it said, when it has ended. */
async function ended({ child }: Started): Promise<number | null> {
  await eventually(() => child.exitCode !== null, 'its end');
  return child.exitCode;
}

for (const [name, ...rest] of [
  ['examples/tasks/server.mjs'],
  ['examples/first/server.mjs', '9380'],
]) {
  test(`${name} says where it serves, and why it cannot`, async (t) => {
    const address = ownRange().host(1);
    const first = start(t, name ?? '', address, ...rest);
    await eventually(() => first.text.includes('\n'), 'its first line');
    assert.match(first.text, /^[a-z-]+: serves [\d.]+:9380\n$/);
    const second = start(t, name ?? '', address, ...rest);
    assert.equal(await ended(second), 1);
    await eventually(() => second.text !== '', 'its reason');
    assert.match(second.text, /^[a-z-]+: Cannot serve [\d.]+:9380: another process uses it, .+\n$/);
  });
}

for (const name of ['examples/tasks/grpc.mjs', 'examples/tasks/dns.mjs']) {
  test(`${name} says where it serves, and ends where it cannot`, async (t) => {
    const [free, taken] = [1, 2].map((last) => ownRange().host(last));
    assert(free !== undefined && taken !== undefined);
    const first = start(t, name, taken);
    await eventually(() => first.text.includes('\n'), 'its first line');
    assert.match(first.text, /^stand-in: serves [\d.]+:\d+ /);
    const second = start(t, name, free, taken);
    assert.equal(await ended(second), 1);
    await eventually(() => second.text.includes('EADDRINUSE'), 'its reason');
    const none = start(t, name);
    assert.equal(await ended(none), 1);
    await eventually(() => none.text.includes('Give the addresses'), 'its reason');
  });
}

test('examples/tasks/server.mjs asks for addresses', async (t) => {
  const started = start(t, 'examples/tasks/server.mjs');
  assert.equal(await ended(started), 1);
  await eventually(() => started.text !== '', 'its reason');
  assert.match(started.text, /^stand-in: Give the addresses/);
});

test('the first commands that maesh names work as they stand: their Service is in the manifests', async () => {
  const { out } = await maesh(['--help']);
  const [, folder = ''] = / maesh up -f (\S+)/.exec(out) ?? [];
  const [, url = ''] = / maesh curl (\S+)/.exec(out) ?? [];
  assert.match(readFileSync(join(ROOT, folder, 'README.md'), 'utf8'), /server\.mjs/);
  const said = await maesh(['explain', url, '-f', join(ROOT, folder)]);
  assert.equal(said.code, 0, said.err);
  assert.match(said.out, /forwarded/);
});

test('each example of maesh explain about the shop is forwarded there', async () => {
  const { out } = await maesh(['explain', '--help']);
  let examples = 0;
  for (const [, line = ''] of out.matchAll(/^ {2}maesh (explain .*examples\/shop.*)$/gm)) {
    examples += 1;
    const [command = ''] = line.split(' | ');
    const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(
      ([, quoted, word]) => quoted ?? word,
    );
    const args = words.map((word) => (word === 'examples/shop' ? join(ROOT, word) : (word ?? '')));
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { code, err, out: said } = await maesh(args);
    assert.equal(code, 0, `${line}: ${err}${said}`);
  }
  assert.ok(examples >= 4, `${examples} examples found`);
});

test('each command that can end with 3 says so in its help', async () => {
  for (const command of ['check', 'status']) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { out } = await maesh([command, '--help']);
    assert.match(out, /Exit codes: 0 [^]*?, 1 [^]*?3 no known errors/, command);
  }
});
