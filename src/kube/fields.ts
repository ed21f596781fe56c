/** Reads untyped data field by field and keeps a finding for each field that is not what Kubernetes allows. */

import { isRecord } from '../base/record.ts';
import type { Problem } from '../model/service.ts';

export type Step = string | number;

/** A Problem of one field, before anybody knows whose it is: a path from the root of the object. */
export interface FieldProblem extends Pick<Problem, 'severity' | 'message' | 'remedy'> {
  readonly path: readonly Step[];
  /** The key is wrong, and not its value. */
  readonly isKey?: true;
  /** The value that was found; undefined when the field is missing. */
  readonly value: unknown;
}

/** All findings of one object, and whether the object can still be used. */
export class FieldProblems {
  readonly all: FieldProblem[] = [];
  /** Set when a finding makes the rest of the object unsafe or meaningless. */
  lost = false;
}

const NOTHING: Readonly<Record<string, unknown>> = {};

/** One mapping of an object with its place in it. `null` counts as absent, as in the Kubernetes API. */
export class Fields {
  readonly #record: Readonly<Record<string, unknown>>;
  readonly #parent: Fields | null;
  readonly #step: Step;
  readonly #findings: FieldProblems;

  private constructor(
    record: Readonly<Record<string, unknown>>,
    findings: FieldProblems,
    parent: Fields | null,
    step: Step,
  ) {
    this.#record = record;
    this.#findings = findings;
    this.#parent = parent;
    this.#step = step;
  }

  static root(record: Readonly<Record<string, unknown>>, findings: FieldProblems): Fields {
    return new Fields(record, findings, null, '');
  }

  /** True when the object cannot be used whatever else it has: further findings would only be noise. */
  get isLost(): boolean {
    return this.#findings.lost;
  }

