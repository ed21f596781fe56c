/** The mesh that a command talks about: a running one by its admin API, or the one that manifests describe. */

import type { Command } from 'commander';

import { MeshError } from '../base/error.ts';
import { isRecord, listAt } from '../base/record.ts';
import { askAdmin, DEFAULT_ADMIN } from './ask-admin.ts';
import type { CliContext } from './context.ts';
import { addCluster } from './install-options.ts';
import { addSettings, givenFlags } from './options.ts';
import { SettingReader } from './setting-reader.ts';
import { FILES_TO_READ, SETTINGS } from './settings.ts';

/** What the commands need of a Service. */
export interface NamedService {
  readonly namespace: string;
  readonly name: string;
  /** '' where it has none. */
  readonly address: string;
  readonly ports: readonly { readonly port: number; readonly protocol: string }[];
}

/** What the commands need of a pod. */
interface NamedPod {
  readonly namespace: string;
  readonly pod: string;
  readonly address: string;
}

export interface Mesh {
  readonly services: readonly NamedService[];
  readonly identities: readonly NamedPod[];
  /** Domains of mesh names, never empty. */
  readonly domains: readonly string[];
}

const SOURCE_SETTINGS = [FILES_TO_READ, SETTINGS.serviceCidr, SETTINGS.pods, SETTINGS.domains];
/** Set by `bin/kubectl-maesh`: who says kubectl means a cluster. */
const PLUGIN_VARIABLE = 'MAESH_KUBECTL_PLUGIN';

/** Adds `-f`, `--admin`, `--cluster` and what goes with them; `manyPaths` as for `addSettings`. */
export function addMeshSource(command: Command, { manyPaths = false } = {}): Command {
  addSettings(command, SOURCE_SETTINGS, { manyPaths });
  command
    .option(
      '--admin <URL>',
      `admin API of a running mesh, instead of manifests (MAESH_ADMIN, default ${DEFAULT_ADMIN})`,
    )
    .option('--cluster', 'the mesh of a cluster; the default of "kubectl maesh"');
  return addCluster(command, '--mesh-namespace');
}

/** Where the mesh is told of. */
export type MeshPlace =
  | { readonly kind: 'manifests'; readonly paths: readonly string[] }
  | { readonly kind: 'admin'; readonly url: string }
  | { readonly kind: 'cluster' }
  /** Nothing says where: the mesh of this machine when it runs, else that of the kubeconfig. */
  | { readonly kind: 'nearest' };

export type SettledPlace = Exclude<MeshPlace, { kind: 'nearest' }>;

export interface MeshSource {
  readonly place: MeshPlace;
  readonly serviceCidr: string;
  readonly podCidr: string | null;
  /** Null when they were not given: a running mesh tells its own. */
  readonly domains: readonly string[] | null;
}

/** Flags before variables; `kubectl maesh` between them. `reader` gets what is wrong, but throws nothing. */
export function meshSource(
  command: Command,
  context: CliContext,
  reader: SettingReader,
): MeshSource {
  const flags = givenFlags(command, SOURCE_SETTINGS);
  const domains = reader.list(SETTINGS.domains);
  const isGiven = flags.has(SETTINGS.domains.name) || (context.env['MAESH_DOMAIN'] ?? '') !== '';
  return {
    place: placeOf(command, context, reader),
    serviceCidr: reader.one(SETTINGS.serviceCidr),
    podCidr: reader.one(SETTINGS.pods),
    domains: isGiven ? domains : null,
  };
}

function placeOf(command: Command, { env }: CliContext, reader: SettingReader): MeshPlace {
  const paths = reader.list(SETTINGS.files);
  const [given, ...others] = flaggedPlaces(command, paths);
  if (others.length > 0) {
    reader.errors.push(
      'Cannot use several of -f, --admin and --cluster: give the manifests, the running mesh or the cluster',
    );
  }
  if (given !== undefined) return given;
  if ((env[PLUGIN_VARIABLE] ?? '') !== '') return { kind: 'cluster' };
  if (paths.length > 0) return { kind: 'manifests', paths };
  const url = env['MAESH_ADMIN'] ?? '';
  return url === '' ? { kind: 'nearest' } : { kind: 'admin', url };
}

