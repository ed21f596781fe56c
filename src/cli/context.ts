/** What a command gets of its process, and how it says how it went. */

import type { CommandIo, Env } from '../base/command.ts';

/** Everything went as it should. */
export const EXIT_OK = 0;
/** The command failed, or found problems. */
export const EXIT_FAILURE = 1;
/** The command line, a variable or the configuration file is wrong; nothing was done. */
export const EXIT_USAGE = 2;
/** Nothing wrong was found, but not everything could be asked. */
export const EXIT_UNKNOWN = 3;

export interface CliContext {
  readonly io: CommandIo;
  readonly env: Env;
  /** Whether standard output takes colours: a terminal, and NO_COLOR is not set (no-color.org). */
  readonly isColored: boolean;
  /** Sets the exit code; the process ends when nothing runs any more. */
  exit(code: number): void;
}

/** The context of this process. */
export function processContext(): CliContext {
  // A reader that has seen enough (`maesh hosts | head`) closes the pipe; that is no failure of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  // A log that cannot be written, such as to a full disk, must not end a mesh.
  process.stderr.on('error', () => undefined);
  return {
    io: {
      out: (text) => void process.stdout.write(text),
      err: (text) => void process.stderr.write(text),
      onSignal(signal, run) {
        process.on(signal, run);
        return () => void process.off(signal, run);
      },
    },
    env: process.env,
    isColored: process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '',
    exit(code) {
      process.exitCode = code;
    },
  };
}
