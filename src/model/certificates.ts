/** The certificates of a whole Service. */

import type { Certificate } from './credential.ts';
import type { ServicePort } from './service.ts';

const NONE: readonly Certificate[] = [];

/** Those that ports of one Service name and that can be used, each once. */
export function certificatesOf(
  ports: readonly Pick<ServicePort, 'callerTls' | 'backend'>[],
): readonly Certificate[] {
  let found: Map<string, Certificate> | null = null;
  for (const { callerTls, backend } of ports) {
    const client = backend.tls?.client ?? null;
    // Most Services name none, and there are thousands of them.
    if (callerTls === null && client === null) continue;
    found ??= new Map();
    for (const each of [
      ...(callerTls?.certificates ?? NONE),
      ...(client === null ? NONE : [client]),
    ])
      if (each.digest !== '') found.set(each.secret, each);
  }
  return found === null ? NONE : [...found.values()];
}
