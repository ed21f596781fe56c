/** Ports that this version compiles and does not carry yet: they are not listened on, and a problem says so. */

import type { ObjectRef } from '../../kube/store.ts';
import { isCarried, type ServicePort, spokenTo } from '../../model/service.ts';
import type { ObjectProblem } from '../object-problem.ts';

/** `appProtocol` where it is what makes the port other than HTTP, else ''. */
export function notCarriedFinding(
  { ref, field }: { readonly ref: ObjectRef; readonly field: string },
  port: ServicePort,
  appProtocol: string,
): ObjectProblem | null {
  if (isCarried(port)) return null;
  const isNamed = port.protocol === 'tcp' && appProtocol !== '';
  const protocol = isNamed ? `${appProtocol}, which is not HTTP,` : port.protocol.toUpperCase();
  const spoken = port.protocol === 'http' ? `${spokenTo(port.backend)} to endpoints` : protocol;
  return {
    severity: 'warning',
    ref,
    field: isNamed ? `${field}.appProtocol` : field,
    value: isNamed ? appProtocol : String(port.port),
    message: `Cannot carry ${spoken} yet: the mesh does not listen on this port`,
    remedy: isNamed
      ? 'call the Service by its own name meanwhile; if it is HTTP after all, set maesh.dev/traffic-type: http'
      : 'call the Service by its own name meanwhile; only HTTP/1.1 to plain endpoints has a mesh name now',
  };
}
