import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseAllDocuments, stringify } from 'yaml';
import { offsetOf } from './place.ts';
import { readYaml } from './yaml.ts';

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

test('readYaml() reads what manifests are written in', () => {
  const read = readYaml(SERVICE);
  assert.ok(read.ok);
  assert.deepEqual(
    read.documents.map(({ value }) => value),
    parseAllDocuments(SERVICE).map((document) => document.toJS()),
  );
});

/** What a text must not have (YAML 1.2.2 §5.1). */
const UNPRINTABLE = /[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;

test('readYaml() reads any value that another library writes', () => {
  fc.assert(
    fc.property(
      fc.jsonValue({ noUnicodeString: false }),
      fc.constantFrom('PLAIN', 'QUOTE_DOUBLE', 'QUOTE_SINGLE', 'BLOCK_LITERAL'),
      fc.constantFrom('any', 'block', 'flow'),
      (value, defaultStringType, collectionStyle) => {
        const data = [value];
        const text = stringify(data, { defaultStringType, collectionStyle, lineWidth: 0 });
        // The other library writes some as they are, in a text that is then no YAML.
        fc.pre(!UNPRINTABLE.test(text));
        const read = readYaml(text);
        assert.ok(read.ok, text);
        assert.deepEqual(read.documents[0]?.value, data, text);
      },
    ),
  );
});

test('readYaml() takes any text', () => {
  fc.assert(fc.property(fc.string(), (text) => readYaml(text).ok || true));
});

test('readYaml() gives the place of each node', () => {
  const read = readYaml(SERVICE);
  assert.ok(read.ok);
  const [document] = read.documents;
  assert.ok(document !== undefined);
  assert.ok(SERVICE.startsWith('apiVersion', document.offset));
  const places = document.places();
  for (const [path, text] of [
    [['metadata', 'name'], 'web #'],
    [['metadata', 'labels', 'app'], 'app: web,'],
    [['metadata', 'annotations', 'quoted'], "'quoted'"],
    [['metadata', 'annotations', 'last-applied'], 'last-applied'],
    [['metadata', 'annotations'], 'maesh.dev/retry'],
    [['spec', 'ports', 0, 'port'], '80'],
    [['spec', 'ports', 1], 'name: url'],
    [['spec', 'ports', 2, 3], '"x"'],
    [['spec', 'list', 1], '-5'],
    [['spec', 'nothing'], 'nothing:'],
    [['spec', 'no', 'such'], 'selector'],
  ] as const) {
    const at = offsetOf(places, path);
    assert.ok(SERVICE.startsWith(text, at), `${path.join('.')}: ${SERVICE.slice(at, at + 20)}`);
  }
  const block = readYaml('a: | # b\n  c\nd: >-\n\n  e\n');
  assert.ok(block.ok);
  const root = block.documents[0]?.places();
  assert.ok(root !== undefined);
  assert.deepEqual([offsetOf(root, ['a']), offsetOf(root, ['d'])], [3, 16]);
});

test('readYaml() gives no document for a text without content', () => {
  for (const text of ['', '\n', '# c\n', '---\n', '--- # c\n\n']) {
    const read = readYaml(text);
    assert.ok(read.ok, JSON.stringify(text));
    assert.equal(read.documents[0]?.value ?? null, null, JSON.stringify(text));
  }
});

test('readYaml() says where the mistake is', () => {
  for (const [text, offset, message] of [
    ['a: "b\nc: d\n', 3, /quote that opens here/],
    ["a:\n  b: 'c\n", 8, /quote that opens here/],
    ["it's: [a\n", 9, /deficient indentation/],
    ['a: 1\na: 2\n', 5, /^The key is there twice in one mapping$/],
    ["a: 1\n'a': 2\n", 5, /^The key is there twice in one mapping$/],
    ['a: b: c\n', 4, /mapping entry/],
    ['a: {{ .Values.b }}\n', 4, /A key must be a text/],
    ['a: &x [*x]\n', 7, /no anchor before it/],
    ['a: *x\n', 3, /no anchor before it/],
    [`a: ${'['.repeat(101)}`, 102, /maxDepth/],
    [`a: &x 1\nb: [${'*x, '.repeat(1_001)}]`, 4_013, /maxAliases/],
  ] as const) {
    const read = readYaml(text);
    assert.ok(!read.ok, text.slice(0, 40));
    assert.match(read.error.message, message);
    assert.equal(read.error.offset, offset, text.slice(0, 40));
  }
});

test('readYaml() reads the value of a tag that it does not know', () => {
  const read = readYaml('a: !Ref b\nc: !Sub [1]\nd: !x {e: 1}\n');
  assert.ok(read.ok);
  assert.deepEqual(read.documents[0]?.value, { a: 'b', c: [1], d: { e: 1 } });
});
