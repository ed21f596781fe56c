import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { COMMANDS } from '../../src/cli/commands.ts';
import type { CliContext } from '../../src/cli/context.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGES = globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: ROOT });
/** Blocks of code for a shell, and code in a line of text. */
const BLOCK = /^```(?:sh)?\n([\s\S]*?)^```$|`([^`\n]+)`/gm;
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

test('every command that a page tells to run exists, with its options', async () => {
  const known = await knownFlags();
  let commands = 0;
  const faults: string[] = [];
  for (const page of PAGES) {
    for (const [, block, inline] of readFileSync(join(ROOT, page), 'utf8').matchAll(BLOCK)) {
      for (const command of (block ?? inline ?? '').split(/\n| && |; /)) {
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
