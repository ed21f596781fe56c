/** What the objects of the mesh are called and marked with in a cluster. Controller, agents and commands find each other's by these; the chart has the same. */

/** Deployment, Service, ServiceAccount and Lease of the controller, and what its certificate is for. */
export const CONTROLLER = 'maesh-controller';
/** DaemonSet and ServiceAccount of the agents. */
export const AGENT = 'maesh-agent';
/** Service in front of the agents' DNS. */
export const DNS_SERVICE = 'maesh-dns';
/** Service of the controllers by which they call the mesh themselves, to see whether callers are served. */
export const PROBE_SERVICE = 'maesh-probe';
/** ConfigMap with what the cluster DNS was before. */
export const DNS_BACKUP = 'maesh-dns-backup';
/** Secret with the CA, and ConfigMap with the certificates that agents trust. */
export const CA = 'maesh-ca';
/** Role and RoleBinding by which controllers may read the Secrets of a namespace. */
export const SECRETS_ROLE = 'maesh-controller-secrets';
/** PEM certificates in that ConfigMap. */
export const CA_KEY = 'ca.crt';

type Part = 'controller' | 'replica' | 'agent' | 'dns' | 'shadow';
type Labels = Readonly<Record<string, string>>;

export const LABEL = {
  name: 'app.kubernetes.io/name',
  component: 'app.kubernetes.io/component',
  partOf: 'app.kubernetes.io/part-of',
} as const;
/** Value of `LABEL.name` and `LABEL.partOf`. */
const MESH = 'maesh';

/** On everything of ours. */
export const OUR_LABELS: Labels = { [LABEL.name]: MESH, [LABEL.partOf]: MESH };
/** A label selector for all of that. */
export const OURS = selectorOf(OUR_LABELS);

/** Labels by which one part of the mesh is found. */
export function markOfPart(part: Part): Labels {
  return { [LABEL.name]: MESH, [LABEL.component]: part };
}

/** All labels of an object of one part. */
export function labelsOfPart(part: Part): Labels {
  return { ...markOfPart(part), [LABEL.partOf]: MESH };
}

/** A label selector for one part. */
export function selectorOfPart(part: Part): string {
  return selectorOf(markOfPart(part));
}

function selectorOf(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join();
}

/** A label selector for what `isOfMesh`: our own that lost its other labels is found by it too. */
export const OF_MESH = `${LABEL.partOf}=${MESH}`;

/** Whether these labels are of the mesh itself. */
export function isOfMesh(labels: Readonly<Record<string, unknown>>): boolean {
  return labels[LABEL.partOf] === MESH;
}

/** Of annotations and labels that maesh reads or writes. */
export const ANNOTATION_PREFIX = 'maesh.dev/';

/** On shadow Services. */
export const SHADOW_ANNOTATION = {
  service: 'maesh.dev/service',
  state: 'maesh.dev/state',
  retiredAt: 'maesh.dev/retired-at',
  announcedPorts: 'maesh.dev/announced-ports',
  retiredPorts: 'maesh.dev/retired-ports',
} as const;

/** On ConfigMaps that have CAs of endpoints: no others are read. The annotation of Services that names one has the same name. */
export const UPSTREAM_CA_LABEL = 'maesh.dev/upstream-ca';

/** Annotation that gives Pods of manifests their addresses, where no cluster does. */
export const POD_ADDRESS = 'maesh.dev/address';

/**
 * Names behind `ANNOTATION_PREFIX` that the mesh itself writes, or that only its own objects carry: annotations and labels that are no
 * mistake of a user.
 */
export const OWN_NAMES: ReadonlySet<string> = new Set([
  'abilities',
  'agents',
  'announced-ports',
  'controller',
  'created',
  'lacking',
  'progress',
  'replicas-before-uninstall',
  'retired-at',
  'retired-ports',
  'rotate-ca',
  'rotation-since',
  'service',
  'service-name',
  'service-namespace',
  'state',
  'stub-domains',
  'troubles',
  'values',
  'written',
]);
