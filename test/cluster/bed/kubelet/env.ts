/** The environment of a container: its own variables, those of ConfigMaps and Secrets, and those of Services. */

import type { KubeObject } from '../api.ts';
import { type ContainerSpec, type EnvVar, type Image, type Pod, PodError } from './types.ts';

export interface ServiceObject extends KubeObject {
  readonly spec: {
    readonly clusterIP?: string;
    readonly ports?: readonly {
      readonly name?: string;
      readonly port: number;
      readonly protocol?: string;
    }[];
  };
}

export interface EnvContext {
  readonly pod: Pod;
  readonly image: Image;
  readonly podIps: readonly string[];
  readonly hostIp: string;
  readonly kubernetesService: string;
  /** Services of the pod's namespace, or none when it does not want their variables. */
  readonly services: readonly ServiceObject[];
  /** Texts of a ConfigMap or Secret; undefined when there is none. */
  lookup(kind: 'configMap' | 'secret', name: string): Readonly<Record<string, string>> | undefined;
}

/** Throws a PodError where a ConfigMap, Secret or field is missing. Later sources win, as Kubernetes has it. */
export function environmentOf(
  container: ContainerSpec,
  context: EnvContext,
): Record<string, string> {
  const { pod, image } = context;
  const env: Record<string, string> = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOSTNAME: pod.spec.hostname ?? pod.metadata.name,
    ...image.env,
    ...linksOf(context.services),
    ...kubernetesLinks(context.kubernetesService),
  };
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    const ref = configMapRef ?? secretRef;
    const kind = configMapRef === undefined ? 'secret' : 'configMap';
    const values = context.lookup(kind, ref?.name ?? '');
    if (values === undefined && ref?.optional !== true) throw missing(kind, ref?.name);
    for (const [key, value] of Object.entries(values ?? {})) env[prefix + key] = value;
  }
  for (const variable of container.env ?? []) {
    const value = valueOf(variable, container, context);
    if (value !== undefined) env[variable.name] = expand(value, env);
  }
  return env;
}

function valueOf(
  { value, valueFrom }: EnvVar,
  container: ContainerSpec,
  context: EnvContext,
): string | undefined {
  if (valueFrom === undefined) return value ?? '';
  if (valueFrom.fieldRef !== undefined) return fieldOf(valueFrom.fieldRef.fieldPath, context);
  if (valueFrom.resourceFieldRef !== undefined) {
    return resourceOf(valueFrom.resourceFieldRef, container);
  }
  const kind = valueFrom.configMapKeyRef === undefined ? 'secret' : 'configMap';
  const ref = valueFrom.configMapKeyRef ?? valueFrom.secretKeyRef;
  const found = context.lookup(kind, ref?.name ?? '')?.[ref?.key ?? ''];
  if (found === undefined && ref?.optional !== true)
    throw missing(kind, `${ref?.name}/${ref?.key}`);
  return found;
}

/** A field of the downward API. */
export function fieldOf(
  path: string,
  { pod, podIps, hostIp }: Pick<EnvContext, 'pod' | 'podIps' | 'hostIp'>,
): string {
  const { metadata, spec } = pod;
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (keyed !== null) return metadata[keyed[1] as 'labels' | 'annotations']?.[keyed[2] ?? ''] ?? '';
  const list = (values: Readonly<Record<string, string>> | undefined): string =>
    Object.entries(values ?? {})
      .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
      .sort()
      .join('\n');
  const fields: Readonly<Record<string, string>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace ?? '',
    'metadata.uid': metadata.uid ?? '',
    'metadata.labels': list(metadata.labels),
    'metadata.annotations': list(metadata.annotations),
    'spec.nodeName': spec.nodeName ?? '',
    'spec.serviceAccountName': spec.serviceAccountName ?? 'default',
    'status.podIP': podIps[0] ?? '',
    'status.podIPs': podIps.join(','),
    'status.hostIP': hostIp,
    'status.hostIPs': hostIp,
  };
  const found = fields[path];
  if (found === undefined) throw new PodError('NotUnderstood', `The test bed has no field ${path}`);
  return found;
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
};
/** What a container without a limit is told: the node's allocatable (node.ts). */
export const ALLOCATABLE = { cpu: '8', memory: '16Gi', pods: '110' } as const;

function resourceOf(
  { resource, divisor = '1' }: NonNullable<NonNullable<EnvVar['valueFrom']>['resourceFieldRef']>,
  container: ContainerSpec,
): string {
  const [group = '', name = ''] = resource.split('.');
  const given = container.resources?.[group as 'limits' | 'requests']?.[name];
  const quantity = given ?? (group === 'limits' ? ALLOCATABLE[name as 'cpu'] : '0');
  return String(Math.ceil(quantityOf(quantity) / (quantityOf(divisor) || 1)));
}

/** The number that a Kubernetes quantity stands for. */
export function quantityOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(\w*)$/.exec(text);
  const factor = UNITS[match?.[2] ?? ''];
  if (match === null || factor === undefined) {
    throw new PodError('NotUnderstood', `Not a quantity: "${text}"`);
  }
  return Number(match[1]) * factor;
}

/** `$(NAME)` becomes the variable, `$$(NAME)` stays as `$(NAME)`, and what is not known stays as it is. */
export function expand(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(/\$(\$|\(([A-Za-z_.-][\w.-]*)\))/g, (whole, what: string, name: string) =>
    what === '$' ? '$' : (env[name] ?? whole),
  );
}

/** The variables that Docker's links had, and that Kubernetes still gives each pod. */
function linksOf(services: readonly ServiceObject[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const { metadata, spec } of services) {
    const { clusterIP = '', ports = [] } = spec;
    const first = ports[0];
    if (clusterIP === '' || clusterIP === 'None' || first === undefined) continue;
    const name = screaming(metadata.name);
    const url = (port: number, protocol = 'TCP'): string =>
      `${protocol.toLowerCase()}://${clusterIP}:${port}`;
    env[`${name}_SERVICE_HOST`] = clusterIP;
    env[`${name}_SERVICE_PORT`] = String(first.port);
    env[`${name}_PORT`] = url(first.port, first.protocol);
    for (const { name: portName, port, protocol = 'TCP' } of ports) {
      if (portName) env[`${name}_SERVICE_PORT_${screaming(portName)}`] = String(port);
      const prefix = `${name}_PORT_${port}_${protocol}`;
      env[prefix] = url(port, protocol);
      env[`${prefix}_PROTO`] = protocol.toLowerCase();
      env[`${prefix}_PORT`] = String(port);
      env[`${prefix}_ADDR`] = clusterIP;
    }
  }
  return env;
}

function kubernetesLinks(clusterIP: string): Record<string, string> {
  const service = { clusterIP, ports: [{ name: 'https', port: 443, protocol: 'TCP' }] };
  return linksOf([{ metadata: { name: 'kubernetes' }, spec: service }]);
}

function screaming(name: string): string {
  return name.toUpperCase().replaceAll('-', '_');
}

function missing(kind: string, name: string | undefined): PodError {
  return new PodError('CreateContainerConfigError', `${kind} "${name ?? ''}" not found`);
}
