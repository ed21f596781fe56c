import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crowd, manifest, serviceObjects } from './manifests.ts';

test('crowd() gives every endpoint an address of its own in 127.128.0.0/9', () => {
  const shapes = crowd({ services: 1_000, endpointsEach: 10, port: 80 });
  const addresses = shapes.flatMap((shape) => shape.endpoints);
  assert.equal(shapes.length, 1_000);
  assert.equal(new Set(addresses).size, 10_000);
  assert.equal(addresses[0], '127.128.0.1');
  assert.equal(addresses[255], '127.128.1.0');
  assert.ok(addresses.every((address) => /^127\.(12[89]|1[3-9]\d|2\d\d)\./.test(address)));
});

test('crowd() gives every Service a name of its own, a hundred to a namespace', () => {
  const shapes = crowd({ services: 250, endpointsEach: 1, port: 80 });
  assert.equal(new Set(shapes.map((shape) => `${shape.namespace}/${shape.name}`)).size, 250);
  assert.equal(new Set(shapes.map((shape) => shape.namespace)).size, 3);
});

test('crowd() is the same for the same input', () => {
  const input = { services: 20, endpointsEach: 3, port: 8_080 };
  assert.deepEqual(crowd(input), crowd(input));
});

test('serviceObjects() puts at most 100 endpoints into one slice', () => {
  const [shape] = crowd({ services: 1, endpointsEach: 250, port: 80 });
  assert.ok(shape);
  const [service, ...slices] = serviceObjects(shape);
  assert.partialDeepStrictEqual(service, { kind: 'Service', metadata: { name: shape.name } });
  assert.deepEqual(
    slices.map((slice) => ('endpoints' in slice ? slice.endpoints : [])).map(lengthOf),
    [100, 100, 50],
  );
});

test('manifest() is a List of all objects', () => {
  const text = manifest(crowd({ services: 3, endpointsEach: 2, port: 80 }));
  const list: { kind: string; items: unknown[] } = JSON.parse(text);
  assert.equal(list.kind, 'List');
  assert.equal(list.items.length, 6);
});

function lengthOf(value: unknown): number {
  return Array.isArray(value) ? value.length : -1;
}
