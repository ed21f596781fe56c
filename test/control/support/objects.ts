/** Objects of an API server for tests: what a cluster writes when somebody deploys an app. */

type Labels = Readonly<Record<string, string>>;

interface At {
  readonly address: string;
  readonly port: number;
}

export function namespace(name: string) {
  return { metadata: { name, labels: {} } };
}

export function node(name: string) {
  return { metadata: { name, labels: { 'topology.kubernetes.io/zone': 'a' } } };
}

/** One port, 80, of that cluster IP. */
export function service(key: string, clusterIP: string, annotations: Labels = {}) {
  return {
    metadata: { ...meta(key), annotations },
    spec: {
      type: 'ClusterIP',
      clusterIP,
      clusterIPs: [clusterIP],
      ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 8_080 }],
    },
  };
}

/** The endpoints of a Service behind one port. */
// oxlint-disable-next-line max-params -- most are of TCP
export function slice(key: string, all: readonly At[], nodeName: string, protocol = 'TCP') {
  const { namespace: space, name } = meta(key);
  return {
    metadata: {
      namespace: space,
      name: `${name}-1`,
      labels: { 'kubernetes.io/service-name': name },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: all[0]?.port ?? 1, protocol }],
    endpoints: all.map(({ address }) => ({
      addresses: [address],
      conditions: { ready: true },
      nodeName,
      targetRef: { kind: 'Pod', name: `${name}-${address}`, namespace: space },
    })),
  };
}

export function pod(key: string, address: string, nodeName: string) {
  return {
    metadata: { ...meta(key), labels: { app: meta(key).name } },
    spec: { nodeName, serviceAccountName: 'default', containers: [{ name: 'main' }] },
    status: {
      phase: 'Running',
      podIP: address,
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  };
}

function meta(key: string): { readonly namespace: string; readonly name: string } {
  const [space = '', name = ''] = key.split('/');
  return { namespace: space, name };
}
