/** Kubeconfig files: merged as kubectl does, one context chosen. */

import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { Env } from '../../base/command.ts';
import { type ErrorCode, MeshError, codeOf } from '../../base/error.ts';
import { isRecord } from '../../base/record.ts';
import { Lines } from '../text/lines.ts';
import { Credentials } from './credentials.ts';
import { ExecPlugin, INTERACTIVE_MODES } from './exec-plugin.ts';
import type { InteractiveMode } from './exec-plugin.ts';
import { FileText, fixedText } from './file-value.ts';
import type { TextSource } from './file-value.ts';
import { parseProxyUrl } from './proxy.ts';

/** Bytes of a kubeconfig file. */
const KUBECONFIG_BYTES_MAX = 4_194_304;

type Section = 'clusters' | 'users' | 'contexts';
type Fields = Readonly<Record<string, unknown>>;

interface NamedEntry {
  readonly name: string;
  readonly fields: Fields;
  /** The file that it stands in: paths count from its folder. */
  readonly file: string;
}

interface Merged {
  readonly files: readonly string[];
  readonly currentContext: string;
  readonly sections: Readonly<Record<Section, ReadonlyMap<string, NamedEntry>>>;
}

export interface KubeconfigOptions {
  /** The first file that says something wins; those that do not exist are passed over unless all are missing. */
  readonly paths: readonly string[];
  /** Instead of `current-context`. */
  readonly context: string | undefined;
  readonly env: Env;
  readonly clock: Clock;
  /** Standard input is a terminal, at which a plugin may ask. */
  readonly hasTerminal: boolean;
}

export interface ChosenContext {
  readonly server: string;
  readonly namespace: string;
  readonly proxy: URL | undefined;
  readonly credentials: Credentials;
}

/** Throws a `MeshError` that names file, entry and field. */
export async function readKubeconfig(options: KubeconfigOptions): Promise<ChosenContext> {
  const merged = await merge(options.paths);
  const name = options.context ?? merged.currentContext;
  const where = merged.files.map((file) => `"${file}"`).join(', ');
  if (name === '') {
    throw new MeshError(
      'invalid_input',
      `Cannot choose a context from ${where}: "current-context" is not set; set it, or name one with --context`,
    );
  }
  const isAsked = options.context !== undefined;
  const context = find(merged, 'contexts', name, isAsked ? 'invalid_setting' : 'not_found');
  const cluster = find(merged, 'clusters', textAt(context, 'cluster'));
  const userName = textAt(context, 'user');
  const user = userName === '' ? null : find(merged, 'users', userName);
  return {
    server: textAt(cluster, 'server'),
    namespace: textAt(context, 'namespace') || 'default',
    proxy: proxyOf(cluster),
    credentials: credentialsOf(cluster, user, options),
  };
}

function proxyOf(cluster: NamedEntry): URL | undefined {
  const text = textAt(cluster, 'proxy-url');
  const action = `Cannot use the "proxy-url" of "${cluster.name}" in the kubeconfig "${cluster.file}"`;
  return text === '' ? undefined : parseProxyUrl(text, action);
}

async function merge(paths: readonly string[]): Promise<Merged> {
  const sections = {
    clusters: new Map<string, NamedEntry>(),
    users: new Map<string, NamedEntry>(),
    contexts: new Map<string, NamedEntry>(),
  };
  let currentContext = '';
  const files: string[] = [];
  for (const path of paths) {
    const file = resolve(path);
    const fields = await load(file);
    if (fields === null) continue;
    files.push(path);
    const current = fields['current-context'];
    if (currentContext === '' && typeof current === 'string') currentContext = current;
    for (const section of ['clusters', 'users', 'contexts'] as const) {
      addEntries(sections[section], section, fields[section], file);
    }
  }
  if (files.length === 0) {
    const where = paths.map((path) => `"${path}"`).join(', ');
    throw new MeshError(
      'invalid_setting',
      `Cannot read the kubeconfig ${where}: no such file; check --kubeconfig and KUBECONFIG`,
    );
  }
  return { files, currentContext, sections };
}

