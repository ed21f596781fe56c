/** The contexts of OpenSSL for what endpoints are believed by: one for each set of CAs, whoever uses it. */

import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { EndpointTls } from '../../../model/endpoint-tls.ts';

/** Certificates, each with what is around it. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Of one thread. A context lives as long as endpoints have it. */
export class TrustStore {
  /** By its CAs, as PEM; those of the runtime by ''. */
  readonly #contexts = new Map<string, WeakRef<SecureContext>>();
  readonly #byTls = new WeakMap<EndpointTls, SecureContext>();

  contextOf(tls: EndpointTls): SecureContext {
    const known = this.#byTls.get(tls);
    if (known !== undefined) return known;
    const key = tls.trust === 'given' ? `given ${tls.ca}` : '';
    let context = this.#contexts.get(key)?.deref();
    if (context === undefined) {
      this.#forget();
      context = makeContext(tls);
      this.#contexts.set(key, new WeakRef(context));
    }
    this.#byTls.set(tls, context);
    return context;
  }

  #forget(): void {
    for (const [key, context] of this.#contexts)
      if (context.deref() === undefined) this.#contexts.delete(key);
  }
}

/** @throws when a certificate cannot be read, which the compiler has seen to */
function makeContext({ trust, ca }: EndpointTls): SecureContext {
  // Without a CA, the runtime would take those that it brings along: none at all has to be said.
  const given = trust === 'given' ? { ca: ca.match(CERTIFICATE) ?? [] } : {};
  return createSecureContext({
    ...given,
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  });
}
