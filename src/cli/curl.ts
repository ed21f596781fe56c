/** `maesh curl`: the real curl, with mesh names led to their addresses and the source address of a pod. */

import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';

import { Command } from 'commander';

import { MeshError, codeOf } from '../base/error.ts';
import type { CliContext } from './context.ts';
import { curlTargets, readCurlOptions, withAdded, type CurlTarget } from './curl-arguments.ts';
import { addMeshSource, findMesh, readMesh, type Mesh, type NamedService } from './mesh.ts';
import { STANDARD_INPUT } from './standard-input.ts';
import { didYouMean } from '../base/nearest.ts';

const EXAMPLES = `
The first word that is not an option of this command starts curl's own arguments: before it -f means manifests, after it
curl's --fail. --from and --admin work anywhere. The exit code is curl's. In a cluster maesh curl sends nothing: it prints
the kubectl command that runs curl in a Pod.

Examples:
  maesh curl http://web.shop.maesh/
  maesh curl --from shop/client -v http://web.shop.maesh/cart
  maesh curl -f examples/shop -s -o /dev/null -w '%{http_code}\\n' http://web.shop.maesh/ http://cart.shop.maesh/`;

export function curlCommand(context: CliContext): Command {
  const command = new Command('curl')
    .summary('run curl with mesh names resolved, optionally as a pod')
    .description(
      'Runs the curl of this machine and resolves mesh names in its URLs. With --from it sends as a pod.',
    )
    .usage('[options] [curl arguments] URL...')
    .argument('[arguments...]', 'arguments and URLs for curl')
    .option('--from <NAMESPACE/POD>', 'send from the address of this pod')
    .addHelpText('after', EXAMPLES)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (words: readonly string[]) => {
      const args = takeOurs(command, words);
      checkManifests(command.getOptionValue('file'));
      if (args.length === 0)
        command.error(
          'maesh: Cannot run curl without a URL: give one, as in http://web.shop.maesh/',
        );
      const { place } = await findMesh(command, context);
      if (place.kind === 'cluster') throw elsewhere(args, command.getOptionValue('from'));
      const options = await readCurlOptions(curlOutput);
      const mesh = await readMesh(command, context);
      const source = sourceArguments(mesh, command.getOptionValue('from'));
      const targets = targetArguments(mesh, curlTargets(args, options));
      const env = proxyless(context.env, mesh.domains);
      await using names = await NameFile.write(mesh);
      const added = [...source, '--config', names.path, ...targets];
      context.exit(await runCurl(withAdded(args, options, { first: added, each: source }), env));
    });
  return addMeshSource(command);
}

/** Options that curl does not have are ours wherever they stand before a `--`. */
function takeOurs(command: Command, words: readonly string[]): readonly string[] {
  const rest: string[] = [];
  const end = words.indexOf('--');
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? '';
    const match = end < 0 || i < end ? /^--(from|admin)(?:=(.*))?$/.exec(word) : null;
    const value = match?.[2] ?? words[i + 1];
    if (match === null || value === undefined) {
      rest.push(word);
      continue;
    }
    command.setOptionValue(match[1] ?? '', value);
    if (match[2] === undefined) i += 1;
  }
  return rest;
}

/** Mesh addresses of a cluster lead somewhere from its Pods only, and only a Pod is known to its agents as a caller. */
function elsewhere(args: readonly string[], from: unknown): MeshError {
  const [namespace = '', pod = ''] = typeof from === 'string' ? from.split('/') : [];
  const start =
    pod === ''
      ? 'kubectl run maesh-curl -it --rm --restart=Never --image=curlimages/curl -- curl'
      : `kubectl -n ${quoted(namespace)} exec ${quoted(pod)} -- curl`;
  return new MeshError(
    'invalid_setting',
    `Cannot run curl here: mesh addresses of a cluster work only inside its Pods; run: ${[start, ...args.map(quoted)].join(' ')}`,
  );
}

/** As a shell takes it. */
function quoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** Everybody forgets once that -f is taken. */
function checkManifests(paths: unknown): void {
  if (!Array.isArray(paths)) return;
  if (paths.includes(STANDARD_INPUT)) {
    throw new MeshError(
      'invalid_setting',
      'Cannot read manifests from standard input: it is the one of curl; write them to a file',
    );
  }
  const url = paths.map(String).find((path) => path.includes('://'));
  if (url === undefined) return;
  throw new MeshError(
    'invalid_setting',
    `Cannot read manifests from "${url}": -f means manifests here; write --fail for the option of curl`,
  );
}

/** `--interface` with the address of the pod. */
function sourceArguments(mesh: Mesh, from: unknown): readonly string[] {
  if (typeof from !== 'string') return [];
  const pods = new Map<string, string>();
  for (const { namespace, pod, address } of mesh.identities) {
    pods.set(pod.includes('/') ? pod : `${namespace}/${pod}`, address);
  }
  const address = pods.get(from);
  if (address === undefined) {
    const hint =
      didYouMean(from, pods.keys()) ||
      `; the mesh knows ${pods.size} pods, give one as namespace/pod`;
    throw new MeshError(
      'not_found',
      `Cannot send from pod "${from}": the mesh has no such pod with an address${hint}`,
    );
  }
  if (!isLocal(address)) {
    throw new MeshError(
      'address_unavailable',
      `Cannot send from pod "${from}": its address "${address}" is not one of this machine; give the Pod a status.podIP in 127.0.0.0/8`,
    );
  }
  return ['--interface', address];
}

