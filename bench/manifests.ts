/** Manifests for any number of Services: pure, the same for the same input. */

export interface ServiceShape {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
  readonly annotations: Readonly<Record<string, string>>;
  /** IP addresses of ready endpoints, all on `targetPort`. */
  readonly endpoints: readonly string[];
  readonly targetPort: number;
  /** TCP when missing. */
  readonly protocol?: 'UDP';
}

/** A Service without a selector and its EndpointSlices, at most 100 endpoints each, as the API server has them. */
export function serviceObjects(shape: ServiceShape): object[] {
  const { namespace, name, protocol = 'TCP' } = shape;
  const portName = protocol === 'UDP' ? 'udp' : 'http';
  const slices = [];
  for (let from = 0; from < shape.endpoints.length; from += 100) {
    slices.push({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: `${name}-${from / 100}`,
        namespace,
        labels: { 'kubernetes.io/service-name': name },
      },
      addressType: 'IPv4',
      ports: [{ name: portName, port: shape.targetPort, protocol }],
      endpoints: shape.endpoints
        .slice(from, from + 100)
        .map((address) => ({ addresses: [address], conditions: { ready: true } })),
    });
  }
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace, annotations: shape.annotations },
      spec: {
        ports: [{ name: portName, port: shape.port, targetPort: shape.targetPort, protocol }],
      },
    },
    ...slices,
  ];
}

export interface Crowd {
  /** 1 to 100,000. */
  readonly services: number;
  readonly endpointsEach: number;
  readonly port: number;
}

/** Services nobody calls, in namespaces of 100, with endpoint addresses of their own in 127.128.0.0/9. */
export function crowd({ services, endpointsEach, port }: Crowd): ServiceShape[] {
  return Array.from({ length: services }, (_, i) => ({
    namespace: `team-${String(Math.floor(i / 100)).padStart(4, '0')}`,
    name: `service-${String(i).padStart(5, '0')}`,
    port,
    annotations: {},
    endpoints: Array.from({ length: endpointsEach }, (_, k) => crowdAddress(i * endpointsEach + k)),
    targetPort: 8_080,
  }));
}

/** Address number `index` (0 to 8,388,606) of 127.128.0.0/9. */
function crowdAddress(index: number): string {
  const value = 0x7f80_0000 + index + 1;
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join('.');
}

/** A `kind: List` document. */
export function manifest(shapes: readonly ServiceShape[]): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'List',
    items: shapes.flatMap((shape) => serviceObjects(shape)),
  });
}
