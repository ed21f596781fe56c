import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { TestCa } from '../../../test/support/certificates.ts';
import type { ConfigMapObject } from '../../kube/kind/config-map.ts';
import { CA_BYTES_MAX, CA_CERTIFICATES_MAX } from '../../model/endpoint-tls.ts';
import type { Backend } from '../../model/service.ts';
import { CompiledStore, refOf } from '../compiled-store.fixture.ts';
import * as make from '../objects.fixture.ts';
import { certificatesIn, certificatesOf } from './endpoint-tls.ts';

const ca = await TestCa.make();
const other = await TestCa.make('another CA');
const LABELS = { 'maesh.dev/upstream-ca': 'true' };
const HTTPS = { 'maesh.dev/scheme': 'https' };
const CAS = { ...HTTPS, 'maesh.dev/upstream-ca': 'configmap/web-ca' };

function configMap(
  data: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>> = LABELS,
): ConfigMapObject {
  return { kind: 'ConfigMap', meta: make.metaOf('web-ca', 'shop', { labels }), data };
}

interface Compiled {
  readonly backends: readonly Backend[];
  /** Severity, annotation and message of each. */
  readonly problems: readonly string[];
}

function compiled(
  annotations: Record<string, string>,
  ...more: readonly ConfigMapObject[]
): Compiled {
  const ports = [
    make.portOf({ name: 'a', port: 80 }),
    make.portOf({ name: 'b', port: 81, appProtocol: 'grpc' }),
  ];
  const store = new CompiledStore();
  store.set(
    make.serviceOf('web', { annotations, ports }),
    make.podOf('web-1', 'web', '127.1.0.1'),
    ...more,
  );
  store.update();
  return resultOf(store);
}

function resultOf(store: CompiledStore): Compiled {
  const problems = store.problems().map(({ severity, field, message }) => {
    const [, name] = /"maesh\.dev\/(.*)"/.exec(field) ?? [];
    return `${severity} ${name}: ${message}`;
  });
  return { backends: store.service('shop/web')!.ports.map(({ backend }) => backend), problems };
}

test('what is spoken, who is asked for, and who is believed come from the annotations', () => {
  const serverName = 'web.shop.svc';
  const isPublic = { serverName, trust: 'public', ca: '', client: null };
  for (const [annotations, first, second] of [
    [{}, ['http/1.1', null], ['http/2', null]],
    [HTTPS, ['http/1.1', isPublic], ['http/2', isPublic]],
    [{ 'mesh.traefik.io/scheme': 'https' }, ['http/1.1', isPublic], ['http/2', isPublic]],
    [{ 'maesh.dev/scheme': 'h2' }, ['http/2', isPublic], ['http/2', isPublic]],
    [
      { ...HTTPS, 'maesh.dev/upstream-server-name': 'Web.Example.com' },
      ['http/1.1', { ...isPublic, serverName: 'web.example.com' }],
      ['http/2', { ...isPublic, serverName: 'web.example.com' }],
    ],
    [
      {
        ...HTTPS,
        'maesh.dev/port.81.upstream-server-name': 'b.example',
        'maesh.dev/port.80.scheme': 'http',
      },
      ['http/1.1', null],
      ['http/2', { ...isPublic, serverName: 'b.example' }],
    ],
  ] as const) {
    const { backends, problems } = compiled(annotations);
    assert.deepEqual(problems, []);
    assert.deepEqual(
      backends.map(({ protocol, tls }) => [protocol, tls]),
      [first, second],
    );
  }
});

test('a CA is taken from its ConfigMap, and follows it', () => {
  const store = new CompiledStore();
  const annotations = { ...CAS, 'maesh.dev/port.81.upstream-ca': 'configmap/web-ca/other.pem' };
  store.set(
    make.podOf('web-1', 'web', '127.1.0.1'),
    make.serviceOf('web', {
      annotations,
      ports: [make.portOf(), make.portOf({ name: 'b', port: 81 })],
    }),
  );
  const seen = (): readonly (string | undefined)[] => {
    store.update();
    return store.services.get('shop/web')!.ports.map(({ backend }) => backend.tls?.ca.trim());
  };
  assert.deepEqual(seen(), ['', ''], 'nobody is believed before it is there');
  store.set(configMap({ 'ca.crt': ca.pem, 'other.pem': other.pem }));
  assert.deepEqual(seen(), [ca.pem.trim(), other.pem.trim()]);
  assert.deepEqual(store.problems(), []);
  store.set(configMap({ 'ca.crt': `${ca.pem}\n${other.pem}` }));
  assert.deepEqual(seen(), [`${ca.pem}\n${other.pem}`.trim(), '']);
  assert.equal(store.problems().length, 1);
  store.delete(refOf(configMap({})));
  assert.deepEqual(seen(), ['', '']);
  assert.equal(store.problems().length, 2);
});

