import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

import { skipWithoutPrograms } from '../../test/support/programs.ts';
import { COMMANDS } from './commands.ts';
import { maesh } from './maesh.fixture.ts';

async function script(shell: string): Promise<string> {
  const { code, out } = await maesh(['completion', shell]);
  assert.equal(code, 0);
  return out;
}

/** What bash offers for the last of the words. */
function completions(text: string, ...words: readonly string[]): readonly string[] {
  const list = words.map((word) => `'${word}'`).join(' ');
  const run = `${text}
COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _maesh; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['-c', run], { encoding: 'utf8' }).trim().split('\n');
}

test(
  'maesh completion bash completes commands, options, values and files',
  { skip: skipWithoutPrograms('bash') },
  async () => {
    const text = await script('bash');
    assert.deepEqual(
      [...completions(text, 'maesh', '')].sort(),
      COMMANDS.map(({ name }) => name).sort(),
    );
    assert.deepEqual(completions(text, 'maesh', 'exp'), ['explain']);
    assert.deepEqual(completions(text, 'maesh', 'check', '--stri'), ['--strict']);
    assert.deepEqual(completions(text, 'maesh', 'check', '-o', ''), ['text', 'json']);
    assert.deepEqual(completions(text, 'maesh', 'completion', 'f'), ['fish']);
    assert.ok(completions(text, 'maesh', 'check', '-f', '/et').includes('/etc'));
  },
);

test(
  'maesh completion zsh is a script that zsh takes',
  { skip: skipWithoutPrograms('zsh') },
  async () => {
    execFileSync('zsh', ['-n'], { input: await script('zsh') });
  },
);

test(
  'maesh completion fish completes commands and their words',
  { skip: skipWithoutPrograms('fish') },
  async () => {
    const run = `${await script('fish')}\ncomplete -C 'maesh chec'; complete -C 'maesh completion z'`;
    const out = execFileSync('fish', ['--no-config', '-c', run], { encoding: 'utf8' });
    assert.deepEqual(
      out.split('\n').map((line) => line.split('\t')[0]),
      ['check', 'zsh', ''],
    );
  },
);

test('maesh completion has every command and option for each shell', async () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const text = await script(shell);
    for (const { name } of COMMANDS) assert.ok(text.includes(name), `${shell} ${name}`);
    for (const option of ['strict', 'service-cidr', 'no-forwarded-headers']) {
      assert.ok(text.includes(option), `${shell} ${option}`);
    }
  }
});

test('maesh -v prints the version, and --help says what --no-forwarded-headers does', async () => {
  const [long, short] = [await maesh(['version']), await maesh(['-v'])];
  assert.deepEqual(short, long);
  const { out } = await maesh(['up', '--help']);
  assert.match(out, /--no-forwarded-headers\s+Do not add/);
  assert.match(
    out,
    /\(MAESH_FORWARDED_HEADERS=false\)/,
    'the variable that does the same, not its default',
  );
});
