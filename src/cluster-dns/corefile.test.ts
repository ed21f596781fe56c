import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { readCorefile, type CorefileItem } from './corefile.ts';
import { listenerOf, rivalKey } from './server-block.ts';
import { zoneOf } from './zone-key.ts';

function items(text: string): readonly CorefileItem[] {
  const reading = readCorefile(text);
  assert.ok(reading.ok, reading.ok ? '' : reading.message);
  return reading.items;
}

test('readCorefile() finds server blocks, snippets and imports with their places', () => {
  const text =
    '# first\n(common) {\n  errors\n}\n.:53, shop:53,\n  "web:53" {\n\timport common\n\tforward . 1.1.1.1 {\n\t  policy sequential\n\t}\n}\nimport x/*.server # more\n';
  const found = items(text);
  assert.deepEqual(
    found.map((item) => text.slice(item.start, item.end).split('\n')[0]),
    ['(common) {', '.:53, shop:53,', 'import x/*.server'],
  );
  const [snippet, block, imported] = found;
  assert.ok(snippet?.kind === 'snippet' && snippet.name === 'common');
  assert.ok(block?.kind === 'block');
  assert.deepEqual(block.keys, ['.:53', 'shop:53', 'web:53']);
  assert.deepEqual(block.directives, [
    { name: 'import', args: ['common'] },
    { name: 'forward', args: ['.', '1.1.1.1'] },
  ]);
  assert.ok(imported?.kind === 'import' && imported.pattern === 'x/*.server');
});

test('readCorefile() takes CRLF, a byte order mark, tabs, a missing last line feed and comments in words', () => {
  const text = '\ufeff.:53\t{\r\n\terrors#all\r\n\treload 5s\r\n}';
  const [block] = items(text);
  assert.ok(block?.kind === 'block');
  assert.deepEqual(block.directives, [
    { name: 'errors', args: [] },
    { name: 'reload', args: ['5s'] },
  ]);
});

test('a brace on a line of its own opens the block of the line before', () => {
  const [block] = items('.:53\n{\n  errors\n}\n');
  assert.ok(block?.kind === 'block' && block.directives.length === 1);
});

test('readCorefile() says what it cannot take, and where', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['.:53\nerrors\n', /^line 1: ".:53" has no braces/],
    ['.:53 {\n  errors\n', /^line 1: the brace is never closed/],
    ['.:53 {\n  errors }\n}\n', /^line 2: a closing brace must have a line of its own/],
    ['.:53 {\n}\n}\n', /^line 3: a closing brace too many/],
    ['.:53 {\n  log "a\n}\n', /^line 2: a quote is never closed/],
    ['.:53,\n', /^line 1: a comma without another zone/],
    ['{\n}\n', /^line 1: a brace without a zone/],
    ['import\n', /^line 1: import names no file/],
    [`# ${'x'.repeat(1_048_576)}`, /^longer than/],
  ];
  for (const [text, message] of cases) {
    const reading = readCorefile(text);
    assert.ok(!reading.ok);
    assert.match(reading.message, message);
  }
});

test('readCorefile() ends on any text, and places are within it and in order', () => {
  const piece = fc.constantFrom('{', '}', '"', '\\', '#', '\n', ' ', 'a', ',', 'import', '(s)');
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 40 }).map((parts) => parts.join('')),
      (text) => {
        const reading = readCorefile(text);
        if (!reading.ok) return;
        let last = 0;
        for (const { start, end } of reading.items) {
          assert.ok(start >= last && end > start && end <= text.length);
          last = end;
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

test('zoneOf() takes keys apart', () => {
  assert.deepEqual(zoneOf('Maesh.:53'), { scheme: 'dns', zone: 'maesh', port: '53' });
  assert.deepEqual(zoneOf('tls://.'), { scheme: 'tls', zone: '.', port: '' });
  assert.deepEqual(zoneOf(':53'), { scheme: 'dns', zone: '.', port: '53' });
});

test('listenerOf() takes port and addresses of the block that answers everybody', () => {
  const text =
    'cluster.local:5353 {\n kubernetes\n}\ntls://.:853 {\n}\n.:8053 {\n bind 10.0.0.1 lo\n bind ::1\n}\n';
  assert.deepEqual(listenerOf(items(text)), { port: '8053', binds: ['10.0.0.1 lo', '::1'] });
  assert.deepEqual(listenerOf(items('a:1 {\n}\nb:2 {\n kubernetes\n}\n')), {
    port: '2',
    binds: [],
  });
  assert.equal(listenerOf(items('import x\n')), null);
});

test('rivalKey() sees the same zone on the same port only', () => {
  const listener = { port: '53', binds: [] };
  const rival = (text: string): string | null => rivalKey(items(text), 'maesh', listener);
  assert.equal(rival('shop MAESH. {\n}\n'), 'MAESH.');
  assert.equal(rival('maesh:5353 {\n}\n'), null);
  assert.equal(rivalKey(items('maesh {\n}\n'), 'maesh', { port: '5353', binds: [] }), 'maesh');
  assert.equal(rival('tls://maesh:53 {\n}\n'), null);
  assert.equal(rival('web.maesh:53 {\n}\n'), null);
});
