import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseManifest } from './manifest.ts';
import { fuzzManifest } from './manifest.fuzz.ts';
import { describe } from './object.ts';
import { readPiece } from './piece.ts';

const TESTDATA = new URL('testdata/', import.meta.url);
const CASES = readdirSync(TESTDATA).filter((name) => name.includes('.in.'));

function read(name: string): string {
  return readFileSync(new URL(name, TESTDATA), 'utf8');
}

/** One line an object and a few a problem: what a reviewer wants to see in a diff. */
function render(name: string): string {
  const { objects, problems, skipped, isBroken } = parseManifest(read(name), name);
  const lines = [`broken: ${isBroken}`, `skipped: ${skipped.join(', ')}`, '', 'objects:'];
  for (const { object, origin } of objects) {
    const { meta, kind, ...rest } = object;
    const { name, namespace, ...others } = meta;
    assert.ok(kind !== undefined && name !== undefined && namespace !== undefined);
    lines.push(`- ${describe(object)} at ${origin.line}:${origin.column}`);
    lines.push(`  ${JSON.stringify(others)}`, `  ${JSON.stringify(rest)}`);
  }
  lines.push('', 'problems:');
  for (const problem of problems) {
    lines.push(`- ${problem.location} ${problem.severity} ${problem.object}`);
    lines.push(
      `  ${problem.field} = ${problem.value}`,
      `  ${problem.message}`,
      `  ${problem.remedy}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

for (const name of CASES) {
  test(`parseManifest() gives what testdata says for ${name}`, () => {
    const out = new URL(name.replace(/\.in\.(yaml|json)$/, '.$1.out'), TESTDATA);
    if (process.env['UPDATE'] === '1') writeFileSync(out, render(name));
    assert.equal(
      render(name),
      readFileSync(out, 'utf8'),
      'rewrite: UPDATE=1 node --test this file',
    );
  });
}

test('every output in testdata has its input', () => {
  const outputs = readdirSync(TESTDATA).filter((name) => !name.includes('.in.'));
  const wanted = CASES.map((name) => name.replace(/\.in\.(yaml|json)$/, '.$1.out'));
  assert.deepEqual(outputs.toSorted(), wanted.toSorted());
});

test('every problem of the testdata has a place, a message and a remedy', () => {
  for (const name of CASES) {
    const text = read(name);
    for (const problem of parseManifest(text, name).problems) {
      assert.match(problem.location, new RegExp(`^${name}:\\d+:\\d+$`));
      const [, line = '0', column = '0'] = problem.location.split(':');
      const written = text.split('\n')[Number(line) - 1];
      assert.ok(written !== undefined && Number(column) <= written.length + 1, problem.location);
      assert.notEqual(problem.message, '');
      assert.notEqual(problem.remedy, '');
      assert.doesNotMatch(problem.message + problem.remedy, /\.$/);
    }
  }
});

test('parseManifest() takes over unchanged documents and gives the same as a first reading', () => {
  const names = CASES.filter((name) => name.endsWith('.yaml'));
  fc.assert(
    fc.property(
      fc.constantFrom(...names),
      fc.constantFrom(...names),
      fc.constantFrom('', '# line\n\n', '---\n'),
      (first, second, between) => {
        const before = parseManifest(read(first), 'a.yaml');
        const text = `${between}${read(first)}\n---\n${between}${read(second)}`;
        const again = parseManifest(text, 'a.yaml', before);
        assert.deepEqual(again, parseManifest(text, 'a.yaml'));
        if (
          !first.startsWith('anchors') &&
          !second.startsWith('anchors') &&
          between !== '# line\n\n'
        ) {
          const kept = [...before.pieces.values()].filter((piece) =>
            [...again.pieces.values()].includes(piece),
          );
          assert.ok(kept.length >= before.pieces.size - 2, 'all but the first and last document');
        }
      },
    ),
    { numRuns: 100 },
  );
});

test('parseManifest() gives the same for YAML and for its JSON', () => {
  const object = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', annotations: { a: 'é "x" \n y', __proto: 'p' } },
    spec: { ports: [{ port: 80 }, { port: 81, name: 'Bad' }] },
  };
  const json = parseManifest(JSON.stringify(object), 'f');
  const pretty = parseManifest(
    `# forces the other reader\n${JSON.stringify(object, null, 2)}`,
    'f',
  );
  assert.deepEqual(
    json.objects.map((entry) => entry.object),
    pretty.objects.map((entry) => entry.object),
  );
  assert.equal(json.problems.length, 2);
  assert.deepEqual(
    json.problems.map((problem) => ({ ...problem, location: '' })),
    pretty.problems.map((problem) => ({ ...problem, location: '' })),
  );
});

test('parseManifest() refuses nesting without end', () => {
  for (const text of [
    '['.repeat(200_000),
    `${'- '.repeat(20_000)}a`,
    '{"a":'.repeat(50_000),
    'a: ['.repeat(20_000),
  ]) {
    const { isBroken, problems } = parseManifest(text, 'f');
    assert.ok(isBroken);
    assert.equal(problems.length, 1);
  }
});

test('parseManifest() ignores a byte order mark', () => {
  const { objects } = parseManifest(
    '\ufeffapiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n',
    'f',
  );
  assert.equal(objects.length, 1);
});

