/** Where a request can end up, and who can send one. */

/** One address of a backend that is ready for traffic. */
export interface Endpoint {
  /** IPv4 or IPv6 literal. */
  readonly address: string;
  readonly port: number;
  /** Share of traffic against its siblings, 0 to 1,000; 0 takes none unless all have it. Pods say it with `maesh.dev/weight`; default 100. */
  readonly weight: number;
  /** `namespace/name` of the pod, or '' when a manual Endpoints object gave no pod. */
  readonly pod: string;
  /** Name of the node the pod runs on, or ''. */
  readonly node: string;
  /** `topology.kubernetes.io/zone` of that node, or ''. */
  readonly zone: string;
}

/** Why an address may stand for somebody else by now: its Pod is being deleted, or nobody knows how it is. '' is no doubt. */
export type Doubt = '' | 'terminating' | 'unknown';

/** Who a caller is, from the source address of its connection. */
export interface Identity {
  /** The source address this identity stands for. */
  readonly address: string;
  readonly namespace: string;
  /** Name of the Pod, without its namespace. */
  readonly pod: string;
  readonly serviceAccount: string;
  readonly node: string;
  readonly zone: string;
  /** Unless it is '', the caller is nobody for access rules; logs, metrics and locality still go by who it probably is. */
  readonly doubt: Doubt;
}

/**
 * Who a caller is for access rules: nobody when that is in doubt, or was not confirmed for too long (`untilMs`, of the same clock
 * as `nowMs`). Everything that decides by who a caller is goes through here.
 */
export function principalOf(
  identity: Identity | undefined,
  nowMs: number,
  untilMs: number,
): Identity | undefined {
  return identity !== undefined && identity.doubt === '' && nowMs < untilMs ? identity : undefined;
}

/** `address:port`, with brackets around IPv6: unique inside a backend. */
export function endpointKey(endpoint: { readonly address: string; readonly port: number }): string {
  return endpoint.address.includes(':')
    ? `[${endpoint.address}]:${endpoint.port}`
    : `${endpoint.address}:${endpoint.port}`;
}

/** Whether the Pod runs under the ServiceAccount `namespace/name`; nobody does under ''. Without making a text: it is asked for each request. */
export function isAccount({ namespace, serviceAccount }: Identity, account: string): boolean {
  const cut = namespace.length;
  return (
    account.length === cut + 1 + serviceAccount.length &&
    account.charCodeAt(cut) === 47 &&
    account.startsWith(namespace) &&
    account.endsWith(serviceAccount)
  );
}
