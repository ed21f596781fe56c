/** Ports that this version compiles and does not carry yet: they are not listened on, and a problem says so. */

import type { ObjectRef } from '../../kube/store.ts';
import { isCarried, type ServicePort } from '../../model/service.ts';
import type { Finding } from '../finding.ts';

export function notCarriedFinding(
  ref: ObjectRef,
  field: string,
  port: ServicePort,
): Finding | null {
  if (isCarried(port)) return null;
  const { scheme } = port.backend;
  const spoken = port.protocol === 'http' ? `${scheme} endpoints` : port.protocol.toUpperCase();
  return {
    severity: 'warning',
    ref,
    field,
    value: String(port.port),
    message: `Cannot carry ${spoken} yet: the mesh does not listen on this port`,
    remedy:
      'call the Service by its own name meanwhile; only HTTP/1.1 to plain endpoints has a mesh name now',
  };
}
