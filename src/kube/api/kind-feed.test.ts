import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Store } from '../store.ts';
import { KindFeed } from './kind-feed.ts';
import type { Picked } from './watched-kind.ts';

function node(name: string): Picked {
  const meta = { name, namespace: '', labels: {}, annotations: {}, uid: '', deletionTimestamp: '' };
  return { namespace: '', name, object: { kind: 'Node', meta, zone: '' }, problems: [] };
}

test('replace() overrules what waits, and later events what it said', () => {
  const store = new Store();
  const waits: boolean[] = [];
  const feed = new KindFeed({
    store,
    kind: 'Node',
    namespace: null,
    name: null,
    onPending: (isWhole) => waits.push(isWhole),
  });
  const names = (): string[] => [...store.list('Node')].map(({ meta }) => meta.name).toSorted();
  feed.set(node('old'));
  feed.flush();
  feed.set(node('stale'));
  feed.replace([node('a'), node('b')]);
  feed.set(node('c'));
  feed.delete({ namespace: '', name: 'b' });
  assert.deepEqual(names(), ['old'], 'nothing is written before the flush');
  feed.flush();
  assert.deepEqual(names(), ['a', 'c']);
  assert.equal(feed.objects, 2);
  assert.deepEqual(waits, [false, false, true, false, false]);
  feed.clear();
  assert.deepEqual(names(), []);
});

test('a new list takes nothing away in namespaces that are another feed', () => {
  const store = new Store();
  const service = (namespace: string): Picked => {
    const { object, ...picked } = node('web');
    assert.ok(object !== null);
    const meta = { ...object.meta, namespace };
    return { ...picked, namespace, object: { ...object, meta } };
  };
  const options = { store, kind: 'Node' as const, name: null, onPending: () => undefined };
  const all = new KindFeed({ ...options, namespace: null, without: ['maesh'] });
  const own = new KindFeed({ ...options, namespace: 'maesh' });
  all.set(service('shop'));
  own.set(service('maesh'));
  all.flush();
  own.flush();
  all.replace([]);
  all.flush();
  assert.deepEqual(
    [...store.list('Node')].map(({ meta }) => meta.namespace),
    ['maesh'],
  );
});
