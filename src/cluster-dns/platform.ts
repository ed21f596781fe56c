/** Finds out how a cluster's DNS is configured, by what its parts are: who answers behind the Service, which file it reads, and from where. */

import { posix } from 'node:path';

import { aboutObject } from '../model/object-reference.ts';
import { isOfMesh } from '../model/names.ts';
import type { Problem } from '../model/service.ts';
import { readCorefile, type CorefileItem, type CorefileReading } from './corefile.ts';
import type { ClusterFacts, ContainerFact, ServiceFact, WorkloadFact } from './facts.ts';
import { configMapOf, flagOf, foldersOf, keyOfFile } from './mounts.ts';
import { listenerOf, type Listener } from './server-block.ts';

/** Whose cluster it looks like: for words and commands only, never for what is written where. */
export type Flavor =
  | 'aks'
  | 'digitalocean'
  | 'eks'
  | 'gardener'
  | 'gke'
  | 'k3s'
  | 'kubernetes'
  | 'rke2';

interface TargetBase {
  readonly workload: WorkloadFact;
  readonly configMap: string;
  readonly key: string;
}

export interface CorefileTarget extends TargetBase {
  /** `corefile`: the file that the server reads itself; `import`: one that it imports, all ours. */
  readonly kind: 'corefile' | 'import';
  readonly listener: Listener;
  /** Plugin `reload` is on: a change is served without a restart. */
  readonly reloads: boolean;
  /** Glob of the imported keys, '' for the Corefile itself. */
  readonly keyGlob: string;
  /** The Corefile that decides, where others may answer our zones. */
  readonly main: { readonly configMap: string; readonly key: string };
}

export interface StubTarget extends TargetBase {
  readonly kind: 'stub-domains';
}

export type Target = CorefileTarget | StubTarget;

export interface Platform {
  readonly namespace: string;
  readonly flavor: Flavor;
  readonly targets: readonly Target[];
  /** What could not be found or understood, and costs the mesh names. */
  readonly problems: readonly Problem[];
}

/** The stem of our file among those that a Corefile imports. */
const FILE_STEM = 'maesh-dns';
/** kube-dns reads this key of its configuration folder. */
const STUB_KEY = 'stubDomains';
/** Where the image of NodeLocal DNSCache reads its template unless told otherwise. */
const NODE_LOCAL_BASE = '/etc/coredns/Corefile.base';
/** Where CoreDNS looks without `-conf`: in its working directory, whose file has this name. */
const COREFILE = 'Corefile';

export function detect(facts: ClusterFacts): Platform {
  const flavor = flavorOf(facts);
  const targets: Target[] = [];
  const problems: Problem[] = [];
  const workloads = dnsWorkloads(facts);
  const stubMaps = new Set(
    workloads
      .map((workload) => stubTarget(workload)?.configMap)
      .filter((name) => name !== undefined),
  );
  for (const workload of workloads) {
    if (isFed(workload, stubMaps)) continue;
    const found = targetOf(facts, workload);
    if ('kind' in found) targets.push(found);
    else problems.push(found.problem);
  }
  if (workloads.length === 0) problems.push(nothingFound(facts.namespace));
  return { namespace: facts.namespace, flavor, targets: withoutTwins(targets), problems };
}

/** Deployments and DaemonSets that answer the DNS of pods: behind a Service with port 53, or NodeLocal DNSCache on the nodes. */
export function dnsWorkloads(facts: ClusterFacts): readonly WorkloadFact[] {
  const services = facts.services.filter(isDnsService);
  return facts.workloads.filter(
    (workload) =>
      !isOfMesh(workload.labels) &&
      (isNodeLocal(workload) ||
        services.some(({ selector }) => matches(workload.podLabels, selector))),
  );
}

function isDnsService({ clusterIp, labels, ports, selector }: ServiceFact): boolean {
  return (
    clusterIp !== '' &&
    clusterIp !== 'None' &&
    !isOfMesh(labels) &&
    Object.keys(selector).length > 0 &&
    ports.some(({ port }) => port === 53)
  );
}

function isNodeLocal({ kind, containers }: WorkloadFact): boolean {
  return (
    kind === 'DaemonSet' && containers.some((container) => flagOf(container, 'localip') !== '')
  );
}

