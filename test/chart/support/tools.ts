/**
 * Finds the real tools that the chart is tested with. scripts/cluster-tools.sh installs them into the cache folder;
 * where one is missing, what needs it is skipped and says so.
 */

import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const CACHE = process.env['MAESH_CACHE'] || join(homedir(), '.cache/maesh');

/** Patterns below the cache folder, where the script puts versions into names. */
const PLACES = {
  helm: 'helm-4*',
  helm3: 'helm-3*',
  kubectl: 'kubectl-[0-9]*',
  kubernetes: 'kubernetes-[0-9]*',
  etcd: 'etcd-[0-9]*',
} as const;

export type Tool = keyof typeof PLACES;

/** Path of a tool, of the latest version that is there, or '' where it is not installed. */
export function findTool(tool: Tool): string {
  const found = globSync(PLACES[tool], { cwd: CACHE, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return found.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1) ?? '';
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
