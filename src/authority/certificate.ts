/** Certificates of the discovery stream: a CA of our own, and what it signs. Elliptic curve P-256, SHA-256. */

import './reflect.ts';

import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate as Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';

import { MeshError } from '../base/error.ts';

/** A certificate that others are checked against. */
export interface CaCertificate {
  readonly certPem: string;
  /** SHA-256 of the certificate, as hexadecimal pairs with colons. */
  readonly fingerprint: string;
  /** Unix time in milliseconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** A CA that can sign. The key is secret: it is in the Secret and in memory, nowhere else. */
export interface Ca extends CaCertificate {
  /** PKCS #8. */
  readonly keyPem: string;
}

export interface ServingCertificate {
  readonly certPem: string;
  readonly keyPem: string;
  readonly notAfterMs: number;
  /** Of the CA that signed it. */
  readonly signedBy: string;
}

const HOUR_MS = 3_600_000;
/** Life of a CA; it is replaced at two thirds of it (`ca-state.ts`). */
export const CA_LIFE_MS = 365 * 24 * HOUR_MS;
/** A CA counts from earlier than it is made, so that a machine whose clock is behind believes it. */
const CA_BACKDATE_MS = 24 * HOUR_MS;
export const SERVING_LIFE_MS = 24 * HOUR_MS;
/** The same for a serving certificate: this much may the clock of an agent be behind. */
export const SERVING_BACKDATE_MS = 300_000;
const SERIAL_BYTES = 16;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A new CA that is valid from now on. Its name is its own, so that two of ours are never taken for each other. */
export async function makeCa(nowMs: number): Promise<Ca> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const serialNumber = newSerial();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber,
    name: `CN=maesh discovery CA ${serialNumber.slice(0, 12)}, O=maesh`,
    notBefore: new Date(nowMs - CA_BACKDATE_MS),
    notAfter: new Date(nowMs + CA_LIFE_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return readCa(certificate.toString('pem'), await exportKey(keys.privateKey));
}

/** A certificate for a server that is dialled by one of `dnsNames`, valid for a day but never longer than its CA. */
export async function issueServing(
  ca: Ca,
  dnsNames: readonly string[],
  nowMs: number,
): Promise<ServingCertificate> {
  const issuer = new Certificate(ca.certPem);
  const [signingKey, keys] = await Promise.all([
    importKey(ca.keyPem),
    webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']),
  ]);
  const notBeforeMs = Math.max(nowMs - SERVING_BACKDATE_MS, ca.notBeforeMs);
  const notAfterMs = Math.min(nowMs + SERVING_LIFE_MS, ca.notAfterMs);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: 'CN=maesh-controller, O=maesh',
    issuer: issuer.subject,
    notBefore: new Date(notBeforeMs),
    notAfter: new Date(notAfterMs),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(dnsNames.map((value) => ({ type: 'dns', value }))),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  const keyPem = await exportKey(keys.privateKey);
  const certPem = lines(certificate.toString('pem'));
  return { certPem, keyPem, notAfterMs, signedBy: ca.fingerprint };
}

/** Reads a CA certificate. Throws a `MeshError` that says what is wrong with it, without its text. */
export function readCaCertificate(certPem: string): CaCertificate {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(certPem);
  } catch (error) {
    throw new MeshError('invalid_input', 'Cannot read the certificate: it is not PEM', error);
  }
  if (!certificate.ca) {
    throw new MeshError('invalid_input', 'Certificate must be one of a CA: this one cannot sign');
  }
  return {
    // Only the first one, and nothing around it, may reach the bundle that agents trust.
    certPem: lines(certificate.toString()),
    fingerprint: certificate.fingerprint256,
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
  };
}

/** Reads a CA that can sign; its key must be the certificate's own. Throws a `MeshError` like `readCaCertificate`. */
export function readCa(certPem: string, keyPem: string): Ca {
  const certificate = readCaCertificate(certPem);
  let isOwn: boolean;
  let key: ReturnType<typeof createPrivateKey>;
  try {
    key = createPrivateKey(keyPem);
    isOwn = new X509Certificate(certPem).checkPrivateKey(key);
  } catch {
    // The error of the library may quote what it read, so it is not kept as the cause.
    throw new MeshError('invalid_input', 'Cannot read the private key: it is not PEM');
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new MeshError('invalid_input', 'Private key must be on the elliptic curve P-256');
  }
  if (!isOwn) throw new MeshError('invalid_input', 'Private key must belong to the certificate');
  return {
    ...certificate,
    keyPem: lines(key.export({ type: 'pkcs8', format: 'pem' })),
  };
}

/** A positive number of 127 bits, in hexadecimal (RFC 5280 §4.1.2.2). */
function newSerial(): string {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return lines(PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY'));
}

async function importKey(keyPem: string): Promise<webcrypto.CryptoKey> {
  const bytes = PemConverter.decodeFirst(keyPem);
  return webcrypto.subtle.importKey('pkcs8', bytes, ALGORITHM, false, ['sign']);
}

/** Exactly one line feed at the end, so that texts can be joined. */
function lines(pem: string): string {
  return `${pem.trim()}\n`;
}
