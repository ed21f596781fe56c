/** Objects of the Kubernetes API, as JSON, to facts. What is missing or of another type counts as absent. */

import { listAt, numberAt, type Raw, recordAt, textAt } from '../base/record.ts';
import type {
  ConfigMapFact,
  ContainerFact,
  ServiceFact,
  VolumeFact,
  WorkloadFact,
} from './facts.ts';

export function serviceFact(raw: unknown): ServiceFact {
  const spec = recordAt(raw, 'spec');
  return {
    ...nameOf(raw),
    clusterIp: textAt(spec, 'clusterIP'),
    selector: texts(spec, 'selector'),
    ports: listAt(spec, 'ports').map((port) => ({
      port: numberAt(port, 'port'),
      protocol: textAt(port, 'protocol') || 'TCP',
    })),
  };
}

export function workloadFact(raw: unknown, kind: WorkloadFact['kind']): WorkloadFact {
  const template = recordAt(raw, 'spec', 'template');
  const spec = recordAt(template, 'spec');
  const meta = recordAt(template, 'metadata');
  return {
    kind,
    ...nameOf(raw),
    podLabels: texts(meta, 'labels'),
    restartedAt: texts(meta, 'annotations')['kubectl.kubernetes.io/restartedAt'] ?? '',
    containers: listAt(spec, 'containers').map(containerFact),
    volumes: listAt(spec, 'volumes').flatMap(volumeFacts),
  };
}

export function configMapFact(raw: unknown): ConfigMapFact {
  const meta = recordAt(raw, 'metadata');
  return {
    ...nameOf(raw),
    uid: textAt(meta, 'uid'),
    resourceVersion: textAt(meta, 'resourceVersion'),
    annotations: texts(meta, 'annotations'),
    data: texts(raw, 'data'),
    hasBinaryData: Object.keys(recordAt(raw, 'binaryData')).length > 0,
    immutable: recordAt(raw)['immutable'] === true,
  };
}

/** The items of a List. */
export function itemsOf(raw: unknown): readonly unknown[] {
  return listAt(raw, 'items');
}

/** Where the next page of a List goes on, or ''. */
export function continueOf(raw: unknown): string {
  return textAt(raw, 'metadata', 'continue');
}

function containerFact(raw: unknown): ContainerFact {
  return {
    name: textAt(raw, 'name'),
    args: [...listAt(raw, 'command'), ...listAt(raw, 'args')].map(String),
    mounts: listAt(raw, 'volumeMounts').map((mount) => ({
      volume: textAt(mount, 'name'),
      path: textAt(mount, 'mountPath'),
      subPath: textAt(mount, 'subPath'),
    })),
  };
}

/** A projected volume may hold several ConfigMaps: each is a volume of the same name to us. */
function volumeFacts(raw: unknown): readonly VolumeFact[] {
  const name = textAt(raw, 'name');
  const projected = listAt(recordAt(raw, 'projected'), 'sources').map((source) =>
    recordAt(source, 'configMap'),
  );
  return [...projected, recordAt(raw, 'configMap')]
    .filter((map) => textAt(map, 'name') !== '')
    .map((map) => ({
      name,
      configMap: textAt(map, 'name'),
      optional: map['optional'] === true,
      items: itemPaths(map),
    }));
}

function itemPaths(map: Raw): Record<string, string> | null {
  if (map['items'] === undefined || map['items'] === null) return null;
  const items = listAt(map, 'items').map(
    (item) => [textAt(item, 'key'), textAt(item, 'path')] as const,
  );
  return items.length === 0 ? null : Object.fromEntries(items);
}

function nameOf(raw: unknown): Pick<ServiceFact, 'namespace' | 'name' | 'labels'> {
  const meta = recordAt(raw, 'metadata');
  return {
    namespace: textAt(meta, 'namespace'),
    name: textAt(meta, 'name'),
    labels: texts(meta, 'labels'),
  };
}

function texts(raw: unknown, key: string): Record<string, string> {
  const found: [string, string][] = [];
  for (const [name, value] of Object.entries(recordAt(raw, key))) {
    if (typeof value === 'string') found.push([name, value]);
  }
  return Object.fromEntries(found);
}
