/** The parts of Kubernetes objects that maesh reads, and nothing else of them. */

export interface Meta {
  readonly name: string;
  /** '' for kinds without a namespace. */
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly uid: string;
  readonly deletionTimestamp: string;
}

export interface ServicePortSpec {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
  readonly targetPort: number | string;
  readonly appProtocol: string;
}

export interface ServiceObject {
  readonly kind: 'Service';
  readonly meta: Meta;
  readonly type: string;
  readonly clusterIP: string;
  readonly clusterIPs: readonly string[];
  /** null when the Service has no selector: its endpoints are made by hand. */
  readonly selector: Readonly<Record<string, string>> | null;
  readonly ports: readonly ServicePortSpec[];
  readonly publishNotReadyAddresses: boolean;
  /** Seconds that a source address keeps its endpoint without a request; null without `sessionAffinity: ClientIP`. */
  readonly affinitySeconds: number | null;
  /** `internalTrafficPolicy: Local`: only endpoints of the caller's node. */
  readonly isNodeLocal: boolean;
  /** `PreferClose` and so on, '' for none. */
  readonly trafficDistribution: string;
}

export interface PortRef {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

export interface EndpointAddress {
  readonly address: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly nodeName: string;
  readonly zone: string;
  /** `namespace/name` of the pod, or ''. */
  readonly pod: string;
}

/** An EndpointSlice, or one subset of an Endpoints object (then `kind` says so). */
export interface EndpointSliceObject {
  readonly kind: 'EndpointSlice';
  readonly meta: Meta;
  /** Name of the Service in the same namespace. */
  readonly service: string;
  readonly addressType: string;
  readonly ports: readonly PortRef[];
  readonly endpoints: readonly EndpointAddress[];
}

export interface EndpointsObject {
  readonly kind: 'Endpoints';
  readonly meta: Meta;
  readonly subsets: readonly {
    readonly ports: readonly PortRef[];
    readonly addresses: readonly EndpointAddress[];
  }[];
}

export interface PodObject {
  readonly kind: 'Pod';
  readonly meta: Meta;
  readonly nodeName: string;
  readonly serviceAccount: string;
  readonly hostNetwork: boolean;
  readonly phase: string;
  readonly ready: boolean;
  readonly podIPs: readonly string[];
  readonly ports: readonly PortRef[];
}

export interface NodeObject {
  readonly kind: 'Node';
  readonly meta: Meta;
  readonly zone: string;
}

export interface NamespaceObject {
  readonly kind: 'Namespace';
  readonly meta: Meta;
}

export interface ServiceAccountObject {
  readonly kind: 'ServiceAccount';
  readonly meta: Meta;
}

export type KubeObject =
  | ServiceObject
  | EndpointSliceObject
  | EndpointsObject
  | PodObject
  | NodeObject
  | NamespaceObject
  | ServiceAccountObject;

export type Kind = KubeObject['kind'];

/** `Service shop/web`, `Node n1`: how messages name an object. */
export function describe(object: { readonly kind: string; readonly meta: Meta }): string {
  return object.meta.namespace === ''
    ? `${object.kind} ${object.meta.name}`
    : `${object.kind} ${object.meta.namespace}/${object.meta.name}`;
}
