/**
 * The certificate and key of a Secret, read and checked: what cannot be used is told in words that have nothing of it. The chain is put
 * in order, and only certificates and the key itself go on, in one form for all ways to write them.
 */

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { SecretText, sha256 } from '../../base/secret-text.ts';
import type { SecretObject } from '../../kube/kind/secret.ts';
import {
  type Certificate,
  CERTIFICATE_NAMES_MAX,
  CHAIN_BYTES_MAX,
  CHAIN_CERTIFICATES_MAX,
  type Credential,
} from '../../model/credential.ts';

export interface KeyPair {
  readonly certificate: Certificate;
  readonly credential: Credential;
  /** What is odd and costs nothing, as sentences without a subject. */
  readonly oddities: readonly string[];
  /** Purposes that the certificate is limited to, as OIDs; empty for any. */
  readonly purposes: readonly string[];
}

/** What is wrong, to follow "cannot use Secret shop/web: ". */
export type ReadKeyPair =
  | { readonly ok: true; readonly pair: KeyPair }
  | { readonly ok: false; readonly message: string };

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
const ENCRYPTED = /BEGIN ENCRYPTED PRIVATE KEY|Proc-Type:\s*4,\s*ENCRYPTED/;
const PRIVATE_KEY =
  /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[^-]+-----END (?:[A-Z]+ )?PRIVATE KEY-----/;

/** Of an object that is there once for all ports that name it, and until it is replaced. */
const READ = new WeakMap<SecretObject, ReadKeyPair>();

export function keyPairOf(object: SecretObject): ReadKeyPair {
  let read = READ.get(object);
  if (read === undefined) READ.set(object, (read = readKeyPair(object)));
  return read;
}

function readKeyPair({ meta, certificate, privateKey, faults }: SecretObject): ReadKeyPair {
  for (const name of ['tls.crt', 'tls.key'] as const)
    if (faults[name] !== undefined) return bad(`its ${name} ${faults[name]}`);
  if (certificate.trim() === '') return bad('it has no tls.crt');
  if (privateKey === null) return bad('it has no tls.key');
  const key = readKey(privateKey);
  if (typeof key === 'string') return bad(key);
  const unfit = unfitness(key);
  if (unfit !== '') return bad(unfit);
  const all = readCertificates(certificate);
  if (typeof all === 'string') return bad(all);
  const leaf = all.find((each) => each.checkPrivateKey(key));
  if (leaf === undefined) return bad('its tls.key does not belong to its tls.crt');
  const { chain, isWhole } = inOrder(leaf, all);
  const pem = chain.map((each) => each.toString().trim()).join('\n') + '\n';
  if (pem.length > CHAIN_BYTES_MAX)
    return bad(`its tls.crt has ${pem.length} bytes, and ${CHAIN_BYTES_MAX} are used at most`);
  const secret = `${meta.namespace}/${meta.name}`;
  const kept = new SecretText(key.export({ type: 'pkcs8', format: 'pem' }));
  if (!isUsable(pem, kept))
    return bad('its key or certificate is too weak, or of a kind that TLS does not use');
  const names = namesOf(leaf);
  const digest = sha256(pem);
  return {
    ok: true,
    pair: {
      certificate: {
        secret,
        digest,
        names: names.slice(0, CERTIFICATE_NAMES_MAX),
        notBeforeMs: msOf(leaf.validFrom),
        notAfterMs: msOf(leaf.validTo),
      },
      credential: { key: secret, chain: pem, privateKey: kept, digest },
      oddities: odditiesOf(names.length, isWhole),
      purposes: leaf.keyUsage ?? [],
    },
  };
}

/** Dates far away may be none for the runtime. */
function msOf(text: string): number {
  const ms = Date.parse(text);
  return Number.isSafeInteger(ms) ? ms : 0;
}

function bad(message: string): ReadKeyPair {
  return { ok: false, message };
}

function odditiesOf(names: number, isWhole: boolean): readonly string[] {
  return [
    ...(isWhole
      ? []
      : ['has certificates in tls.crt that are no issuers of the first: they are left out']),
    ...(names <= CERTIFICATE_NAMES_MAX
      ? []
      : [`has ${names} names, and the first ${CERTIFICATE_NAMES_MAX} are chosen by`]),
  ];
}

/** A key, or what is wrong. What OpenSSL says of it is not told: nobody knows what it quotes. */
function readKey(privateKey: SecretText): KeyObject | string {
  const text = privateKey.reveal().replaceAll('\r', '');
  if (ENCRYPTED.test(text))
    return 'its tls.key is encrypted, and nobody gives the mesh its password';
  const [block] = PRIVATE_KEY.exec(text) ?? [];
  if (block === undefined) return 'its tls.key is no private key as PEM';
  try {
    return createPrivateKey(block);
  } catch {
    return 'its tls.key cannot be read';
  }
}

