import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { PRIVATE_KEY_BYTES_MAX } from '../../model/credential.ts';
import { parseManifest } from '../manifest.ts';
import type { SecretObject } from './secret.ts';

const KEY = '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n';
const coded = (text: string): string => Buffer.from(text).toString('base64');

interface Read {
  readonly secret: SecretObject;
  readonly told: string;
}

function read(more: object): Read {
  const metadata = {
    name: 'web-tls',
    namespace: 'shop',
    labels: { a: 'b' },
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(more) },
  };
  const object = { apiVersion: 'v1', kind: 'Secret', metadata, type: 'kubernetes.io/tls', ...more };
  const manifest = parseManifest(JSON.stringify(object), 'a.json');
  const secret = manifest.objects[0]?.object;
  assert.equal(secret?.kind, 'Secret');
  const { pieces: _pieces, ...rest } = manifest;
  return { secret, told: inspect(rest.problems, { depth: null }) + JSON.stringify(rest.objects) };
}

test('a Secret of TLS is its certificate, its key and its CA, and no more', () => {
  const { secret, told } = read({
    data: { 'tls.crt': coded('CERT'), 'tls.key': coded(KEY), 'ca.crt': coded('CA'), other: 'AAAA' },
  });
  const { meta, privateKey, ...rest } = secret;
  assert.deepEqual(rest, {
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    certificate: 'CERT',
    ca: 'CA',
    faults: {},
  });
  assert.deepEqual([meta.labels, meta.annotations], [{}, {}]);
  assert.equal(privateKey?.reveal(), KEY);
  assert.ok(!told.includes('c2VjcmV0') && !told.includes(coded(KEY)));
});

test('stringData wins over data, as in a cluster; base64 may have line ends', () => {
  const wrapped = coded('CERT'.repeat(40)).replace(/.{20}/g, '$&\n');
  const { secret } = read({
    data: { 'tls.crt': wrapped, 'tls.key': coded('old') },
    stringData: { 'tls.key': KEY },
  });
  assert.equal(secret.certificate, 'CERT'.repeat(40));
  assert.equal(secret.privateKey?.reveal(), KEY);
});

test('of a Secret of another type nothing is kept', () => {
  const { secret, told } = read({ type: 'Opaque', stringData: { 'tls.key': KEY, a: KEY } });
  assert.deepEqual([secret.certificate, secret.ca, secret.privateKey], ['', '', null]);
  assert.ok(!told.includes('c2VjcmV0'));
});

test('what is wrong in a Secret is told without it', () => {
  const long = 'x'.repeat(PRIVATE_KEY_BYTES_MAX + 1);
  for (const [data, fault] of [
    [{ data: { 'tls.key': 'not/base64!' } }, 'is not base64'],
    [{ data: { 'tls.key': { hunter2: 1 } } }, 'is no text'],
    [{ stringData: { 'tls.key': 271_828 } }, 'is no text'],
    [{ stringData: { 'tls.key': long } }, `has more than ${PRIVATE_KEY_BYTES_MAX} bytes`],
    [{ data: null, stringData: ['hunter2'] }, undefined],
    [{ dat: { 'tls.key': 'hunter2' }, datas: 'hunter2' }, undefined],
  ] as const) {
    const { secret, told } = read(data);
    assert.equal(secret.faults['tls.key'], fault);
    assert.equal(secret.privateKey, null);
    for (const value of ['hunter2', '271828', '271_828', 'not/base64', 'xxxx'])
      assert.ok(!told.replace(/"annotations":\{\}/g, '').includes(value), `${value}: ${told}`);
  }
});

test('a file of a key that is given as a manifest is not shown', () => {
  for (const text of [KEY, `"${KEY.replaceAll('\n', '\\n')}"`, `- ${JSON.stringify(KEY)}`]) {
    const { problems } = parseManifest(text, 'tls.key');
    assert.ok(problems.length > 0);
    assert.ok(!JSON.stringify(problems).includes('c2VjcmV0'), JSON.stringify(problems));
  }
});
