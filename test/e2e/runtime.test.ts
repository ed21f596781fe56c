/** What Node opens, writes or obeys by itself is closed in the command that ships; test/chart/image.test.ts holds the image to the same flags. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Folder, service } from './support/manifests.ts';
import { Mesh } from './support/mesh.ts';
import { until } from './support/until.ts';
import { ownRange } from '../support/ranges.ts';

const options = { skip: process.platform === 'linux' ? false : 'reads /proc, which Linux has' };
const folder = new Folder();

before(() => {
  folder.put('web.yaml', service('s/web', 20_051));
});

after(() => folder.remove());

async function start(env: Readonly<Record<string, string>> = {}): Promise<Mesh> {
  const mesh = new Mesh({ paths: [folder.path], cidr: ownRange().cidr, env });
  await mesh.ready();
  return mesh;
}

function pidOf(mesh: Mesh): number {
  assert.ok(mesh.child.pid !== undefined);
  return mesh.child.pid;
}

/** `address:port` in hexadecimal of all TCP sockets that the process listens on. */
function listening(pid: number): string[] {
  const own = new Set<string>();
  for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
    try {
      own.add(/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${descriptor}`))?.[1] ?? '');
    } catch {
      // Closed meanwhile.
    }
  }
  const lines = ['tcp', 'tcp6'].flatMap((name) =>
    readFileSync(`/proc/${pid}/net/${name}`, 'latin1').split('\n'),
  );
  const words = lines.map((line) => line.trim().split(/\s+/));
  const found = words.filter((word) => word[3] === '0A' && own.has(word[9] ?? ''));
  return found.map((word) => word[1] ?? '').toSorted();
}

/** Waits until the process has none of these signals waiting, so it has seen them or never will. */
async function settled(mesh: Mesh): Promise<void> {
  for (let i = 0; i < 3; i++) {
    // oxlint-disable-next-line no-await-in-loop -- each answer is a turn of its event loop
    assert.equal(await mesh.status('/healthz'), 200);
  }
}

test('SIGUSR1 opens no debugger and changes nothing', options, async (t) => {
  const mesh = await start();
  t.after(() => mesh.stop());
  const before = listening(pidOf(mesh));
  assert.equal(before.length, 3, 'admin API, DNS, and the one Service');
  const threads = readdirSync(`/proc/${pidOf(mesh)}/task`).length;
  mesh.child.kill('SIGUSR1');
  await settled(mesh);
  assert.deepEqual(listening(pidOf(mesh)), before);
  assert.equal(readdirSync(`/proc/${pidOf(mesh)}/task`).length, threads);
  assert.doesNotMatch(mesh.stderr, /Debugger/);
});

for (const flag of ['--inspect=0', '--inspect-brk=0', '--inspect-wait=0']) {
  test(`NODE_OPTIONS=${flag} opens no debugger`, options, async (t) => {
    const mesh = await start({ NODE_OPTIONS: flag });
    t.after(() => mesh.stop());
    assert.equal(listening(pidOf(mesh)).length, 3);
    assert.doesNotMatch(mesh.stderr, /Debugger/);
  });
}

test('a warning of the runtime is a line of the log', options, async (t) => {
  const warn = 'setTimeout(() => process.emitWarning("two\\nlines"), 1)';
  const mesh = new Mesh({
    paths: [folder.path],
    cidr: ownRange().cidr,
    env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(warn)}` },
    flags: ['--log-format', 'json'],
  });
  t.after(() => mesh.stop());
  await mesh.ready();
  await until('it is logged', () => mesh.stderr.includes('Warning of Node: two'));
  for (const line of mesh.stderr.trim().split('\n')) JSON.parse(line);
});

test('a crash leaves no core dump and no report behind', options, async (t) => {
  const mesh = await start();
  t.after(() => mesh.stop());
  const limits = readFileSync(`/proc/${pidOf(mesh)}/limits`, 'latin1');
  const [, soft = '', hard = ''] =
    /^Max core file size +(\d+|unlimited) +(\d+|unlimited)/m.exec(limits) ?? [];
  assert.ok(Number(soft) <= 1 && Number(hard) <= 1, `${soft} ${hard}`);
  const files = readdirSync('.').toSorted();
  mesh.child.kill('SIGABRT');
  assert.equal(await mesh.exit, 'SIGABRT');
  assert.deepEqual(readdirSync('.').toSorted(), files);
});

test('a log that cannot be written does not end the mesh', options, async (t) => {
  const prefix = ['sh', '-c', 'exec "$@" 2>/dev/full', 'sh'];
  const mesh = new Mesh({ paths: [folder.path], cidr: ownRange().cidr, prefix });
  t.after(() => mesh.stop());
  await mesh.ready();
  folder.write('broken.yaml', 'kind: [');
  await until('there is something to log', async () => (await mesh.problems()).length > 0);
  await settled(mesh);
  assert.equal(mesh.child.exitCode, null);
});
