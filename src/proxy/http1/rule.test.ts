import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { RULES } from './rule.ts';

it('every rule is broken by an example in the tests of the codec', () => {
  const tests = ['request-head', 'response-head', 'chunked']
    .map((name) => readFileSync(new URL(`./${name}.test.ts`, import.meta.url), 'utf8'))
    .join('');
  const untested = Object.keys(RULES).filter(
    (rule) => !new RegExp(`[' ]${rule}'`, 'u').test(tests),
  );
  assert.deepEqual(untested, []);
});
