/** Ports that this version compiles and does not carry yet: they are not listened on, and a problem says so. */

import type { ServicePortSpec } from '../../kube/kind/service.ts';
import type { ObjectRef } from '../../kube/store.ts';
import { isCarried, type ServicePort, spokenTo } from '../../model/service.ts';
import type { ObjectProblem } from '../object-problem.ts';

/** `from` is the field of the port that decided its protocol, '' for something else. */
export function notCarriedFindings(
  { ref, field }: { readonly ref: ObjectRef; readonly field: string },
  port: ServicePort,
  spec: ServicePortSpec,
  from: 'appProtocol' | 'name' | '',
): readonly ObjectProblem[] {
  if (isCarried(port)) return [];
  const remedy = 'call the Service by its own name meanwhile';
  // Who says it by annotation knows.
  const mayBeHttp = port.protocol === 'tcp' && from !== '';
  return [
    {
      severity: 'warning',
      ref,
      field: from === '' ? field : `${field}.${from}`,
      value: from === '' ? String(port.port) : spec[from],
      message: `Cannot carry ${describe(port)} yet (${port.because}): the mesh does not listen on port ${port.port}`,
      remedy: mayBeHttp
        ? `${remedy}; if it is HTTP without TLS, set maesh.dev/port.${port.port}.traffic-type: http${port.passesTls ? ` and maesh.dev/port.${port.port}.scheme: http` : ''}`
        : remedy,
    },
  ];
}

function describe({ protocol, passesTls, callerTls, backend }: ServicePort): string {
  if (callerTls !== null)
    return `TLS of callers that the mesh ends, with ${protocol.toUpperCase()} in it`;
  if (protocol === 'http') return `${spokenTo(backend)} to endpoints`;
  return passesTls ? 'TLS of callers' : protocol.toUpperCase();
}
