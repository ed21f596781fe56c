/** What shadow Services are called and marked with. */

import { createHash } from 'node:crypto';

export type KubeProtocol = 'TCP' | 'UDP';

const HASH_LENGTH = 32;

/** Selects all shadow Services of the mesh namespace, for the watch: `key=value,…`. */
export const SHADOW_SELECTOR =
  'app.kubernetes.io/name=maesh,app.kubernetes.io/component=shadow,app.kubernetes.io/part-of=maesh';

export const AGENT_SELECTOR: Readonly<Record<string, string>> = {
  'app.kubernetes.io/name': 'maesh',
  'app.kubernetes.io/component': 'agent',
};

export const LABEL = {
  name: 'app.kubernetes.io/name',
  component: 'app.kubernetes.io/component',
  partOf: 'app.kubernetes.io/part-of',
  serviceNamespace: 'maesh.dev/service-namespace',
  serviceName: 'maesh.dev/service-name',
} as const;

export const ANNOTATION = {
  service: 'maesh.dev/service',
  state: 'maesh.dev/state',
  retiredAt: 'maesh.dev/retired-at',
  announcedPorts: 'maesh.dev/announced-ports',
  retiredPorts: 'maesh.dev/retired-ports',
} as const;

/** The name of the shadow of Service `namespace/name`: 39 characters, however long that is. */
export function shadowName(service: string): string {
  return `shadow-${createHash('sha256').update(service).digest('hex').slice(0, HASH_LENGTH)}`;
}

/** `80/TCP`: what a port is known by for as long as it exists; its name may change. */
export function portId(port: { readonly port: number; readonly protocol: KubeProtocol }): string {
  return `${port.port}/${port.protocol}`;
}

/** Labels of the shadow of `namespace/name`; the parts of the key are left out where they are no label values. */
export function labelsOf(service: string): Readonly<Record<string, string>> {
  const slash = service.indexOf('/');
  const [namespace, name] = [service.slice(0, Math.max(slash, 0)), service.slice(slash + 1)];
  return {
    [LABEL.name]: 'maesh',
    [LABEL.component]: 'shadow',
    [LABEL.partOf]: 'maesh',
    ...(isLabelValue(namespace) ? { [LABEL.serviceNamespace]: namespace } : {}),
    ...(isLabelValue(name) ? { [LABEL.serviceName]: name } : {}),
  };
}

/** 1 to 63 characters; a label may be empty, but then it says nothing. */
function isLabelValue(text: string): boolean {
  return /^[a-z0-9A-Z](?:[-_.a-z0-9A-Z]{0,61}[a-z0-9A-Z])?$/.test(text);
}
