/** The log of the process itself, for its operator: leveled, one line a message, on standard error, without secrets. */

import { writeSync } from 'node:fs';
import type { Clock } from './clock.ts';
import { printable } from './printable.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log with these fields on every line. */
  child(fields: LogFields): Log;
}

export interface LogOptions {
  /** Lines below this level are left out. */
  readonly level: LogLevel;
  /** `common` is a readable line, `json` an object on one line. */
  readonly format: 'common' | 'json';
  readonly clock: Clock;
  /** Takes one line with its line feed; standard error by default. */
  readonly write?: (line: string) => void;
}

const ignore = (): void => undefined;

export const silentLog: Log = {
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  child: () => silentLog,
};

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Field names whose values never reach a log. */
const SECRET = /authorization|cookie|password|passphrase|secret|token|private.?key|credential/i;

export function createLog(options: LogOptions): Log {
  const write = options.write ?? writeStderr;
  const emit = options.format === 'json' ? jsonEmit(options, write) : commonEmit(options, write);
  return leveledLog(RANK[options.level], emit, {});
}

type Emit = (level: LogLevel, message: string, fields: LogFields) => void;

function leveledLog(rank: number, emit: Emit, bound: LogFields): Log {
  const at = (level: LogLevel): Log['info'] =>
    RANK[level] < rank
      ? ignore
      : (message, fields) =>
          emit(level, message, fields === undefined ? bound : { ...bound, ...clean(fields) });
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => leveledLog(rank, emit, { ...bound, ...clean(fields) }),
  };
}

/** Replaces what is secret by name, and errors by what a person needs of them. */
function clean(fields: LogFields): LogFields {
  const out: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    out[name] = SECRET.test(name)
      ? '[redacted]'
      : value instanceof Error
        ? describeError(value)
        : value;
  }
  return out;
}

/** Operating errors say everything in their message; only a defect needs its stack. */
export function describeError(error: Error): string {
  return error.name === 'MeshError' ? error.message : (error.stack ?? error.message);
}

function jsonEmit(options: LogOptions, write: (line: string) => void): Emit {
  return (level, message, fields) => {
    const time = new Date(options.clock.wallMs()).toISOString();
    let line = `{"level":"${level}","time":"${time}"`;
    for (const [name, value] of Object.entries(fields)) {
      if (value !== undefined) line += `,${JSON.stringify(name)}:${jsonValue(value)}`;
    }
    write(`${line},"message":${JSON.stringify(message)}}\n`);
  };
}

/** A value that has no JSON form is there as a text that says so. */
function jsonValue(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  try {
    const text = JSON.stringify(value) as string | undefined;
    if (text !== undefined) return text;
  } catch {
    // Said below.
  }
  return JSON.stringify(jsonText(value));
}

function commonEmit(options: LogOptions, write: (line: string) => void): Emit {
  return (level, message, fields) => {
    const time = new Date(options.clock.wallMs()).toISOString();
    let line = `${time} ${level.toUpperCase().padEnd(5)} ${printable(message)}`;
    for (const [name, value] of Object.entries(fields)) line += ` ${name}=${fieldText(value)}`;
    write(`${line}\n`);
  };
}

function fieldText(value: unknown): string {
  const text = typeof value === 'string' ? value : jsonText(value);
  return typeof value === 'string' && !/^[^\s"=\\]+$/.test(text)
    ? printable(JSON.stringify(text))
    : printable(text);
}

function jsonText(value: unknown): string {
  try {
    return typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value));
  } catch (error) {
    return `[cannot be shown: ${error instanceof Error ? error.message : String(error)}]`;
  }
}

let lostLines = 0;

/** A log that cannot be written must not end the process: lines are lost, and the next one that goes says how many. */
function writeStderr(line: string): void {
  try {
    writeSync(
      2,
      lostLines === 0 ? line : `${lostLines} lines of this log could not be written\n${line}`,
    );
    lostLines = 0;
  } catch {
    lostLines += 1;
  }
}
