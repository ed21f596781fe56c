/** Certificates with keys, as Secrets have them: put in order, bounded, and told about without a byte of them. */

import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { suite, test } from 'node:test';
import { TestCa } from '../../../test/support/certificates.ts';
import { CHAIN_CERTIFICATES_MAX } from '../../model/credential.ts';
import * as make from '../objects.fixture.ts';
import { keyPairOf, type KeyPair } from './key-pair.ts';

const ca = await TestCa.make();
const between = await ca.intermediate('between');
const below = await between.intermediate('below');
const good = await below.issue({ names: ['Web.shop.example', '*.shop.example'] });
const other = await ca.issue({ names: ['other.example'] });

function read(certificate: string, key: string) {
  return keyPairOf(make.secretOf('web-tls', { certificate, key }));
}

function usable(certificate: string, key: string): KeyPair {
  const found = read(certificate, key);
  assert.ok(found.ok, JSON.stringify(found));
  return found.pair;
}

function blocks(chain: string): string[] {
  return chain.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}

test('a chain with its key is what it is, with its names and times', () => {
  const { certificate, credential, oddities } = usable(good.cert, good.key);
  const leaf = new X509Certificate(blocks(good.cert)[0]!);
  assert.deepEqual(certificate.names, ['web.shop.example', '*.shop.example']);
  assert.equal(certificate.notAfterMs, Date.parse(leaf.validTo));
  assert.equal(certificate.notBeforeMs, Date.parse(leaf.validFrom));
  assert.equal(certificate.secret, 'shop/web-tls');
  assert.equal(certificate.digest, credential.digest);
  assert.equal(blocks(credential.chain).length, 3);
  assert.ok(leaf.checkPrivateKey(createPrivateKey(credential.privateKey.reveal())));
  assert.deepEqual(oddities, []);
});

test('a chain is put in order, whatever order it is in and whatever is around it', () => {
  const { credential } = usable(good.cert, good.key);
  const [a, b, c] = blocks(good.cert) as [string, string, string];
  for (const parts of [
    [c, b, a],
    [b, a, c],
    [a, c, b],
    [a, a, b, c, b],
    ['a comment\r\n', a, 'subject=CN = x', b.replaceAll('\n', '\r\n'), c],
  ])
    assert.equal(usable(parts.join('\n'), good.key).credential.chain, credential.chain);
});

test('what is no issuer is left out, and told', () => {
  const { credential, oddities } = usable(`${good.cert}\n${other.cert}`, good.key);
  assert.equal(blocks(credential.chain).length, 3);
  assert.equal(oddities.length, 1);
});

test('one that has signed itself is a chain', async () => {
  const made = await TestCa.selfSigned(['self.example']);
  assert.equal(blocks(usable(made.cert, made.key).credential.chain).length, 1);
});

test('keys of all kinds that TLS uses are taken, in the forms that there are', () => {
  const key = createPrivateKey(good.key);
  const sec1 = key.export({ type: 'sec1', format: 'pem' });
  const parameters =
    '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n';
  const { credential } = usable(good.cert, `${parameters}${sec1}`);
  assert.match(credential.privateKey.reveal(), /^-----BEGIN PRIVATE KEY-----\n/);
});

suite('what cannot be used', () => {
  const encrypted = createPrivateKey(good.key).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'hunter2',
  });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
  const legacy = rsa.export({
    type: 'pkcs1',
    format: 'pem',
    cipher: 'aes-128-cbc',
    passphrase: 'a',
  });
  const many = Array.from({ length: CHAIN_CERTIFICATES_MAX + 1 }, (_, i) =>
    good.cert.replace('MII', `M${String(i).padStart(2, '0')}`),
  );
  const cases: readonly [why: string, certificate: string, key: string][] = [
    ['has no tls.crt', '', good.key],
    ['has no tls.key', good.cert, ''],
    ['has no certificate as PEM', 'no PEM', good.key],
    ['is no private key as PEM', good.cert, good.cert],
    ['is encrypted', good.cert, encrypted],
    ['is encrypted', good.cert, legacy],
    ['cannot be read', good.cert, good.key.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA')],
    ['certificate 1 of its tls.crt cannot be read', good.cert.replace('MII', 'AAA'), good.key],
    ['does not belong to its tls.crt', good.cert, other.key],
    ['has a private key, which belongs in tls.key', `${good.cert}\n${good.key}`, good.key],
    ['are used at most', many.join('\n'), good.key],
  ];
  for (const [why, certificate, key] of cases)
    test(why, () => {
      const found = read(certificate, key);
      assert.ok(!found.ok && found.message.includes(why), JSON.stringify(found));
      for (const line of key
        .split('\n')
        .filter((each) => each.length > 20 && !each.startsWith('-')))
        assert.ok(!JSON.stringify(found).includes(line));
    });
});

test('a key that OpenSSL calls too weak is refused here, and not on the proxy threads', async () => {
  const weak = await TestCa.selfSigned(['weak.example'], 1_024);
  const found = read(weak.cert, weak.key);
  assert.ok(!found.ok && found.message.includes('too weak'), JSON.stringify(found));
});

test('a Secret is read once, whoever names it', () => {
  const object = make.secretOf('web-tls', { certificate: good.cert, key: good.key });
  assert.equal(keyPairOf(object), keyPairOf(object));
});
