import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { readVersion } from '../base/version.ts';
import { COMMANDS } from './commands.ts';
import { maesh } from './maesh.fixture.ts';

test('maesh version and --version print the version of the package', async () => {
  for (const args of [['version'], ['--version'], ['-V']]) {
    const { code, out } = await maesh(args);
    assert.equal(code, 0);
    assert.match(out, /^maesh \d+\.\d+\.\d+ \(Node \d+\.\d+\.\d+, \w+-\w+\)\n$/);
  }
  const { out } = await maesh(['version', '-o', 'json']);
  assert.deepEqual(JSON.parse(out), {
    maesh: readVersion(),
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
  });
});

test('maesh without a command prints its help and fails', async () => {
  const { code, out, err } = await maesh([]);
  assert.deepEqual([code, out], [2, '']);
  assert.match(err, /^Usage: maesh/);
});

test('maesh names what it does not understand, with the nearest that it does', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['chek'], /^maesh: unknown command 'chek'\n\(Did you mean check\?\)\n/],
    [['hosts', '--adimn', 'x'], /^maesh: unknown option '--adimn'\n\(Did you mean --admin\?\)\n/],
    [['version', '-o', 'xml'], /^maesh: option '-o, --output <FORMAT>' argument 'xml' is invalid/],
    [['version', 'word'], /^maesh: too many arguments for 'version'/],
    [
      ['check', 'a.yaml', 'b'],
      /^maesh: Cannot use "a.yaml b": paths come after -f, as in -f a.yaml b\n/,
    ],
    [['up', 'a.yaml'], /^maesh: Cannot use "a.yaml": paths come after -f/],
    [['hosts', 'a.yaml', '-o', 'json'], /^maesh: Cannot use "a.yaml": paths come after -f/],
  ];
  for (const [args, pattern] of cases) {
    const { code, out, err } = await maesh(args);
    assert.deepEqual([code, out], [2, ''], args.join(' '));
    assert.match(err, pattern);
    assert.match(err, /Run it with --help for its options\.\n$/);
  }
});

test('maesh explain says what a URL is, and which scheme', async () => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [[], 'Cannot explain without a URL: give one, as in http://web.shop.maesh/cart'],
    [
      ['ftp://web.shop.maesh/a'],
      'Cannot explain "ftp://web.shop.maesh/a": give a URL, as in http://web.shop.maesh/cart',
    ],
  ];
  for (const [args, sentence] of cases) {
    const { code, out, err } = await maesh(['explain', '-f', 'examples/first', ...args]);
    assert.deepEqual([code, out, err], [2, '', `maesh: ${sentence}\n`]);
  }
});

test('maesh status without a cluster says how a mesh on this machine is asked', async () => {
  const { code, err } = await maesh(['status'], { KUBECONFIG: '', HOME: '/none' });
  assert.equal(code, 1);
  assert.match(err, /^maesh: Cannot find a cluster: .+, or ask a mesh on this machine: curl http:/);
});

test('a context or kubeconfig that is not there is a wrong setting', async (t) => {
  const path = join(mkdtempSync(join(tmpdir(), 'maesh-main-')), 'config');
  t.after(() => rmSync(dirname(path), { recursive: true }));
  writeFileSync(path, 'contexts: [{ name: c, context: {} }]\ncurrent-context: nope\n');
  const context = await maesh(['status', '--context', 'nope'], { KUBECONFIG: path });
  assert.deepEqual(
    [context.code, context.out, context.err],
    [
      2,
      '',
      `maesh: Cannot find "nope" under "contexts" of the kubeconfig "${path}": there are "c"\n`,
    ],
  );
  const file = await maesh(['check', '--cluster', '--kubeconfig', `${path}-2`]);
  assert.equal(file.code, 2, file.err);
  // Here the file is wrong, not what was asked for.
  assert.equal((await maesh(['status'], { KUBECONFIG: path })).code, 1);
});

test('maesh up reports all wrong settings together and starts nothing', async () => {
  const args = ['up', '--dns-ttl', '5', '--no-acl', '--threads', '0'];
  const { code, out, err } = await maesh(args, { MAESH_DNS: 'here', MAESH_THREDS: '2' });
  assert.deepEqual([code, out], [2, '']);
  assert.deepEqual(err.split('\n'), [
    'maesh: Ignoring the variable "MAESH_THREDS": did you mean "MAESH_THREADS"?',
    'maesh: Cannot use "here" for MAESH_DNS: give an IP address and a port, as in 127.0.0.1:9000 or [::1]:9000, or off',
    'maesh: Cannot use "5" for --dns-ttl: give a time with its unit, 0s to 1h in whole seconds, as in 5s',
    'maesh: Cannot use "0" for --threads: give a whole number, 1 to 256, or cores',
    'maesh: Cannot start without manifests: give a file or folder with -f PATH',
    '',
  ]);
  const missing = await maesh(['up', '--config', '/no/such/file.yaml']);
  assert.equal(missing.code, 2);
  assert.equal(
    missing.err,
    'maesh: Cannot read the configuration file "/no/such/file.yaml": there is no such file\n',
  );
});

test('maesh survives a reader that has seen enough', async () => {
  const bin = fileURLToPath(new URL('../../bin/maesh', import.meta.url));
  const child = spawn('sh', ['-c', `"${bin}" help | true`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (err += chunk));
  await new Promise((resolve) => child.on('close', resolve));
  assert.equal(err, '');
});

test('docs/commands.md has exactly the commands and options there are', async () => {
  const document = readFileSync(new URL('../../docs/commands.md', import.meta.url), 'utf8');
  const sections = new Map<string, string>();
  for (const section of document.split(/^## maesh /m).slice(1)) {
    sections.set(section.slice(0, section.indexOf('\n')), section);
  }
  assert.deepEqual([...sections.keys()].sort(), COMMANDS.map((entry) => entry.name).sort());
  for (const entry of COMMANDS) {
    const { name, summary } = entry;
    let help = '';
    const io = {
      out: (text: string) => (help += text),
      err: () => assert.fail(),
      onSignal: () => assert.fail(),
    };
    const command = (await entry.load())({
      io,
      env: {},
      isColored: false,
      exit: () => assert.fail(),
    });
    command.configureOutput({ writeOut: io.out }).outputHelp();
    assert.match(help, /Examples:\n {2}\S*\s?maesh /, name);
    assert.equal(command.summary(), summary, name);
    const isSetting = (option: string): boolean =>
      ['up', 'controller', 'agent'].includes(name) && option !== '--config';
    const offered = command.options
      .map((option) => option.long ?? '')
      .filter((option) => !isSetting(option));
    const described = [...(sections.get(name) ?? '').matchAll(/^\| `(?:-\w, )?(--[a-z0-9-]+)/gm)];
    assert.deepEqual(described.map((match) => match[1] ?? '').sort(), offered.sort(), name);
  }
});
