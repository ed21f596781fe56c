import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { AddressBook } from './book.ts';
import { ipv4Number, ipv4Text, parseCidr, Pool } from './cidr.ts';

type Claims = ReadonlyMap<string, number | null>;

function places(book: AddressBook, keys: Iterable<string>): Record<string, string | null> {
  const sorted = [...keys].sort();
  return Object.fromEntries(
    sorted.map((key) => {
      const address = book.addressOf(key);
      return [key, address === null ? null : ipv4Text(address)];
    }),
  );
}

function fresh(cidr: string, claims: Claims, order = [...claims.keys()].sort()): AddressBook {
  const book = new AddressBook(parseCidr(cidr));
  for (const key of order) book.set(key, claims.get(key) ?? null);
  return book;
}

const key = fc.integer({ min: 0, max: 39 }).map((n) => `shop/s${n}`);

function step(cidr: string): fc.Arbitrary<{ key: string; claim: number | null | 'gone' }> {
  const { first, last } = parseCidr(cidr);
  const claim = fc.oneof(
    { weight: 4, arbitrary: fc.constant(null) },
    { weight: 2, arbitrary: fc.integer({ min: first, max: Math.min(last, first + 10) }) },
    { weight: 4, arbitrary: fc.constant('gone' as const) },
  );
  return fc.tuple(key, claim).map(([name, what]) => ({ key: name, claim: what }));
}

suite('AddressBook', () => {
  for (const cidr of [
    '10.0.0.0/28',
    '10.0.0.0/27',
    '10.0.0.0/26',
    '10.0.0.240/29',
    '10.0.0.0/16',
  ]) {
    test(`any sequence of changes ends where the final set alone leads (${cidr})`, () => {
      fc.assert(
        fc.property(fc.array(step(cidr), { maxLength: 120, size: 'max' }), (steps) => {
          const book = new AddressBook(parseCidr(cidr));
          const claims = new Map<string, number | null>();
          for (const { key, claim } of steps) {
            if (claim === 'gone') {
              claims.delete(key);
              book.delete(key);
            } else {
              claims.set(key, claim);
              book.set(key, claim);
            }
          }
          const expected = fresh(cidr, claims);
          assert.deepEqual(places(book, claims.keys()), places(expected, claims.keys()));
          for (const key of claims.keys()) {
            assert.equal(book.rivalOf(key), expected.rivalOf(key), key);
          }
        }),
        { numRuns: 300 },
      );
    });
  }

  test('no two Services share an address and none is left out while one is free', () => {
    fc.assert(
      fc.property(fc.array(step('10.0.0.0/27'), { maxLength: 60, size: 'max' }), (steps) => {
        const claims = new Map(
          steps.map(({ key, claim }) => [key, claim === 'gone' ? null : claim] as const),
        );
        const book = fresh('10.0.0.0/27', claims);
        const given = [...claims.keys()].map((key) => book.addressOf(key));
        const placed = given.filter((address) => address !== null);
        assert.equal(new Set(placed).size, placed.length);
        const pool = new Pool(parseCidr('10.0.0.0/27'));
        const used = placed.filter((address) => pool.has(address)).length;
        if (placed.length < given.length) assert.equal(used, pool.size);
      }),
    );
  });

  test('takeTouched() names every key whose address or rival changed', () => {
    const cidr = '10.0.0.0/28';
    fc.assert(
      fc.property(fc.array(step(cidr), { maxLength: 60, size: 'max' }), (steps) => {
        const book = new AddressBook(parseCidr(cidr));
        const keys = new Set<string>();
        for (const { key, claim } of steps) {
          keys.add(key);
          const state = (name: string) => `${book.addressOf(name)} ${book.rivalOf(name)}`;
          const before = new Map([...keys].map((name) => [name, state(name)]));
          if (claim === 'gone') book.delete(key);
          else book.set(key, claim);
          const touched = new Set(book.takeTouched());
          for (const name of keys) {
            if (state(name) !== before.get(name)) assert.ok(touched.has(name), name);
          }
        }
      }),
    );
  });

  test('a Service that is added moves only Services that sort after it', () => {
    fc.assert(
      fc.property(fc.uniqueArray(key, { maxLength: 14, size: 'max' }), key, (keys, added) => {
        fc.pre(!keys.includes(added));
        const book = fresh('10.0.0.0/28', new Map(keys.map((name) => [name, null])));
        const before = places(book, keys);
        book.set(added, null);
        const after = places(book, keys);
        for (const name of keys) {
          if (before[name] !== after[name]) assert.ok(name > added, `${name} moved for ${added}`);
        }
      }),
    );
  });

  test('a claim is honoured whoever was there, and of two claims the first in order', () => {
    const claim = ipv4Number('10.0.0.9');
    const book = fresh('10.0.0.0/28', new Map([['shop/b', claim]]));
    assert.equal(book.addressOf('shop/b'), claim);
    book.set('shop/a', claim);
    assert.equal(book.addressOf('shop/a'), claim);
    assert.equal(book.rivalOf('shop/b'), 'shop/a');
    assert.notEqual(book.addressOf('shop/b'), claim);
    book.delete('shop/a');
    assert.equal(book.addressOf('shop/b'), claim);
  });

  test('a full range leaves out who sorts last and takes it in again when there is room', () => {
    const keys = Array.from({ length: 16 }, (_, i) => `shop/s${String(i).padStart(2, '0')}`);
    const book = fresh('10.0.0.0/28', new Map(keys.map((name) => [name, null])));
    const without = () => keys.filter((name) => book.addressOf(name) === null);
    assert.deepEqual(without(), ['shop/s14', 'shop/s15'].slice(-(16 - book.capacity)));
    book.delete('shop/s03');
    assert.equal(book.addressOf('shop/s15') === null, book.capacity < 15);
  });

  test('an address in a large range stays the same whatever else is there', () => {
    const book = fresh('127.77.0.0/16', new Map([['shop/web', null]]));
    assert.equal(ipv4Text(book.addressOf('shop/web') ?? 0), '127.77.244.103');
  });
});

