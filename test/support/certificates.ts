/** Real certificates for tests: a CA, and what it signs for servers. */

import '../../src/authority/reflect.ts';

import {
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { webcrypto } from 'node:crypto';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
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

  async issue(wanted: Wanted): Promise<ServerCertificate> {
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.create({
      ...this.#signed(keys, wanted),
      subject: 'CN=test server',
      extensions: [
        new SubjectAlternativeNameExtension(
          wanted.names.map((value) => ({ type: 'dns' as const, value })),
        ),
      ],
    });
    const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
    const lines = Buffer.from(key).toString('base64').replace(/.{64}/g, '$&\n');
    return {
      cert: `${certificate.toString('pem')}\n${this.#chain}`,
      key: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`,
    };
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

async function newKeys(): Promise<Keys> {
  return await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

let lastSerial = 0;

function newSerial(): string {
  return (0x1000 + ++lastSerial).toString(16);
}
