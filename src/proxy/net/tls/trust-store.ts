/** The contexts of OpenSSL for what endpoints are believed by, and what is shown to them: one for each set of CAs and certificate, whoever uses it. */

import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Credential } from '../../../model/credential.ts';
import type { EndpointTls } from '../../../model/endpoint-tls.ts';

/** Certificates, each with what is around it. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Of one thread. A context lives as long as endpoints have it. */
export class TrustStore {
  /** By its CAs, as PEM (those of the runtime by ''), and the digest of the chain that is shown. */
  readonly #contexts = new Map<string, WeakRef<SecureContext>>();
  readonly #byTls = new WeakMap<
    EndpointTls,
    { client: Credential | null; context: SecureContext }
  >();

  /** `client` is what the proxy proves itself with; null for nothing. */
  contextOf(tls: EndpointTls, client: Credential | null): SecureContext {
    const known = this.#byTls.get(tls);
    if (known?.client === client) return known.context;
    const trusted = tls.trust === 'given' ? `given ${tls.ca}` : '';
    const key = client === null ? trusted : `${client.key} ${client.digest} ${trusted}`;
    let context = this.#contexts.get(key)?.deref();
    if (context === undefined) {
      this.#forget();
      context = makeContext(tls, client);
      this.#contexts.set(key, new WeakRef(context));
    }
    this.#byTls.set(tls, { client, context });
    return context;
  }

  #forget(): void {
    for (const [key, context] of this.#contexts)
      if (context.deref() === undefined) this.#contexts.delete(key);
  }
}

/** @throws when a certificate or key cannot be read, which the compiler has seen to */
function makeContext({ trust, ca }: EndpointTls, client: Credential | null): SecureContext {
  // Without a CA, the runtime would take those that it brings along: none at all has to be said.
  const given = trust === 'given' ? { ca: ca.match(CERTIFICATE) ?? [] } : {};
  const shown = client === null ? {} : { cert: client.chain, key: client.privateKey.reveal() };
  return createSecureContext({
    ...given,
    ...shown,
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  });
}
