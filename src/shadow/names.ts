/** What shadow Services are called and marked with. */

import { createHash } from 'node:crypto';
import { LABEL, labelsOfPart } from '../model/names.ts';

export type KubeProtocol = 'TCP' | 'UDP';

const HASH_LENGTH = 32;

const SERVICE_LABEL = {
  namespace: 'maesh.dev/service-namespace',
  name: 'maesh.dev/service-name',
} as const;
/** What we say about a shadow in labels. */
export const LABEL_NAMES: readonly string[] = [
  ...Object.values(LABEL),
  ...Object.values(SERVICE_LABEL),
];

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
    ...labelsOfPart('shadow'),
    ...(isLabelValue(namespace) ? { [SERVICE_LABEL.namespace]: namespace } : {}),
    ...(isLabelValue(name) ? { [SERVICE_LABEL.name]: name } : {}),
  };
}

/** 1 to 63 characters; a label may be empty, but then it says nothing. */
function isLabelValue(text: string): boolean {
  return /^[a-z0-9A-Z](?:[-_.a-z0-9A-Z]{0,61}[a-z0-9A-Z])?$/.test(text);
}
