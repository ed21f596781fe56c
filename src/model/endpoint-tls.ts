/** TLS that the proxy makes toward endpoints: what it takes for a proof of who they are, and what it proves itself with. */

import type { Certificate } from './credential.ts';
import type { TlsFault } from './failure.ts';

/**
 * `public`: a chain to a CA that the runtime brings along. `given`: a chain to one of `ca`. `anyone`: nothing is verified, as
 * somebody asked for in so many words.
 */
export const ENDPOINT_TRUSTS = ['public', 'given', 'anyone'] as const;

/** No byte of a key is ever in it: it goes wherever its Service goes. */
export interface EndpointTls {
  /** The name that is asked for (SNI) and that the certificate must have. */
  readonly serverName: string;
  readonly trust: (typeof ENDPOINT_TRUSTS)[number];
  /** Certificates as PEM, for `given`; '' is believed by nobody, so that nothing is sent. Else ''. */
  readonly ca: string;
  /** What the proxy proves itself with to endpoints that ask for it; null for nothing. */
  readonly client: Certificate | null;
}

/** What one `ca` may have: it travels with its Service, with every change of it. */
export const CA_BYTES_MAX = 65_536;
export const CA_CERTIFICATES_MAX = 64;

/** No endpoint can prove who it is: none is dialled for a request. */
export function believesNobody(tls: EndpointTls | null): boolean {
  return tls !== null && tls.trust === 'given' && tls.ca === '';
}

/** Why no endpoint is dialled for a request, whatever it would do; null for no such reason. */
export function settingFault(tls: EndpointTls | null): TlsFault | null {
  if (believesNobody(tls)) return 'tls_unknown_issuer';
  return tls !== null && tls.client?.digest === '' ? 'tls_no_client_certificate' : null;
}

/** The name in certificates of a Service, where nobody says another one. */
export function serverNameOf(namespace: string, name: string): string {
  return `${name}.${namespace}.svc`;
}