type Found = Target | { readonly problem: Problem };

function targetOf(facts: ClusterFacts, workload: WorkloadFact): Found {
  const stub = stubTarget(workload);
  if (stub !== null) return stub;
  const main = mainFile(facts, workload);
  if (main === null) return { problem: noFile(workload) };
  const { configMap, key, path, container } = main;
  const text = configMapOf(facts, configMap)?.data[key];
  if (text === undefined) return { problem: noText(facts, configMap, key) };
  const reading = readCorefile(text);
  const listener = reading.ok ? listenerOf(reading.items) : null;
  if (!reading.ok || listener === null) {
    return { problem: notUnderstood(facts, { configMap, key }, reading) };
  }
  const base = { workload, listener, main: { configMap, key }, reloads: hasReload(reading.items) };
  const imported = importTarget(workload, container, { path, items: reading.items });
  const withFlag = { ...base, listener: withDefaultPort(listener, container) };
  return imported === null
    ? { ...withFlag, kind: 'corefile', configMap, key, keyGlob: '' }
    : { ...withFlag, kind: 'import', ...imported };
}

/** kube-dns has a folder of keys, and no Corefile. */
function stubTarget(workload: WorkloadFact): StubTarget | null {
  for (const container of workload.containers) {
    const folder = flagOf(container, 'config-dir');
    const found = foldersOf(workload, container).find(
      ({ path }) => folder !== '' && posix.join(path, '.') === posix.join(folder, '.'),
    );
    if (found === undefined) continue;
    const { configMap } = found.volume;
    return { kind: 'stub-domains', workload, configMap, key: STUB_KEY };
  }
  return null;
}

interface MainFile {
  readonly configMap: string;
  readonly key: string;
  readonly path: string;
  readonly container: ContainerFact;
}

function mainFile(facts: ClusterFacts, workload: WorkloadFact): MainFile | null {
  for (const container of workload.containers) {
    for (const path of mainPaths(workload, container)) {
      const found = keyOfFile(facts, { workload, container }, path);
      if (found !== null) return { ...found, path, container };
    }
  }
  return null;
}

/** NodeLocal DNSCache writes the file of `-conf` itself, from a template. */
function mainPaths(workload: WorkloadFact, container: ContainerFact): readonly string[] {
  if (isNodeLocal(workload)) {
    const base = flagOf(container, 'basecorefile');
    return [base === '' ? NODE_LOCAL_BASE : base];
  }
  const conf = flagOf(container, 'conf');
  if (conf.startsWith('/')) return [conf];
  const name = conf === '' ? COREFILE : conf;
  return [
    ...foldersOf(workload, container).map(({ path }) => posix.join(path, name)),
    ...container.mounts.filter(({ path }) => posix.basename(path) === name).map(({ path }) => path),
  ];
}

/** A port of our own would be another listener where the flag moves the default. */
function withDefaultPort(listener: Listener, container: ContainerFact): Listener {
  if (listener.port !== '') return listener;
  const port = flagOf(container, 'dns.port') || flagOf(container, 'p');
  return port === '' ? listener : { ...listener, port };
}

function hasReload(items: readonly CorefileItem[]): boolean {
  return items.some(
    (item) => item.kind !== 'import' && item.directives.some(({ name }) => name === 'reload'),
  );
}

/** A folder of a ConfigMap that is imported as whole files beside the server blocks, as managed clusters offer it. */
function importTarget(
  workload: WorkloadFact,
  container: ContainerFact,
  main: { readonly path: string; readonly items: readonly CorefileItem[] },
): { configMap: string; key: string; keyGlob: string } | null {
  for (const item of main.items) {
    if (item.kind !== 'import' || !item.pattern.includes('*')) continue;
    const pattern = posix.resolve(posix.dirname(main.path), item.pattern);
    const keyGlob = posix.basename(pattern);
    const key = keyGlob.replace('*', FILE_STEM);
    if (!/^[-._a-zA-Z0-9]+$/.test(key)) continue;
    const folder = foldersOf(workload, container).find(
      ({ path, volume }) =>
        volume.items === null && posix.join(path, '.') === posix.dirname(pattern),
    );
    if (folder !== undefined) return { configMap: folder.volume.configMap, key, keyGlob };
  }
  return null;
}

