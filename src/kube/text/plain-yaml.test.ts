import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { readFullYaml } from './full-yaml.ts';
import { offsetOf } from './place.ts';
import { readPlainYaml } from './plain-yaml.ts';

const SERVICE = `---
# a comment
apiVersion: v1
kind: Service
metadata:
  name: web # trailing
  namespace: shop
  annotations:
    maesh.dev/retry-attempts: "3"
    'quoted': 'it''s'
    escaped: "a\\tb \\"c\\" \\u00e9"
    last-applied: |
      {"a": 1,
        "b": [2]}

    stripped: |-
      one

      two
  labels: {app: web, "tier": 'front'}
  empty: {}
spec:
  selector:
    app: web
  clusterIP: None
  ports:
  - name: http
    port: 80
    targetPort: 8080
  -   name: url
      value: http://a/b#c
  - [a, 1, true, "x"]
  -
    nested: ~
  list:
    - 127.0.0.1
    - -5
    - null
  nothing:
  last: a b  c
`;

/** True when the fast reader answered; its answer is then the same as the library's. */
function agrees(text: string): boolean {
  const plain = readPlainYaml(text);
  if (plain === null) return false;
  const full = readFullYaml(text);
  assert.ok(full.ok, `the library refuses what the fast reader takes: ${JSON.stringify(text)}`);
  const [document] = full.documents;
  assert.ok(full.documents.length <= 1, JSON.stringify(text));
  assert.deepEqual(plain.value, document?.value ?? null, JSON.stringify(text));
  return true;
}

test('readPlainYaml() reads what manifests are written in as the library does', () => {
  assert.ok(agrees(SERVICE));
});

test('readPlainYaml() leaves what is not plain to the library', () => {
  const texts = [
    'a: &x 1\nb: *x\n',
    'a: !!str 1\n',
    'a: 1\na: 2\n',
    'a: b\n  c\n',
    'a: >\n  b\n',
    'a: "b\n  c"\n',
    'a: 1.5\n',
    'a: 0x10\n',
    'a: b: c\n',
    'a:\tb\n',
    'a: 1\n...\n',
    'a\n',
    '- a\n',
    '? a\n: b\n',
    'a: {b: 1,}\n',
    'a: 1\r\n',
    'a:\n    b: 1\n  c: 2\n',
    '__proto__: 1\n',
  ];
  for (const text of texts) assert.equal(readPlainYaml(text), null, JSON.stringify(text));
});

test('readPlainYaml() gives null for a document without content', () => {
  for (const text of ['', '\n', '# c\n', '---\n', '--- # c\n\n']) {
    assert.equal(readPlainYaml(text)?.value, null, JSON.stringify(text));
  }
});

test('readPlainYaml() and the library give the same places', () => {
  const plain = readPlainYaml(SERVICE);
  const full = readFullYaml(SERVICE);
  assert.ok(plain !== null && full.ok);
  const [document] = full.documents;
  assert.ok(document !== undefined);
  assert.equal(plain.offset, document.offset);
  const paths = [
    ['metadata', 'name'],
    ['metadata', 'labels', 'app'],
    ['metadata', 'annotations', 'quoted'],
    ['metadata', 'annotations', 'last-applied'],
    ['spec', 'ports', 0, 'port'],
    ['spec', 'ports', 1],
    ['spec', 'ports', 2, 3],
    ['spec', 'list', 1],
    ['spec', 'ports'],
    ['spec', 'selector', 'app'],
    ['spec', 'no', 'such'],
  ];
  for (const path of paths) {
    assert.equal(offsetOf(plain.places(), path), offsetOf(document.places(), path), path.join('.'));
  }
});

test('readPlainYaml() never disagrees with the library on mutated manifests', () => {
  const piece = fc.constantFrom(
    ' ',
    '  ',
    '\n',
    '\n\n',
    '-',
    '- ',
    ':',
    ': ',
    ' #',
    '#',
    '"',
    "'",
    '|',
    '|-',
    '>',
    '[',
    ']',
    '{',
    '}',
    ', ',
    'a',
    'key: ',
    '1',
    '0',
    '.',
    '~',
    'null',
    'true',
    '\t',
    '\\',
    '&',
    '*',
    '!',
    '%',
    '@',
    '?',
    '<<: ',
    '---',
    '...',
    '\u00a0',
    '\u2028',
    'é',
    '+',
    '=',
    '0o7',
    '1e3',
    '\n  ',
    '\n    ',
    '\n  - ',
    'x: y\n',
  );
  const edit = fc.record({ at: fc.nat(SERVICE.length), cut: fc.nat(6), piece });
  let answered = 0;
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      let text = SERVICE;
      for (const { at, cut, piece } of edits)
        text = text.slice(0, at) + piece + text.slice(at + cut);
      if (agrees(text)) answered++;
    }),
    { numRuns: 3_000 },
  );
  assert.ok(answered > 100, `the fast reader answered only ${answered} times`);
});

test('readPlainYaml() never disagrees with the library on small texts', () => {
  const token = fc.constantFrom(
    'a',
    'b',
    'key',
    '1',
    '-1',
    '-',
    '- ',
    ': ',
    ':',
    '\n',
    '\n',
    '\n  ',
    '\n    ',
    '\n- ',
    '\n  - ',
    ' ',
    '#',
    ' # c',
    '"',
    '"x"',
    "'y'",
    '|',
    '|-',
    '|\n',
    '[',
    ']',
    '{',
    '}',
    ', ',
    ',',
    '~',
    'true',
    '/',
    '.',
    '_',
    '\\n',
    '---',
    '...',
    '<',
    '=',
    '+1',
    '\u0085',
    '?',
  );
  let answered = 0;
  fc.assert(
    fc.property(fc.array(token, { maxLength: 14 }), (tokens) => {
      if (agrees(`k: ${tokens.join('')}`)) answered++;
      if (agrees(tokens.join(''))) answered++;
    }),
    { numRuns: 5_000 },
  );
  assert.ok(answered > 200, `the fast reader answered only ${answered} times`);
});
