import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
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

function choose(pool: PortPool, owner: string, port = '80/TCP', taken: readonly number[] = []) {
  return pool.choose({ owner, namespace: `of-${owner}`, port }, new Set(taken));
}

test('choose() gives a Service the same port again, and others none that is claimed', () => {
  const pool = new PortPool({ from: 10, to: 12 });
  const first = choose(pool, 'a');
  assert.equal(first, choose(new PortPool({ from: 10, to: 12 }), 'a'));
  assert.ok(typeof first === 'number');
  pool.assign('a', 'of-a', [claim('a', first, 'leaving')]);
  assert.equal(choose(pool, 'a'), first);
  assert.notEqual(choose(pool, 'a', '81/TCP'), first);
  const others = new Set<number>();
  for (const owner of ['b', 'c']) {
    const next = choose(pool, owner);
    assert.ok(typeof next === 'number' && next !== first);
    pool.assign(owner, `of-${owner}`, [claim(owner, next)]);
    others.add(next);
  }
  assert.equal(others.size, 2);
  assert.equal(choose(pool, 'd'), 'range');
  pool.assign('a', 'of-a', []);
  assert.equal(choose(pool, 'd'), first);
  assert.equal(choose(pool, 'd', '80/TCP', [first]), 'range');
});

test('a namespace that takes all it can leaves some, and a reserve, to those that have few', () => {
  const pool = new PortPool({ from: 100, to: 199 });
  const take = (owner: string, namespace: string): number => {
    for (let count = 0; ; count++) {
      const port = `${count}/TCP`;
      const chosen = pool.choose({ owner: `${owner}-${count}`, namespace, port }, new Set());
      if (typeof chosen !== 'number') {
        assert.equal(chosen, 'namespace');
        return count;
      }
      pool.assign(`${owner}-${count}`, namespace, [claim(`${owner}-${count}`, chosen)]);
    }
  };
  assert.equal(take('a', 'greedy'), 66, 'three quarters of what is no reserve');
  assert.equal(take('b', 'modest'), 17, 'three quarters of the rest');
  assert.equal(take('c', 'third'), 4);
  assert.equal(take('d', 'fourth'), 1, 'the last one that is no reserve');
  assert.equal(
    typeof pool.choose({ owner: 'x', namespace: 'new', port: '1/TCP' }, new Set()),
    'number',
  );
  for (let count = 0; count < 40; count++) pool.assign(`a-${count}`, 'greedy', []);
  assert.ok(take('e', 'modest') > 0, 'what is given back is for all');
});

test('what is about to be taken counts, and ports outside of the range do not', () => {
  const pool = new PortPool({ from: 100, to: 107 });
  pool.assign('a', 'shop', [claim('a', 50), claim('a', 51), claim('a', 52)]);
  const taken = new Set<number>();
  for (;;) {
    const chosen = pool.choose({ owner: 'a', namespace: 'shop', port: '80/TCP' }, taken);
    if (typeof chosen !== 'number') break;
    taken.add(chosen);
  }
  assert.equal(taken.size, 6, 'three quarters of seven of eight');
});

/** Namespaces that take all they can and give some back, in any order, and processes that read it all anew. */
test('whatever namespaces want, what one has stays, and one that has few gets more', () => {
  const range = { from: 1_000, to: 1_099 };
  const step = fc.record({
    namespace: fc.constantFrom('a', 'b', 'c', 'd'),
    service: fc.nat(9),
    ports: fc.nat(60),
    isRestart: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      let pool = new PortPool(range);
      const services = new Map<string, { namespace: string; claims: Claim[] }>();
      for (const { namespace, service, ports, isRestart } of steps) {
        const owner = `${namespace}-${service}`;
        const kept = (services.get(owner)?.claims ?? []).slice(0, ports);
        const taken = new Set(kept.map(({ proxyPort }) => proxyPort));
        const claims = [...kept];
        while (claims.length < ports) {
          const port = `${claims.length}/TCP`;
          const chosen = pool.choose({ owner, namespace, port }, taken);
          if (typeof chosen !== 'number') {
            const all = [...services].filter(([other]) => other !== owner).map(([, each]) => each);
            all.push({ namespace, claims });
            const used = all.reduce((sum, each) => sum + each.claims.length, 0);
            const own = all.filter((each) => each.namespace === namespace);
            const held = own.reduce((sum, each) => sum + each.claims.length, 0);
            assert.ok(used === 100 || held > 0, 'who has none is never refused');
            break;
          }
          assert.ok(!taken.has(chosen) && chosen >= range.from && chosen <= range.to);
          taken.add(chosen);
          claims.push({ owner, port, proxyPort: chosen, rank: 'open', createdAt: '2026' });
        }
        services.set(owner, { namespace, claims });
        pool.assign(owner, namespace, claims);
        if (isRestart) {
          pool = new PortPool(range);
          for (const [name, each] of services) pool.assign(name, each.namespace, each.claims);
        }
        const all = [...services.values()].flatMap((each) => each.claims);
        assert.equal(new Set(all.map(({ proxyPort }) => proxyPort)).size, all.length);
        for (const each of all) {
          const held = { name: '', port: Number.parseInt(each.port, 10), protocol: 'TCP' } as const;
          assert.ok(pool.holds(each.owner, { ...held, proxyPort: each.proxyPort }), 'it stays');
        }
        const newcomer = pool.choose({ owner: 'x', namespace: 'new', port: '1/TCP' }, new Set());
        assert.equal(typeof newcomer, 'number', 'a port is left for who has none');
      }
    }),
    { numRuns: 300 },
  );
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
