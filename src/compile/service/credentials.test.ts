/** From annotations and Secrets to what ports say, and to credentials that are in no Service. */

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { TestCa } from '../../../test/support/certificates.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { ServicePort } from '../../model/service.ts';
import { CompiledStore, refOf, TEST_OPTIONS } from '../compiled-store.fixture.ts';
import * as make from '../objects.fixture.ts';

const ca = await TestCa.make();
const [first, second] = [
  await ca.issue({ names: ['web.shop.maesh'] }),
  await ca.issue({ names: ['other.example'] }),
];
const secret = (name: string, { cert, key } = first, more = {}) =>
  make.secretOf(name, { certificate: cert, key, ca: ca.pem, ...more });
const TLS = { 'maesh.dev/tls-secret': 'web-tls' };
const CLIENT = { 'maesh.dev/scheme': 'https', 'maesh.dev/upstream-client-secret': 'web-client' };

interface Bed {
  readonly store: CompiledStore;
  readonly ports: () => readonly ServicePort[];
  readonly problems: () => readonly string[];
  /** What became of credentials with the update. */
  readonly update: () => { changed: string[]; removed: readonly string[] };
}

function bed(
  annotations: Record<string, string>,
  objects: readonly KubeObject[] = [],
  options = TEST_OPTIONS,
  ports = [make.portOf({ name: 'a', port: 80 }), make.portOf({ name: 'b', port: 81 })],
): Bed {
  const store = new CompiledStore(options);
  store.set(
    make.serviceOf('web', { annotations, ports }),
    make.podOf('web-1', 'web', '127.1.0.1'),
    ...objects,
  );
  const update: Bed['update'] = () => {
    store.update();
    const { changed = [], removed = [] } = store.compiler.takeCredentials() ?? {};
    return { changed: changed.map(({ key, digest }) => `${key} ${digest.slice(0, 8)}`), removed };
  };
  return {
    store,
    update,
    ports: () => store.service('shop/web')!.ports,
    problems: () => store.problems().map(({ severity, message }) => `${severity} ${message}`),
  };
}

test('a certificate comes with its Secret, follows it, and goes with it', () => {
  const { store, update, ports, problems } = bed(TLS);
  assert.deepEqual(update(), { changed: [], removed: [] });
  const digest = (): string => ports()[0]!.callerTls!.certificates[0]!.digest;
  assert.equal(digest(), '');
  assert.equal(problems().length, 1);
  store.set(secret('web-tls'));
  const { changed } = update();
  assert.deepEqual(changed, [`shop/web-tls ${digest().slice(0, 8)}`]);
  assert.deepEqual(problems(), []);
  assert.deepEqual(update(), { changed: [], removed: [] });
  const before = digest();
  store.set(secret('web-tls', second));
  assert.equal(update().changed.length, 1);
  assert.notEqual(digest(), before);
  store.delete(refOf(secret('web-tls')));
  assert.deepEqual(update(), { changed: [], removed: ['shop/web-tls'] });
  assert.equal(digest(), '');
  store.set(secret('web-tls'));
  update();
  store.set(make.serviceOf('web', { annotations: {} }));
  assert.deepEqual(update().removed, ['shop/web-tls']);
  assert.equal(ports()[0]!.callerTls, null);
});

test('what two Services name stays until both have let go', () => {
  const { store, update } = bed(TLS, [
    secret('web-tls'),
    make.serviceOf('api', { annotations: TLS, selector: { app: 'web' } }),
  ]);
  assert.equal(update().changed.length, 1);
  store.set(make.serviceOf('api', { annotations: {} }));
  assert.deepEqual(update(), { changed: [], removed: [] });
  store.delete(refOf(make.serviceOf('web', {})));
  assert.deepEqual(update(), { changed: [], removed: ['shop/web-tls'] });
});

test('several are in the order of the annotation; what cannot be used takes none of the others away', () => {
  const annotations = { 'maesh.dev/tls-secret': 'second, web-tls,missing' };
  const { update, ports, problems } = bed(annotations, [
    secret('web-tls'),
    secret('second', second),
  ]);
  assert.equal(update().changed.length, 2);
  const told = ports()[0]!.callerTls!.certificates.map(({ secret, names }) => [secret, ...names]);
  assert.deepEqual(told, [
    ['shop/second', 'other.example'],
    ['shop/web-tls', 'web.shop.maesh'],
    ['shop/missing'],
  ]);
  assert.equal(problems().length, 1);
});

test('a port says otherwise than its Service', () => {
  const { update, ports } = bed(
    {
      ...TLS,
      ...CLIENT,
      'maesh.dev/port.81.tls-secret': 'none',
      'maesh.dev/port.80.upstream-client-secret': 'none',
    },
    [secret('web-tls'), secret('web-client', second)],
  );
  assert.equal(update().changed.length, 2);
  const [a, b] = ports();
  assert.deepEqual([a!.callerTls?.certificates.length, a!.backend.tls?.client], [1, null]);
  assert.deepEqual([b!.callerTls, b!.backend.tls?.client?.secret], [null, 'shop/web-client']);
});

