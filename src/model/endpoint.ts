/** Where a request can end up, and who can send one. */

import { compareText } from '../base/compare.ts';
import { MeshError } from '../base/error.ts';

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

/** Shared by all that have the same ones: compare with `===` first. */
export type Labels = Readonly<Record<string, string>>;

export const NO_LABELS: Labels = Object.freeze({});

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
  /**
   * Those labels of the Pod that some rule names, and no others: every label of 100,000 Pods would be dead weight in each proxy. Labels
   * of namespaces are not here: there are few namespaces, so the compiler turns a rule about their labels into their names.
   */
  readonly labels: Labels;
}

/** `app=web,tier=front`, sorted by name: the same for the same labels. No name or value has `=` or `,` in it. */
export function labelsText(labels: Labels): string {
  const names = Object.keys(labels);
  if (names.length === 0) return '';
  return names
    .toSorted(compareText)
    .map((name) => `${name}=${labels[name] ?? ''}`)
    .join();
}

/** The inverse. @throws MeshError `invalid_input` for any other text */
export function labelsOfText(text: string): Labels {
  if (text === '') return NO_LABELS;
  const pairs = text.split(',').map((pair) => {
    const cut = pair.indexOf('=');
    if (cut <= 0) throw new MeshError('invalid_input', `"${pair}" is not a label`);
    return [pair.slice(0, cut), pair.slice(cut + 1)] as const;
  });
  return Object.freeze(Object.fromEntries(pairs));
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
