/** Limits of the section "TLS" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

/** What becomes of CAs that are over one of them. */
const NO_CERTIFICATE = 'The Secret is not used, with a problem';
const UNUSED = 'The CAs are not used, with a problem: no endpoint is believed';

export const TLS_LIMITS: LimitSection = {
  title: 'TLS',
  intro:
    'Of what one Service or port trusts ([how](decisions/tls.md)) and shows ([how](decisions/credentials.md)). Sessions to resume: one per endpoint and thread.',
  rows: [
    [
      'Size of the CAs that `maesh.dev/upstream-ca` names',
      UNUSED,
      'model/endpoint-tls.ts CA_BYTES_MAX',
    ],
    ['CAs that it names', UNUSED, 'model/endpoint-tls.ts CA_CERTIFICATES_MAX'],
    ['Size of a chain in a Secret', NO_CERTIFICATE, 'model/credential.ts CHAIN_BYTES_MAX'],
    ['Certificates in it', NO_CERTIFICATE, 'model/credential.ts CHAIN_CERTIFICATES_MAX'],
    ['Size of a private key', NO_CERTIFICATE, 'model/credential.ts PRIVATE_KEY_BYTES_MAX'],
    ['Bits of one of RSA', NO_CERTIFICATE, 'compile/service/key-pair.ts RSA_BITS_MAX'],
    [
      'Names of a certificate that callers may ask for',
      'The others are not chosen by, with a problem',
      'model/credential.ts CERTIFICATE_NAMES_MAX',
    ],
    ['Length of such a name', 'It is not chosen by', 'compile/service/key-pair.ts NAME_LENGTH_MAX'],
    [
      'Secrets that `maesh.dev/tls-secret` names',
      'None is used, with a problem: callers cannot connect',
      'model/credential.ts CALLER_CERTIFICATES_MAX',
    ],
    [
      'Length of the type of a Secret',
      'It is cut; such a Secret is not used',
      'kube/kind/secret.ts TYPE_LENGTH_MAX',
    ],
    [
      'First message of a caller (ClientHello), with the heads of its records',
      'TLS refuses it; where callers are routed by it, the connection is reset (`bad_hello`)',
      'proxy/net/tls/hello-watch.ts HELLO_BYTES_MAX',
    ],
    ['One record of it', 'As above', 'proxy/net/tls/hello-watch.ts RECORD_MAX'],
    [
      'Handshakes with callers under way, per thread',
      'Others wait, within their time limit; who is slow gives way to them, first of the source with most',
      'proxy/net/tls/handshake-gate.ts UNDER_WAY_MAX',
    ],
    [
      'Time for which a session is resumed',
      'The next connection makes a whole handshake, with all that is verified in it',
      'proxy/net/tls/tls-dialer.ts SESSION_MS_MAX',
    ],
  ],
};