/** NodeLocal DNSCache takes over the stub domains of kube-dns by itself, from the same ConfigMap. */
function isFed(workload: WorkloadFact, stubMaps: ReadonlySet<string>): boolean {
  return isNodeLocal(workload) && workload.volumes.some(({ configMap }) => stubMaps.has(configMap));
}

/** Two workloads may read one key: a blue and a green CoreDNS. */
function withoutTwins(targets: readonly Target[]): readonly Target[] {
  const seen = new Set<string>();
  return targets.filter((target) => {
    const id = `${target.configMap}/${target.key}`;
    const isTwin = seen.has(id);
    seen.add(id);
    return !isTwin;
  });
}

function flavorOf({ workloads, services }: ClusterFacts): Flavor {
  const labels = [
    ...[...workloads, ...services].flatMap((one) => Object.entries(one.labels)),
    ...workloads.flatMap(({ podLabels }) => Object.entries(podLabels)),
  ];
  const has = (test: (key: string, value: string) => boolean): boolean =>
    labels.some(([key, value]) => test(key, value));
  if (has((key) => key.startsWith('eks.amazonaws.com/'))) return 'eks';
  if (has((key) => key.startsWith('kubernetes.azure.com/'))) return 'aks';
  if (has((key) => key.includes('doks.digitalocean.com/'))) return 'digitalocean';
  if (has((key, value) => key.endsWith('gardener.cloud/role') || value === 'gardener')) {
    return 'gardener';
  }
  if (has((key, value) => key === 'helm.sh/chart' && value.startsWith('rke2-'))) return 'rke2';
  if (has((key) => key.startsWith('objectset.rio.cattle.io/'))) return 'k3s';
  if (has((key) => key.startsWith('components.gke.io/'))) return 'gke';
  return 'kubernetes';
}

function matches(
  labels: Readonly<Record<string, string>>,
  selector: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}

const BY_HAND = 'set --dns-mode manual and add the lines that the controller then logs';

function nothingFound(namespace: string): Problem {
  return problem({
    ...aboutObject('Namespace', '', namespace),
    field: '',
    value: '',
    message: `Cannot find the DNS of the cluster: there is no Service with port 53 and a Deployment or DaemonSet in "${namespace}"`,
    remedy:
      'configure your DNS to forward the mesh domains to Service "maesh-dns" and set --dns-mode manual; docs/cluster-dns.md has the lines for OpenShift and Cloud DNS',
  });
}

function noFile({ kind, namespace, name }: WorkloadFact): Problem {
  return problem({
    ...aboutObject(kind, namespace, name),
    field: 'spec.template.spec.volumes',
    value: '',
    message:
      'Cannot find the configuration of the cluster DNS: no ConfigMap is mounted where it reads its Corefile',
    remedy: `find its configuration, ${BY_HAND}`,
  });
}

function noText(facts: ClusterFacts, configMap: string, key: string): Problem {
  return problem({
    ...aboutObject('ConfigMap', facts.namespace, configMap),
    field: `data["${key}"]`,
    value: '',
    message: 'Cannot read the Corefile: the ConfigMap or the key is missing',
    remedy: 'restore it: the cluster DNS cannot start without it',
  });
}

function notUnderstood(
  facts: ClusterFacts,
  at: { readonly configMap: string; readonly key: string },
  reading: CorefileReading,
): Problem {
  const detail = reading.ok ? 'no server block answers DNS' : reading.message;
  return problem({
    ...aboutObject('ConfigMap', facts.namespace, at.configMap),
    field: `data["${at.key}"]`,
    value: '',
    message: `Cannot add the mesh domains to the Corefile, which is not changed: ${detail}`,
    remedy: `correct that line, or ${BY_HAND}`,
  });
}

/** A Problem with severity `error` and no location: all of ours are about objects of the API. */
export function problem(
  parts: Pick<Problem, 'object' | 'ref' | 'field' | 'value' | 'message' | 'remedy'> & {
    readonly severity?: Problem['severity'];
  },
): Problem {
  return { severity: 'error', ...parts, value: parts.value.slice(0, 200), location: '' };
}
