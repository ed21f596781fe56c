/** How the text of an annotation becomes a value: one type per shape, each with its words for messages and documentation. */

import { isIPv4 } from 'node:net';

import {
  groupDigits,
  printDuration,
  printSize,
  readDuration,
  readRatio,
  readSize,
} from '../../base/quantity.ts';

export type Read<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly message: string };

export interface ValueType<T> {
  /** What may be written, to follow "write": `a whole number from 1 to 10`. */
  readonly name: string;
  /** The words that may be written, where it is some of a few. */
  readonly choices?: readonly string[];
  /** Never throws. The message follows the quoted value: `is not a whole number`. */
  read(text: string): Read<T>;
  /** The value as it would be written; `read` gives it back. */
  print(value: T): string;
}

function bad(message: string): Read<never> {
  return { ok: false, message };
}

function good<T>(value: T): Read<T> {
  return { ok: true, value };
}

function bounded(value: number, min: number, max: number): Read<number> {
  return value >= min && value <= max ? good(value) : bad('is out of range');
}

export function wholeNumber(min: number, max: number): ValueType<number> {
  return {
    name: `a whole number from ${groupDigits(min)} to ${groupDigits(max)}`,
    read: (text) =>
      /^-?\d{1,15}$/.test(text) ? bounded(Number(text), min, max) : bad('is not a whole number'),
    print: String,
  };
}

/** The word that lifts what else would hold. `off` is a boolean to `kubectl`, unless it is in quotes. */
export const NONE = 'none';

/** The same, or `none` for a value that lifts it. */
export function orNone<T, N extends T | null>(type: ValueType<T>, lifted: N): ValueType<T | N> {
  return {
    ...type,
    name: `${type.name}, or ${NONE}`,
    ...(type.choices === undefined ? {} : { choices: [...type.choices, NONE] }),
    read: (text) => (text === NONE ? good(lifted) : type.read(text)),
    // One that is a value of the type has a print of its own.
    print: (value) => (value === null ? NONE : type.print(value)),
  };
}

/** A share from 0 to 1, as a decimal or in percent. */
export const ratio: ValueType<number> = {
  name: 'a share from 0 to 1, as 0.2 or 20%',
  read(text) {
    const value = readRatio(text);
    return value === null ? bad('is not a share') : bounded(value, 0, 1);
  },
  print: String,
};

/** A length of time in milliseconds, written as Go and the Gateway API write it. */
export function duration(minMs: number, maxMs: number): ValueType<number> {
  const zero = minMs === 0 ? `, or 0 or ${NONE} for off` : '';
  return {
    name: `a time such as 250ms, 10s or 1m30s, from ${printDuration(Math.max(1, minMs))} to ${printDuration(maxMs)}${zero}`,
    read(text) {
      if (/^\d+$/.test(text) && Number(text) !== 0) return bad('has no unit');
      const value = minMs === 0 && text === NONE ? 0 : readDuration(text);
      if (value === null) return bad('is not a length of time');
      return Number.isInteger(value) ? bounded(value, minMs, maxMs) : bad('is finer than 1ms');
    },
    print: printDuration,
  };
}

/** The same, but the value is whole seconds. */
export function durationSeconds(minMs: number, maxMs: number): ValueType<number> {
  const inner = duration(minMs, maxMs);
  return {
    name: inner.name.replace('250ms, ', ''),
    read(text) {
      const read = inner.read(text);
      if (!read.ok) return read;
      return read.value % 1_000 === 0 ? good(read.value / 1_000) : bad('is finer than 1s');
    },
    print: (seconds) => printDuration(seconds * 1_000),
  };
}

/** Bytes, plain or with a unit. */
export function size(min: number, max: number): ValueType<number> {
  return {
    name: `a size in bytes such as 65536 or 64Ki, from ${printSize(min)} to ${printSize(max)}`,
    read(text) {
      const value = readSize(text);
      if (value === null) return bad('is not a size');
      return Number.isInteger(value) ? bounded(value, min, max) : bad('is not whole bytes');
    },
    print: printSize,
  };
}

export function choice<T extends string>(...values: readonly T[]): ValueType<T> {
  return {
    name: values.length === 2 ? values.join(' or ') : `one of ${values.join(', ')}`,
    choices: values,
    read(text) {
      const value = values.find((candidate) => candidate === text);
      return value === undefined ? bad('has no such value') : good(value);
    },
    print: (value) => value,
  };
}

export const flag: ValueType<boolean> = {
  name: 'true or false',
  choices: ['true', 'false'],
  read: (text) =>
    text === 'true' || text === 'false' ? good(text === 'true') : bad('is neither true nor false'),
  print: String,
};

const PARTS_MAX = 1_000;
const PART_LENGTH_MAX = 50;

function shortened(text: string): string {
  return text.length > PART_LENGTH_MAX ? `${text.slice(0, PART_LENGTH_MAX - 1)}…` : text;
}

/** Several values with commas between; spaces around them and repetitions do not count. */
export function listOf<T>(item: ValueType<T>, name: string): ValueType<readonly T[]> {
  return {
    name,
    ...(item.choices === undefined ? {} : { choices: item.choices }),
    read(text) {
      const parts = text.split(',', PARTS_MAX + 1);
      if (parts.length > PARTS_MAX) return bad(`has more than ${groupDigits(PARTS_MAX)} parts`);
      const values: T[] = [];
      for (const part of parts) {
        const read = item.read(part.trim());
        if (!read.ok) {
          const why = item.choices === undefined ? read.message : 'is not known';
          return bad(`has a part "${shortened(part.trim())}" that ${why}`);
        }
        if (!values.includes(read.value)) values.push(read.value);
      }
      return good(values);
    },
    print: (values) => values.map((value) => item.print(value)).join(','),
  };
}

/** An IPv4 address that can be dialled. */
export const ipv4: ValueType<string> = {
  name: 'an IPv4 address',
  read: (text) =>
    isIPv4(text) ? { ok: true, value: text } : { ok: false, message: 'is not an IPv4 address' },
  print: (value) => value,
};
