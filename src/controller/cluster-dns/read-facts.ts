/** Objects of the Kubernetes API, as JSON, to facts. What is missing or of another type counts as absent. */

import type {
  ConfigMapFact,
  ContainerFact,
  ServiceFact,
  VolumeFact,
  WorkloadFact,
} from './facts.ts';

type Json = Readonly<Record<string, unknown>>;

export function serviceFact(raw: unknown): ServiceFact {
  const spec = child(raw, 'spec');
  return {
    ...nameOf(raw),
    clusterIp: text(spec, 'clusterIP'),
    selector: texts(spec, 'selector'),
    ports: list(spec, 'ports').map((port) => ({
      port: number(port, 'port'),
      protocol: text(port, 'protocol') || 'TCP',
    })),
  };
}

export function workloadFact(raw: unknown, kind: WorkloadFact['kind']): WorkloadFact {
  const template = child(child(raw, 'spec'), 'template');
  const spec = child(template, 'spec');
  const meta = child(template, 'metadata');
  return {
    kind,
    ...nameOf(raw),
    podLabels: texts(meta, 'labels'),
    restartedAt: texts(meta, 'annotations')['kubectl.kubernetes.io/restartedAt'] ?? '',
    containers: list(spec, 'containers').map(containerFact),
    volumes: list(spec, 'volumes').flatMap(volumeFacts),
  };
}

export function configMapFact(raw: unknown): ConfigMapFact {
  const meta = child(raw, 'metadata');
  return {
    ...nameOf(raw),
    uid: text(meta, 'uid'),
    resourceVersion: text(meta, 'resourceVersion'),
    annotations: texts(meta, 'annotations'),
    data: texts(raw, 'data'),
    hasBinaryData: Object.keys(child(raw, 'binaryData')).length > 0,
    immutable: record(raw)['immutable'] === true,
  };
}

/** The items of a List. */
export function itemsOf(raw: unknown): readonly unknown[] {
  return list(raw, 'items');
}

/** Where the next page of a List goes on, or ''. */
export function continueOf(raw: unknown): string {
  return text(child(raw, 'metadata'), 'continue');
}

function containerFact(raw: unknown): ContainerFact {
  return {
    name: text(raw, 'name'),
    args: [...list(raw, 'command'), ...list(raw, 'args')].map(String),
    mounts: list(raw, 'volumeMounts').map((mount) => ({
      volume: text(mount, 'name'),
      path: text(mount, 'mountPath'),
      subPath: text(mount, 'subPath'),
    })),
  };
}

/** A projected volume may hold several ConfigMaps: each is a volume of the same name to us. */
function volumeFacts(raw: unknown): readonly VolumeFact[] {
  const name = text(raw, 'name');
  const projected = list(child(raw, 'projected'), 'sources').map((source) =>
    child(source, 'configMap'),
  );
  return [...projected, child(raw, 'configMap')]
    .filter((map) => text(map, 'name') !== '')
    .map((map) => ({
      name,
      configMap: text(map, 'name'),
      optional: map['optional'] === true,
      items: itemPaths(map),
    }));
}

function itemPaths(map: Json): Record<string, string> | null {
  if (map['items'] === undefined || map['items'] === null) return null;
  const items = list(map, 'items').map((item) => [text(item, 'key'), text(item, 'path')] as const);
  return items.length === 0 ? null : Object.fromEntries(items);
}

function nameOf(raw: unknown): Pick<ServiceFact, 'namespace' | 'name' | 'labels'> {
  const meta = child(raw, 'metadata');
  return {
    namespace: text(meta, 'namespace'),
    name: text(meta, 'name'),
    labels: texts(meta, 'labels'),
  };
}

function record(raw: unknown): Json {
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw) ? { ...raw } : {};
}

function child(raw: unknown, key: string): Json {
  return record(record(raw)[key]);
}

function list(raw: unknown, key: string): readonly unknown[] {
  const value = record(raw)[key];
  return Array.isArray(value) ? value : [];
}

function text(raw: unknown, key: string): string {
  const value = record(raw)[key];
  return typeof value === 'string' ? value : '';
}

function number(raw: unknown, key: string): number {
  const value = record(raw)[key];
  return typeof value === 'number' ? value : 0;
}

function texts(raw: unknown, key: string): Record<string, string> {
  const found: [string, string][] = [];
  for (const [name, value] of Object.entries(child(raw, key))) {
    if (typeof value === 'string') found.push([name, value]);
  }
  return Object.fromEntries(found);
}