/** null when there is no such file. */
async function load(file: string): Promise<Fields | null> {
  const action = `Cannot read the kubeconfig "${file}"`;
  const bytes = await readFile(file).catch((error: unknown) => {
    if (codeOf(error) === 'not_found') return null;
    throw MeshError.from(error, action);
  });
  if (bytes === null) return null;
  if (bytes.length > KUBECONFIG_BYTES_MAX) {
    throw new MeshError(
      'invalid_input',
      `${action}: it is longer than ${KUBECONFIG_BYTES_MAX} bytes`,
    );
  }
  // Loaded only here: in a cluster there is no kubeconfig, and the parser costs memory.
  const { readYaml } = await import('../text/yaml.ts');
  const text = bytes.toString('utf8');
  const read = readYaml(text);
  if (!read.ok) {
    // Only the place is told: the line in question may hold a key.
    const { line, column } = new Lines(text).at(read.error.offset);
    throw new MeshError(
      'invalid_input',
      `${action}: it is not valid YAML at line ${line}, column ${column}`,
    );
  }
  const value = read.documents[0]?.value;
  if (value === null || value === undefined) return {};
  if (isRecord(value)) return value;
  throw new MeshError('invalid_input', `${action}: it must be a mapping, as "kind: Config" is`);
}

function addEntries(
  entries: Map<string, NamedEntry>,
  section: Section,
  value: unknown,
  file: string,
): void {
  if (value === undefined || value === null) return;
  const fail = (): never => {
    throw new MeshError(
      'invalid_input',
      `Cannot read "${section}" of the kubeconfig "${file}": it must be a list of names with a "${section.slice(0, -1)}" each`,
    );
  };
  if (!Array.isArray(value)) return fail();
  for (const item of value as readonly unknown[]) {
    if (!isRecord(item) || typeof item['name'] !== 'string') return fail();
    const { name } = item;
    const fields = item[section.slice(0, -1)] ?? {};
    if (!isRecord(fields)) return fail();
    if (!entries.has(name)) entries.set(name, { name, fields, file });
  }
}

function find(
  merged: Merged,
  section: Section,
  name: string,
  code: ErrorCode = 'not_found',
): NamedEntry {
  const entry = merged.sections[section].get(name);
  if (entry !== undefined) return entry;
  const known = [...merged.sections[section].keys()].map((each) => `"${each}"`).join(', ');
  throw new MeshError(
    code,
    `Cannot find "${name}" under "${section}" of the kubeconfig ${merged.files.map((file) => `"${file}"`).join(', ')}: ${known === '' ? 'there is none' : `there are ${known}`}`,
  );
}

/** The string at `key`, '' when absent. */
function textAt({ name, fields, file }: NamedEntry, key: string): string {
  const value = fields[key];
  if (typeof value === 'string') return value;
  if (value === undefined || value === null) return '';
  throw new MeshError(
    'invalid_input',
    `Cannot use "${key}" of "${name}" in the kubeconfig "${file}": it must be a string; quote it`,
  );
}

function credentialsOf(
  cluster: NamedEntry,
  user: NamedEntry | null,
  { env, clock, hasTerminal }: KubeconfigOptions,
): Credentials {
  const source = (entry: NamedEntry, key: string, what: string): TextSource | undefined =>
    dataOrFile({ entry, key, what, clock });
  const isInsecure = cluster.fields['insecure-skip-tls-verify'] === true;
  const serverName = textAt(cluster, 'tls-server-name');
  return new Credentials({
    ca: isInsecure ? undefined : source(cluster, 'certificate-authority', 'certificate authority'),
    isInsecure,
    serverName: serverName === '' ? undefined : serverName,
    ...(user === null
      ? {}
      : {
          cert: source(user, 'client-certificate', 'client certificate'),
          key: source(user, 'client-key', 'client key'),
          token: tokenOf(user, clock),
          basic: basicOf(user),
          exec: execOf(user, cluster, { env, clock, hasTerminal }),
        }),
  });
}

