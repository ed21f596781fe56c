/** The mesh that a command talks about: a running one by its admin API, or the one that manifests describe. */

import type { Command } from 'commander';

import { MeshError } from '../base/error.ts';
import { isRecord } from '../base/record.ts';
import { askAdmin, DEFAULT_ADMIN } from './ask-admin.ts';
import type { CliContext } from './context.ts';
import { addSettings, givenFlags } from './options.ts';
import { SettingReader } from './setting-reader.ts';
import { SETTINGS } from './settings.ts';

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

const SOURCE_SETTINGS = [SETTINGS.files, SETTINGS.serviceCidr, SETTINGS.domains];

/** Adds `-f`, `--admin` and what goes with them; `manyPaths` as for `addSettings`. */
export function addMeshSource(command: Command, { manyPaths = false } = {}): Command {
  addSettings(command, SOURCE_SETTINGS, { manyPaths });
  return command.option(
    '--admin <URL>',
    `admin API of a running mesh, instead of manifests (MAESH_ADMIN, default ${DEFAULT_ADMIN})`,
  );
}

/** Where the mesh is told of: manifests, or the admin API of one that runs. */
export interface MeshSource {
  /** Empty for a running mesh. */
  readonly paths: readonly string[];
  /** URL of the admin API, '' for manifests. */
  readonly admin: string;
  readonly serviceCidr: string;
  /** Never empty. */
  readonly domains: readonly string[];
}

/** Manifests where given (flag or variable), else the running mesh. `reader` gets what is wrong, but throws nothing. */
export function meshSource(
  command: Command,
  context: CliContext,
  reader: SettingReader,
): MeshSource {
  const domains = reader.list(SETTINGS.domains);
  const serviceCidr = reader.one(SETTINGS.serviceCidr);
  const paths = reader.list(SETTINGS.files);
  const flag: unknown = command.getOptionValue('admin');
  if (givenFlags(command, SOURCE_SETTINGS).has(SETTINGS.files.name) && flag !== undefined) {
    reader.errors.push('Cannot use both -f and --admin: give the manifests or the running mesh');
  }
  if (typeof flag !== 'string' && paths.length > 0) {
    return { paths, admin: '', serviceCidr, domains };
  }
  const fallback = context.env['MAESH_ADMIN'] ?? '';
  const admin = typeof flag === 'string' ? flag : fallback || DEFAULT_ADMIN;
  return { paths: [], admin, serviceCidr, domains };
}

/**
 * Reads the manifests where given (flag or variable), else asks the running mesh.
 * @throws MeshError with the way out when that is not possible.
 */
export async function readMesh(command: Command, context: CliContext): Promise<Mesh> {
  const flags = givenFlags(command, SOURCE_SETTINGS);
  const reader = new SettingReader({ flags, env: context.env, file: null });
  const { paths, admin, serviceCidr, domains } = meshSource(command, context, reader);
  if (reader.errors.length > 0) throw new MeshError('invalid_setting', reader.errors.join('\n'));
  if (admin !== '') return { ...(await askMesh(admin)), domains };
  const { loadManifests } = await import('./load.ts');
  const { snapshot } = await loadManifests({ paths, serviceCidr });
  const services = [...snapshot.services.values()];
  return { services, identities: [...snapshot.identities.values()], domains };
}

/** Asks a running mesh what it has. */
async function askMesh(admin: string): Promise<Omit<Mesh, 'domains'>> {
  return askAdmin(admin, '/api/snapshot', isMesh);
}

function isMesh(value: unknown): value is Omit<Mesh, 'domains'> {
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
