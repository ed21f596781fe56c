/** Shadow Services read back from the API server: all that people can do to them by hand must be told or understood. */

import { isRecord, listAt, type Raw, recordAt, textAt } from '../base/record.ts';
import { clusterIpsOf } from '../kube/kind/service.ts';
import { SHADOW_ANNOTATION } from '../model/names.ts';
import type { KubeProtocol } from './names.ts';
import { digestOf, isNamedFor } from './render.ts';
import { familiesOf } from './shadow.ts';
import type { Damaged, RetiredPort, Shadow, ShadowPort, ShadowState } from './shadow.ts';

/** Ports read of one list; what is beyond counts as damage. As many as there are, so that none is ever taken for nobody's. */
const PORTS_MAX = 65_535;
const VALUE_LENGTH_MAX = 200;

interface Damage {
  readonly field: string;
  readonly value: unknown;
  readonly message: string;
}

/** null for what is no object with a name at all. */
export function read(raw: unknown): Shadow | Damaged | null {
  const metadata = recordAt(raw, 'metadata');
  const name = textAt(metadata, 'name');
  if (name === '') return null;
  const damages: Damage[] = [];
  const annotations = recordAt(metadata, 'annotations');
  const spec = recordAt(raw, 'spec');
  const service = readService(name, annotations, damages);
  const state = readState(annotations, damages);
  const clusterIPs = clusterIpsOf(raw);
  const salvage: Shadow = {
    kind: 'shadow',
    name,
    uid: textAt(metadata, 'uid'),
    resourceVersion: textAt(metadata, 'resourceVersion'),
    createdAt: textAt(metadata, 'creationTimestamp'),
    service,
    state,
    retiredAt: state === 'retired' ? readTime(annotations, damages) : '',
    ports: readSpecPorts(spec, damages),
    announcedPorts: readList(annotations, SHADOW_ANNOTATION.announcedPorts, damages).flatMap(
      (item) => {
        const port = readPort(item);
        return port === null ? [] : [port];
      },
    ),
    retiredPorts: readList(annotations, SHADOW_ANNOTATION.retiredPorts, damages).flatMap(
      readRetiredPort,
    ),
    clusterIPs,
    families: familiesOf(clusterIPs),
    digest: digestOf(raw),
  };
  const [damage] = damages;
  if (damage === undefined) return salvage;
  const isMisnamed = service !== '' && !isNamedFor(name, service);
  const value =
    typeof damage.value === 'string' ? damage.value : (JSON.stringify(damage.value) ?? '');
  const { field, message } = damage;
  return {
    kind: 'damaged',
    name,
    isMisnamed,
    field,
    value: value.length > VALUE_LENGTH_MAX ? `${value.slice(0, VALUE_LENGTH_MAX - 1)}…` : value,
    message,
    salvage,
  };
}

function readService(name: string, annotations: Raw, damages: Damage[]): string {
  const service = textAt(annotations, SHADOW_ANNOTATION.service);
  const field = annotation(SHADOW_ANNOTATION.service);
  if (!/^[^/\s]+\/[^/\s]+$/.test(service)) {
    damages.push({ field, value: service, message: 'Annotation does not name a Service' });
    return '';
  }
  if (!isNamedFor(name, service)) {
    const message = 'Shadow Service does not have the name that its Service gives it';
    damages.push({ field, value: service, message });
  }
  return service;
}

function readState(annotations: Raw, damages: Damage[]): ShadowState {
  const state = annotations[SHADOW_ANNOTATION.state];
  if (state === 'announced' || state === 'published' || state === 'retired') return state;
  const field = annotation(SHADOW_ANNOTATION.state);
  damages.push({ field, value: state ?? '', message: 'State is not known' });
  return 'announced';
}

function readTime(annotations: Raw, damages: Damage[]): string {
  const time = textAt(annotations, SHADOW_ANNOTATION.retiredAt);
  if (isTime(time)) return time;
  const field = annotation(SHADOW_ANNOTATION.retiredAt);
  damages.push({ field, value: time, message: 'Time of retirement is not a time' });
  return '';
}

function readSpecPorts(spec: Raw, damages: Damage[]): readonly ShadowPort[] {
  const items = listAt(spec, 'ports');
  const ports: ShadowPort[] = [];
  for (const item of items.slice(0, PORTS_MAX)) {
    const port = isRecord(item) ? readPort({ ...item, proxyPort: item['targetPort'] }) : null;
    if (port === null) {
      const message = 'Port does not point to a proxy port';
      damages.push({ field: 'spec.ports', value: item, message });
    } else {
      ports.push(port);
    }
  }
  if (items.length > PORTS_MAX)
    damages.push({ field: 'spec.ports', value: items.length, message: 'Too many ports' });
  return ports;
}

/** The items of a JSON list in an annotation; one that cannot be used is damage and left out. */
function readList(annotations: Raw, key: string, damages: Damage[]): readonly Raw[] {
  const value = annotations[key];
  if (value === undefined) return [];
  const items = parse(text(value));
  const usable = items.filter(
    (item) =>
      isRecord(item) &&
      readPort(item) !== null &&
      (key !== SHADOW_ANNOTATION.retiredPorts || isTime(textAt(item, 'retiredAt'))),
  ) as Raw[];
  if (usable.length < items.length || items.length === 0 || items.length > PORTS_MAX) {
    const message = 'Annotation is not a list of ports';
    damages.push({ field: annotation(key), value, message });
  }
  return usable.slice(0, PORTS_MAX);
}

function parse(json: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? (value as readonly unknown[]) : [];
  } catch {
    return [];
  }
}

function readPort(item: Raw): ShadowPort | null {
  const name = item['name'] ?? '';
  const protocol = item['protocol'] ?? 'TCP';
  const { port, proxyPort } = item as { readonly port?: unknown; readonly proxyPort?: unknown };
  const isUsable =
    typeof name === 'string' && isProtocol(protocol) && isPort(port) && isPort(proxyPort);
  return isUsable ? { name, port, protocol, proxyPort } : null;
}

function readRetiredPort(item: Raw): readonly RetiredPort[] {
  const port = readPort(item);
  return port === null ? [] : [{ ...port, retiredAt: textAt(item, 'retiredAt') }];
}

function isProtocol(value: unknown): value is KubeProtocol {
  return value === 'TCP' || value === 'UDP';
}

function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535;
}

function isTime(value: string): boolean {
  return /^\d{4}-\d\d-\d\dT/.test(value) && !Number.isNaN(Date.parse(value));
}

function annotation(key: string): string {
  return `metadata.annotations["${key}"]`;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
