/**
 * Builds the root folder that the image holds: `node scripts/image-root.ts OUT`. The Dockerfile runs it, and so does
 * test/chart/image.test.ts, so what is tested is what ships. Same sources, same Node, same Debian: same bytes.
 * It needs `npm ci` before, and a Debian to take the C library from; the Node that runs it is the one in the image.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

import { type Component, type LockedPackage, npmComponent, renderSbom } from './image-sbom.ts';

const ROOT = join(import.meta.dirname, '..');
/** Where the application is inside the image. */
const HOME = 'opt/maesh';
/** The user of distroless images: no name of a user, no shell, no home. */
const UID = 65532;

const OUTPUT_BYTES = 64 * 1_048_576;

/** Mount points of the Pods, there because the root is read-only. */
const FOLDERS = [
  'dev',
  'proc',
  'sys',
  'tmp',
  'var/lib/maesh',
  'var/run/secrets/kubernetes.io/serviceaccount',
  'var/run/secrets/maesh/token',
];
const FILES: Readonly<Record<string, string>> = {
  'etc/passwd': `root:x:0:0:root:/:/sbin/nologin\nmaesh:x:${UID}:${UID}:maesh:/:/sbin/nologin\n`,
  'etc/group': `root:x:0:\nmaesh:x:${UID}:\n`,
  'etc/nsswitch.conf': 'hosts: files dns\n',
  'etc/hosts': '',
  'etc/hostname': '',
  'etc/resolv.conf': '',
};
/** For people who look into a running Pod; the Pod itself starts Node with the flags of the Dockerfile. */
const LAUNCHER = `#!/usr/bin/node\nimport '/${HOME}/dist/cli/main.js';\n`;
/** Of dependencies, what is of no use at run time. */
const USELESS = /\.(?:[cm]?ts|map|md|markdown|flow)$|\/(?:test|tests|docs|benchmarks|\.github)$/;
/** What is nested is listed on its own; programs of packages are for developers. */
const OTHERS = /\/(?:node_modules|\.bin)$/;
const LICENCE = /\/(?:licen[cs]e|notice|copying)[^/]*$/i;

interface Manifest {
  readonly version: string;
}

/**
 * Fills the folder `out`, which must not exist or be empty.
 * @returns SHA-256 of names, modes and contents of all that is in it.
 * @throws Error when the folder holds something, a tool is missing or the sources do not compile.
 */
export function buildImageRoot(out: string): string {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
  if (existsSync(out) && readdirSync(out).length > 0) {
    throw new Error(`Cannot build into "${out}": it is not empty; name a new folder`);
  }
  const seconds = sourceDate();
  const nodePackage = lockedNode();
  for (const folder of FOLDERS) mkdirSync(join(out, folder), { recursive: true });
  for (const [path, text] of Object.entries(FILES)) write(join(out, path), text);
  const components = [...copyDependencies(out, nodePackage), ...copyRuntime(out)];
  compile(join(out, HOME, 'dist'));
  for (const file of ['package.json', 'LICENSE']) copy(join(ROOT, file), join(out, HOME, file));
  // The command line installs from the same chart.
  cpSync(join(ROOT, 'chart'), join(out, HOME, 'chart'), {
    recursive: true,
    filter: (file) => !/\/\.[^/]+$/.test(file.slice(ROOT.length)),
  });
  write(join(out, 'usr/bin/maesh'), LAUNCHER);
  const sbom = renderSbom(manifest.version, components, seconds);
  write(join(out, HOME, 'sbom.cdx.json'), sbom);
  settle(out, seconds);
  return digest(out);
}

/** Seconds since 1970 that all files are dated with. */
function sourceDate(): number {
  const given = process.env['SOURCE_DATE_EPOCH'] ?? '0';
  if (!/^\d{1,12}$/.test(given)) {
    throw new Error(`Cannot read SOURCE_DATE_EPOCH "${given}": give whole seconds since 1970`);
  }
  return Number(given);
}

/** The Node that ships is the one of the lock file, whose hash npm has checked: the name of its package. */
function lockedNode(): string {
  const program = relative(join(ROOT, 'node_modules'), realpathSync(process.execPath));
  const name = /^(node-[^/]+)\/bin\/node$/.exec(program)?.[1];
  if (name !== undefined) return name;
  throw new Error(
    `Cannot build the image with ${process.execPath}: run it with node_modules/.bin/node, which "npm ci" brings`,
  );
}

/** Node, and the libraries that it loads; returns Node and the Debian packages that those are from. */
function copyRuntime(out: string): Component[] {
  const node = realpathSync(process.execPath);
  copy(node, join(out, 'usr/bin/node'));
  // Scanners look here for what kind of system it is.
  copy(realpathSync('/etc/os-release'), join(out, 'etc/os-release'));
  const licence = join(dirname(node), '../LICENSE');
  if (existsSync(licence)) copy(licence, join(out, 'usr/share/doc/node/LICENSE'));
  const names = new Set<string>();
  for (const library of librariesOf(node)) {
    copy(realpathSync(library), join(out, library));
    names.add(owner(library));
  }
  const runtime = {
    type: 'application',
    name: 'node',
    version: process.versions.node,
    purl: `pkg:generic/node@${process.versions.node}`,
  } as const;
  return [runtime, ...[...names].toSorted().map((name) => recordDebian(out, name))];
}

