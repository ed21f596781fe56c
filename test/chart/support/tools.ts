/**
 * Finds the real tools that the chart is tested with. scripts/cluster-tools.sh installs them into the cache folder;
 * where one is missing, what needs it is skipped and says so.
 */

import { execFile } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

const CACHE = process.env['MAESH_CACHE'] || join(homedir(), '.cache/maesh');

/** Patterns below the cache folder, the preferred first: helper scripts put versions into names. */
const PLACES = {
  helm: ['helm', 'helm-*', 'kubectl-helm-35*/helm/helm'],
  helm3: ['helm3', 'helm3-*', 'kubectl-helm-33-2.0.0/helm/helm'],
  kubectl: ['kubectl', 'kubectl-[0-9]*', 'kubectl-helm-35*/kubectl/kubectl'],
  kubernetes: ['kubernetes', 'kubernetes-*'],
  etcd: ['etcd', 'etcd-*'],
} as const;

export type Tool = keyof typeof PLACES;

/** Path of a tool, or '' where it is not installed. */
export function findTool(tool: Tool): string {
  for (const pattern of PLACES[tool]) {
    const found = globSync(pattern, { cwd: CACHE, withFileTypes: true }).filter((each) =>
      each.isFile(),
    );
    const last = found
      .map((each) => join(each.parentPath, each.name))
      .toSorted()
      .at(-1);
    if (last !== undefined) return last;
  }
  if (tool !== 'helm') return '';
  const inPath = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, tool));
  return inPath.find((path) => existsSync(path)) ?? '';
}

/** Why tests that need these tools are skipped, or false when all are there. */
export function skipWithout(...tools: readonly Tool[]): string | false {
  const missing = tools.filter((tool) => findTool(tool) === '');
  if (missing.length === 0) return false;
  return `not installed: ${missing.join(', ')}; scripts/cluster-tools.sh installs them`;
}

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const OUTPUT_BYTES = 64 * 1_048_576;

/** Runs a program to its end; a failure is an outcome too. */
export function run(
  file: string,
  args: readonly string[],
  options: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Outcome> {
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  const child = execFile(
    file,
    args,
    { maxBuffer: OUTPUT_BYTES, env: options.env ?? process.env },
    (error, out, err) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ code: error === null ? 0 : Number(error.code), out, err });
    },
  );
  child.stdin?.on('error', () => {
    // A program that ends without reading its input says why with its exit code.
  });
  child.stdin?.end(options.input ?? '');
  return promise;
}

/** Standard output of a program that must succeed. */
export async function output(
  file: string,
  args: readonly string[],
  options: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const { code, out, err } = await run(file, args, options);
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${code}: ${err}${out}`);
  return out;
}
