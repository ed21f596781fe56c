/** What a user may do first once the mesh runs: call a Service of theirs. Pure. */

import { listAt, textAt, type Raw } from '../base/record.ts';
import { SHADOW_ANNOTATION } from '../model/names.ts';

interface Installed {
  /** Of the mesh. */
  readonly namespace: string;
  readonly domain: string;
  /** Only Services that are enabled get a name. */
  readonly isOptIn: boolean;
}

/** Every API server has it, and it speaks TLS. */
const API_SERVER = 'default/kubernetes';
const HTTP_PORT = 80;

/** Text for a person, in lines. `shadows` are the shadow Services of the cluster. */
export function firstCall(shadows: readonly Raw[], installed: Installed): string {
  const found = shadows.filter((shadow) => isOfUser(shadow, installed.namespace));
  const [first] = found.toSorted((one, other) => (serviceOf(one) < serviceOf(other) ? -1 : 1));
  const lines = first === undefined ? firstName(installed) : callOf(first, installed.domain);
  return [
    ...lines,
    'Check the mesh, or uninstall it:',
    '  maesh check',
    '  maesh uninstall',
    '',
  ].join('\n');
}

function serviceOf(shadow: Raw): string {
  return textAt(shadow, 'metadata', 'annotations', SHADOW_ANNOTATION.service);
}

/** Neither the mesh's own nor one of Kubernetes; its name resolves, and a connection is possible. */
function isOfUser(shadow: Raw, namespace: string): boolean {
  const service = serviceOf(shadow);
  const isOther = service.startsWith(`${namespace}/`) || service.startsWith('kube-');
  const state = textAt(shadow, 'metadata', 'annotations', SHADOW_ANNOTATION.state);
  return (
    service !== '' &&
    service !== API_SERVER &&
    !isOther &&
    state === 'published' &&
    portsOf(shadow).length > 0
  );
}

/** Those of connections: curl speaks no UDP. */
function portsOf(shadow: Raw): readonly number[] {
  const ports = listAt(shadow, 'spec', 'ports');
  return ports.filter((port) => textAt(port, 'protocol') !== 'UDP').map((port) => portOf(port));
}

function callOf(shadow: Raw, domain: string): readonly string[] {
  const [namespace = '', name = ''] = serviceOf(shadow).split('/');
  const ports = portsOf(shadow);
  const [port = HTTP_PORT] = ports.includes(HTTP_PORT) ? [HTTP_PORT] : ports;
  return [
    'The mesh is running. Call a Service through it, from any Pod:',
    `  curl http://${name}.${namespace}.${domain}${port === HTTP_PORT ? '' : `:${port}`}/`,
    `Calls to ${name}.${namespace} do not change.`,
  ];
}

function portOf(port: unknown): number {
  return typeof port === 'object' && port !== null && 'port' in port
    ? Number(port.port)
    : HTTP_PORT;
}

/** Nobody has a name yet. */
function firstName({ domain, isOptIn }: Installed): readonly string[] {
  const how = isOptIn
    ? [
        'Give a Service a mesh name, then call it from any Pod:',
        '  kubectl -n NAMESPACE annotate service NAME maesh.dev/mesh=enabled',
      ]
    : ['Each Service with an HTTP port gets a mesh name. Create one, then call it from any Pod:'];
  return [
    'The mesh is running. No Service has a mesh name yet.',
    ...how,
    `  curl http://NAME.NAMESPACE.${domain}/`,
  ];
}
