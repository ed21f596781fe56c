import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompiledStore, TEST_OPTIONS } from './compiled-store.fixture.ts';
import * as make from './objects.fixture.ts';

function compiledWith(scope: { readonly isOptIn: boolean }): CompiledStore {
  const compiled = new CompiledStore({
    ...TEST_OPTIONS,
    scope: { watchNamespaces: [], ignoreNamespaces: ['left'], ...scope },
  });
  const meta = (namespace: string, name: string) => ({ meta: make.metaOf(name, namespace) });
  compiled.set(
    make.serviceOf('web'),
    make.serviceOf('in', { annotations: { 'maesh.dev/mesh': 'enabled' } }),
    make.serviceOf('out', { annotations: { 'maesh.dev/mesh': 'disabled' } }),
    make.serviceOf('far', { type: 'ExternalName' }),
    make.serviceOf('kubernetes', meta('default', 'kubernetes')),
    make.serviceOf('db', meta('bank', 'db')),
    make.namespaceOf('bank', { annotations: { 'maesh.dev/mesh': 'disabled' } }),
  );
  compiled.update();
  return compiled;
}

function outside(compiled: CompiledStore, namespace: string): Record<string, string> {
  const all = [...compiled.compiler.outside(namespace)];
  return Object.fromEntries(all.map(({ service, reason }) => [service, reason]));
}

test('outside() has every Service that is no member, with why, and no member', () => {
  const compiled = compiledWith({ isOptIn: true });
  assert.deepEqual(outside(compiled, ''), {
    'shop/web': 'opt-in mode: neither the Service nor its Namespace has maesh.dev/mesh: enabled',
    'shop/out': 'maesh.dev/mesh is "disabled" on the Service',
    'shop/far': 'Services of type ExternalName have no endpoints of their own',
    'default/kubernetes': 'the Service of the API server is never part of the mesh',
    'bank/db': 'maesh.dev/mesh is "disabled" on its Namespace',
  });
  assert.deepEqual([...compiled.services.keys()], ['shop/in']);
});

test('outside() of a namespace, also of one that is not read at all', () => {
  const compiled = compiledWith({ isOptIn: false });
  assert.deepEqual(Object.keys(outside(compiled, 'shop')), ['shop/out', 'shop/far']);
  assert.deepEqual(outside(compiled, 'left'), {
    'left/*': 'namespace left is excluded (--ignore-namespace)',
  });
  assert.deepEqual(outside(compiled, 'kube-system'), {
    'kube-system/*': 'namespace kube-system is never part of the mesh',
  });
});

test('a Service of type ExternalName that nobody left out is told that its mesh name does not resolve', () => {
  const told = (isOptIn: boolean, annotations: Record<string, string> = {}): string[] => {
    const compiled = new CompiledStore({
      ...TEST_OPTIONS,
      scope: { watchNamespaces: [], ignoreNamespaces: [], isOptIn },
    });
    compiled.set(make.serviceOf('far', { type: 'ExternalName', annotations }));
    compiled.update();
    return compiled
      .problems()
      .map(({ severity, object, field, message }) => `${severity} ${object} ${field}: ${message}`);
  };
  const unnamed =
    'warning Service shop/far spec.type: a Service of type ExternalName has no endpoints of its own, so its mesh name does not resolve and its annotations have no effect';
  const idle =
    'warning Service shop/far spec.type: a Service of type ExternalName is not part of the mesh, so its annotations have no effect';
  assert.deepEqual(told(false), [unnamed]);
  assert.deepEqual(told(false, { 'maesh.dev/mesh': 'disabled' }), []);
  assert.deepEqual(told(true), []);
  assert.deepEqual(told(true, { 'maesh.dev/mesh': 'enabled' }), [unnamed]);
  assert.deepEqual(told(true, { 'maesh.dev/retry-attempts': '3' }), [idle]);
});

test('what a Namespace says for a Service of type ExternalName is heard when it changes', () => {
  const compiled = new CompiledStore();
  compiled.set(make.serviceOf('far', { type: 'ExternalName' }), make.namespaceOf('shop'));
  compiled.update();
  assert.equal(compiled.problems().length, 1);
  compiled.set(make.namespaceOf('shop', { labels: { 'maesh.dev/mesh': 'disabled' } }));
  compiled.update();
  assert.deepEqual(compiled.problems(), []);
});
