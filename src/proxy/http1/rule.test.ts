import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { RULES } from './rule.ts';

const TESTS = [
  './request-head.test.ts',
  './response-head.test.ts',
  './chunked.test.ts',
  '../../../test/proxy/rules.test.ts',
];

it('every rule is broken by an example in the tests', () => {
  const tests = TESTS.map((path) => readFileSync(new URL(path, import.meta.url), 'utf8')).join('');
  const untested = Object.keys(RULES).filter(
    (rule) => !new RegExp(`[' ]${rule}'`, 'u').test(tests),
  );
  assert.deepEqual(untested, []);
});