test('parseManifest() lists a bounded number of problems', () => {
  const ports = Array.from({ length: 3_000 }, () => '  - port: x\n').join('');
  const { problems } = parseManifest(
    `apiVersion: v1\nkind: Service\nmetadata:\n  name: a\nspec:\n  ports:\n${ports}`,
    'f',
  );
  assert.equal(problems.length, 1_001);
  assert.match(problems.at(-1)?.message ?? '', /5000 more problems/);
});

test('fuzzManifest() finds nothing in mutated testdata', () => {
  const edit = fc.record({
    at: fc.nat(2_000),
    cut: fc.nat(8),
    piece: fc.oneof(
      fc.constantFrom(
        ': ',
        '\n',
        '\n---\n',
        '- ',
        '"',
        '{',
        ']',
        '&a ',
        '*a',
        '|',
        '\t',
        '\r',
        '%',
        '<<: ',
      ),
      fc.string(),
    ),
  });
  fc.assert(
    fc.property(fc.constantFrom(...CASES), fc.array(edit, { maxLength: 5 }), (name, edits) => {
      let text = read(name);
      for (const { at, cut, piece } of edits)
        text = text.slice(0, at) + piece + text.slice(at + cut);
      fuzzManifest(Buffer.from(text));
    }),
    { numRuns: 300 },
  );
});

test('readPiece() reads no text again for objects of a list, only for their problems', () => {
  let readings = 0;
  const read = (...items: readonly unknown[]) =>
    readPiece([
      {
        value: { apiVersion: 'v1', kind: 'List', items },
        offset: 0,
        places: () => {
          readings++;
          return { offset: 0, children: null };
        },
      },
    ]);
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web' },
    spec: { ports: [{ port: 80 }] },
  };
  assert.equal(read(service, { ...service, metadata: { name: 'other' } }).objects.length, 2);
  assert.equal(readings, 0);
  assert.equal(read(service, 'no object', 7).problems.length, 2);
  assert.equal(readings, 1);
});

/** No two characters of it in a row are in another text of these tests. */
const SECRET = 'Q0Z1Q2Z3Q4Z5';
const SECRET_START = `apiVersion: v1
kind: Secret
metadata: {name: web, namespace: shop}
type: kubernetes.io/tls
stringData:
`;

function tellsSecret(text: string): boolean {
  const { problems, skipped } = parseManifest(text, 'f.yaml');
  return /Q\d|Z\d/.test(JSON.stringify([problems, skipped]));
}

for (const [what, value] of [
  ['a tab in a block', `  tls.key: |\n\t-----BEGIN PRIVATE KEY-----\n\t${SECRET}\n`],
  [
    'a tab further on',
    `  tls.key: |\n    -----BEGIN PRIVATE KEY-----\n\t${SECRET}\n    -----END\n`,
  ],
  ['a block that is not indented', `  tls.key: |\n-----BEGIN PRIVATE KEY-----\n${SECRET}\n`],
  ['no block at all', `  tls.key: ${SECRET}: ${SECRET}\n`],
  ['a quote that is not closed', `  tls.key: "${SECRET}\n${SECRET}==\n`],
  ['a bad escape', `  tls.key: "${SECRET}\\K${SECRET}"\n`],
  ['a bad number of an escape', `  tls.key: "\\x${SECRET}"\n`],
  ['a reserved character', `  password: @${SECRET}\n`],
  ['a tag', `  password: !${SECRET}{ x\n`],
  ['a tag with a handle', `  password: !${SECRET}!x y\n`],
  ['a tag that names nothing', `  password: !!${SECRET} y\n`],
  ['a tag in brackets', `  password: !<${SECRET} ${SECRET}> y\n`],
  ['an alias', `  password: *${SECRET}\n`],
  ['a key that is there twice', `  ${SECRET}: a\n  ${SECRET}: b\n`],
  ['a mark of a document', `  password: |\n---\n${SECRET}\n`],
  ['a list', `  password: a\n---\n- ${SECRET}\n- ${SECRET}\n`],
  ['a directive', `  password: a\n...\n%${SECRET} ${SECRET}\n`],
  ['a handle that is there twice', `...\n%TAG !${SECRET}! a\n%TAG !${SECRET}! b\n--- {}\n`],
  ['a kind that is none', `---\napiVersion: v1\nkind: {password: ${SECRET}}\n`],
  ['items that are none', `---\napiVersion: v1\nkind: List\nitems: {password: ${SECRET}}\n`],
  ['an item that is none', `---\napiVersion: v1\nkind: List\nitems: [${SECRET}]\n`],
] as const) {
  test(`a manifest that is broken by ${what} tells nothing of a Secret`, () => {
    assert.ok(!tellsSecret(SECRET_START + value));
  });
}

test('a Secret that is spoilt anywhere tells nothing of what it says', () => {
  const yaml = `${SECRET_START}  tls.key: "${SECRET}\\n${SECRET}"\n  other: |\n    ${SECRET}\n    ${SECRET}\n`;
  const json = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'web', namespace: 'shop' },
    stringData: { 'tls.key': `${SECRET}\n${SECRET}`, other: SECRET },
  });
  const values = [yaml.indexOf('stringData'), json.indexOf('"stringData"')];
  for (const [i, text] of [yaml, json].entries())
    for (let at = values[i] as number; at <= text.length; at++)
      for (const spoil of ['', '\t', '"', '\\', '\n', ':', '- ', '@', '!', '\0', '{', '}'])
        for (const cut of [0, 1, 3])
          assert.ok(
            !tellsSecret(text.slice(0, at) + spoil + text.slice(at + cut)),
            JSON.stringify({ at, spoil, cut, near: text.slice(at - 10, at + 10) }),
          );
});
