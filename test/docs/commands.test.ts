import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CLUSTER_SETTINGS } from '../../src/cli/cluster-settings.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import type { CliContext } from '../../src/cli/context.ts';
import { ALL_SETTINGS } from '../../src/cli/settings.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGES = globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: ROOT });
/** Blocks of code with their language; and code in a line of text. */
const BLOCK = /^( *)```(\w*)\n([\s\S]*?)^ *```$/gm;
const INLINE = /`([^`\n]+)`/g;
const COMMAND = /^(?:bin\/maesh|maesh|kubectl maesh|npm|npx node) [a-z-]/;
/** Where the words after `npm start --` and the like are read. */
const OPTIONS_OF: Readonly<Record<string, string>> = {
  start: 'demo/main.ts',
  bench: 'bench/options.ts',
  'bench:controller': 'bench/controller/options.ts',
  'bench:discovery': 'bench/discovery.ts',
  'bench:heads': 'bench/heads.ts',
  fuzz: 'test/fuzz/options.ts',
  properties: 'test/properties/options.ts',
};
const scripts = Object.keys(
  (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object }).scripts,
);
const context: CliContext = {
  io: { out: () => undefined, err: () => undefined, onSignal: () => () => undefined },
  env: {},
  isColored: false,
  exit: () => undefined,
};

/** Long and short flags by command. */
async function knownFlags(): Promise<Map<string, ReadonlySet<string>>> {
  const known = new Map<string, ReadonlySet<string>>();
  for (const entry of COMMANDS) {
    const command = (await entry.load())(context);
    const flags = command.options.flatMap(({ long, short }) => [long, short]);
    known.set(entry.name, new Set([...flags, '-h', '--help'].filter((flag) => flag != null)));
  }
  return known;
}

/** What is wrong with one command, or ''. */
function fault(line: string, known: ReadonlyMap<string, ReadonlySet<string>>): string {
  const [program, first = '', ...words] = line
    .replace(/^kubectl (?=maesh )/, '')
    .split(/\s+(?:[#|&>].*)?|\s*$/)
    .filter((word) => word !== '');
  if (program === 'npx') {
    const file = words.find((word) => /\.[a-z]+$/.test(word)) ?? '';
    return existsSync(join(ROOT, file)) ? '' : `no file ${file}`;
  }
  if (program === 'npm') {
    const name = first === 'run' ? (words[0] ?? '') : first;
    if (name === 'ci' || name === 'COMMAND') return '';
    if (!scripts.includes(name)) return `no script "${name}"`;
    const flags = words.filter((word) => /^--[a-z]/.test(word));
    const text =
      OPTIONS_OF[name] === undefined ? '' : readFileSync(join(ROOT, OPTIONS_OF[name]), 'utf8');
    const unknown = flags.find((flag) => !new RegExp(`\\b${flag.slice(2)}\\b`).test(text));
    return unknown === undefined ? '' : `no option ${unknown} of npm ${name}`;
  }
  if (first.startsWith('-') || first === 'COMMAND' || first === '…') return '';
  const flags = known.get(first);
  if (flags === undefined) return `no command "${first}"`;
  // The rest of `maesh curl` is curl's.
  if (first === 'curl') return '';
  const unknown = words.find(
    (word) => /^--?[a-zA-Z]/.test(word) && !flags.has(word.split('=')[0] ?? ''),
  );
  return unknown === undefined ? '' : `no option ${unknown} of maesh ${first}`;
}

/** All that a page has as code for a shell, line by line. */
function codeOf(page: string): string[] {
  const code: string[] = [];
  const prose = readFileSync(join(ROOT, page), 'utf8').replaceAll(
    BLOCK,
    (_, indent: string, language: string, body: string) => {
      if (language === '' || language === 'sh')
        code.push(...body.split('\n').map((line) => line.slice(indent.length)));
      return '';
    },
  );
  for (const [, inline = ''] of prose.matchAll(INLINE)) code.push(inline);
  return code;
}

test('every command that a page tells to run exists, with its options', async () => {
  const known = await knownFlags();
  let commands = 0;
  const faults: string[] = [];
  for (const page of PAGES) {
    for (const line of codeOf(page)) {
      for (const command of line.split(/ && |; /)) {
        if (!COMMAND.test(command)) continue;
        commands += 1;
        const what = fault(command, known);
        if (what !== '') faults.push(`${page}: ${command}: ${what}`);
      }
    }
  }
  assert.deepEqual(faults, []);
  assert.ok(commands > 40, `${commands} commands found`);
});

/** Options of other programs that pages name by themselves. */
const FOREIGN =
  '--config-dir --configuration-values --http2-prior-knowledge --ignore-daemonsets --inspect --no-hooks --version';
/** Pages for users. Decisions name options of V8, and the shop those of its server. */
const USER_PAGES = PAGES.filter((page) => /^(?:README|SECURITY|docs\/(?!decisions))/.test(page));

test('every option that a page names by itself is one of maesh, or of a script here', async () => {
  const known = new Set(FOREIGN.split(' '));
  for (const flags of (await knownFlags()).values()) for (const flag of flags) known.add(flag);
  for (const { name } of [...ALL_SETTINGS, ...CLUSTER_SETTINGS])
    known.add(`--${name}`).add(`--no-${name}`);
  const scripts = Object.values(OPTIONS_OF).map((file) => readFileSync(join(ROOT, file), 'utf8'));
  const faults: string[] = [];
  let named = 0;
  for (const page of USER_PAGES) {
    for (const code of codeOf(page)) {
      const [flag = ''] = /^--[a-z][a-z0-9-]*/.exec(code) ?? [];
      if (flag === '') continue;
      named += 1;
      const name = new RegExp(`\\b${flag.slice(2)}\\b`);
      if (!known.has(flag) && !scripts.some((text) => name.test(text)))
        faults.push(`${page}: ${code}`);
    }
  }
  assert.deepEqual(faults, []);
  assert.ok(named > 100, `${named} options found`);
});

test('a command that does not exist is found', async () => {
  const known = await knownFlags();
  assert.equal(fault('bin/maesh upp -f x', known), 'no command "upp"');
  assert.equal(fault('maesh check --frobnicate', known), 'no option --frobnicate of maesh check');
  assert.equal(fault('kubectl maesh statsu', known), 'no command "statsu"');
  assert.equal(fault('npm run frobnicate', known), 'no script "frobnicate"');
  assert.equal(fault('npm start -- --frobnicate', known), 'no option --frobnicate of npm start');
  assert.equal(fault('npx node examples/none.mjs', known), 'no file examples/none.mjs');
  assert.equal(fault('bin/maesh check -f examples/shop --strict # why', known), '');
});