suite('parseCidr()', () => {
  test('says what is wrong and what would be right', () => {
    const cases = {
      '127.77.0.0': 'give an IPv4 range from /8 to /32, as in 127.77.0.0/16',
      '127.77.0.0/33': 'give an IPv4 range from /8 to /32, as in 127.77.0.0/16',
      '127.77.1.0/16': 'it has bits beyond /16: give 127.77.0.0/16',
      '::1/128': 'IPv6 has a single loopback address: give an IPv4 range',
    };
    for (const [text, remedy] of Object.entries(cases)) {
      assert.throws(() => parseCidr(text), {
        code: 'invalid_setting',
        message: `Cannot use service CIDR "${text}": ${remedy}`,
      });
    }
  });
});

test('Pool gives every address but network, broadcast and those ending in .0 or .255', () => {
  const cidrs = ['10.0.0.0/28', '10.0.0.240/28', '10.0.0.128/25', '10.1.0.0/24', '10.2.0.0/22'];
  for (const text of [...cidrs, '10.0.0.4/30', '10.0.0.4/31', '10.0.0.5/32', '10.0.0.0/32']) {
    const cidr = parseCidr(text);
    const edge = cidr.last - cidr.first > 1 ? [cidr.first, cidr.last] : [];
    const expected: number[] = [];
    for (let address = cidr.first; address <= cidr.last; address++) {
      const ending = address % 256;
      if (ending !== 0 && ending !== 255 && !edge.includes(address)) expected.push(address);
    }
    const pool = new Pool(cidr);
    assert.deepEqual(
      Array.from({ length: pool.size }, (_, i) => pool.at(i)),
      expected,
      text,
    );
    for (let address = cidr.first; address <= cidr.last; address++) {
      assert.equal(pool.has(address), expected.includes(address), `${text} ${ipv4Text(address)}`);
    }
    assert.ok(!pool.has(cidr.first - 1) && !pool.has(cidr.last + 1));
  }
});
