/** The settings of `maesh controller` and `maesh agent` that `maesh up` does not have, and how both are read. */

import { hostname } from 'node:os';

import type { Env } from '../base/command.ts';
import { MeshError } from '../base/error.ts';
import type { ControllerSettings } from '../run/controller/settings.ts';
import { AGENT as AGENT_ACCOUNT } from '../model/names.ts';
import type { NodeSettings } from '../run/agent/settings.ts';
import type { SettingReader } from './setting-reader.ts';
import { list, one, type Setting } from './setting.ts';
import { adminConflicts, readProxySettings, SETTINGS } from './settings.ts';
import {
  DOMAIN,
  duration,
  LABEL_NAME,
  LISTEN,
  LISTEN_OR_OFF,
  oneOf,
  PATH,
  PATH_IF_ANY,
  PORT_RANGE,
  TARGET,
} from './value.ts';

const CLUSTER = {
  kubeconfig: one('Cluster', [
    'kubeconfig',
    PATH_IF_ANY,
    '',
    'Kubeconfig file for the API server. Not needed inside a cluster.',
  ]),
  namespace: one('Cluster', ['namespace', LABEL_NAME, 'maesh', 'Namespace of the mesh itself.']),
} as const;

const CONTROLLER = {
  meshDefault: one('Cluster', [
    'mesh-default',
    oneOf('all', 'opt-in'),
    'all',
    '`all`: Services have a mesh name unless they or their namespace are annotated `maesh.dev/mesh: disabled`. `opt-in`: only those annotated `enabled`.',
  ]),
  watchNamespaces: list('Cluster', [
    'watch-namespace',
    LABEL_NAME,
    '',
    'Mesh only this namespace; repeatable. Default: all.',
  ]),
  ignoreNamespaces: list('Cluster', [
    'ignore-namespace',
    LABEL_NAME,
    '',
    "Never mesh this namespace, whatever its annotations; repeatable. `kube-system` and the mesh's own namespace are always ignored.",
  ]),
  secretNamespaces: list('Cluster', [
    'secret-namespace',
    LABEL_NAME,
    '',
    'Read TLS Secrets of this namespace, for Services that name them; repeatable. Needs a Role there. Default: none.',
  ]),
  proxyPorts: one('Cluster', [
    'proxy-ports',
    PORT_RANGE,
    '10000-29999',
    'Ports that agents listen on, one for each port of each Service.',
  ]),
  discovery: one('Cluster', [
    'discovery',
    LISTEN,
    '[::]:9443',
    'Address and port where agents get their configuration, over TLS.',
  ]),
  probe: one('Cluster', [
    'probe',
    LISTEN_OR_OFF,
    '[::]:9002',
    "Address and port that answers the controller's own test calls through the mesh. `off` turns these tests off.",
  ]),
  dnsMode: one('DNS', [
    'dns-mode',
    oneOf('auto', 'manual', 'off'),
    'auto',
    '`auto` makes the cluster DNS forward the mesh domains, `manual` only prints what to add, `off` does neither.',
  ]),
  clusterDomain: one('DNS', [
    'cluster-domain',
    DOMAIN,
    'cluster.local',
    'Domain of the cluster itself.',
  ]),
} as const;

const AGENT = {
  controller: one('Cluster', [
    'controller',
    TARGET,
    'maesh-controller.maesh.svc:9443',
    'Address and port of the controllers.',
  ]),
  stateDir: one('Cluster', [
    'state-dir',
    PATH,
    '/var/lib/maesh',
    'Folder for the copy of the last good configuration.',
  ]),
  identityMaxAge: one('Cluster', [
    'identity-max-age',
    duration('1m', '168h'),
    '1h',
    'How long the agent trusts what it knows about Pods while no controller sends updates about them. After that, access rules treat every caller as unknown.',
  ]),
  tokenFile: one('Cluster', [
    'token-file',
    PATH,
    '/var/run/secrets/maesh/token/token',
    'Service account token with the audience `maesh-discovery`.',
  ]),
  drainDelay: one('Process', [
    'drain-delay',
    duration('0s', '10m'),
    '5s',
    'Delay between becoming unready and closing the listeners; up to twice as long while new connections still arrive.',
  ]),
} as const;