/** With each handshake a proxy thread signs once, and nobody else has a turn meanwhile: what it signs with is bounded. */
const RSA_BITS_MIN = 2_048;
const RSA_BITS_MAX = 4_096;
const RSA_EXPONENT_MAX = 0xffff_ffffn;
/** As OpenSSL names P-256, P-384 and P-521. */
const CURVES: readonly string[] = ['prime256v1', 'secp384r1', 'secp521r1'];
export const KEY_KINDS = `of RSA with ${RSA_BITS_MIN} to ${RSA_BITS_MAX} bits, of P-256, P-384 or P-521, or Ed25519`;

/** What is wrong with it, or ''. */
function unfitness({ asymmetricKeyType: type, asymmetricKeyDetails = {} }: KeyObject): string {
  if (type === 'ed25519') return '';
  if (type === 'rsa' || type === 'rsa-pss') return unfitnessOfRsa(asymmetricKeyDetails);
  if (type !== 'ec') return 'its tls.key is of a kind that is not used';
  const isUsed = CURVES.includes(asymmetricKeyDetails.namedCurve ?? '');
  return isUsed ? '' : 'its tls.key is of a curve that is not used';
}

function unfitnessOfRsa({
  modulusLength: bits = 0,
  publicExponent = 0n,
}: NonNullable<KeyObject['asymmetricKeyDetails']>): string {
  // Each signature is verified by it.
  if (publicExponent > RSA_EXPONENT_MAX)
    return 'its tls.key of RSA has an exponent that is too slow';
  if (bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX) return '';
  return `its tls.key of RSA has ${bits} bits, which is too ${bits < RSA_BITS_MIN ? 'weak' : 'slow'}`;
}

/** As they are written, each once; or what is wrong. */
function readCertificates(text: string): readonly X509Certificate[] | string {
  if (/PRIVATE KEY/.test(text)) return 'its tls.crt has a private key, which belongs in tls.key';
  const blocks = [...new Set(text.replaceAll('\r', '').match(BLOCK))];
  if (blocks.length === 0) return 'its tls.crt has no certificate as PEM';
  // Before the first of them is parsed: whoever may write a Secret may write many.
  if (blocks.length > CHAIN_CERTIFICATES_MAX)
    return `its tls.crt has ${blocks.length} certificates, and ${CHAIN_CERTIFICATES_MAX} are used at most`;
  const found = new Map<string, X509Certificate>();
  for (const [index, block] of blocks.entries()) {
    try {
      const each = new X509Certificate(block);
      found.set(each.fingerprint256, each);
    } catch {
      return `certificate ${index + 1} of its tls.crt cannot be read`;
    }
  }
  return [...found.values()];
}

/** The leaf first, then the issuer of each one. */
function inOrder(
  leaf: X509Certificate,
  all: readonly X509Certificate[],
): { readonly chain: readonly X509Certificate[]; readonly isWhole: boolean } {
  const chain = [leaf];
  const rest = new Set(all);
  rest.delete(leaf);
  for (let last = leaf; ;) {
    const issuer = [...rest].find((each) => issued(each, last));
    if (issuer === undefined) return { chain, isWhole: rest.size === 0 };
    rest.delete(issuer);
    chain.push(issuer);
    last = issuer;
  }
}

function issued(issuer: X509Certificate, subject: X509Certificate): boolean {
  try {
    return subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
  } catch {
    return false;
  }
}

/** Whether OpenSSL takes them together, as it will on the proxy threads. */
function isUsable(chain: string, key: SecretText): boolean {
  try {
    createSecureContext({ cert: chain, key: key.reveal(), minVersion: 'TLSv1.2' });
    return true;
  } catch {
    return false;
  }
}

const NAME = /^(?:\*\.)?[a-z0-9](?:[-a-z0-9_]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9_]*[a-z0-9])?)*$/;
const NAME_LENGTH_MAX = 253;

/** DNS names of the certificate; odd ones are quoted by the runtime, and left out. */
function namesOf({ subjectAltName = '' }: X509Certificate): readonly string[] {
  const names = new Set<string>();
  for (const entry of subjectAltName.split(', ')) {
    if (!entry.startsWith('DNS:')) continue;
    const name = entry.slice('DNS:'.length).toLowerCase();
    if (name.length <= NAME_LENGTH_MAX && NAME.test(name)) names.add(name);
  }
  return [...names];
}
