import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PortPool } from './ports.ts';
import type { Claim, ClaimRank } from './ports.ts';

function claim(
  owner: string,
  proxyPort: number,
  rank: ClaimRank = 'open',
  createdAt = '2026',
): Claim {
  return { owner, port: '80/TCP', proxyPort, rank, createdAt };
}
const port = (proxyPort: number, number = 80) =>
  ({ name: '', port: number, protocol: 'TCP', proxyPort }) as const;

test('choose() gives a Service the same port again, and others none that is claimed', () => {
  const pool = new PortPool({ from: 10, to: 12 });
  const first = pool.choose('a', '80/TCP', new Set());
  assert.equal(first, new PortPool({ from: 10, to: 12 }).choose('a', '80/TCP', new Set()));
  assert.ok(first !== null);
  pool.set('a', [claim('a', first, 'leaving')]);
  assert.equal(pool.choose('a', '80/TCP', new Set()), first);
  assert.notEqual(pool.choose('a', '81/TCP', new Set()), first);
  const others = new Set<number>();
  for (const owner of ['b', 'c']) {
    const next = pool.choose(owner, '80/TCP', new Set());
    assert.ok(next !== null && next !== first);
    pool.set(owner, [claim(owner, next)]);
    others.add(next);
  }
  assert.equal(others.size, 2);
  assert.equal(pool.choose('d', '80/TCP', new Set()), null);
  pool.set('a', []);
  assert.equal(pool.choose('d', '80/TCP', new Set()), first);
  assert.equal(pool.choose('d', '80/TCP', new Set([first])), null);
});

test('of two that claim one port, who has more to lose keeps it, then the older, in any order of arrival', () => {
  const cases: readonly (readonly [Claim, Claim])[] = [
    [claim('b', 10, 'published'), claim('a', 10, 'open')],
    [claim('b', 10, 'open'), claim('a', 10, 'announced')],
    [claim('b', 10, 'announced'), claim('a', 10, 'leaving')],
    [claim('b', 10, 'open', '2025'), claim('a', 10, 'open', '2026')],
    [claim('a', 10), claim('b', 10)],
  ];
  for (const [winner, loser] of cases) {
    for (const order of [
      [winner, loser],
      [loser, winner],
    ]) {
      const pool = new PortPool({ from: 10, to: 12 });
      for (const item of order) pool.set(item.owner, [item]);
      assert.ok(pool.holds(winner.owner, port(10)));
      assert.ok(!pool.holds(loser.owner, port(10)));
      assert.deepEqual([...pool.set(winner.owner, [])], [loser.owner]);
      assert.ok(pool.holds(loser.owner, port(10)));
    }
  }
});

test('holds() tells ports of one owner apart', () => {
  const pool = new PortPool({ from: 10, to: 12 });
  pool.set('a', [claim('a', 10), { ...claim('a', 10), port: '81/TCP' }]);
  assert.ok(pool.holds('a', port(10)));
  assert.ok(!pool.holds('a', port(10, 81)));
  assert.equal(pool.size, 1);
  assert.ok(pool.includes(12) && !pool.includes(13) && !pool.includes(9));
});