suite('a CA that cannot be used believes nobody, and is an error', () => {
  const cases: readonly [why: string, value: string, objects: readonly ConfigMapObject[]][] = [
    ['which is not there or has no label', 'configmap/web-ca', []],
    [
      'which is not there or has no label',
      'configmap/web-ca',
      [configMap({ 'ca.crt': ca.pem }, {})],
    ],
    ['which has no key "ca.crt"', 'configmap/web-ca', [configMap({ 'tls.crt': ca.pem })]],
    ['which has no key "__proto__"', 'configmap/web-ca/__proto__', [configMap({})]],
    ['it has no certificate', 'configmap/web-ca', [configMap({ 'ca.crt': 'no PEM' })]],
    [
      'its certificate 1 cannot be read',
      'configmap/web-ca',
      [configMap({ 'ca.crt': ca.pem.replace('MII', 'AAA') })],
    ],
    [
      'it has a private key',
      'configmap/web-ca',
      [
        configMap({
          'ca.crt': `${ca.pem}\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n`,
        }),
      ],
    ],
    ['does not name a ConfigMap', 'web-ca', [configMap({ 'ca.crt': ca.pem })]],
    ['which is not there, or not of type', 'secret/web-ca', [configMap({ 'ca.crt': ca.pem })]],
    ['does not name a ConfigMap or Secret', 'secret/web-ca/tls.key', []],
    [
      'does not name a ConfigMap',
      'configmap/other/web-ca/ca.crt',
      [configMap({ 'ca.crt': ca.pem })],
    ],
    ['does not name a ConfigMap', '', []],
  ];
  for (const [why, value, objects] of cases)
    test(`"${value}": ${why}`, () => {
      const { backends, problems } = compiled(
        { ...CAS, 'maesh.dev/upstream-ca': value },
        ...objects,
      );
      assert.deepEqual(problems.length, 1, problems.join());
      assert.ok(problems[0]!.startsWith('error upstream-ca: '));
      assert.ok(problems[0]!.includes(why), problems[0]!);
      for (const { tls } of backends) assert.deepEqual([tls?.trust, tls?.ca], ['given', '']);
    });
});

test('only certificates leave a ConfigMap, each once, whatever is around them', () => {
  const text = `a secret\n${ca.pem}\nanother\r\n${ca.pem.replaceAll('\n', '\r\n')}${other.pem}`;
  const found = certificatesIn(text);
  assert.deepEqual(found, { ok: true, text: `${ca.pem.trim()}\n${other.pem.trim()}\n` });
});

test('CAs are bounded in number', async () => {
  const many = await Promise.all(
    Array.from({ length: CA_CERTIFICATES_MAX + 1 }, () => TestCa.make()),
  );
  const pems = many.map(({ pem }) => pem);
  assert.equal(certificatesIn(pems.slice(1).join('\n')).ok, true);
  assert.equal(certificatesIn(pems.join('\n')).ok, false);
  assert.ok(pems.slice(1).join('\n').length < CA_BYTES_MAX);
});

test('CAs are counted before they are parsed', () => {
  const bad = Array.from({ length: CA_CERTIFICATES_MAX + 1 }, (_, i) =>
    ca.pem.replace('MII', `M${i}`),
  );
  const found = certificatesIn(bad.join('\n'));
  assert.ok(!found.ok && found.message.startsWith('it has 65 certificates'), JSON.stringify(found));
});

test('CAs of a ConfigMap are parsed once, whoever names it', () => {
  const object = configMap({ 'ca.crt': ca.pem, 'bad.crt': 'none' });
  for (const key of ['ca.crt', 'bad.crt']) {
    const found = certificatesOf(object, key);
    assert.ok(found !== null);
    assert.equal(certificatesOf(object, key), found);
    assert.notEqual(certificatesOf(configMap({ [key]: ca.pem }), key), found);
  }
  assert.equal(certificatesOf(object, '__proto__'), null);
});

test('to verify nothing has to be written, and is told for as long as it is', () => {
  const { backends, problems } = compiled({ ...CAS, 'maesh.dev/upstream-verify': 'false' });
  assert.deepEqual(backends[0]!.tls, {
    serverName: 'web.shop.svc',
    trust: 'anyone',
    ca: '',
    client: null,
  });
  assert.deepEqual(problems, [
    'warning upstream-ca: upstream-ca has no effect: upstream-verify is false',
    'warning upstream-verify: certificates of endpoints are not verified: whoever answers at their addresses gets the requests',
  ]);
  for (const value of ['no', 'False', '0', '']) {
    const bad = compiled({ ...HTTPS, 'maesh.dev/upstream-verify': value });
    assert.equal(bad.backends[0]!.tls!.trust, 'public', value);
    assert.match(bad.problems[0]!, /^error upstream-verify: /);
  }
});

