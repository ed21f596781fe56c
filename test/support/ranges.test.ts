import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createServer } from 'node:net';
import { blocksInUse, ownBlock, ownRange, rangesOf } from './ranges.ts';

const TESTS = join(import.meta.dirname, '..');

test('processes that run at the same time have ranges of their own', () => {
  const of = Array.from({ length: 1_024 }, (_, i) => rangesOf(70_000 + i));
  assert.equal(new Set(of).size, of.length);
  for (const range of of) assert.match(range, /^127\.[1-7]\d\.\d+\.0\/20$/);
  const [one, other] = [ownRange(), ownRange()];
  assert.notEqual(one.cidr, other.cidr);
  assert.equal(one.cidr, `${one.host(0)}/24`);
});

test('whoever has a socket in a block keeps others out of it', async (t) => {
  if (!existsSync('/proc/net/tcp')) return t.skip('needs the list of sockets that Linux has');
  const server = createServer();
  t.after(() => server.close());
  server.listen(0, ownRange().host(7));
  await once(server, 'listening');
  assert.ok(blocksInUse().has(ownBlock()));
});

test('no test starts a mesh on addresses that the same test of another checkout has too', () => {
  const found = ['e2e', 'explain', 'faults'].flatMap((folder) =>
    readdirSync(join(TESTS, folder))
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) => {
        const lines = readFileSync(join(TESTS, folder, name), 'utf8').split('\n');
        return lines.flatMap((line, i) =>
          /\bcidr\b.*['`]127\./i.test(line) || /['`]127\.1\.9\d/.test(line)
            ? [`${folder}/${name}:${i + 1}`]
            : [],
        );
      }),
  );
  assert.deepEqual(found, []);
});
