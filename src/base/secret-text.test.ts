import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { isEqual } from './equal.ts';
import { SecretText } from './secret-text.ts';

test('nothing that writes a structure writes the text', () => {
  const secret = new SecretText('correct-horse');
  const told = [
    JSON.stringify({ secret }),
    inspect({ secret }, { depth: null, showHidden: true }),
    String(secret),
    JSON.stringify(structuredClone({ secret })),
    JSON.stringify(Object.entries(secret)),
    new Error(String(secret)).stack ?? '',
  ];
  for (const text of told) assert.ok(!text.includes('correct-horse'), text);
  assert.equal(secret.reveal(), 'correct-horse');
});

test('two of them are the same when their texts are', () => {
  const a = { key: new SecretText('a') };
  assert.ok(isEqual(a, { key: new SecretText('a') }));
  assert.ok(!isEqual(a, { key: new SecretText('b') }));
});
