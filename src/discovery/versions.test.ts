import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Versions } from './versions.ts';

test('what is acknowledged is the newest of the controller that is surely served', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('add', 'same', 'serve'), fc.nat(3)), { maxLength: 60 }),
      (steps) => {
        const versions = new Versions();
        const pairs: { local: number; server: number }[] = [];
        let local = 1;
        let server = 0;
        let served = 0;
        for (const [what, by] of steps) {
          if (what === 'serve') {
            served = Math.min(served + by, local);
            versions.serve(served);
          } else {
            if (what === 'add') local += 1;
            server += 1;
            pairs.push({ local, server });
            versions.add(local, server);
          }
          const expected = pairs.findLast((pair) => pair.local <= served)?.server ?? 0;
          assert.equal(versions.served, expected);
        }
      },
    ),
  );
});

test('an agent that never serves anything costs no memory without end, and is never ahead', () => {
  const versions = new Versions();
  for (let i = 1; i <= 5_000; i += 1) versions.add(i, i);
  versions.serve(4_999);
  assert.ok(versions.served <= 4_999);
  versions.serve(5_000);
  assert.equal(versions.served, 5_000);
});

test('reset() forgets the old count', () => {
  const versions = new Versions();
  versions.add(1, 70);
  versions.serve(1);
  assert.equal(versions.served, 70);
  versions.reset();
  assert.equal(versions.served, 0);
  versions.add(1, 3);
  assert.equal(versions.served, 3, 'what is served already counts at once');
});
