/** The functions that the templates of the chart use, of Go's text/template and of Sprig, with their corner cases. */

import { dump } from 'js-yaml';

import { isRecord } from '../../base/record.ts';

/** undefined is what Go calls no value. Lists and maps are those of the values. */
export type Value = unknown;
type Fn = (...operands: readonly Value[]) => Value;

/** Go's truth: false, 0, '', nothing, and what is empty are not. */
export function isTrue(value: Value): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (isRecord(value)) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** What a template writes for a value; lists and maps have no business in YAML without `toYaml`. */
export function printed(value: Value): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number') return printedNumber(value);
  if (typeof value === 'string' || typeof value === 'boolean') return String(value);
  throw new TypeError('a list or map is written without toYaml');
}

/** As Go's %v: numbers of values are floats there, so a million without `int` is 1e+06. */
function printedNumber(value: number): string {
  const [digits = '', exponent = '0'] = value.toExponential().split('e');
  const power = Number(exponent);
  if (power >= -4 && power < 21 && !(power >= 6 && !Number.isSafeInteger(value))) {
    return String(value);
  }
  return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

/** Block style, without the line feed at its end; strings that YAML 1.1 takes for something else are quoted. */
export function toYaml(value: Value): string {
  return dump(value ?? null, { lineWidth: -1, noRefs: true }).trimEnd();
}

/** Sprig's merge: what the first has stays, what it lacks (or has empty) comes from the second; deep. */
export function merge(first: Value, ...others: readonly Value[]): Value {
  const merged: Record<string, Value> = { ...asRecord(first) };
  for (const other of others) {
    for (const [key, value] of Object.entries(asRecord(other))) {
      const own = merged[key];
      if (isRecord(own) && isRecord(value)) merged[key] = merge(own, value);
      else if (!isTrue(own)) merged[key] = value;
    }
  }
  return merged;
}

export const FUNCTIONS: Readonly<Record<string, Fn>> = {
  add: (...numbers) => numbers.reduce((sum: number, value) => sum + Math.trunc(Number(value)), 0),
  contains: (part, text) => asText(text).includes(asText(part)),
  default: (byDefault, value) => (isTrue(value) ? value : byDefault),
  dict: (...pairs) => {
    const made: Record<string, Value> = {};
    for (let at = 0; at < pairs.length; at += 2) made[asText(pairs[at])] = pairs[at + 1];
    return made;
  },
  eq: (first, ...others) => others.some((other) => other === first),
  first: (list) => asList(list)[0],
  get: (map, key) => asRecord(map)[asText(key)] ?? '',
  hasKey: (map, key) => Object.hasOwn(asRecord(map), asText(key)),
  indent: (width, text) => indented(Number(width), asText(text)),
  index: (list, ...steps) => steps.reduce(stepInto, list),
  int: (value) => Math.trunc(Number(value ?? 0)) || 0,
  int64: (value) => Math.trunc(Number(value ?? 0)) || 0,
  join: (separator, list) => asList(list).map(printed).join(asText(separator)),
  kindIs: (kind, value) => kindOf(value) === kind,
  list: (...items) => items,
  lower: (text) => asText(text).toLowerCase(),
  merge,
  ne: (first, second) => first !== second,
  nindent: (width, text) => `\n${indented(Number(width), asText(text))}`,
  not: (value) => !isTrue(value),
  omit: (map, ...keys) =>
    Object.fromEntries(Object.entries(asRecord(map)).filter(([key]) => !keys.includes(key))),
  printf: (format, ...rest) => formatted(asText(format), rest),
  quote: (...values) =>
    values
      .filter((value) => value !== undefined && value !== null)
      .map((value) => JSON.stringify(printed(value)))
      .join(' '),
  replace: (old, now, text) => asText(text).replaceAll(asText(old), asText(now)),
  semverCompare: (constraint, version) => isVersion(asText(constraint), asText(version)),
  toJson: (value) => JSON.stringify(value ?? null),
  toString: printed,
  toYaml,
  trim: (text) => asText(text).trim(),
  trimSuffix: (suffix, text) => {
    const whole = asText(text);
    const end = asText(suffix);
    return end !== '' && whole.endsWith(end) ? whole.slice(0, -end.length) : whole;
  },
};

function asText(value: Value): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw new TypeError(`${kindOf(value)} is given for a text`);
  return value;
}

function asList(value: Value): readonly Value[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new TypeError(`${kindOf(value)} is given for a list`);
  return value as readonly Value[];
}

function asRecord(value: Value): Readonly<Record<string, Value>> {
  if (value === undefined || value === null) return {};
  if (!isRecord(value)) throw new TypeError(`${kindOf(value)} is given for a map`);
  return value;
}

/** Go's names of kinds. */
function kindOf(value: Value): string {
  if (value === undefined || value === null) return 'invalid';
  if (Array.isArray(value)) return 'slice';
  if (isRecord(value)) return 'map';
  return { boolean: 'bool', number: 'float64', string: 'string' }[typeof value as 'string'] ?? '';
}

function stepInto(value: Value, step: Value): Value {
  if (typeof step === 'number') return asList(value)[step];
  return asRecord(value)[asText(step)];
}

function indented(width: number, text: string): string {
  const margin = ' '.repeat(width);
  return text
    .split('\n')
    .map((line) => margin + line)
    .join('\n');
}

function formatted(format: string, values: readonly Value[]): string {
  const rest = values.values();
  return format.replaceAll(/%(.)/g, (verb, letter: string) => {
    if (letter === '%') return '%';
    if (!'dsvq'.includes(letter)) throw new TypeError(`printf does not know "${verb}"`);
    const text = printed(rest.next().value);
    return letter === 'q' ? JSON.stringify(text) : text;
  });
}

/** `>=1.34-0`: the only form of the chart. Its `-0` lets in versions such as v1.34.1-gke.100. */
function isVersion(constraint: string, version: string): boolean {
  const [, major = '', minor = ''] = /^>=(\d+)\.(\d+)-0$/.exec(constraint) ?? [];
  const [, ownMajor = '', ownMinor = ''] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === '' || ownMajor === '') {
    throw new TypeError(`cannot compare version "${version}" with "${constraint}"`);
  }
  if (ownMajor !== major) return Number(ownMajor) > Number(major);
  return Number(ownMinor) >= Number(minor);
}
