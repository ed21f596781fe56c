import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { EndpointSliceObject } from './kind/endpoint-slice.ts';
import type { NamespaceObject } from './kind/namespace.ts';
import type { KubeObject } from './object.ts';
import { Store, refKey } from './store.ts';
import type { ObjectRef } from './store.ts';

function namespace(name: string, label = ''): NamespaceObject {
  return { kind: 'Namespace', meta: meta('', name, label) };
}

function slice(ns: string, name: string, service: string): EndpointSliceObject {
  return {
    kind: 'EndpointSlice',
    meta: meta(ns, name, ''),
    service,
    addressType: 'IPv4',
    ports: [],
    endpoints: [],
  };
}

function meta(ns: string, name: string, label: string): KubeObject['meta'] {
  return {
    name,
    namespace: ns,
    labels: { l: label },
    annotations: {},
    uid: '',
    deletionTimestamp: '',
  };
}

function watched(store: Store): string[][] {
  const told: string[][] = [];
  store.subscribe((changed) => told.push(changed.map((ref) => refKey(ref))));
  return told;
}

test('set() tells subscribers once and an equal object is no change', () => {
  const store = new Store();
  const told = watched(store);
  store.set(namespace('a'));
  store.set(namespace('a'), { file: 'x.yaml', line: 3, column: 1 });
  assert.deepEqual(told, [['Namespace//a']]);
  const ref: ObjectRef = { kind: 'Namespace', namespace: '', name: 'a' };
  assert.equal(store.originOf(ref).line, 3);
});

test('batch() tells once, leaves out what ends as it began, and may be nested', () => {
  const store = new Store();
  store.set(namespace('kept'));
  const told = watched(store);
  store.batch(() => {
    store.delete({ kind: 'Namespace', namespace: '', name: 'kept' });
    store.batch(() => store.set(namespace('new')));
    store.set(namespace('passing'));
    store.delete({ kind: 'Namespace', namespace: '', name: 'passing' });
    store.set(namespace('kept'));
  });
  assert.deepEqual(told, [['Namespace//new']]);
});

test('batch() tells what was done before it threw', () => {
  const store = new Store();
  const told = watched(store);
  assert.throws(() =>
    store.batch(() => {
      store.set(namespace('a'));
      throw new Error('later');
    }),
  );
  assert.deepEqual(told, [['Namespace//a']]);
});

test('subscribe() ends with the function it returns', () => {
  const store = new Store();
  let calls = 0;
  const stop = store.subscribe(() => calls++);
  store.set(namespace('a'));
  stop();
  store.set(namespace('b'));
  assert.equal(calls, 1);
});

test('slicesOf() follows a slice to another Service and its removal', () => {
  const store = new Store();
  const names = (service: string): string[] =>
    [...store.slicesOf('shop', service)].map((object) => object.meta.name);
  store.set(slice('shop', 's1', 'web'));
  store.set(slice('shop', 's2', 'web'));
  store.set(slice('other', 's3', 'web'));
  assert.deepEqual(names('web'), ['s1', 's2']);
  store.set(slice('shop', 's1', 'api'));
  assert.deepEqual([names('web'), names('api')], [['s2'], ['s1']]);
  store.delete({ kind: 'EndpointSlice', namespace: 'shop', name: 's2' });
  assert.deepEqual(names('web'), []);
});

test('the indexes agree with a plain map after any changes', () => {
  const step = fc.record({
    remove: fc.boolean(),
    ns: fc.constantFrom('a', 'b'),
    name: fc.constantFrom('x', 'y', 'z'),
    service: fc.constantFrom('', 'web', 'api'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const store = new Store();
      const plain = new Map<string, EndpointSliceObject>();
      for (const { remove, ns, name, service } of steps) {
        const object = slice(ns, name, service);
        if (remove) {
          store.delete({ kind: 'EndpointSlice', namespace: ns, name });
          plain.delete(`${ns}/${name}`);
        } else {
          store.set(object);
          plain.set(`${ns}/${name}`, object);
        }
      }
      const sorted = (objects: Iterable<EndpointSliceObject>): string[] =>
        [...objects].map((o) => `${o.meta.namespace}/${o.meta.name}/${o.service}`).toSorted();
      const all = [...plain.values()];
      assert.deepEqual(sorted(store.list('EndpointSlice')), sorted(all));
      for (const ns of ['a', 'b']) {
        const ours = all.filter((o) => o.meta.namespace === ns);
        assert.deepEqual(sorted(store.list('EndpointSlice', ns)), sorted(ours));
        for (const service of ['web', 'api']) {
          assert.deepEqual(
            sorted(store.slicesOf(ns, service)),
            sorted(ours.filter((o) => o.service === service)),
          );
        }
      }
    }),
  );
});
