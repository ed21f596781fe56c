/** Runs a program and gives what it wrote: bounded in time and length, at the terminal of the person if it may ask something. */

import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { Env } from '../../base/command.ts';

/** Longest that a plugin may run; and where it may ask a person. */
export const PLUGIN_TIMEOUT_MS = 60_000;
export const INTERACTIVE_TIMEOUT_MS = 600_000;
/** Bytes of a plugin's answer. */
export const OUTPUT_BYTES_MAX = 1_048_576;

export interface PluginRun {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Env;
  /** Standard input and standard error are ours; otherwise there is no input, and errors are kept. */
  readonly isInteractive: boolean;
}

export interface PluginEnd {
  /** What kept it from starting; null when it ran. */
  readonly error: Error | null;
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly isTooLong: boolean;
}

/** Resolves when the program has ended, however that came. */
export async function runPlugin(run: PluginRun): Promise<PluginEnd> {
  const { command, args, cwd, env, isInteractive } = run;
  const child = spawn(command, [...args], {
    cwd,
    env,
    timeout: isInteractive ? INTERACTIVE_TIMEOUT_MS : PLUGIN_TIMEOUT_MS,
    killSignal: 'SIGKILL',
    stdio: [isInteractive ? 'inherit' : 'ignore', 'pipe', isInteractive ? 'inherit' : 'pipe'],
  });
  let isTooLong = false;
  const onLong = (): void => {
    isTooLong = true;
    child.kill('SIGKILL');
  };
  const out = gather(child.stdout, onLong);
  const err = gather(child.stderr, onLong);
  const { promise, resolve } = Promise.withResolvers<PluginEnd>();
  const end = (error: Error | null, code: number | null): void =>
    resolve({ error, code, stdout: out(), stderr: err(), isTooLong });
  child.once('error', (error) => end(error, null));
  child.once('close', (code) => end(null, code));
  return promise;
}

/** Gives what came so far. */
function gather(stream: Readable | null, onLong: () => void): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream?.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > OUTPUT_BYTES_MAX) onLong();
    else chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString('utf8');
}
