import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../model/defaults.ts';
import type { Policies } from '../../model/policy.ts';
import { metaOf } from '../objects.fixture.ts';
import { policiesOf } from './policies.ts';
import { readAnnotations } from './read.ts';
import { ROWS } from './table.ts';
import { ANNOTATION_PREFIX } from '../../model/names.ts';

const REF = { kind: 'Service', namespace: 'shop', name: 'web' } as const;

/** Every annotation at its example, so that every policy is there. */
function everything(): Policies {
  const annotations = Object.fromEntries(
    [...ROWS.values()]
      // No check asks for everything.
      .filter(({ on, name }) => on.includes('Service') && name !== 'health-check-grpc-service')
      .map((row) => [
        ANNOTATION_PREFIX + row.name,
        row.name === 'balance' ? 'consistent-hash' : row.example,
      ]),
  );
  const read = readAnnotations('Service', REF, metaOf('web', 'shop', { annotations }));
  assert.deepEqual(read.findings, []);
  const { policies, findings, sources } = policiesOf(read, REF);
  assert.deepEqual(findings, []);
  const expected = Object.keys(annotations).map((key) => `metadata.annotations["${key}"]`);
  assert.deepEqual(
    Object.values(sources)
      .map(({ field }) => field)
      .sort(),
    expected.sort(),
  );
  return policies;
}

/** `retry.attempts` and so on. */
function leaves(policies: Policies): string[] {
  return Object.entries(policies).flatMap(([policy, fields]: [string, object | null]) =>
    Object.keys(fields ?? {}).map((field) => `${policy}.${field}`),
  );
}

suite('the table of annotations', () => {
  test('has a row for every field of every policy, and none for anything else', () => {
    const fields = leaves(everything());
    // The tree is made from the text.
    const expected = fields.filter((field) => field !== 'breaker.expression').sort();
    const rows = [...ROWS.values()].filter((row) => row.policy !== null);
    assert.deepEqual(rows.map((row) => `${row.policy}.${row.field}`).sort(), expected);
  });

  test('gives examples that differ from the default', () => {
    const defaults = { ...DEFAULT_POLICIES, retry: DEFAULT_RETRY };
    for (const row of ROWS.values()) {
      const read = row.type.read(row.example);
      assert.ok(read.ok, row.name);
      if (row.policy === null) continue;
      const policy = Object.entries(defaults[row.policy] ?? {});
      const [, value] = policy.find(([field]) => field === row.field) ?? [];
      assert.notDeepEqual(read.value, value, row.name);
    }
  });

  test('reads under the legacy prefixes what Traefik Mesh documents', () => {
    const legacy = [...ROWS.values()].filter((row) => row.legacy).map((row) => row.name);
    assert.deepEqual(legacy.sort(), [
      'circuit-breaker-expression',
      'ratelimit-average',
      'ratelimit-burst',
      'retry-attempts',
      'scheme',
      'traffic-type',
    ]);
  });

  test('fits the limits of Kubernetes for names', () => {
    for (const name of ROWS.keys()) assert.match(name, /^[a-z](?:[a-z-]{0,61}[a-z])?$/);
  });
});
