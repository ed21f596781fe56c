/** Who may write Services may write as much into one as the API server takes: 256 KiB of annotations. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompiledStore, TEST_OPTIONS } from './compiled-store.fixture.ts';
import type { Problem } from '../model/service.ts';
import { FINDINGS_MAX } from './object-problem.ts';
import * as make from './objects.fixture.ts';

const ANNOTATION_BYTES_MAX = 262_144;

function filled(write: (i: number) => readonly [string, string]): Record<string, string> {
  const annotations: Record<string, string> = {};
  for (let bytes = 0, i = 0; bytes < ANNOTATION_BYTES_MAX; i++) {
    const [key, value] = write(i);
    annotations[key] = value;
    bytes += key.length + value.length;
  }
  return annotations;
}

function compiled(annotations: Readonly<Record<string, string>>, ports = 2): CompiledStore {
  const store = new CompiledStore(TEST_OPTIONS);
  const all = Array.from({ length: ports }, (_, i) =>
    make.portOf({ name: `p${i}`, port: 10_000 + i }),
  );
  store.set({ ...make.serviceOf('web', { annotations }), ports: all });
  store.update();
  return store;
}

const guesses = (problems: readonly Problem[]): number =>
  problems.filter(({ remedy }) => remedy.startsWith('did you mean')).length;

test('of an object with thousands of mistakes the errors are told, some of the rest, and how many there are', () => {
  const store = compiled({
    ...filled((i) => [`maesh.dev/retries-${String(i).padStart(8, 'a')}`, '']),
    'maesh.dev/timeout-request': 'soon',
    'maesh.dev/port.10001.retry-attempts': '0',
    'maesh.dev/port.10000.balance': 'round-robin',
  });
  const problems = store.compiler.problems();
  assert.equal(problems.length, FINDINGS_MAX);
  const errors = problems.filter(({ severity }) => severity === 'error');
  assert.deepEqual(
    errors.map(({ value }) => value),
    ['0', 'soon'],
  );
  const [rest] = problems.filter(({ field }) => field === 'metadata.name');
  assert.match(rest?.message ?? '', /^9,\d{3} more problems of this object are not listed$/);
  assert.equal(
    store.services.get('shop/web')?.ports[0]?.policies?.balance.algorithm,
    'round-robin',
  );
});

test('names that were not meant are guessed for the first ones only', () => {
  const unknown = compiled(filled((i) => [`maesh.dev/retry-attempt${i}`, '']));
  assert.ok(guesses(unknown.compiler.problems()) <= 20);
  const numbers = compiled(
    filled((i) => [`maesh.dev/port.${i + 12_000}.balance`, 'weighted']),
    1_900,
  );
  assert.ok(guesses(numbers.compiler.problems()) <= 20);
});

test('a mistake of a Namespace costs nothing for each of its Services', () => {
  const annotations = filled((i) => [`maesh.dev/mash${i}`, '']);
  const store = new CompiledStore(TEST_OPTIONS);
  store.set(
    make.namespaceOf('shop', {
      annotations: {
        ...annotations,
        'mesh.traefik.io/mesh': 'enabled',
        'maesh.dev/mesh': 'disabled',
      },
    }),
    ...Array.from({ length: 300 }, (_, i) => make.serviceOf(`web-${i}`)),
  );
  const { user } = process.cpuUsage();
  store.update();
  // Some 10 ms; with all of its annotations for each, a hundred times that.
  assert.ok(process.cpuUsage().user - user < 2_000_000);
  assert.equal(store.services.size, 0);
});

test('a value of thousands of parts is refused before they are compared, and messages stay short', () => {
  const parts = Array.from({ length: 30_000 }, (_, i) => String(100 + i)).join();
  const { compiler } = compiled({
    'maesh.dev/retry-statuses': parts,
    'maesh.dev/retry-on': 'x'.repeat(200_000),
  });
  const told = compiler.problems().filter(({ severity }) => severity === 'error');
  assert.deepEqual(
    told.map(({ message }) => message),
    [
      `retry-on has a part "${'x'.repeat(49)}…" that is not known`,
      'retry-statuses has more than 1,000 parts',
    ],
  );
});