  raw(key: string): unknown {
    return Object.hasOwn(this.#record, key) ? this.#record[key] : undefined;
  }

  has(key: string): boolean {
    const value = this.raw(key);
    return value !== undefined && value !== null;
  }

  /** A string, or `fallback` when it is absent or not one (which is a finding). */
  text(key: string, fallback = ''): string {
    const value = this.raw(key);
    if (typeof value === 'string') return value;
    if (value !== undefined && value !== null) this.#wrongType(key, value, 'a string');
    return fallback;
  }

  /** true or false; `absent` when there is nothing, and the safe `wrong` with a finding when it is something else. */
  flag(key: string, absent: boolean, wrong: boolean): boolean {
    const value = this.raw(key);
    if (typeof value === 'boolean') return value;
    if (value === undefined || value === null) return absent;
    this.#wrongType(key, value, 'true or false');
    return wrong;
  }

  /** A port number, 1 to 65,535, or null when it is missing or not one (which is a finding). */
  port(key: string): number | null {
    const value = this.raw(key);
    if (isPort(value)) return value;
    if (typeof value === 'string' && isPort(Number(value))) {
      this.error(key, 'Port must be a number, not a string', 'remove the quotes');
    } else {
      this.error(key, PORT_RULE, 'write a number such as 8080');
    }
    return null;
  }

  /** The mapping at `key`, empty when absent; anything else there loses the object. */
  child(key: string): Fields {
    const value = this.raw(key);
    if (isRecord(value)) return new Fields(value, this.#findings, this, key);
    if (value !== undefined && value !== null) {
      this.lose(key, `Must be a mapping: got ${typeName(value)}`, 'write it as "key: value" lines');
    }
    return new Fields(NOTHING, this.#findings, this, key);
  }

  /** The mappings in the list at `key`; an item of another type is a finding and left out, another type there loses the object. */
  children(key: string): Fields[] {
    const found: Fields[] = [];
    const list = this.#list(key);
    const parent = list.length === 0 ? this : new Fields(NOTHING, this.#findings, this, key);
    for (const [index, value] of list.entries()) {
      if (isRecord(value)) {
        found.push(new Fields(value, this.#findings, parent, index));
      } else {
        parent.#add(
          'error',
          [index],
          value,
          `Must be a mapping: got ${typeName(value)}`,
          'write it as "- key: value"',
        );
      }
    }
    return found;
  }

  /** The strings in the list at `key` with their positions; an item of another type is a finding and left out. */
  texts(key: string): { readonly index: number; readonly text: string }[] {
    const found: { index: number; text: string }[] = [];
    for (const [index, value] of this.#list(key).entries()) {
      if (typeof value === 'string') found.push({ index, text: value });
      else this.#wrongType(key, value, 'a string', index);
    }
    return found;
  }

  /** The string values of the mapping at `key`; others are left out, each with a finding. */
  texted(key: string): Readonly<Record<string, string>> {
    const child = this.child(key);
    const found: Record<string, string> = {};
    for (const [name, value] of Object.entries(child.#record)) {
      if (typeof value === 'string') define(found, name, value);
      else child.#notText(name, value);
    }
    return found;
  }

  /** Keeps an error about the field at `key`; the caller goes on without that field. */
  error(key: string, message: string, remedy: string): void {
    this.#add('error', [key], this.raw(key), message, remedy);
  }

  /** Keeps an error about one text of the list at `key`. */
  errorIn(
    key: string,
    { index, text }: { readonly index: number; readonly text: string },
    message: string,
    remedy: string,
  ): void {
    this.#add('error', [key, index], text, message, remedy);
  }

  warning(key: string, message: string, remedy: string): void {
    this.#add('warning', [key], this.raw(key), message, remedy);
  }

  /** Keeps an error about the field at `key` that costs the whole object. */
  lose(key: string, message: string, remedy: string): void {
    this.error(key, message, remedy);
    this.#findings.lost = true;
  }

  #list(key: string): readonly unknown[] {
    const value = this.raw(key);
    if (Array.isArray(value)) return value;
    if (value !== undefined && value !== null) {
      this.lose(
        key,
        `Must be a list: got ${typeName(value)}`,
        'write each item on a line that starts with "- "',
      );
    }
    return [];
  }

  #notText(name: string, value: unknown): void {
    let remedy = 'write it as one string';
    if (value === null) remedy = 'write "" for an empty value';
    else if (typeof value === 'number' || typeof value === 'boolean')
      remedy = `quote it: "${value}"`;
    this.error(name, `Must be a string: got ${typeName(value)}`, remedy);
  }

  #wrongType(key: string, value: unknown, wanted: string, index?: number): void {
    const path = index === undefined ? [key] : [key, index];
    const remedy = wanted === 'a string' ? 'quote it' : `write ${wanted} without quotes`;
    this.#add('error', path, value, `Must be ${wanted}: got ${typeName(value)}`, remedy);
  }

  #path(): Step[] {
    return this.#parent === null ? [] : [...this.#parent.#path(), this.#step];
  }

  // oxlint-disable-next-line max-params -- the parts of one finding, private
  #add(
    severity: FieldProblem['severity'],
    tail: Step[],
    value: unknown,
    message: string,
    remedy: string,
  ): void {
    const path = [...this.#path(), ...tail];
    this.#findings.all.push({ severity, path, value, message, remedy });
  }
}

const PORT_RULE = 'Port must be a whole number from 1 to 65535';

/** True for a whole number from 1 to 65,535. */
export function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535;
}

/** `spec.ports[0].port`, `metadata.annotations["maesh.dev/scheme"]`. */
export function formatPath(path: readonly Step[]): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (!/^[A-Za-z_]\w*$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

/** What `formatPath` was given; as far as the text is one of its. */
export function parsePath(text: string): Step[] {
  const path: Step[] = [];
  for (const [, name, index, key] of text.matchAll(
    /\.?([A-Za-z_]\w*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]/g,
  )) {
    if (name !== undefined) path.push(name);
    else if (index !== undefined) path.push(Number(index));
    else if (key !== undefined) path.push(unquoted(key));
  }
  return path;
}

function unquoted(key: string): string {
  try {
    return String(JSON.parse(key));
  } catch {
    // Not made by formatPath: nothing is at such a path.
    return key;
  }
}

/** The type of a value in the words of a manifest. */
function typeName(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'number') return `the number ${value}`;
  if (typeof value === 'boolean') return `the boolean ${value}`;
  return typeof value === 'string' ? 'a string' : 'a mapping';
}

/** Sets an own property even where the name is `__proto__`. */
function define(record: Record<string, string>, name: string, value: string): void {
  if (name === '__proto__') {
    Object.defineProperty(record, name, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  } else {
    record[name] = value;
  }
}
