/** Real certificates for tests: a CA, and what it signs for servers. */

import '../../src/authority/reflect.ts';

import {
  BasicConstraintsExtension,
  Extension,
  ExtendedKeyUsageExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { webcrypto } from 'node:crypto';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
};
type RsaAlgorithm = typeof RSA & { readonly modulusLength: number };
const DAY_MS = 86_400_000;

export interface ServerCertificate {
  /** The chain as PEM, the certificate of the server first, without the CA at its root. */
  readonly cert: string;
  /** PKCS #8. */
  readonly key: string;
}

interface Wanted {
  readonly names: readonly string[];
  /** From now; negative for one that is over. Default: a day. */
  readonly lastsMs?: number;
  /** From now. Default: a day ago. */
  readonly beginsMs?: number;
  /** Further bytes, in an extension that nobody knows. */
  readonly filler?: number;
  /** OIDs of extended key usage; any by default. */
  readonly purposes?: readonly string[];
}

type Keys = webcrypto.CryptoKeyPair;

export class TestCa {
  readonly pem: string;
  readonly #certificate: X509Certificate;
  readonly #keys: Keys;
  /** Of those below the root. */
  readonly #chain: string;

  private constructor(certificate: X509Certificate, keys: Keys, chain: string) {
    this.#certificate = certificate;
    this.#keys = keys;
    this.#chain = chain;
    this.pem = certificate.toString('pem');
  }

  static async make(name = 'test CA'): Promise<TestCa> {
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.createSelfSigned({
      serialNumber: newSerial(),
      name: `CN=${name}`,
      notBefore: new Date(Date.now() - 2 * DAY_MS),
      notAfter: new Date(Date.now() + 10 * DAY_MS),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [new BasicConstraintsExtension(true, undefined, true)],
    });
    return new TestCa(certificate, keys, '');
  }

  /** A CA that this one has signed. */
  async intermediate(name: string): Promise<TestCa> {
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.create({
      ...this.#signed(keys, { names: [] }),
      subject: `CN=${name}`,
      extensions: [new BasicConstraintsExtension(true, undefined, true)],
    });
    return new TestCa(certificate, keys, `${certificate.toString('pem')}\n${this.#chain}`);
  }

  /** A certificate of nobody else; of RSA with so many bits, where they are given. */
  static async selfSigned(names: readonly string[], rsaBits = 0): Promise<ServerCertificate> {
    const algorithm = rsaBits === 0 ? ALGORITHM : { ...RSA, modulusLength: rsaBits };
    const keys = await newKeys(algorithm);
    const certificate = await X509CertificateGenerator.createSelfSigned({
      serialNumber: newSerial(),
      name: 'CN=test server',
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + DAY_MS),
      keys,
      signingAlgorithm: algorithm,
      extensions: [namesExtension(names)],
    });
    return { cert: certificate.toString('pem'), key: await pemOf(keys) };
  }

  async issue(wanted: Wanted): Promise<ServerCertificate> {
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.create({
      ...this.#signed(keys, wanted),
      subject: `CN=${wanted.names[0] ?? 'test server'}`,
      extensions: [
        namesExtension(wanted.names),
        ...(wanted.purposes === undefined
          ? []
          : [new ExtendedKeyUsageExtension([...wanted.purposes])]),
        ...(wanted.filler === undefined
          ? []
          : [new Extension('1.3.6.1.4.1.99999.1', false, new Uint8Array(wanted.filler))]),
      ],
    });
    return { cert: `${certificate.toString('pem')}\n${this.#chain}`, key: await pemOf(keys) };
  }

  #signed({ publicKey }: Keys, { lastsMs = DAY_MS, beginsMs = -DAY_MS }: Wanted) {
    return {
      serialNumber: newSerial(),
      issuer: this.#certificate.subject,
      notBefore: new Date(Date.now() + beginsMs),
      notAfter: new Date(Date.now() + lastsMs),
      publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: ALGORITHM,
    };
  }
}

async function newKeys(algorithm: typeof ALGORITHM | RsaAlgorithm = ALGORITHM): Promise<Keys> {
  return await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

function namesExtension(names: readonly string[]): SubjectAlternativeNameExtension {
  return new SubjectAlternativeNameExtension(
    names.map((value) => ({ type: 'dns' as const, value })),
  );
}

async function pemOf({ privateKey }: Keys): Promise<string> {
  const key = await webcrypto.subtle.exportKey('pkcs8', privateKey);
  const lines = Buffer.from(key).toString('base64').replace(/.{64}/g, '$&\n');
  return `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`;
}

let lastSerial = 0;

function newSerial(): string {
  return (0x1000 + ++lastSerial).toString(16);
}
