import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { printable, printableLines } from './printable.ts';

test('nothing that steers a terminal, or turns text round, is left', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['a\u001b[31mb', 'a\\u001b[31mb'],
    ['a\nb', 'a\\nb'],
    ['\u009b2J\u2028', '\\u009b2J\\u2028'],
    ['ok \u202e drow', 'ok \\u202e drow'],
    ['\u200bname\ufeff', '\\u200bname\\ufeff'],
    ['\u{e0041}', '\\udb40\\udc41'],
    ['Grüße 漢字 😀', 'Grüße 漢字 😀'],
  ];
  for (const [text, shown] of rows) assert.equal(printable(text), shown);
  assert.equal(printableLines('a\n\u001bb'), 'a\n\\u001bb');
});

test('JSON that was made printable is the same JSON', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = printable(JSON.stringify({ text }));
      assert.deepEqual(JSON.parse(shown), { text });
      assert.doesNotMatch(shown, /[\p{Cc}\p{Cf}]/u);
    }),
  );
});
