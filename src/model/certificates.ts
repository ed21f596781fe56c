/** The certificates of a whole Service. */

import type { Certificate } from './credential.ts';
import type { ServicePort } from './service.ts';

type Port = Pick<ServicePort, 'callerTls' | 'backend'>;

const NONE: readonly Certificate[] = [];

/** Those that ports of one Service name, each once; also those of Secrets that cannot be used. */
export function namedCertificates(ports: readonly Port[]): readonly Certificate[] {
  // Most Services name none, and there are thousands of them.
  if (!ports.some(namesSome)) return NONE;
  const named = ports.flatMap(namedBy).filter(({ secret }) => secret !== '');
  return [...new Map(named.map((each) => [each.secret, each])).values()];
}

/** Those that can be used. */
export function certificatesOf(ports: readonly Port[]): readonly Certificate[] {
  return namedCertificates(ports).filter(({ digest }) => digest !== '');
}

function namesSome({ callerTls, backend }: Port): boolean {
  return callerTls !== null || (backend.tls !== null && backend.tls.client !== null);
}

function namedBy({ callerTls, backend }: Port): readonly Certificate[] {
  const client = backend.tls?.client ?? null;
  return [...(callerTls?.certificates ?? NONE), ...(client === null ? NONE : [client])];
}
