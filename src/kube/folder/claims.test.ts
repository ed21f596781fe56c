import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseManifest } from '../manifest.ts';
import type { ManifestObject } from '../manifest.ts';
import { Store } from '../store.ts';
import { Claims } from './claims.ts';

function objects(file: string, names: readonly string[]): readonly ManifestObject[] {
  const text = names.map(
    (name, i) =>
      `---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${name}\n  uid: ${file}-${i}\n`,
  );
  return parseManifest(text.join(''), file).objects;
}

/** What is in the store and which problems there are, in one comparable value. */
function outcome(store: Store, claims: Claims): unknown {
  const found = [...store.list('Namespace')].map(({ meta }) => `${meta.name} ${meta.uid}`);
  return { found: found.toSorted(), problems: claims.problems(() => false) };
}

const FILE = fc.constantFrom('a', 'b', 'c');
const NAMES = fc.array(fc.constantFrom('x', 'y', 'z'), { maxLength: 4 });

test('files in any order give the same store and problems', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(FILE, NAMES), { selector: ([file]) => file }),
      fc.nat(),
      (files, seed) => {
        const run = (order: typeof files): unknown => {
          const store = new Store();
          const claims = new Claims(store);
          for (const [file, names] of order) claims.replace(file, objects(file, names));
          return outcome(store, claims);
        };
        const rotated = files.map((_, i) => files[(i + seed) % files.length] ?? files[0]!);
        assert.deepEqual(run(files), run(rotated));
        assert.deepEqual(run(files), run(files.toReversed()));
      },
    ),
  );
});

test('replacing files again and again ends like the last state alone', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(FILE, NAMES), { maxLength: 20 }), (steps) => {
      const store = new Store();
      const claims = new Claims(store);
      const last = new Map<string, readonly string[]>();
      for (const [file, names] of steps) {
        claims.replace(file, objects(file, names));
        last.set(file, names);
      }
      const freshStore = new Store();
      const fresh = new Claims(freshStore);
      for (const [file, names] of last) fresh.replace(file, objects(file, names));
      assert.deepEqual(outcome(store, claims), outcome(freshStore, fresh));
    }),
  );
});

test('problems() leaves out files that are about to change', () => {
  const claims = new Claims(new Store());
  claims.replace('a', objects('a', ['x']));
  claims.replace('b', objects('b', ['x']));
  assert.equal(claims.problems(() => false).length, 1);
  assert.equal(claims.problems((file) => file === 'a').length, 0);
});

const WORKLOAD = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {replicas: 3, template: {spec: {containers: []}}}
`;

test('problems() names a workload that is there twice once, as it is written', () => {
  const claims = new Claims(new Store());
  claims.replace('a', parseManifest(WORKLOAD, 'a').objects);
  claims.replace('b', parseManifest(WORKLOAD, 'b').objects);
  const [problem, ...others] = claims.problems(() => false);
  assert.deepEqual(others, []);
  assert.equal(problem?.object, 'Deployment shop/web');
  assert.equal(problem.value, 'web');
  assert.equal(
    problem.message,
    'Object is there twice: b:1:1 is not used because a:1:1 comes first',
  );
});

test('problems() names the Pod of a workload that another object has the name of', () => {
  const claims = new Claims(new Store());
  const pod = 'apiVersion: v1\nkind: Pod\nmetadata: {name: web-2, namespace: shop}\n';
  claims.replace('a', parseManifest(pod, 'a').objects);
  claims.replace('b', parseManifest(WORKLOAD, 'b').objects);
  const [problem, ...others] = claims.problems(() => false);
  assert.deepEqual(others, []);
  assert.equal(problem?.object, 'Deployment shop/web');
  assert.match(problem.message, /^Its Pod shop\/web-2 is there twice: b:1:1 /);
});
