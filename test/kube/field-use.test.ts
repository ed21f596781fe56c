import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { convert } from '../../src/kube/convert.ts';
import { pathsIn, type Use } from '../../src/kube/field-use.ts';
import { KINDS } from '../../src/kube/kind/table.ts';
import { UPSTREAM_CA_LABEL } from '../../src/model/names.ts';
import type { Kind } from '../../src/kube/object.ts';
import { readApiFields } from '../support/api-fields.ts';
import { renderFieldUse } from '../support/field-use-document.ts';

const API = readApiFields();
const NAMES = Object.keys(KINDS) as Kind[];
const USES: readonly Use[] = ['honoured', 'told', 'irrelevant'];

/** Each path of the table with its lists, of which there should be one. */
function listed(kind: Kind): Map<string, Use[]> {
  const found = new Map<string, Use[]>();
  for (const use of USES) {
    for (const [paths] of KINDS[kind].fields[use]) {
      for (const path of pathsIn(paths)) found.set(path, [...(found.get(path) ?? []), use]);
    }
  }
  return found;
}

/** All fields of the API below a definition; what the table has is not entered. */
function* uncovered(
  definition: string,
  prefix: string,
  known: ReadonlySet<string>,
  seen: Set<string>,
): Iterable<string> {
  for (const [field, type] of Object.entries(API.definitions[definition] ?? {})) {
    const path = `${prefix}${field}`;
    const items = type.startsWith('[]') ? '[]' : '';
    for (const each of [path, path + items]) if (known.has(each)) seen.add(each);
    if (known.has(path) || known.has(path + items)) continue;
    const inner = type.replace(/^(\[\]|\{\})+/, '');
    if (API.definitions[inner] === undefined) yield path;
    else yield* uncovered(inner, `${path}${items}.`, known, seen);
  }
}

for (const kind of NAMES) {
  test(`every field of a ${kind} is honoured, told or irrelevant, and there is no other`, () => {
    const lists = listed(kind);
    const twice = [...lists].filter(([, uses]) => uses.length !== 1).map(([path]) => path);
    assert.deepEqual(twice, [], 'in one list each');
    const seen = new Set<string>();
    const known = new Set(lists.keys());
    const missing = [...uncovered(API.kinds[kind], '', known, seen)];
    assert.deepEqual(missing, [], 'nobody said what happens to these fields');
    assert.deepEqual(
      [...known].filter((path) => !seen.has(path)),
      [],
      'the API has no such fields',
    );
  });

  test(`of a ${kind} exactly what is honoured or told is read`, () => {
    const read = readPaths(kind);
    for (const [path, [use]] of listed(kind)) {
      if (path === 'apiVersion' || path === 'kind') continue;
      const isRead = [...read].some((each) => isAtOrBelow(each, path));
      assert.equal(isRead, use !== 'irrelevant', `${path}, which is ${use}`);
    }
  });
}

test('docs/kubernetes-fields.md is written from the table', () => {
  const file = new URL('../../docs/kubernetes-fields.md', import.meta.url);
  const text = renderFieldUse(API.version);
  if (process.env['UPDATE'] === '1') writeFileSync(file, text);
  assert.equal(readFileSync(file, 'utf8'), text);
});

function isAtOrBelow(path: string, parent: string): boolean {
  if (!path.startsWith(parent)) return false;
  return path.length === parent.length || '.[{'.includes(path.charAt(parent.length));
}

/** Values with which a reader goes on to the end; of every other field any value of its type does. */
const VALUES: Readonly<Record<string, unknown>> = {
  protocol: 'TCP',
  type: 'ClusterIP',
  clusterIP: '10.96.0.1',
  clusterIPs: '10.96.0.1',
  ip: '10.1.0.1',
  podIP: '10.1.0.1',
  addressType: 'IPv4',
  addresses: '10.1.0.1',
  sessionAffinity: 'ClientIP',
  internalTrafficPolicy: 'Local',
  trafficDistribution: 'PreferClose',
  kind: 'Pod',
  restartPolicy: 'Always',
  port: 80,
  targetPort: 80,
  containerPort: 80,
  phase: 'Running',
  'status.conditions[].type': 'Ready',
};

/** What `convert` asks an object that has every field, and some that lack one. */
function readPaths(kind: Kind): ReadonlySet<string> {
  const read = new Set<string>();
  for (const without of [
    '',
    'metadata.name',
    'spec.serviceAccountName',
    'metadata.deletionTimestamp',
  ]) {
    const object = filled(API.kinds[kind], '', without, new Set());
    convert(KINDS[kind], recorded(object, '', read));
  }
  return read;
}

function filled(
  definition: string,
  prefix: string,
  without: string,
  above: ReadonlySet<string>,
): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const [field, type] of Object.entries(API.definitions[definition] ?? {})) {
    const path = `${prefix}${field}`;
    if (path === without) continue;
    const inner = type.replace(/^(\[\]|\{\})+/, '');
    // Definitions that contain themselves end here.
    if (above.has(inner)) continue;
    const isObject = API.definitions[inner] !== undefined;
    const one = isObject
      ? filled(
          inner,
          `${path}${type.startsWith('[]') ? '[]' : ''}.`,
          without,
          new Set([...above, inner]),
        )
      : (VALUES[path] ?? VALUES[field] ?? plain(inner));
    object[field] = type.startsWith('[]') ? [one] : type.startsWith('{}') ? { x: one } : one;
    if (path === 'metadata.labels') object[field] = { x: one, [UPSTREAM_CA_LABEL]: 'true' };
  }
  return object;
}

function plain(type: string): unknown {
  if (type === 'integer' || type === 'number') return 1;
  return type === 'boolean' ? false : 'x';
}

function recorded(
  value: Record<string, unknown>,
  prefix: string,
  read: Set<string>,
): Record<string, unknown> {
  return new Proxy(value, {
    get(target, key) {
      if (typeof key === 'symbol') return undefined;
      const path = prefix + key;
      read.add(path);
      const found = target[key];
      if (Array.isArray(found)) {
        return found.map((item: unknown) =>
          isRecord(item) ? recorded(item, `${path}[].`, read) : item,
        );
      }
      return isRecord(found) ? recorded(found, `${path}.`, read) : found;
    },
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