test('what cannot be read is an error, and never less strict than what was meant', () => {
  const isPublic = { serverName: 'web.shop.svc', trust: 'public', ca: '', client: null };
  for (const [text, first, second] of [
    ['htps', ['http/1.1', isPublic], ['http/2', isPublic]],
    ['HTTPS', ['http/1.1', isPublic], ['http/2', isPublic]],
    ['H2', ['http/2', isPublic], ['http/2', isPublic]],
    ['https, please', ['http/1.1', isPublic], ['http/2', isPublic]],
    ['', ['http/1.1', isPublic], ['http/2', isPublic]],
    ['Http', ['http/1.1', null], ['http/1.1', null]],
    ['H2C', ['http/2', null], ['http/2', null]],
  ] as const) {
    for (const annotations of [
      { 'maesh.dev/scheme': text },
      { 'mesh.traefik.io/scheme': text },
      {
        'maesh.dev/scheme': 'http',
        'maesh.dev/port.80.scheme': text,
        'maesh.dev/port.81.scheme': text,
      },
    ]) {
      const { backends, problems } = compiled(annotations);
      assert.deepEqual(
        backends.map(({ protocol, tls }) => [protocol, tls]),
        [first, second],
        JSON.stringify(annotations),
      );
      assert.ok(problems.length > 0 && problems.every((each) => each.startsWith('error ')), text);
    }
  }
  for (const text of ['ture', 'no', 'False', '']) {
    const { backends, problems } = compiled({
      ...HTTPS,
      'maesh.dev/upstream-verify': 'false',
      'maesh.dev/port.80.upstream-verify': text,
    });
    assert.deepEqual(
      backends.map(({ tls }) => tls?.trust),
      ['public', 'anyone'],
      text,
    );
    assert.match(problems[0]!, /^error port\.80\.upstream-verify: /);
  }
});

test('a scheme that cannot be read does not make a port of TCP one of HTTP', () => {
  const ports = [
    make.portOf({ name: 'a', port: 80, appProtocol: 'https' }),
    make.portOf({ name: 'tls-b', port: 81 }),
    make.portOf({ name: 'postgres', port: 82 }),
  ];
  for (const annotations of [
    { 'maesh.dev/scheme': 'tcp' },
    { 'maesh.dev/scheme': '' },
    Object.fromEntries([80, 81, 82].map((port) => [`maesh.dev/port.${port}.scheme`, 'tls'])),
  ]) {
    const store = new CompiledStore();
    store.set(
      make.serviceOf('web', { annotations, ports }),
      make.podOf('web-1', 'web', '127.1.0.1'),
    );
    store.update();
    const { backends, problems } = resultOf(store);
    assert.deepEqual(
      backends.map(({ protocol, tls }) => [protocol, tls]),
      ports.map(() => ['tcp', null]),
    );
    assert.ok(problems.some((each) => each.startsWith('error ')));
  }
});

test('a server name that is none is an error, and the default is asked for', () => {
  for (const value of [
    '10.0.0.1',
    '*.example.com',
    'a b',
    'http://a',
    '-a',
    `${'a'.repeat(64)}.b`,
  ]) {
    const { backends, problems } = compiled({ ...HTTPS, 'maesh.dev/upstream-server-name': value });
    assert.equal(backends[0]!.tls!.serverName, 'web.shop.svc');
    assert.match(problems[0]!, /^error upstream-server-name: /);
  }
});

test('where no TLS is spoken, what is said of it has no effect, and that is told', () => {
  const { backends, problems } = compiled({
    'maesh.dev/port.81.scheme': 'https',
    'maesh.dev/port.80.upstream-verify': 'false',
    'maesh.dev/upstream-server-name': 'a.example',
  });
  assert.deepEqual(
    backends.map(({ tls }) => tls?.serverName),
    [undefined, 'a.example'],
  );
  assert.deepEqual(problems, [
    'warning port.80.upstream-verify: upstream-verify has no effect: port 80 is spoken to without TLS',
  ]);
  const none = compiled({ 'maesh.dev/upstream-ca': 'configmap/web-ca' });
  assert.deepEqual(none.problems, [
    'warning upstream-ca: upstream-ca has no effect: no port of the Service is spoken to in TLS',
  ]);
});
