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

test('keys that would hold up a thread for long, or that nobody uses, are refused; all others are taken', async () => {
  for (const bits of [2_048, 4_096]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const made = await TestCa.selfSigned(['rsa.example'], bits);
    usable(made.cert, made.key);
  }
  const slow = await TestCa.selfSigned(['slow.example'], 4_104);
  const found = read(slow.cert, slow.key);
  assert.deepEqual(found, {
    ok: false,
    message: 'its tls.key of RSA has 4104 bits, which is too slow',
  });
  const pem = { type: 'pkcs8', format: 'pem' } as const;
  for (const namedCurve of [
    'P-256',
    'P-384',
    'P-521',
    'secp256k1',
    'sect571r1',
    'brainpoolP512r1',
  ]) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve });
    const said = read(good.cert, privateKey.export(pem));
    const why = namedCurve.startsWith('P-') ? 'does not belong' : 'of a curve that is not used';
    assert.ok(!said.ok && said.message.includes(why), `${namedCurve}: ${JSON.stringify(said)}`);
  }
  const kinds = {
    ed25519: generateKeyPairSync('ed25519'),
    ed448: generateKeyPairSync('ed448'),
    x25519: generateKeyPairSync('x25519'),
    dsa: generateKeyPairSync('dsa', { modulusLength: 2_048, divisorLength: 256 }),
    pss: generateKeyPairSync('rsa-pss', { modulusLength: 2_048 }),
  };
  for (const [kind, { privateKey }] of Object.entries(kinds)) {
    const said = read(good.cert, privateKey.export(pem));
    const isUsed = kind === 'ed25519' || kind === 'pss';
    const why = isUsed ? 'does not belong' : 'of a kind that is not used';
    assert.ok(!said.ok && said.message.includes(why), `${kind}: ${JSON.stringify(said)}`);
  }
});

test('a key of RSA with an exponent that makes it slow is refused', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const jwk = privateKey.export({ format: 'jwk' });
  const [p, q] = [bigOf(jwk.p!), bigOf(jwk.q!)];
  let e = 2n ** 200n + 1n;
  const phi = (p - 1n) * (q - 1n);
  while (inverse(e, phi) === null) e += 2n;
  const d = inverse(e, phi)!;
  const fields = { e, d, dp: d % (p - 1n), dq: d % (q - 1n) };
  const texts = Object.entries(fields).map(([name, value]) => [name, textOf(value)]);
  const odd = createPrivateKey({
    key: { ...jwk, ...(Object.fromEntries(texts) as object) },
    format: 'jwk',
  });
  const found = read(good.cert, odd.export({ type: 'pkcs8', format: 'pem' }));
  assert.ok(!found.ok && found.message.includes('exponent'), JSON.stringify(found));
});

function bigOf(text: string): bigint {
  return BigInt(`0x${Buffer.from(text, 'base64url').toString('hex')}`);
}

function textOf(value: bigint): string {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url');
}

/** Null where there is none. */
function inverse(value: bigint, modulus: bigint): bigint | null {
  let [a, b, x, y] = [value % modulus, modulus, 1n, 0n];
  while (b !== 0n) [a, b, x, y] = [b, a % b, y, x - (a / b) * y];
  return a === 1n ? ((x % modulus) + modulus) % modulus : null;
}

test('a Secret is read once, whoever names it', () => {
  const object = make.secretOf('web-tls', { certificate: good.cert, key: good.key });
  assert.equal(keyPairOf(object), keyPairOf(object));
});
