/** What a command that runs until a signal ends it has of its process: where it writes, how it logs, when it ends, how it fails. */

import type { Clock } from './clock.ts';
import { MeshError } from './error.ts';
import { createLog, type Log, type LogLevel } from './log.ts';

/** The variables of a process. */
export type Env = Readonly<Record<string, string | undefined>>;

/** What a command may touch of its process; tests pass their own. */
export interface CommandIo {
  /** Writes to standard output as it is, without adding a line end. */
  out(text: string): void;
  /** Writes to standard error as it is, without adding a line end. */
  err(text: string): void;
  /** Calls `run` each time the signal arrives; the returned function ends that. */
  onSignal(signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP', run: () => void): () => void;
}

export interface LogSettings {
  readonly logLevel: LogLevel;
  readonly logFormat: 'common' | 'json';
}

export const FAILURE_EXIT_CODE = 1;

/** Of the log that was made last: a process has one. */
let onWarning: ((warning: Error) => void) | null = null;

/** The log that the settings ask for, on standard error. Warnings of the runtime become lines of it, or it would not be readable as JSON. */
export function commandLog(settings: LogSettings, io: CommandIo, clock: Clock): Log {
  const { logLevel: level, logFormat: format } = settings;
  const log = createLog({ level, format, clock, write: (line) => io.err(line) });
  if (onWarning !== null) process.off('warning', onWarning);
  onWarning = ({ name, message }) => {
    if (name !== 'ExperimentalWarning') log.warn(`Warning of Node: ${message}`, { name });
  };
  process.on('warning', onWarning);
  return log;
}

/** Resolves on the first SIGTERM or SIGINT. */
export function endSignal(io: CommandIo): Promise<void> {
  return new Promise((resolve) => {
    io.onSignal('SIGTERM', resolve);
    io.onSignal('SIGINT', resolve);
  });
}

/** Says what ended the command; gives its exit code. */
export function failCommand(io: CommandIo, thrown: unknown): number {
  io.err(`maesh: ${MeshError.from(thrown).message}\n`);
  return FAILURE_EXIT_CODE;
}
