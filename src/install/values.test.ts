import assert from 'node:assert/strict';
import { test } from 'node:test';

import { checkSchema } from './schema.ts';
import { changesOf } from './changes.ts';
import { overlay, parseValues, setValues, withoutNulls } from './values.ts';

test('parseValues() reads YAML as Helm does, and says where it is wrong', () => {
  assert.deepEqual(parseValues('a: off\nb: 010\nc: 2001-01-01\n', 'x'), {
    a: false,
    b: 8,
    c: '2001-01-01',
  });
  assert.deepEqual(parseValues('', 'x'), {});
  assert.throws(
    () => parseValues('a: [', 'my.yaml'),
    /Cannot read values from "my\.yaml": .+ \(1:/s,
  );
  assert.throws(() => parseValues('- a', 'my.yaml'), /"my\.yaml": it is not a map/);
});

test('overlay() merges maps, replaces the rest, and keeps null for what comes below', () => {
  const base = { a: { b: 1, c: [1, 2] }, d: 'x' };
  const over = overlay(base, { a: { c: [3], e: null }, d: { f: 1 } });
  assert.deepEqual(over, { a: { b: 1, c: [3], e: null }, d: { f: 1 } });
  assert.deepEqual(withoutNulls(over), { a: { b: 1, c: [3] }, d: { f: 1 } });
  assert.deepEqual(base, { a: { b: 1, c: [1, 2] }, d: 'x' });
});

test('setValues() refuses what it cannot read', () => {
  for (const text of ['a', '=1', '.a=1', 'a[x]=1', 'a[99999]=1']) {
    assert.throws(() => setValues({}, text), { code: 'invalid_setting' }, text);
  }
  assert.deepEqual(setValues({ a: { b: 1 } }, 'a.b=x,c[1]={},d='), {
    a: { b: 'x' },
    c: [null, []],
    d: '',
  });
});

test('checkSchema() knows every keyword of the chart', () => {
  const cases: readonly (readonly [
    schema: object,
    good: unknown,
    bad: unknown,
    message: RegExp,
  ])[] = [
    [{ type: ['integer', 'null'] }, null, 0.5, /give a whole number or nothing/],
    [{ minimum: 1, maximum: 3 }, 2, 4, /give at most 3/],
    [{ minimum: 1 }, 2, 0, /give at least 1/],
    [{ minLength: 1, maxLength: 2 }, 'a', '', /too short/],
    [{ maxLength: 2 }, 'a', 'abc', /at most 2 characters/],
    [{ pattern: '^a' }, 'ab', 'ba', /give what matches \^a/],
    [{ const: 'a' }, 'a', 'b', /give "a"/],
    [{ not: { const: 'a' } }, 'b', 'a', /not allowed/],
    [{ anyOf: [{ type: 'string' }, { type: 'boolean' }] }, true, 1, /give a text/],
    [{ items: { type: 'string' }, minItems: 1 }, ['a'], [], /give at least 1/],
    [{ items: { type: 'string' } }, ['a'], ['a', 1], /for "\[1\]": give a text/],
    [{ uniqueItems: true }, ['a', 'b'], ['a', 'a'], /twice/],
    [{ required: ['a'] }, { a: 1 }, {}, /Cannot do without "a"/],
    [{ propertyNames: { pattern: '^a' } }, { a: 1 }, { b: 1 }, /matches \^a/],
    [{ additionalProperties: { type: 'string' } }, { b: 'x' }, { b: 1 }, /for "b": give a text/],
    [
      { properties: { a: {} }, additionalProperties: false },
      { a: 1 },
      { other: 1 },
      /there are a$/,
    ],
  ];
  for (const [schema, good, bad, message] of cases) {
    assert.deepEqual(checkSchema(good, schema as never), [], JSON.stringify(schema));
    const [error = ''] = checkSchema(bad, schema as never);
    assert.match(error, message);
  }
});

test('changesOf() names fields that somebody wrote, items by their name', () => {
  const before = {
    metadata: { name: 'x', generation: 1, labels: { 'a/b': 'c' }, managedFields: [] },
    spec: { list: [{ name: 'a', v: 1 }, { name: 'b' }], plain: [1, 2], gone: 'x'.repeat(200) },
    status: { ready: 1 },
  };
  const after = {
    metadata: { name: 'x', generation: 2, labels: { 'a/b': 'd' } },
    spec: { list: [{ name: 'b' }, { name: 'a', v: 2 }], plain: [1, 3] },
    status: { ready: 2 },
  };
  const told = changesOf(before, after);
  assert.deepEqual(told.slice(0, 3), [
    'metadata.labels["a/b"]: "c" → "d"',
    'spec.list[a].v: 1 → 2',
    'spec.plain[1]: 2 → 3',
  ]);
  assert.match(told[3] ?? '', /^spec\.gone: "x{118}… → none$/);
  assert.deepEqual(changesOf(before, { ...before, status: {} }), []);
  const many = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`k${index}`, index]));
  assert.equal(changesOf({}, { spec: many }).length, 1);
  assert.equal(changesOf({ spec: {} }, { spec: many }).at(-1), 'and 10 more');
});
