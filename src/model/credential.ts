/**
 * Certificates that the mesh shows to callers and to endpoints. A Service says which, and what may be known of them (`Certificate`); the
 * keys (`Credential`) are in no Service, Delta or Snapshot: they have a way of their own to the proxy threads.
 */

import type { SecretText } from '../base/secret-text.ts';

/** What a Service says of a certificate: nothing of it is secret. */
export interface Certificate {
  /** `namespace/name` of its Secret, which is the key of its credential. */
  readonly secret: string;
  /** SHA-256 of the chain in hex: a rotation is another one. '' while the Secret cannot be used; then there is no credential. */
  readonly digest: string;
  /** DNS names that it is for, in lower case, maybe `*.shop.example`; none while it cannot be used. */
  readonly names: readonly string[];
  /** Milliseconds since 1970; 0 while it cannot be used. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** TLS that callers speak with the proxy. */
export interface CallerTls {
  /** In the order of the annotation, never empty: the first that can be used is for callers that ask for none, or for another name. */
  readonly certificates: readonly Certificate[];
}

/** A certificate with its key. */
export interface Credential {
  /** `namespace/name` of its Secret. */
  readonly key: string;
  /** PEM, that of the key first, each of the others the issuer of the one before. */
  readonly chain: string;
  /** PKCS #8 as PEM, not encrypted. */
  readonly privateKey: SecretText;
  /** That of the chain, as in its `Certificate`. */
  readonly digest: string;
}

/** What became of credentials. `changed` are to be there before the delta that names them, `removed` until the one that does not. */
export interface CredentialChange {
  readonly changed: readonly Credential[];
  readonly removed: readonly string[];
}

/** What one chain may have, as PEM and in number: it is shown in every handshake. */
export const CHAIN_BYTES_MAX = 65_536;
export const CHAIN_CERTIFICATES_MAX = 10;
export const PRIVATE_KEY_BYTES_MAX = 16_384;
/** Names of one certificate that callers may ask for. */
export const CERTIFICATE_NAMES_MAX = 100;
/** Certificates of one port. */
export const CALLER_CERTIFICATES_MAX = 20;

/** Of a Secret that cannot be used. */
export function missingCertificate(secret: string): Certificate {
  return { secret, digest: '', names: [], notBeforeMs: 0, notAfterMs: 0 };
}

/** `2026-11-30T12:00:00Z`; '' for 0. */
export function timeOf(ms: number): string {
  return ms === 0 ? '' : new Date(ms).toISOString().replace('.000', '');
}
