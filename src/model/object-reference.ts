/** Which object of Kubernetes something is about. */

export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  /** '' for kinds without a namespace. */
  readonly namespace: string;
  readonly name: string;
}

/** The object and field that a value comes from; `object` is '' for a built-in default. */
export interface Source {
  /** `Service shop/web`. */
  readonly object: string;
  /** `metadata.annotations["maesh.dev/retry-attempts"]`. */
  readonly field: string;
}

/** What a Problem is about, as `Problem` has it. */
export interface About {
  /** For people: `Service shop/web`, or what is no object: a file, `Cluster`. */
  readonly object: string;
  /** The object itself; null for anything else. */
  readonly ref: ObjectReference | null;
}

/** Versions of the kinds that Problems are about. */
const API_VERSIONS = {
  ConfigMap: 'v1',
  DaemonSet: 'apps/v1',
  Deployment: 'apps/v1',
  EndpointSlice: 'discovery.k8s.io/v1',
  Endpoints: 'v1',
  Lease: 'coordination.k8s.io/v1',
  Namespace: 'v1',
  Node: 'v1',
  Pod: 'v1',
  Secret: 'v1',
  Service: 'v1',
  ServiceAccount: 'v1',
} as const;

type KnownKind = keyof typeof API_VERSIONS;

/** `Service shop/web`, `Node n1`. */
export function describeReference({
  kind,
  namespace,
  name,
}: Omit<ObjectReference, 'apiVersion'>): string {
  return namespace === '' ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
}

export function about(ref: ObjectReference): About {
  return { object: describeReference(ref), ref };
}

/** `namespace` is '' for kinds without one. */
export function aboutObject(kind: KnownKind, namespace: string, name: string): About {
  return about({ apiVersion: API_VERSIONS[kind], kind, namespace, name });
}

/** `key` is `namespace/name`. */
export function aboutKey(kind: KnownKind, key: string): About {
  const [namespace = '', name = ''] = key.split('/');
  return aboutObject(kind, namespace, name);
}

/** Whether it is about the object of this kind and key, `namespace/name`. */
export function isAboutKey({ ref }: Pick<About, 'ref'>, kind: KnownKind, key: string): boolean {
  return ref?.kind === kind && `${ref.namespace}/${ref.name}` === key;
}

/** What is no object of Kubernetes: a file, the cluster. */
export function aboutText(object: string): About {
  return { object, ref: null };
}
