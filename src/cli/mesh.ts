/** The mesh that a command talks about: a running one by its admin API, or the one that manifests describe. */

import { get, type IncomingMessage } from 'node:http';

import type { Command } from 'commander';

import { MeshError, type ErrorCode } from '../base/error.ts';
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
const DEFAULT_ADMIN = 'http://127.0.0.1:9000';
const ANSWER_TIMEOUT_MS = 10_000;

/** Adds `-f`, `--admin` and what goes with them; `manyPaths` as for `addSettings`. */
export function addMeshSource(command: Command, { manyPaths = false } = {}): Command {
  addSettings(command, SOURCE_SETTINGS, { manyPaths });
  return command.option(
    '--admin <URL>',
    `admin API of a running mesh, instead of manifests (MAESH_ADMIN, default ${DEFAULT_ADMIN})`,
  );
}

/**
 * Reads the manifests where given (flag or variable), else asks the running mesh.
 * @throws MeshError with the way out when that is not possible.
 */
export async function readMesh(command: Command, context: CliContext): Promise<Mesh> {
  const flags = givenFlags(command, SOURCE_SETTINGS);
  const reader = new SettingReader({ flags, env: context.env, file: null });
  const domains = reader.list(SETTINGS.domains);
  const serviceCidr = reader.one(SETTINGS.serviceCidr);
  const paths = reader.list(SETTINGS.files);
  const adminFlag: unknown = command.getOptionValue('admin');
  if (flags.has(SETTINGS.files.name) && adminFlag !== undefined) {
    reader.errors.push('Cannot use both -f and --admin: give the manifests or the running mesh');
  }
  if (reader.errors.length > 0) throw new MeshError('invalid_setting', reader.errors.join('\n'));
  if (typeof adminFlag === 'string' || paths.length === 0) {
    const fallback = context.env['MAESH_ADMIN'] ?? '';
    const admin = typeof adminFlag === 'string' ? adminFlag : fallback || DEFAULT_ADMIN;
    return { ...(await askMesh(admin)), domains };
  }
  const { loadManifests } = await import('./load.ts');
  const { snapshot } = await loadManifests({ paths, serviceCidr });
  const services = [...snapshot.services.values()];
  return { services, identities: [...snapshot.identities.values()], domains };
}

/** Asks a running mesh what it has. */
async function askMesh(admin: string): Promise<Omit<Mesh, 'domains'>> {
  const base = admin.includes('://') ? admin : `http://${admin}`;
  if (!URL.canParse(base) || !base.startsWith('http://')) {
    throw new MeshError(
      'invalid_setting',
      `Cannot use "${admin}" for --admin: give a URL, as in ${DEFAULT_ADMIN}`,
    );
  }
  let body: unknown;
  try {
    body = JSON.parse(await getText(new URL('/api/snapshot', base)));
  } catch (thrown) {
    throw unreachable(base, thrown);
  }
  if (!isMesh(body))
    throw unreachable(base, new Error('it answers with something else than a mesh'));
  return body;
}

/** `node:http` rather than fetch, which refuses some ports and takes longer to load. */
async function getText(url: URL): Promise<string> {
  const request = get(url, { agent: false, signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.on('response', resolve);
    request.on('error', reject);
  });
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  if (response.statusCode !== 200) {
    throw new MeshError('unreachable', `it answers with status ${response.statusCode ?? 0}`);
  }
  return text;
}

function unreachable(base: string, thrown: unknown): MeshError {
  const isTimeout = thrown instanceof Error && thrown.name === 'TimeoutError';
  const { code, message } = MeshError.from(thrown);
  const detail = isTimeout ? 'no answer in time' : (REASONS[code] ?? message);
  return new MeshError(
    code,
    `Cannot ask the mesh at "${base}": ${detail}; is "maesh up" running? Give its address with --admin URL, or manifests with -f PATH`,
    thrown,
  );
}

const REASONS: Partial<Record<ErrorCode, string>> = {
  connect_refused: 'nothing listens there',
  connection_reset: 'it closed the connection',
};

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

function isListOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
