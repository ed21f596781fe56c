import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { parseItems, sectionOf } from './support/markdown-list.ts';

/** Each folder of src and the ones it may import; a folder may name only those above it, so there is no way round. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  model: ['base'],
  kube: ['base', 'model'],
  compile: ['base', 'model', 'kube'],
  dns: ['base', 'model'],
  admin: ['base', 'model'],
  proxy: ['base', 'model'],
  explain: ['base', 'model', 'proxy'],
  discovery: ['base', 'model'],
  shadow: ['base', 'model', 'kube', 'compile', 'discovery'],
  authority: ['base', 'model', 'kube'],
  'cluster-dns': ['base', 'model', 'kube'],
  leader: ['base', 'model', 'kube', 'discovery'],
  events: ['base', 'model', 'kube'],
  monitor: ['base', 'model', 'discovery'],
  'run/agent': ['base', 'model', 'kube', 'dns', 'admin', 'proxy', 'discovery'],
  'run/up': ['base', 'model', 'kube', 'compile', 'admin', 'run/agent'],
  'run/controller': [
    'base',
    'model',
    'kube',
    'compile',
    'admin',
    'discovery',
    'shadow',
    'authority',
    'cluster-dns',
    'leader',
    'events',
    'monitor',
  ],
  install: ['base', 'model', 'kube'],
  cli: [
    'base',
    'model',
    'kube',
    'compile',
    'dns',
    'admin',
    'proxy',
    'explain',
    'discovery',
    'shadow',
    'authority',
    'cluster-dns',
    'leader',
    'events',
    'monitor',
    'run/agent',
    'run/up',
    'run/controller',
    'install',
  ],
};
/** These decide; they do no I/O. Of Node they may use assertions, and `node:net` only to tell an address from a name. */
const PURE = ['model', 'compile', 'explain'];
/** Files that tests alone use, and that neither the package nor another file of src may need. */
const TEST_ONLY = /\.(test|fixture|fuzz)\.ts$/;
const IMPORT = /(?:\bfrom|\bimport\(?)\s*'([^']+)'|new URL\(\s*(?:.*\?\s*)?'(\.[^']+\.ts)'/g;
const TIME =
  /(?<![.\w])(?:setTimeout|setInterval|Date\.now|performance\.now|process\.hrtime|Math\.random)\b|new Date\(\)/;
const READERS = /^import \{ (createPrivateKey, type KeyObject, )?X509Certificate \} /;
const TIME_FILES = ['src/base/clock.ts', 'src/base/random.ts'];

type Sources = Readonly<Record<string, string>>;

/** Everything that breaks a rule, as `file:line what`. */
function violations(sources: Sources): string[] {
  const found: string[] = [];
  const folders = new Map<string, string>();
  const imports = new Map<string, string>();
  for (const [file, text] of Object.entries(sources)) {
    const layer = layerOf(file);
    if (!(layer in LAYERS)) found.push(`${file}:1 is in no layer`);
    text.split('\n').forEach((line, index) => {
      const say = (what: string): number => found.push(`${file}:${index + 1} ${what}`);
      if (TIME.test(line.replace(/^\s*(\/?\*|\/\/).*/, '')) && !TIME_FILES.includes(file)) {
        say('takes time or chance from elsewhere than a Clock or Random');
      }
      for (const [, imported, url] of line.matchAll(IMPORT)) {
        const name = imported ?? url ?? '';
        if (!name.startsWith('.')) {
          const harmless =
            name === 'node:assert' ||
            // They read certificates and keys that stand in a text.
            (name === 'node:crypto' && READERS.test(line)) ||
            (name === 'node:tls' && line.includes('{ createSecureContext }')) ||
            (name === 'node:net' && /\{ (isIP(v[46])?(, )?)+ \}/.test(line));
          if (name.startsWith('node:') && PURE.includes(layer) && !harmless)
            say(`does I/O: ${name}`);
          continue;
        }
        const target = normalize(join(dirname(file), name));
        if (layerOf(target) !== layer && !LAYERS[layer]?.includes(layerOf(target)))
          say(`imports ${target}`);
        if (TEST_ONLY.test(target)) say(`imports ${target}, which only tests may`);
        const [from, to] = [dirname(file), dirname(target)];
        if (from !== to && dirname(from) === dirname(to) && dirname(from) !== 'src') {
          folders.set(`${from} ${to}`, `${file}:${index + 1} imports ${target}`);
        }
        imports.set(`${file} ${target}`, `${file}:${index + 1} imports ${target}`);
      }
    });
  }
  return [...new Set([...found, ...cycles(folders), ...cycles(imports)])];
}

/** Folders of a layer, or files, that need each other, however long the way round; for types, too. */
function cycles(edges: ReadonlyMap<string, string>): string[] {
  const next = Map.groupBy(edges.keys(), (edge) => edge.split(' ')[0] ?? '');
  const reaches = (from: string, goal: string, seen = new Set<string>()): boolean =>
    (next.get(from) ?? []).some((edge) => {
      const to = edge.split(' ')[1] ?? '';
      if (to === goal) return true;
      if (seen.has(to)) return false;
      return reaches(to, goal, seen.add(to));
    });
  return [...edges]
    .filter(([edge]) => reaches(edge.split(' ')[1] ?? '', edge.split(' ')[0] ?? ''))
    .map(([, where]) => `${where}, which needs it too`);
}

/** A room is a folder of src; in `run`, where the parts of each program come together, each program is one. */
function layerOf(file: string): string {
  const [, room = '', program = ''] = file.split('/');
  return room === 'run' ? `${room}/${program}` : room;
}

test('src keeps its layers', () => {
  const files = globSync('src/**/*.ts', { cwd: join(import.meta.dirname, '..') }).filter(
    (file) => !TEST_ONLY.test(file),
  );
  assert.ok(files.length > 100);
  const root = join(import.meta.dirname, '..');
  const sources = Object.fromEntries(
    files.map((file) => [file, readFileSync(join(root, file), 'utf8')]),
  );
  assert.deepEqual(violations(sources), []);
});

test('the C library is called in two files, of which one knows addresses that are kept', () => {
  const root = join(import.meta.dirname, '..');
  const callers = globSync('src/**/*.ts', { cwd: root }).filter(
    (file) =>
      !TEST_ONLY.test(file) && readFileSync(join(root, file), 'utf8').includes("'node:ffi'"),
  );
  assert.deepEqual(callers.sort(), ['src/base/libc.ts', 'src/proxy/net/system/system-calls.ts']);
});

test('the table of layers names no way round', () => {
  const above: string[] = [];
  for (const [layer, allowed] of Object.entries(LAYERS)) {
    for (const name of allowed)
      assert.ok(above.includes(name), `${layer} may import ${name}, which stands below it`);
    above.push(layer);
  }
});

test('every rule can fail, with file and line', () => {
  const cases: readonly (readonly [file: string, text: string, violation: string])[] = [
    [
      'src/proxy/a.ts',
      "\nimport type { Store } from '../kube/store.ts';",
      'src/proxy/a.ts:2 imports src/kube/store.ts',
    ],
    [
      'src/base/a.ts',
      "const { x } = await import('../model/x.ts');",
      'src/base/a.ts:1 imports src/model/x.ts',
    ],
    ['src/admin/a.ts', "} from '../dns/x.ts';", 'src/admin/a.ts:1 imports src/dns/x.ts'],
    [
      'src/dns/a.ts',
      "new Worker(new URL('../cli/x.ts', import.meta.url));",
      'src/dns/a.ts:1 imports src/cli/x.ts',
    ],
    [
      'src/compile/a.ts',
      "import { readFileSync } from 'node:fs';",
      'src/compile/a.ts:1 does I/O: node:fs',
    ],
    [
      'src/compile/a.ts',
      "import { connect } from 'node:net';",
      'src/compile/a.ts:1 does I/O: node:net',
    ],
    [
      'src/kube/a.ts',
      "import { x } from './x.fixture.ts';",
      'src/kube/a.ts:1 imports src/kube/x.fixture.ts, which only tests may',
    ],
    ['src/other/a.ts', '', 'src/other/a.ts:1 is in no layer'],
    ...[
      'setTimeout(f, 1)',
      'x = Date.now();',
      'new Date()',
      'Math.random()',
      'performance.now()',
    ].map(
      (text) =>
        [
          'src/proxy/a.ts',
          text,
          'src/proxy/a.ts:1 takes time or chance from elsewhere than a Clock or Random',
        ] as const,
    ),
  ];
  for (const [file, text, violation] of cases)
    assert.deepEqual(violations({ [file]: text }), [violation], text);
  const folders = {
    'src/proxy/a/x.ts': "import { y } from '../b/y.ts';",
    'src/proxy/b/y.ts': "import { z } from '../c/z.ts';",
    'src/proxy/c/z.ts': "import { x } from '../a/x.ts';",
  };
  assert.equal(violations(folders).length, 3);
  assert.match(violations(folders)[0] ?? '', /^src\/proxy\/a\/x\.ts:1 .*needs it too$/);
  const files = {
    'src/shadow/x.ts': "import type { Y } from './y.ts';",
    'src/shadow/y.ts': "import {\n  type Z,\n} from './part/z.ts';",
    'src/shadow/part/z.ts': "const { x } = await import('../x.ts');",
    'src/shadow/outside.ts': "import { x } from './x.ts';",
  };
  assert.deepEqual(violations(files), [
    'src/shadow/x.ts:1 imports src/shadow/y.ts, which needs it too',
    'src/shadow/y.ts:3 imports src/shadow/part/z.ts, which needs it too',
    'src/shadow/part/z.ts:1 imports src/shadow/x.ts, which needs it too',
  ]);
});

test('no rule fails on what is allowed', () => {
  const allowed = {
    'src/compile/a.ts':
      "import { isIP, isIPv4 } from 'node:net';\nimport assert from 'node:assert';",
    'src/proxy/a.ts': '// setTimeout(f)\nsocket.setTimeout(1);\nnew Date(wallMs);',
    'src/base/clock.ts': 'setTimeout(run, delayMs)',
    'src/cli/a.ts': "import { x } from '../proxy/x.ts';",
  };
  assert.deepEqual(violations(allowed), []);
});

test('ARCHITECTURE.md shows the same layers', () => {
  const text = readFileSync(join(import.meta.dirname, '../ARCHITECTURE.md'), 'utf8');
  const shown = parseItems(sectionOf(text, '## Layers')).map((item) => {
    const [, folder = '', allowed = ''] = /^`(.+?)` \((.+?)\): \S/.exec(item) ?? [];
    if (allowed === 'nothing') return [folder, []];
    return [folder, allowed === 'anything' ? LAYERS['cli'] : allowed.split(', ')];
  });
  assert.deepEqual(shown, Object.entries(LAYERS));
});
