import assert from 'node:assert/strict';
import { test } from 'node:test';

import { changedObjects, withOriginals, type BackupData } from './backup.ts';
import { factsWith } from './facts.fixture.ts';
import { planFor, type Change } from './plan.ts';

const MAIN = '.:53 {\n    errors\n    reload\n}\n';

function changesOf(corefile: string): readonly Change[] {
  const desired = { domains: ['maesh'], addresses: ['10.96.53.53'], time: '' };
  return planFor(factsWith(corefile), desired).changes;
}

/** One original a minute. */
function keep(corefiles: readonly string[]): BackupData {
  let data: BackupData = {};
  for (const [minute, corefile] of corefiles.entries()) {
    const time = new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString();
    data = withOriginals(data, changesOf(corefile), time);
  }
  return data;
}

const originals = (data: BackupData): readonly string[] =>
  Object.keys(data)
    .filter((key) => key.startsWith('coredns.Corefile.'))
    .sort()
    .map((key) => data[key] ?? '');

test('an original that did not change is kept once, and nothing is to be written then', () => {
  const once = keep([MAIN]);
  assert.deepEqual(originals(keep([MAIN, MAIN, MAIN])), [MAIN]);
  assert.equal(withOriginals(once, changesOf(MAIN), '2027-01-01T00:00:00.000Z'), once);
});

test('the first original and the four latest ones are kept', () => {
  const texts = Array.from({ length: 12 }, (_, n) => `# ${n}\n${MAIN}`);
  assert.deepEqual(
    originals(keep(texts)),
    [0, 8, 9, 10, 11].map((n) => texts[n]),
  );
});

test('originals in between go when they would not fit, and one too large to be kept stops the change', () => {
  const big = (n: number): string => `# ${n}${'x'.repeat(300_000)}\n${MAIN}`;
  assert.deepEqual(originals(keep([0, 1, 2, 3].map(big))), [big(0), big(3)]);
  assert.throws(
    () => keep([`# ${'x'.repeat(950_000)}\n${MAIN}`]),
    /Cannot back up kube-system\/coredns "Corefile"/,
  );
});

test('every object that was changed is remembered, that of a key that did not exist too', () => {
  const [change] = changesOf(MAIN);
  assert.ok(change !== undefined);
  let data: BackupData = {};
  for (let n = 0; n < 60; n++) {
    data = withOriginals(data, [{ ...change, name: `map-${n}`, original: null }], '');
  }
  const names = changedObjects(data, 'kube-system');
  assert.deepEqual([names.length, names.at(-1)], [50, 'map-59']);
  assert.deepEqual(changedObjects(data, 'other'), []);
  assert.deepEqual(Object.keys(data).sort(), ['README', 'objects']);
});

test('a block of ours that somebody edited is kept with its edit', () => {
  const after = changesOf(MAIN)[0]?.after ?? '';
  const edited = after.replace('errors\n    cache', 'errors\n    log\n    cache');
  assert.notEqual(edited, after);
  assert.deepEqual(originals(keep([edited])), [edited]);
});

test('keys of any length are keys of a ConfigMap', () => {
  const [change] = changesOf(MAIN);
  assert.ok(change !== undefined);
  const data = withOriginals(
    {},
    [{ ...change, name: 'n'.repeat(253) }],
    '2026-01-01T00:00:00.000Z',
  );
  for (const key of Object.keys(data)) assert.match(key, /^[-._a-zA-Z0-9]{1,253}$/);
  assert.equal(Object.keys(data).length, 3);
});