test('a port that only says TLS is ended where there is a Secret, and TLS is spoken to its endpoints', () => {
  const ports = [
    make.portOf({ name: 'https', port: 443 }),
    make.portOf({ name: 'b', port: 444, appProtocol: 'tls' }),
  ];
  const said = (annotations: Record<string, string>) => {
    const made = bed(annotations, [secret('web-tls')], TEST_OPTIONS, ports);
    made.update();
    return made
      .ports()
      .map(({ protocol, passesTls, callerTls, backend }) =>
        [protocol, passesTls, callerTls !== null, backend.protocol, backend.tls !== null].join(),
      );
  };
  const passed = 'tcp,true,false,tcp,false';
  const ended = 'http,false,true,http/1.1,true';
  assert.deepEqual(said({}), [passed, passed]);
  assert.deepEqual(said(TLS), [ended, ended]);
  assert.deepEqual(said({ ...TLS, 'maesh.dev/port.444.tls-secret': 'none' }), [ended, passed]);
  assert.deepEqual(said({ ...TLS, 'maesh.dev/scheme': 'http' }), [
    'http,false,true,http/1.1,false',
    'http,false,true,http/1.1,false',
  ]);
  // What cannot be read means https, and never plain TCP to who speaks TLS.
  assert.deepEqual(said({ ...TLS, 'maesh.dev/scheme': 'htps' }), [ended, ended]);
});

suite('what cannot be used is an error, and leads to nothing else', () => {
  const cases: readonly [why: string, value: string, objects: readonly KubeObject[]][] = [
    ['which is not there, or not of type kubernetes.io/tls', 'web-tls', []],
    [
      'which is not of type kubernetes.io/tls',
      'web-tls',
      [secret('web-tls', first, { type: 'Opaque' })],
    ],
    ['which is not there', 'web-tls', [secret('web-tls', first, { namespace: 'bank' })]],
    ['it has no tls.key', 'web-tls', [make.secretOf('web-tls', { certificate: first.cert })]],
    [
      'its tls.key does not belong',
      'web-tls',
      [make.secretOf('web-tls', { certificate: first.cert, key: second.key })],
    ],
    ['does not name a Secret', 'bank/web-tls', []],
    ['does not name a Secret', '', []],
    ['does not name a Secret', 'a,,b', []],
    ['does not name a Secret', 'Web', []],
  ];
  for (const [why, value, objects] of cases)
    test(`"${value}": ${why}`, () => {
      const callers = bed({ 'maesh.dev/tls-secret': value }, objects);
      assert.deepEqual(callers.update(), { changed: [], removed: [] });
      const clients = bed({ ...CLIENT, 'maesh.dev/upstream-client-secret': value }, objects);
      assert.deepEqual(clients.update(), { changed: [], removed: [] });
      for (const each of [callers, clients]) {
        assert.equal(each.problems().length, 1, each.problems().join('\n'));
        assert.match(each.problems()[0]!, /^error /);
        assert.ok(each.problems()[0]!.includes(why), each.problems()[0]!);
      }
      for (const { callerTls, protocol } of callers.ports()) {
        assert.equal(protocol, 'http');
        assert.deepEqual(
          callerTls?.certificates.map(({ digest }) => digest),
          [''],
        );
      }
      for (const { backend } of clients.ports()) assert.equal(backend.tls?.client?.digest, '');
    });
});

test('without the right to its namespace, the Role that is missing is told, and the Secret not looked at', () => {
  const annotations = { ...TLS, ...CLIENT, 'maesh.dev/upstream-ca': 'secret/web-tls' };
  const objects = [secret('web-tls'), secret('web-client')];
  const { store, update } = bed(annotations, objects, {
    ...TEST_OPTIONS,
    secretNamespaces: ['bank'],
  });
  assert.deepEqual(update(), { changed: [], removed: [] });
  const told = store.problems().filter(({ severity }) => severity === 'error');
  assert.equal(told.length, 3);
  for (const { message, remedy } of told) {
    assert.match(message, /no right to read Secrets of namespace shop$/);
    assert.match(
      remedy,
      /Role maesh-controller-secrets there: add shop to controller\.secretNamespaces/,
    );
  }
  const given = bed(annotations, objects, { ...TEST_OPTIONS, secretNamespaces: ['shop'] });
  assert.equal(given.update().changed.length, 2);
  assert.deepEqual(given.problems(), []);
});

test('CAs come from a Secret, too', () => {
  const annotations = {
    'maesh.dev/scheme': 'https',
    'maesh.dev/upstream-ca': 'secret/web-ca',
    'maesh.dev/port.81.upstream-ca': 'secret/web-ca/tls.crt',
  };
  const { store, update, ports, problems } = bed(annotations, [secret('web-ca', second)]);
  assert.deepEqual(update(), { changed: [], removed: [] });
  assert.deepEqual(
    ports().map(({ backend }) => backend.tls?.ca.trim()),
    [ca.pem.trim(), second.cert.trim()],
  );
  assert.deepEqual(problems(), []);
  store.set(make.secretOf('web-ca', { ca: `${ca.pem}\n${first.key}` }));
  update();
  assert.deepEqual(
    ports().map(({ backend }) => backend.tls?.ca),
    ['', ''],
  );
  assert.equal(problems().length, 2);
  assert.ok(!problems().join().includes(first.key.split('\n')[1]!));
});

test('a certificate for another purpose is told', async () => {
  const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
  const made = await ca.issue({ names: ['a'], purposes: [CLIENT_AUTH] });
  const callers = bed(TLS, [secret('web-tls', made)]);
  callers.update();
  assert.match(callers.problems().join(), /^warning .* is not for callers|not for callers/);
  const clients = bed(CLIENT, [secret('web-client', made)]);
  clients.update();
  assert.deepEqual(clients.problems(), []);
});

test('where no TLS is spoken, what is said of it has no effect, and that is told', () => {
  const { update, problems } = bed({ 'maesh.dev/upstream-client-secret': 'web-client' }, [
    secret('web-client'),
  ]);
  assert.deepEqual(update(), { changed: [], removed: [] });
  assert.match(problems().join(), /^warning upstream-client-secret has no effect/);
});
