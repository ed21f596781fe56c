import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { METHODS_MAX, MethodRoom, MethodTable, OTHER_METHOD } from './method-table.ts';

function table(perService = 3) {
  const shown: string[] = [];
  const room = new MethodRoom(perService);
  room.onMethod = (service, method) => shown.push(`${service} ${method}`);
  const methods = new MethodTable('s/a');
  const count = (path: string, isSuccess: boolean): void => {
    const data = Buffer.from(`POST ${path} HTTP`, 'latin1');
    const cells = methods.cellsOf(room, data, 5, data.length - 5, isSuccess);
    cells[0] = (cells[0] ?? 0) + 1;
  };
  return { shown, room, methods, count };
}

test('a method has figures of its own from its first success on', () => {
  const { shown, count } = table();
  assert.deepEqual(shown, []);
  count('/a.B/Missing', false);
  assert.deepEqual(shown, [`s/a ${OTHER_METHOD}`]);
  count('/a.B/Get', false);
  assert.equal(shown.length, 1);
  count('/a.B/Get', true);
  count('/a.B/Get', false);
  assert.deepEqual(shown, ['s/a other', 's/a a.B/Get']);
});

test('calls that never succeed take no place, however many there are', () => {
  const { shown, count } = table(2);
  for (let i = 0; i < 10_000; i++) count(`/a.B/Made${i}`, false);
  count('/a.B/Get', true);
  count('/a.B/Put', true);
  count('/a.B/Late', true);
  assert.deepEqual(shown, ['s/a other', 's/a a.B/Get', 's/a a.B/Put']);
});

test('only the name of a method becomes one', () => {
  for (const path of [
    '/',
    '/noslash',
    '/a.B/Get?x=1',
    '/a.B/G"et',
    '/a.B/G\\et',
    '/a.B/Gät',
    `/a.B/${'x'.repeat(300)}`,
    '*',
  ]) {
    const { shown, count } = table();
    count(path, true);
    assert.deepEqual(shown, ['s/a other'], path);
  }
});

test('names that end alike are told apart', () => {
  const { shown, count } = table();
  for (const path of ['/a.One/PlaceTheOrder', '/a.Two/PlaceTheOrder', '/a.One/PlaceTheOrder'])
    count(path, true);
  assert.deepEqual(shown, ['s/a other', 's/a a.One/PlaceTheOrder', 's/a a.Two/PlaceTheOrder']);
});

test('0 methods: all of them share', () => {
  const { shown, count } = table(0);
  count('/a.B/Get', true);
  assert.deepEqual(shown, ['s/a other']);
});

test('all Services of a thread share a room, and one that leaves makes place', () => {
  const room = new MethodRoom(METHODS_MAX);
  const first = new MethodTable('s/a');
  const second = new MethodTable('s/b');
  const paths = Array.from({ length: METHODS_MAX }, (_, i) => Buffer.from(`/a.B/M${i}`));
  for (const path of paths) first.cellsOf(room, path, 0, path.length, true);
  assert.equal(room.taken, METHODS_MAX);
  const path = Buffer.from('/a.B/Get');
  const other = second.cellsOf(room, path, 0, path.length, false);
  assert.equal(second.cellsOf(room, path, 0, path.length, true), other);
  first.release();
  first.release();
  assert.equal(room.taken, 0);
  assert.notEqual(second.cellsOf(room, path, 0, path.length, true), other);
  // A call that ends after its Service left keeps no place.
  const late = Buffer.from('/a.B/Late');
  first.cellsOf(room, late, 0, late.length, true);
  assert.equal(room.taken, 1);
});

test('whatever the paths, each is counted once, by its own name or among the others', () => {
  const name = fc.stringMatching(/^\/[a-c]{1,3}\/[a-c]{0,2}$/);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, fc.boolean()), { maxLength: 200 }),
      fc.integer({ min: 0, max: 8 }),
      (calls, perService) => {
        const room = new MethodRoom(perService);
        const cells = new Map<string, Float64Array>();
        room.onMethod = (_service, method, shared) => {
          assert.ok(!cells.has(method), method);
          cells.set(method, new Float64Array(shared));
        };
        const methods = new MethodTable('s/a');
        const wanted = new Map<string, number>();
        if (calls.length > 0) wanted.set(OTHER_METHOD, 0);
        for (const [path, isSuccess] of calls) {
          const own = path.slice(1);
          if (isSuccess && !wanted.has(own) && wanted.size <= perService) wanted.set(own, 0);
          const key = wanted.has(own) ? own : OTHER_METHOD;
          wanted.set(key, (wanted.get(key) ?? 0) + 1);
          const data = Buffer.from(`xx${path}yy`);
          const found = methods.cellsOf(room, data, 2, data.length - 2, isSuccess);
          found[0] = (found[0] ?? 0) + 1;
        }
        const counted = new Map([...cells].map(([method, each]) => [method, each[0]]));
        assert.deepEqual(counted, wanted);
      },
    ),
  );
});