function isLocal(address: string): boolean {
  if (address.startsWith('127.') || address === '::1') return true;
  return Object.values(networkInterfaces()).some((entries) =>
    entries?.some((entry) => entry.address === address),
  );
}

/**
 * All names of the mesh for curl's `--config`, since URLs come from elsewhere too: redirects, globs, files, `--next`. What
 * `resolve` says holds for all of them, as all transfers of a curl share one cache of names.
 */
class NameFile implements AsyncDisposable {
  readonly path: string;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, 'names');
  }

  static async write(mesh: Mesh): Promise<NameFile> {
    const file = new NameFile(await mkdtemp(join(tmpdir(), 'maesh-curl-')));
    await writeFile(file.path, resolveLines(mesh).join(''), { mode: 0o600 });
    return file;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function resolveLines(mesh: Mesh): string[] {
  const lines: string[] = [];
  for (const { namespace, name, address, ports } of mesh.services) {
    if (address === '') continue;
    const literal = address.includes(':') ? `[${address}]` : address;
    for (const { port, protocol } of ports) {
      if (protocol === 'udp') continue;
      for (const domain of mesh.domains) {
        lines.push(`resolve = "${name}.${namespace}.${domain}:${port}:${literal}"\n`);
      }
    }
  }
  return lines;
}

/** `--connect-to` for each mesh name in the arguments: it holds for every port and spelling. */
function targetArguments(mesh: Mesh, targets: readonly CurlTarget[]): readonly string[] {
  const args: string[] = [];
  const names = new Map<string, NamedService>();
  for (const service of mesh.services) names.set(`${service.name}.${service.namespace}`, service);
  for (const target of targets) {
    // curl makes many hosts of it; what is no Service among them it says itself.
    if (/[{}[\]]/.test(target.host)) continue;
    const host = target.host.toLowerCase().replace(/\.$/, '');
    const domain = mesh.domains.find(
      (candidate) => host === candidate || host.endsWith(`.${candidate}`),
    );
    if (domain === undefined) continue;
    const name = host.slice(0, Math.max(host.length - domain.length - 1, 0));
    const service = names.get(name);
    if (service === undefined || service.address === '') {
      const near = didYouMean(name, names.keys()).replaceAll(/"([^"]+)"/g, `"$1.${domain}"`);
      const hint = near === '' ? '; "maesh hosts" lists the names' : near;
      throw new MeshError(
        'not_found',
        `Cannot find "${target.host}": the mesh has no such Service${hint}`,
      );
    }
    checkPort(service, target);
    const address = service.address.includes(':') ? `[${service.address}]` : service.address;
    args.push('--connect-to', `${target.host}::${address}:`);
  }
  return args;
}

/** What `https://` without a port means. */
const HTTPS_PORT = 443;

function checkPort(service: NamedService, target: CurlTarget): void {
  if (target.port === 0 || service.ports.some((port) => port.port === target.port)) return;
  const ports = service.ports.map((port) => `${port.port} (${port.protocol})`).join(', ');
  const hint =
    target.port === HTTPS_PORT ? '; use http://, or the port that has a certificate' : '';
  throw new MeshError(
    'not_found',
    `Cannot reach port ${target.port} of "${target.host}": the Service has ${ports === '' ? 'no ports' : ports}${hint}`,
  );
}

/** A proxy from the environment cannot resolve mesh names, so they go past it. */
function proxyless(
  env: CliContext['env'],
  domains: readonly string[],
): Record<string, string | undefined> {
  const without = [env['no_proxy'] ?? env['NO_PROXY'] ?? '', ...domains]
    .filter((part) => part !== '')
    .join(',');
  return { ...env, no_proxy: without, NO_PROXY: without };
}

/** Standard output of a curl that prints something about itself. */
async function curlOutput(args: readonly string[]): Promise<string> {
  const child = spawn('curl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await ended(child);
  return text;
}

async function runCurl(
  args: readonly string[],
  env: Record<string, string | undefined>,
): Promise<number> {
  return ended(spawn('curl', args, { stdio: 'inherit', env }));
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGKILL: 9,
  SIGTERM: 15,
};

/** The exit code, as a shell would say it. */
async function ended(child: ReturnType<typeof spawn>): Promise<number> {
  // The terminal sends Ctrl-C to curl too: it decides how to end, and we end with it.
  const ignore = (): void => undefined;
  process.on('SIGINT', ignore);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) =>
        resolve(code ?? 128 + (SIGNAL_NUMBERS[signal ?? ''] ?? 0)),
      );
    });
  } catch (thrown) {
    if (codeOf(thrown) !== 'not_found') throw MeshError.from(thrown, 'Cannot run curl');
    throw new MeshError(
      'not_found',
      'Cannot find curl: install it (apt-get, dnf or apk have a package "curl"), or add the output of "maesh hosts" to /etc/hosts',
      thrown,
    );
  } finally {
    process.off('SIGINT', ignore);
  }
}