/** What flags say; those of a cluster mean a cluster. */
function flaggedPlaces(command: Command, paths: readonly string[]): readonly MeshPlace[] {
  const admin: unknown = command.getOptionValue('admin');
  const hasFiles = givenFlags(command, SOURCE_SETTINGS).has(SETTINGS.files.name);
  const isCluster = ['cluster', 'kubeconfig', 'context', 'meshNamespace'].some(
    (name) => command.getOptionValue(name) !== undefined,
  );
  return [
    ...(hasFiles ? [{ kind: 'manifests', paths } as const] : []),
    ...(typeof admin === 'string' ? [{ kind: 'admin', url: admin } as const] : []),
    ...(isCluster ? [{ kind: 'cluster' } as const] : []),
  ];
}

/** The domains where neither the user nor the mesh tells any. */
export function defaultDomains(): readonly string[] {
  return new SettingReader({ flags: new Map(), env: {}, file: null }).list(SETTINGS.domains);
}

/** Where the mesh of this command line is. Throws a `MeshError` for a wrong setting, and when there is none. */
export async function findMesh(
  command: Command,
  context: CliContext,
): Promise<MeshSource & { readonly place: SettledPlace }> {
  const flags = givenFlags(command, SOURCE_SETTINGS);
  const reader = new SettingReader({ flags, env: context.env, file: null });
  const source = meshSource(command, context, reader);
  if (reader.errors.length > 0) throw new MeshError('invalid_setting', reader.errors.join('\n'));
  return { ...source, place: await settle(source.place, context) };
}

/**
 * Reads the manifests where given, else asks the running mesh.
 * @throws MeshError with the way out when that is not possible.
 */
export async function readMesh(command: Command, context: CliContext): Promise<Mesh> {
  const { place: found, serviceCidr, podCidr, domains } = await findMesh(command, context);
  if (found.kind === 'manifests') {
    const { loadManifests } = await import('./load.ts');
    const { snapshot } = await loadManifests({ paths: found.paths, serviceCidr, podCidr });
    const services = [...snapshot.services.values()];
    const identities = [...snapshot.identities.values()];
    return { services, identities, domains: domains ?? defaultDomains() };
  }
  const told =
    found.kind === 'cluster'
      ? await (await import('./cluster-mesh.ts')).askClusterMesh(command, context, isMesh)
      : await askAdmin(found.url, '/api/snapshot', isMesh);
  return { ...told, domains: domains ?? domainsOf(told) };
}

/**
 * Where the mesh is when nothing says so: one that runs on this machine (`nearby`) is nearer than the cluster of the
 * kubeconfig.
 */
export async function settle(
  place: MeshPlace,
  context: CliContext,
  nearby = DEFAULT_ADMIN,
): Promise<SettledPlace> {
  if (place.kind !== 'nearest') return place;
  const here = { kind: 'admin', url: nearby } as const;
  try {
    await askAdmin(here.url, '/healthz', isRecord);
    return here;
  } catch (error) {
    const { hasCluster } = await import('./cluster-mesh.ts');
    if (await hasCluster(context)) return { kind: 'cluster' };
    throw error;
  }
}

/** As the mesh tells them; older ones do not. */
export function domainsOf(told: object): readonly string[] {
  const domains = listAt(told, 'domains').filter((domain) => typeof domain === 'string');
  return domains.length > 0 ? domains : defaultDomains();
}

type MeshAnswer = Omit<Mesh, 'domains'>;

function isMesh(value: unknown): value is MeshAnswer {
  return (
    isRecord(value) &&
    isListOf(value['services'], isService) &&
    isListOf(value['identities'], isPod)
  );
}

function isService(value: unknown): value is NamedService {
  if (!isRecord(value)) return false;
  const texts = ['namespace', 'name', 'address'].every((field) => typeof value[field] === 'string');
  return texts && isListOf(value['ports'], isPort);
}

function isPort(value: unknown): boolean {
  return (
    isRecord(value) && typeof value['port'] === 'number' && typeof value['protocol'] === 'string'
  );
}

function isPod(value: unknown): value is NamedPod {
  if (!isRecord(value)) return false;
  return ['namespace', 'pod', 'address'].every((field) => typeof value[field] === 'string');
}

export function isListOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem);
}
