/** Why no TLS connection to an endpoint came about, in the words of the table of failures. */

import type { TlsFault } from '../../../model/failure.ts';
import type { SocketError } from '../socket.ts';

/** Codes of OpenSSL's verification and of the runtime's own check of the name. All others are a handshake that failed. */
const FAULTS: Readonly<Record<string, TlsFault>> = {
  CERT_HAS_EXPIRED: 'tls_certificate_expired',
  CERT_NOT_YET_VALID: 'tls_certificate_expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'tls_wrong_name',
  HOSTNAME_MISMATCH: 'tls_wrong_name',
  UNABLE_TO_GET_ISSUER_CERT: 'tls_unknown_issuer',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'tls_unknown_issuer',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'tls_unknown_issuer',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls_unknown_issuer',
  SELF_SIGNED_CERT_IN_CHAIN: 'tls_unknown_issuer',
  CERT_SIGNATURE_FAILURE: 'tls_unknown_issuer',
  CERT_CHAIN_TOO_LONG: 'tls_unknown_issuer',
  CERT_UNTRUSTED: 'tls_unknown_issuer',
  CERT_REJECTED: 'tls_unknown_issuer',
  INVALID_CA: 'tls_unknown_issuer',
  INVALID_PURPOSE: 'tls_unknown_issuer',
  PATH_LENGTH_EXCEEDED: 'tls_unknown_issuer',
};

/** Of an error that ended a handshake, once the connection below it stood. */
export function tlsFaultOf({ code = '' }: SocketError): TlsFault {
  return Object.hasOwn(FAULTS, code) ? (FAULTS[code] as TlsFault) : 'tls_handshake_failed';
}