const {
  domains,
  admin,
  adminAllowRemote,
  defaultMode,
  logLevel,
  logFormat,
  files: _files,
  serviceCidr: _serviceCidr,
  takeOver: _takeOver,
  pods: _pods,
  acl: _acl,
  ...nodeSettings
} = SETTINGS;

const SHARED = [domains, admin, adminAllowRemote, logLevel, logFormat];

/** In the order of the documentation. */
export const CONTROLLER_SETTINGS: readonly Setting<unknown>[] = [
  ...Object.values({ ...CLUSTER, ...CONTROLLER }),
  defaultMode,
  ...SHARED,
];

export const AGENT_SETTINGS: readonly Setting<unknown>[] = [
  ...Object.values({ ...CLUSTER, ...AGENT, ...nodeSettings }),
  ...SHARED,
];

/** What `maesh up` does not have, for the documentation. */
export const CLUSTER_SETTINGS: readonly Setting<unknown>[] = Object.values({
  ...CLUSTER,
  ...CONTROLLER,
  ...AGENT,
});

/**
 * Everything `maesh controller` is told.
 * @throws MeshError `invalid_setting` with one line for each thing that is wrong.
 */
export function readControllerSettings(reader: SettingReader, env: Env): ControllerSettings {
  const namespace = reader.one(CLUSTER.namespace);
  const settings: ControllerSettings = {
    kubeconfig: reader.one(CLUSTER.kubeconfig),
    namespace,
    identity: env['POD_NAME'] ?? hostname(),
    scope: {
      watchNamespaces: reader.list(CONTROLLER.watchNamespaces),
      ignoreNamespaces: [...reader.list(CONTROLLER.ignoreNamespaces), namespace],
      isOptIn: reader.one(CONTROLLER.meshDefault) === 'opt-in',
    },
    secretNamespaces: reader.list(CONTROLLER.secretNamespaces),
    defaultMode: reader.one(defaultMode),
    proxyPorts: reader.one(CONTROLLER.proxyPorts),
    discovery: reader.one(CONTROLLER.discovery),
    probe: reader.one(CONTROLLER.probe),
    admin: reader.one(admin),
    domains: reader.list(domains),
    dnsMode: reader.one(CONTROLLER.dnsMode),
    clusterDomain: reader.one(CONTROLLER.clusterDomain),
    logLevel: reader.one(logLevel),
    logFormat: reader.one(logFormat),
  };
  refuse(reader, adminConflicts(settings.admin.host, reader.one(adminAllowRemote)));
  return settings;
}

/**
 * Everything `maesh agent` is told.
 * @throws MeshError `invalid_setting` with one line for each thing that is wrong.
 */
export function readNodeSettings(reader: SettingReader, env: Env): NodeSettings {
  const namespace = reader.one(CLUSTER.namespace);
  const settings: NodeSettings = {
    kubeconfig: reader.one(CLUSTER.kubeconfig),
    namespace,
    pod: env['POD_NAME'] ?? hostname(),
    node: nodeName(env),
    controller: reader.one(AGENT.controller),
    identityMaxAgeMs: reader.one(AGENT.identityMaxAge),
    stateDir: reader.one(AGENT.stateDir),
    tokenFile: reader.one(AGENT.tokenFile),
    dns: reader.one(SETTINGS.dns),
    domains: reader.list(domains),
    dnsTtlSeconds: reader.one(SETTINGS.dnsTtl) / 1_000,
    admin: reader.one(admin),
    threads: reader.one(SETTINGS.threads),
    drainDelayMs: reader.one(AGENT.drainDelay),
    drainTimeoutMs: reader.one(SETTINGS.drainTimeout),
    logLevel: reader.one(logLevel),
    logFormat: reader.one(logFormat),
    proxy: {
      ...readProxySettings(reader),
      node: nodeName(env),
      meshAccount: `${namespace}/${AGENT_ACCOUNT}`,
    },
  };
  refuse(reader, adminConflicts(settings.admin.host, reader.one(adminAllowRemote)));
  return settings;
}

function refuse(reader: SettingReader, conflicts: readonly string[]): void {
  const errors = [...reader.errors, ...conflicts];
  if (errors.length > 0) throw new MeshError('invalid_setting', errors.join('\n'));
}

/** Never '': a node-local Service has no endpoints on a node that nobody knows. */
function nodeName(env: Env): string {
  const name = env['NODE_NAME'] ?? '';
  return name === '' ? hostname() : name;
}
