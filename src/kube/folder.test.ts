import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import * as fc from 'fast-check';
import { ManualClock, systemClock } from '../base/clock.ts';
import type { Clock } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import type { Problem } from '../model/service.ts';
import { FolderSource, POLL_MS } from './folder.ts';
import type { WatchDirectory } from './folder/watches.ts';
import type { Kind } from './object.ts';
import { Store, refKey } from './store.ts';

const KINDS: readonly Kind[] = [
  'Namespace',
  'Service',
  'Endpoints',
  'EndpointSlice',
  'Pod',
  'ServiceAccount',
  'Node',
];

function service(name: string, port = 80): string {
  return `---\napiVersion: v1\nkind: Service\nmetadata:\n  name: ${name}\nspec:\n  ports:\n  - port: ${port}\n`;
}

function folder(t: TestContext): string {
  const path = fs.mkdtempSync(join(fs.realpathSync(tmpdir()), 'maesh-kube-'));
  t.after(() => fs.rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A source on real files with what it said, and a way to wait for what it does. */
class Bed {
  readonly store = new Store();
  readonly notices: string[] = [];
  readonly changes: string[][] = [];
  problems: readonly Problem[] = [];
  problemLists = 0;
  readonly source: FolderSource;
  readonly #waiting = new Set<() => void>();

  constructor(
    t: TestContext,
    paths: readonly string[],
    {
      clock = systemClock,
      watchDirectory = fs.watch,
    }: { clock?: Clock; watchDirectory?: WatchDirectory } = {},
  ) {
    this.source = new FolderSource({
      paths,
      store: this.store,
      clock,
      watchDirectory,
      onNotice: (text) => this.notices.push(text),
      onProblems: (problems) => {
        this.problems = problems;
        this.problemLists++;
        this.#wake();
      },
    });
    this.store.subscribe((changed) => {
      this.changes.push(changed.map((ref) => refKey(ref)).toSorted());
      this.#wake();
    });
    t.after(() => this.source.stop());
  }

  /** Resolves when `holds` does, checked after every change of objects or problems. Gives the time it took. */
  async until(what: string, holds: () => boolean): Promise<number> {
    const start = performance.now();
    await new Promise<void>((resolve, reject) => {
      const limit = setTimeout(() => {
        reject(new Error(`not within 10 s: ${what}; ports ${JSON.stringify(this.ports())}`));
      }, 10_000);
      const look = (): void => {
        if (!holds()) return;
        clearTimeout(limit);
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
    return performance.now() - start;
  }

  /** The first port of each Service by name. */
  ports(): Record<string, number | undefined> {
    const found = [...this.store.list('Service')].toSorted((a, b) =>
      a.meta.name < b.meta.name ? -1 : 1,
    );
    return Object.fromEntries(found.map((object) => [object.meta.name, object.ports[0]?.port]));
  }

  #wake(): void {
    for (const look of this.#waiting) look();
  }
}

function contents(store: Store): unknown {
  return KINDS.flatMap((kind) =>
    [...store.list(kind)].map((object) => JSON.stringify(object)),
  ).toSorted();
}

test('start() puts files and folders into the store in one batch', async (t) => {
  const dir = folder(t);
  fs.mkdirSync(join(dir, 'sub', 'deeper'), { recursive: true });
  fs.mkdirSync(join(dir, '.hidden'));
  fs.writeFileSync(join(dir, 'a.yaml'), service('a') + service('b'));
  fs.writeFileSync(join(dir, 'sub', 'c.yml'), service('c'));
  fs.writeFileSync(
    join(dir, 'sub', 'deeper', 'd.json'),
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'd' },
      spec: { ports: [{ port: 1 }] },
    }),
  );
  fs.writeFileSync(join(dir, '.e.yaml'), service('e'));
  fs.writeFileSync(join(dir, '.hidden', 'f.yaml'), service('f'));
  fs.writeFileSync(join(dir, 'g.txt'), service('g'));
  const given = join(folder(t), 'given.txt');
  fs.writeFileSync(given, service('given'));
  const bed = new Bed(t, [dir, given, join(dir, 'a.yaml')]);
  await bed.source.start();
  assert.deepEqual(Object.keys(bed.ports()), ['a', 'b', 'c', 'd', 'given']);
  assert.equal(bed.changes.length, 1);
  assert.deepEqual(bed.problems, []);
  assert.equal(bed.problemLists, 0);
  const { file, line, column } = bed.store.originOf({
    kind: 'Service',
    namespace: 'default',
    name: 'b',
  });
  assert.deepEqual([file, line, column], [join(dir, 'a.yaml'), 10, 1]);
});

test('start() throws for a path that does not exist', async (t) => {
  const bed = new Bed(t, [join(folder(t), 'no')]);
  await assert.rejects(bed.source.start(), (error) => {
    assert.ok(error instanceof MeshError);
    assert.equal(error.code, 'not_found');
    assert.match(error.message, /no such file or folder; check the path after -f$/);
    return true;
  });
});

test('start() throws when no file can be read', async (t) => {
  const dir = folder(t);
  fs.writeFileSync(join(dir, 'a.yaml'), Buffer.from([0xff, 0xfe, 0x61, 0x00]));
  const bed = new Bed(t, [dir]);
  await assert.rejects(
    bed.source.start(),
    /Cannot read any manifest: ".*a.yaml": File is not UTF-8 text/,
  );
});

test('checkFound() throws where there is nothing to read, and a file that comes later is read', async (t) => {
  const dir = folder(t);
  const bed = new Bed(t, [dir]);
  await bed.source.start();
  const nothing = (text: string) => (error: unknown) =>
    error instanceof MeshError && error.code === 'not_found' && error.message.includes(text);
  assert.throws(() => bed.source.checkFound(), nothing(`Cannot find a manifest in "${dir}"`));
  fs.writeFileSync(join(dir, 'empty.yaml'), '# nothing\n');
  await bed.source.reload();
  assert.throws(() => bed.source.checkFound(), nothing(`Cannot find an object in "${dir}"`));
  fs.writeFileSync(join(dir, 'a.yaml'), service('a'));
  await bed.until('the new file', () => bed.ports()['a'] === 80);
  bed.source.checkFound();
});

test('a kind that is not read is told once', async (t) => {
  const dir = folder(t);
  const ingress = '---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: x\n';
  fs.writeFileSync(join(dir, 'a.yaml'), ingress + ingress + service('a'));
  fs.writeFileSync(join(dir, 'b.yaml'), ingress);
  const bed = new Bed(t, [dir]);
  await bed.source.start();
  await bed.source.reload();
  assert.deepEqual(bed.notices, [
    `Skipped objects of the kind Ingress (networking.k8s.io/v1): maesh does not read it (first in "${join(dir, 'a.yaml')}")`,
  ]);
});

test('a change is in the store in under 100 ms', async (t) => {
  const dir = folder(t);
  const path = join(dir, 'a.yaml');
  const text = Array.from({ length: 300 }, (_, i) => service(`s${i}`)).join('');
  fs.writeFileSync(path, text);
  const bed = new Bed(t, [dir]);
  await bed.source.start();
  const times: number[] = [];
  for (let port = 81; port < 91; port++) {
    fs.writeFileSync(path, text.replace('port: 80', `port: ${port}`));
    times.push(await bed.until(`port ${port}`, () => bed.ports()['s0'] === port));
    assert.deepEqual(bed.changes.at(-1), ['Service/default/s0'], 'only what changed is told');
  }
  times.sort((a, b) => a - b);
  // The quickest: what waits for a poll or a pause is never quick, and the machine may be busy.
  assert.ok((times[0] ?? Infinity) < 100, `milliseconds: ${times.map(Math.round).join(' ')}`);
});

test('editors may rename, replace and truncate', async (t) => {
  const dir = folder(t);
  const path = join(dir, 'a.yaml');
  fs.writeFileSync(path, service('a', 1));
  const bed = new Bed(t, [dir]);
  await bed.source.start();
  fs.writeFileSync(join(dir, '.a.yaml.swp'), service('swap'));
  fs.renameSync(join(dir, '.a.yaml.swp'), path);
  await bed.until('replaced by rename', () => bed.ports()['swap'] === 80 && !('a' in bed.ports()));
  fs.renameSync(path, `${path}~`);
  fs.writeFileSync(path, service('swap', 2));
  await bed.until('moved away and written anew', () => bed.ports()['swap'] === 2);
  assert.ok(!bed.changes.flat().includes('Service/default/~'));
  const file = fs.openSync(path, 'w');
  fs.writeSync(file, service('swap', 3).slice(0, 30));
  fs.writeSync(file, service('swap', 3).slice(30));
  fs.closeSync(file);
  await bed.until('truncated and written', () => bed.ports()['swap'] === 3);
  assert.deepEqual(bed.ports(), { swap: 3 });
});

test('an emptied file keeps its objects until it is written or deleted', async (t) => {
  const dir = folder(t);
  const path = join(dir, 'a.yaml');
  fs.writeFileSync(path, service('a', 1));
  const bed = new Bed(t, [dir]);
  await bed.source.start();
  fs.truncateSync(path);
  await bed.until('the problem', () => bed.problems.length === 1);
  assert.match(bed.problems[0]?.message ?? '', /^File is empty/);
  assert.deepEqual(bed.ports(), { a: 1 });
  fs.unlinkSync(path);
  await bed.until('deleted', () => !('a' in bed.ports()) && bed.problems.length === 0);
});

test('new folders are followed and deleted ones take their objects along', async (t) => {
  const dir = folder(t);
  const bed = new Bed(t, [dir]);
  await bed.source.start();
  fs.mkdirSync(join(dir, 'x', 'y'), { recursive: true });
  fs.writeFileSync(join(dir, 'x', 'y', 'a.yaml'), service('a', 1));
  await bed.until('a file in new folders', () => bed.ports()['a'] === 1);
  fs.writeFileSync(join(dir, 'x', 'y', 'a.yaml'), service('a', 2));
  await bed.until('its change', () => bed.ports()['a'] === 2);
  fs.renameSync(join(dir, 'x'), join(dir, 'z'));
  fs.writeFileSync(join(dir, 'z', 'y', 'a.yaml'), service('a', 3));
  await bed.until('its change after a move', () => bed.ports()['a'] === 3);
  fs.rmSync(join(dir, 'z'), { recursive: true });
  await bed.until('its removal', () => !('a' in bed.ports()));
  assert.deepEqual(bed.problems, []);
});

test('a given file or folder that goes is a problem until it is back', async (t) => {
  const dir = folder(t);
  const root = join(dir, 'manifests');
  const file = join(dir, 'one.yaml');
  fs.mkdirSync(root);
  fs.writeFileSync(join(root, 'a.yaml'), service('a'));
  fs.writeFileSync(file, service('one'));
  const bed = new Bed(t, [root, file]);
  await bed.source.start();
  fs.rmSync(root, { recursive: true });
  fs.unlinkSync(file);
  await bed.until(
    'both are gone',
    () => bed.problems.length === 2 && Object.keys(bed.ports()).length === 0,
  );
  assert.match(bed.problems[0]?.message ?? '', /^Path does not exist/);
  fs.mkdirSync(root);
  fs.writeFileSync(join(root, 'a.yaml'), service('a', 5));
  fs.writeFileSync(file, service('one', 6));
  await bed.until('both are back', () => bed.problems.length === 0 && bed.ports()['one'] === 6);
  await bed.until('its file too', () => bed.ports()['a'] === 5);
});

test('a mounted ConfigMap changes by its ..data link', async (t) => {
  const dir = folder(t);
  const mount = (version: string, port: number): void => {
    fs.mkdirSync(join(dir, `..${version}`, 'sub'), { recursive: true });
    fs.writeFileSync(join(dir, `..${version}`, 'a.yaml'), service('a', port));
    fs.writeFileSync(join(dir, `..${version}`, 'sub', 'b.yaml'), service('b', port));
    fs.symlinkSync(`..${version}`, join(dir, '..data_tmp'));
    fs.renameSync(join(dir, '..data_tmp'), join(dir, '..data'));
  };
  mount('1', 1);
  fs.symlinkSync('..data/a.yaml', join(dir, 'a.yaml'));
  fs.symlinkSync('..data/sub', join(dir, 'sub'));
  const bed = new Bed(t, [dir]);
  await bed.source.start();
  assert.deepEqual(bed.ports(), { a: 1, b: 1 });
  for (const version of [2, 3, 4]) {
    mount(String(version), version);
    await bed.until(
      `version ${version}`,
      () => bed.ports()['a'] === version && bed.ports()['b'] === version,
    );
    fs.rmSync(join(dir, `..${version - 1}`), { recursive: true });
  }
  assert.deepEqual(bed.problems, []);
});

test('links on the way to a given folder are followed', async (t) => {
  const dir = folder(t);
  for (const version of [1, 2]) {
    fs.mkdirSync(join(dir, `v${version}`, 'manifests'), { recursive: true });
    fs.writeFileSync(join(dir, `v${version}`, 'manifests', 'a.yaml'), service('a', version));
  }
  fs.symlinkSync('v1', join(dir, 'current'));
  const bed = new Bed(t, [join(dir, 'current', 'manifests')]);
  await bed.source.start();
  fs.symlinkSync('v2', join(dir, 'next'));
  fs.renameSync(join(dir, 'next'), join(dir, 'current'));
  const took = await bed.until('version 2', () => bed.ports()['a'] === 2);
  assert.ok(took < POLL_MS / 2, 'by the watch, not by polling');
  fs.writeFileSync(join(dir, 'v2', 'manifests', 'a.yaml'), service('a', 3));
  await bed.until('a change behind the link', () => bed.ports()['a'] === 3);
});

test('a folder that leads into itself is entered once', async (t) => {
  const dir = folder(t);
  fs.writeFileSync(join(dir, 'a.yaml'), service('a'));
  fs.mkdirSync(join(dir, 'sub'));
  fs.symlinkSync('..', join(dir, 'sub', 'up'));
  const bed = new Bed(t, [dir]);
  await bed.source.start();
  assert.deepEqual(bed.ports(), { a: 80 });
  assert.deepEqual(bed.problems, []);
});

test('a link to nothing is read when its target appears', async (t) => {
  const dir = folder(t);
  const other = folder(t);
  fs.symlinkSync(join(other, 'a.yaml'), join(dir, 'a.yaml'));
  const bed = new Bed(t, [dir]);
  await bed.source.start();
  fs.writeFileSync(join(other, 'a.yaml'), service('a'));
  await bed.until('the target', () => bed.ports()['a'] === 80);
  fs.writeFileSync(join(other, 'a.yaml'), service('a', 81));
  await bed.until('a change of the target', () => bed.ports()['a'] === 81);
});

test('a broken file keeps its last good objects and says where it is broken', async (t) => {
  const dir = folder(t);
  const path = join(dir, 'a.yaml');
  fs.writeFileSync(path, service('a') + service('b'));
  fs.writeFileSync(join(dir, 'never.yaml'), `${service('never')}  "`);
  const bed = new Bed(t, [dir]);
  await bed.source.start();
  assert.deepEqual(bed.ports(), { a: 80, b: 80 });
  assert.equal(bed.problems.length, 1);
  fs.writeFileSync(path, `${service('a', 81)}${service('b')}  - port: [1\n`);
  await bed.until('the problem', () => bed.problems.length === 2);
  assert.deepEqual(bed.ports(), { a: 80, b: 80 });
  assert.equal(bed.problems[0]?.object, path);
  assert.match(bed.problems[0]?.location ?? '', new RegExp(`^${path}:1[78]:\\d+$`));
  fs.writeFileSync(path, service('a', 82) + service('b'));
  await bed.until('it is mended', () => bed.problems.length === 1 && bed.ports()['a'] === 82);
  fs.unlinkSync(join(dir, 'never.yaml'));
  await bed.until('the other is gone', () => bed.problems.length === 0);
});

test('the first file in order wins an object and the next takes over', async (t) => {
  const dir = folder(t);
  fs.writeFileSync(join(dir, 'b.yaml'), service('web', 2) + service('web', 3));
  const bed = new Bed(t, [dir]);
  await bed.source.start();
  assert.deepEqual(bed.ports(), { web: 2 });
  fs.writeFileSync(join(dir, 'a.yaml'), service('web', 1));
  await bed.until('a wins', () => bed.ports()['web'] === 1 && bed.problems.length === 2);
  assert.equal(
    bed.problems[0]?.message,
    `Object is there twice: ${join(dir, 'b.yaml')}:10:1 is not used because ${join(dir, 'a.yaml')}:2:1 comes first`,
  );
  fs.unlinkSync(join(dir, 'a.yaml'));
  await bed.until('b takes over', () => bed.ports()['web'] === 2 && bed.problems.length === 1);
  assert.ok(
    !bed.changes.some((refs) => refs.length > 1),
    'one object changed each time and was never away',
  );
});

test('reload() reads everything again and tells only what changed', async (t) => {
  const dir = folder(t);
  fs.writeFileSync(join(dir, 'a.yaml'), service('a'));
  fs.writeFileSync(join(dir, 'b.yaml'), service('b'));
  const bed = new Bed(t, [dir], { clock: new ManualClock() });
  await bed.source.start();
  fs.writeFileSync(join(dir, 'a.yaml'), service('a', 81));
  fs.unlinkSync(join(dir, 'b.yaml'));
  await bed.source.reload();
  assert.deepEqual(bed.changes.at(-1), ['Service/default/a', 'Service/default/b']);
  await bed.source.reload();
  assert.equal(bed.changes.length, 2);
});

test('polling finds what a refused watch misses', async (t) => {
  const dir = folder(t);
  const clock = new ManualClock();
  fs.mkdirSync(join(dir, 'sub'));
  fs.writeFileSync(join(dir, 'a.yaml'), service('a'));
  const watchDirectory: WatchDirectory = () => {
    throw Object.assign(new Error('ENOSPC: System limit for number of file watchers reached'), {
      code: 'ENOSPC',
    });
  };
  const bed = new Bed(t, [dir], { clock, watchDirectory });
  await bed.source.start();
  assert.equal(bed.notices.length, 1);
  assert.match(bed.notices[0] ?? '', /^Cannot watch .* raise fs\.inotify\.max_user_watches/);
  fs.writeFileSync(join(dir, 'a.yaml'), service('a', 81));
  fs.writeFileSync(join(dir, 'sub', 'b.yaml'), service('b'));
  clock.advance(POLL_MS);
  assert.deepEqual(bed.ports(), { a: 81, b: 80 });
  fs.rmSync(join(dir, 'sub'), { recursive: true });
  clock.advance(POLL_MS);
  clock.advance(POLL_MS);
  assert.deepEqual(bed.ports(), { a: 81 });
});

test('stop() ends watching and keeps the objects', async (t) => {
  const dir = folder(t);
  const clock = new ManualClock();
  fs.writeFileSync(join(dir, 'a.yaml'), service('a'));
  const bed = new Bed(t, [dir], { clock });
  await bed.source.start();
  await bed.source.stop();
  fs.writeFileSync(join(dir, 'a.yaml'), service('a', 81));
  clock.advance(POLL_MS * 2);
  await bed.source.reload();
  assert.deepEqual(bed.ports(), { a: 80 });
});

test('any edits end with the same store as a fresh start', async (t) => {
  const file = fc.constantFrom('a.yaml', 'b.yaml', 'x/a.yaml', 'x/y/c.yml', 'z/d.json');
  const name = fc.constantFrom('web', 'api', 'db');
  const edit = fc.oneof(
    fc.record({
      do: fc.constant('write' as const),
      file,
      name,
      port: fc.integer({ min: 1, max: 9 }),
    }),
    fc.record({
      do: fc.constant('replace' as const),
      file,
      name,
      port: fc.integer({ min: 1, max: 9 }),
    }),
    fc.record({ do: fc.constant('delete' as const), file, name, port: fc.constant(1) }),
    fc.record({ do: fc.constant('deleteFolder' as const), file, name, port: fc.constant(1) }),
    fc.record({ do: fc.constant('break' as const), file, name, port: fc.constant(1) }),
    fc.record({ do: fc.constant('poll' as const), file, name, port: fc.constant(1) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { maxLength: 25 }), async (edits) => {
      const dir = folder(t);
      const clock = new ManualClock(1_000_000, Date.now());
      const bed = new Bed(t, [dir], { clock });
      await bed.source.start();
      const broken = new Set<string>();
      for (const { do: what, file, name, port } of edits) {
        const path = join(dir, file);
        if (what === 'poll') {
          clock.advance(POLL_MS);
          continue;
        }
        if (what === 'deleteFolder' && file.includes('/')) {
          fs.rmSync(join(path, '..'), { recursive: true, force: true });
          for (const other of broken) if (!fs.existsSync(other)) broken.delete(other);
          continue;
        }
        fs.mkdirSync(join(path, '..'), { recursive: true });
        broken.delete(path);
        if (what === 'write') fs.writeFileSync(path, service(name, port));
        else if (what === 'replace') {
          fs.writeFileSync(join(dir, '.new'), service(name, port) + service('more', port));
          fs.renameSync(join(dir, '.new'), path);
        } else if (what === 'break') {
          fs.writeFileSync(path, 'a: [');
          broken.add(path);
        } else fs.rmSync(path, { force: true });
      }
      for (const path of broken) fs.rmSync(path, { force: true });
      for (let i = 0; i < 4; i++) clock.advance(POLL_MS);
      const fresh = new Bed(t, [dir], { clock: new ManualClock() });
      await fresh.source.start();
      assert.deepEqual(contents(bed.store), contents(fresh.store));
      assert.deepEqual(bed.problems, fresh.problems);
      await bed.source.stop();
      await fresh.source.stop();
      fs.rmSync(dir, { recursive: true });
    }),
    { numRuns: 60 },
  );
});