/** `<key>-data` in base64 wins over the file at `<key>`, as with kubectl. */
function dataOrFile(of: {
  readonly entry: NamedEntry;
  readonly key: string;
  readonly what: string;
  readonly clock: Clock;
}): TextSource | undefined {
  const { entry, key, what, clock } = of;
  const data = textAt(entry, `${key}-data`);
  if (data !== '') return fixedText(Buffer.from(data, 'base64').toString('utf8'));
  const path = textAt(entry, key);
  return path === '' ? undefined : new FileText(besides(entry, path), what, clock);
}

function besides(entry: NamedEntry, path: string): string {
  return isAbsolute(path) ? path : join(dirname(entry.file), path);
}

function tokenOf(user: NamedEntry, clock: Clock): TextSource | undefined {
  const path = textAt(user, 'tokenFile');
  if (path !== '') return new FileText(besides(user, path), 'token', clock);
  const token = textAt(user, 'token');
  return token === '' ? undefined : fixedText(token);
}

function basicOf(user: NamedEntry): { username: string; password: string } | undefined {
  const username = textAt(user, 'username');
  return username === '' ? undefined : { username, password: textAt(user, 'password') };
}

function execOf(
  user: NamedEntry,
  cluster: NamedEntry,
  { env, clock, hasTerminal }: Pick<KubeconfigOptions, 'env' | 'clock' | 'hasTerminal'>,
): ExecPlugin | undefined {
  const { fields } = user;
  if (isRecord(fields['auth-provider'])) {
    throw new MeshError(
      'invalid_input',
      `Cannot use the user "${user.name}": "auth-provider" was removed in Kubernetes 1.26; use "exec", as current tools of the cloud write it`,
    );
  }
  if (!isRecord(fields['exec'])) return undefined;
  const exec: NamedEntry = { name: `${user.name}.exec`, fields: fields['exec'], file: user.file };
  const command = textAt(exec, 'command');
  const { args, env: extra } = exec.fields;
  return new ExecPlugin({
    apiVersion: textAt(exec, 'apiVersion'),
    command: command.includes('/') ? besides(user, command) : command,
    args: Array.isArray(args) ? args.map((each) => String(each)) : [],
    extraEnv: readEnv(extra),
    env,
    cwd: dirname(user.file),
    cluster: exec.fields['provideClusterInfo'] === true ? clusterInfo(cluster) : null,
    installHint: textAt(exec, 'installHint'),
    interactiveMode: interactiveModeOf(exec),
    hasTerminal,
    clock,
  });
}

function interactiveModeOf(exec: NamedEntry): InteractiveMode {
  const text = textAt(exec, 'interactiveMode') || 'IfAvailable';
  const mode = INTERACTIVE_MODES.find((each) => each === text);
  if (mode !== undefined) return mode;
  throw new MeshError(
    'invalid_input',
    `Cannot use "interactiveMode" of "${exec.name}" in the kubeconfig "${exec.file}": it is "${text}"; write one of ${INTERACTIVE_MODES.join(', ')}`,
  );
}

function readEnv(value: unknown): Readonly<Record<string, string>> {
  const env: Record<string, string> = {};
  for (const item of Array.isArray(value) ? (value as readonly unknown[]) : []) {
    if (!isRecord(item)) continue;
    const { name, value: text } = item;
    if (typeof name === 'string' && typeof text === 'string') env[name] = text;
  }
  return env;
}

/** `ExecCredential.spec.cluster`; a certificate authority in a file is left for the plugin to read itself. */
function clusterInfo(cluster: NamedEntry): Readonly<Record<string, unknown>> {
  const { fields } = cluster;
  const info: Record<string, unknown> = { server: fields['server'] };
  for (const key of [
    'certificate-authority-data',
    'insecure-skip-tls-verify',
    'proxy-url',
    'tls-server-name',
  ]) {
    if (fields[key] !== undefined) info[key] = fields[key];
  }
  return info;
}
