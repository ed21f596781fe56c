/** Services for tests that need some and do not care which. */

import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { BreakerPolicy, Policies } from '../../src/model/policy.ts';
import { onlyRoute } from '../../src/model/route.ts';
import {
  type Protocol,
  type Service,
  type ServicePort,
  PLAIN_PORT,
} from '../../src/model/service.ts';

export function exampleEndpoint(address: string, more: Partial<Endpoint> = {}): Endpoint {
  return { address, port: 8080, weight: 100, pod: '', node: '', zone: '', ...more };
}

export interface ExampleService {
  readonly ports?: readonly number[];
  readonly endpoints?: readonly Endpoint[];
  readonly policies?: Partial<Policies>;
}

/** Opens when more than half of the tries fail on the network. */
export function exampleBreaker(times: Pick<BreakerPolicy, 'openMs' | 'recoveryMs'>): BreakerPolicy {
  return {
    text: 'NetworkErrorRatio() > 0.5',
    expression: {
      kind: 'compare',
      metric: { kind: 'network-error-ratio' },
      op: '>',
      value: 0.5,
    },
    checkPeriodMs: 100,
    ...times,
  };
}

/** `key` is `namespace/name`; one port 80 unless said otherwise, every port with the same endpoints. */
export function exampleService(key: string, more: ExampleService = {}): Service {
  const [namespace = '', name = ''] = key.split('/');
  return {
    key,
    namespace,
    name,
    address: '127.77.0.1',
    secondAddress: '',
    headless: false,
    policies: { ...DEFAULT_POLICIES, ...more.policies },
    sources: {},
    ports: (more.ports ?? [80]).map((port) => {
      const id = `${key}:${port}`;
      const source = { object: `Service ${key}`, field: 'spec.ports' };
      return {
        name: '',
        port,
        proxyPort: 0,
        protocol: 'http',
        ...PLAIN_PORT,
        routes: [onlyRoute(id, source)],
        backend: {
          id,
          service: key,
          protocol: 'http/1.1',
          tls: null,
          endpoints: more.endpoints ?? [],
        },
      };
    }),
  };
}

/** The port with its backend, as it is when another protocol is spoken there. */
export function withProtocol(port: ServicePort, protocol: Protocol): ServicePort {
  const source = { object: `Service ${port.backend.service}`, field: 'spec.ports' };
  const spoken = protocol === 'http' ? ('http/1.1' as const) : protocol;
  const plain = port.backend.id.replace(/\/udp$/, '');
  const id = protocol === 'udp' ? `${plain}/udp` : plain;
  const backend = { ...port.backend, id, protocol: spoken };
  return { ...port, protocol, backend, routes: [onlyRoute(id, source)] };
}