/** Paths as the loader looks for them, the loader itself included. */
function librariesOf(program: string): string[] {
  const lines = output('ldd', [program]).split('\n');
  const paths = lines.flatMap((line) => /(?:=>\s+)?(\/\S+) \(0x/.exec(line)?.[1] ?? []);
  const missing = lines.find((line) => line.includes('not found'));
  if (missing !== undefined || paths.length === 0) {
    throw new Error(
      `Cannot collect the libraries of ${program}: ${missing?.trim() ?? 'ldd names none'}`,
    );
  }
  return paths.toSorted();
}

/** The Debian package of a file; it is known under its path or the one with /usr before it. */
function owner(file: string): string {
  for (const path of [file, realpathSync(file), `/usr${file}`]) {
    try {
      return (output('dpkg-query', ['--search', path]).split(':')[0] ?? '').trim();
    } catch (error) {
      if (path === `/usr${file}`)
        throw new Error(`Cannot tell which Debian package ${file} is from`, { cause: error });
    }
  }
  return '';
}

/** What scanners look for, and the licence. */
function recordDebian(out: string, name: string): Component {
  const field = (format: string) =>
    output('dpkg-query', ['--show', `--showformat=${format}`, name]).split('\n')[0] ?? '';
  const [version, architecture] = [field('${Version}\\n'), field('${Architecture}\\n')];
  const status = output('dpkg-query', ['--status', name]).replace(
    /^(?:Conffiles:(?:\n .*)*\n)/m,
    '',
  );
  write(join(out, 'var/lib/dpkg/status.d', name), status);
  copy(
    realpathSync(`/usr/share/doc/${name}/copyright`),
    join(out, 'usr/share/doc', name, 'copyright'),
  );
  return {
    type: 'library',
    name,
    version,
    purl: `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}`,
  };
}

/** The production dependencies that package-lock.json names. */
function copyDependencies(out: string, nodePackage: string): Component[] {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, LockedPackage>>;
  };
  const components: Component[] = [];
  for (const [path, locked] of Object.entries(lock.packages)) {
    const folder = join(ROOT, path);
    if (path === `node_modules/${nodePackage}`) {
      // Only its program ships, as /usr/bin/node.
      components.push(npmComponent(path, locked));
      continue;
    }
    if (path === '' || locked.dev === true || locked.devOptional === true) continue;
    // One for another platform.
    if (locked.optional === true && !existsSync(folder)) continue;
    const isUseful = (file: string) =>
      file === folder || LICENCE.test(file) || !(USELESS.test(file) || OTHERS.test(file));
    cpSync(folder, join(out, HOME, path), {
      recursive: true,
      dereference: true,
      filter: isUseful,
    });
    components.push(npmComponent(path, locked));
  }
  return components;
}

/** As `npm run build`, but into the image. */
function compile(dist: string): void {
  output('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json', '--outDir', dist]);
}

/** Gives everything the same time and the modes it needs, whatever umask and checkout were. */
function settle(out: string, seconds: number): void {
  for (const path of walk(out)) {
    const name = relative(out, path);
    const stat = lstatSync(path);
    const isProgram = /^(?:usr\/bin\/|lib.*\/ld-linux)/.test(name);
    if (stat.isDirectory()) chmodSync(path, name === 'tmp' ? 0o1777 : 0o755);
    else if (!stat.isSymbolicLink()) chmodSync(path, isProgram ? 0o755 : 0o644);
    lutimesSync(path, seconds, seconds);
  }
}

/** SHA-256 over a line for each file and folder. */
function digest(out: string): string {
  const hash = createHash('sha256');
  for (const path of walk(out)) {
    const stat = lstatSync(path);
    const content = stat.isFile()
      ? createHash('sha256').update(readFileSync(path)).digest('hex')
      : '';
    hash.update(`${relative(out, path)} ${stat.mode.toString(8)} ${stat.mtimeMs} ${content}\n`);
  }
  return hash.digest('hex');
}

/** Everything below a folder, what is inside before its folder, in one order everywhere; then the folder. */
function walk(folder: string): string[] {
  const inside = readdirSync(folder, { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? walk(path) : [path];
    });
  return [...inside, folder];
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { dereference: true });
}

/** Standard output of a program in the checkout; its complaints are shown when it fails. */
function output(program: string, args: readonly string[]): string {
  const options = { cwd: ROOT, encoding: 'utf8', maxBuffer: OUTPUT_BYTES } as const;
  const { status, stdout, stderr, error } = spawnSync(program, args, options);
  if (status === 0) return stdout;
  const cause = error === undefined ? {} : { cause: error };
  throw new Error(`${program} ${args.join(' ')} ended with ${status}: ${stdout}${stderr}`, cause);
}

if (import.meta.main) {
  const [out = ''] = process.argv.slice(2);
  if (out === '' || out.startsWith('-')) {
    process.stderr.write(
      'image-root: Cannot build: name a new folder, node scripts/image-root.ts OUT\n',
    );
    process.exitCode = 2;
  } else {
    process.stdout.write(`${buildImageRoot(resolve(out))}\n`);
  }
}
