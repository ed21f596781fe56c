/** Limits of the section "TLS to endpoints" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

/** What becomes of CAs that are over one of them. */
const UNUSED = 'The CAs are not used, with a problem: no endpoint is believed';

export const TLS_LIMITS: LimitSection = {
  title: 'TLS to endpoints',
  intro:
    'Of what one Service or port trusts ([how](decisions/tls.md)). Sessions to resume: one for each endpoint and thread.',
  rows: [
    [
      'Size of the CAs that `maesh.dev/upstream-ca` names',
      UNUSED,
      'model/endpoint-tls.ts CA_BYTES_MAX',
    ],
    ['CAs that it names', UNUSED, 'model/endpoint-tls.ts CA_CERTIFICATES_MAX'],
    [
      'Time for which a session is resumed',
      'The next connection makes a whole handshake, with all that is verified in it',
      'proxy/net/tls/tls-dialer.ts SESSION_MS_MAX',
    ],
  ],
};
