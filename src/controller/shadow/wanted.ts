/** The ports of a Service that need a proxy port. */

import { isCarried } from '../../model/service.ts';
import type { Service, ServicePort } from '../../model/service.ts';
import type { WantedPort } from './decide.ts';
import type { KubeProtocol } from './names.ts';

export function kubeProtocolOf(port: ServicePort): KubeProtocol {
  return port.protocol === 'udp' ? 'UDP' : 'TCP';
}

/** Only what proxies carry: a port where nobody listens is worse than none. */
export function wantedPorts(service: Service | undefined): readonly WantedPort[] {
  if (service === undefined) return [];
  return service.ports
    .filter(isCarried)
    .map((port) => ({ name: port.name, port: port.port, protocol: kubeProtocolOf(port) }));
}
