/** maesh as people install it, built from the checkout or from a commit of its history, in a folder of the benchmark. */

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

export interface Build {
  /** Its command line. */
  readonly command: string;
  /** Short name of the commit, with `+` when the checkout had changes. */
  readonly commit: string;
}

export interface BuildPlace {
  /** The checkout. */
  readonly root: string;
  /** Where files may be left; removed with the benchmark. */
  readonly dir: string;
  progress(text: string): void;
}

export function buildCheckout(place: BuildPlace): Build {
  place.progress('build maesh');
  build(place.root, 'mend that, or measure the sources with "--maesh bin/maesh"');
  return { command: layOut(place, place.root, 'package'), commit: commitOf(place.root) };
}

/**
 * The sources come out of git, not out of the checkout. Its modules are those of the checkout when it asks for the same
 * ones, and installed with `npm ci` when not. Fails with a sentence for the user.
 */
export function buildCommit(place: BuildPlace, name: string): Build {
  const commit = resolveCommit(place.root, name);
  place.progress(`build maesh of ${commit}`);
  const source = join(place.dir, `source-${commit}`);
  mkdirSync(source);
  const archive = join(place.dir, `${commit}.tar`);
  git(place.root, ['archive', '--format=tar', `--output=${archive}`, commit]);
  execFileSync('tar', ['-xf', archive, '-C', source]);
  const lock = (root: string): string => readFileSync(join(root, 'package-lock.json'), 'utf8');
  if (lock(source) === lock(place.root)) linkModules(place.root, source);
  else install(place, source, commit);
  build(source, `the commit ${commit} does not build here`);
  return { command: layOut(place, source, `package-${commit}`), commit };
}

/** The short name of the commit that `name` stands for. Fails with a sentence for the user. */
export function resolveCommit(root: string, name: string): string {
  try {
    return git(root, ['rev-parse', '--short', '--verify', '--end-of-options', `${name}^{commit}`]);
  } catch (error) {
    throw new Error(`Cannot find the commit "${name}" in the history of ${root}`, { cause: error });
  }
}

/** The commit of the checkout; 'unknown' where there is no git. */
export function commitOf(root: string): string {
  try {
    const changed = git(root, [
      'status',
      '--porcelain',
      '--untracked-files=no',
      '--',
      'src',
      'bench',
    ]);
    return `${git(root, ['rev-parse', '--short', 'HEAD'])}${changed === '' ? '' : '+'}`;
  } catch {
    return 'unknown';
  }
}

function install(place: BuildPlace, source: string, commit: string): void {
  place.progress(`install what ${commit} needs`);
  run(
    'npm',
    ['ci', '--no-audit', '--no-fund', '--prefer-offline'],
    source,
    (output) => `Cannot install what ${commit} needs: ${output}`,
  );
  // Older commits got their Node in other ways than npm allows by itself.
  const node = join(source, 'node_modules/.bin/node');
  if (!existsSync(node)) symlinkSync(process.execPath, node);
}

function build(root: string, remedy: string): void {
  run('npm', ['run', 'build'], root, (output) => `Cannot build maesh: ${output}; ${remedy}`);
}

function run(
  command: string,
  args: readonly string[],
  cwd: string,
  problem: (output: string) => string,
): void {
  try {
    execFileSync(command, args, { cwd, encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    const said = error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
    const failed = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
    throw new Error(problem(`${said}${failed}`.trim()), { cause: error });
  }
}

/** The package as npm would install it: without sources, which `bin/maesh` prefers. Gives its command. */
function layOut(place: BuildPlace, source: string, name: string): string {
  const root = join(place.dir, name);
  mkdirSync(root);
  for (const part of ['dist', 'bin', 'package.json']) {
    cpSync(join(source, part), join(root, part), { recursive: true });
  }
  linkModules(source, root);
  return join(root, 'bin/maesh');
}

function linkModules(from: string, to: string): void {
  symlinkSync(join(from, 'node_modules'), join(to, 'node_modules'));
}

function git(root: string, args: readonly string[]): string {
  return execFileSync('git', ['-C', root, ...args], { encoding: 'utf8', stdio: 'pipe' }).trim();
}
