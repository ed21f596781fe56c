/** Values of the chart: its defaults, files and `--set`, merged as Helm merges them. */

import {
  CORE_SCHEMA,
  boolYaml11Tag,
  floatYaml11Tag,
  intYaml11Tag,
  loadAll,
  mergeTag,
  nullYaml11Tag,
} from 'js-yaml';

import { MeshError } from '../base/error.ts';
import { isRecord } from '../base/record.ts';

export type Values = Readonly<Record<string, unknown>>;

/** Items that `a[7]=x` may ask for. */
const INDEX_MAX = 1_000;

/** As Helm reads YAML: 1.1, where `off` is false, without its dates. */
const HELM_SCHEMA = CORE_SCHEMA.withTags(
  boolYaml11Tag,
  floatYaml11Tag,
  intYaml11Tag,
  mergeTag,
  nullYaml11Tag,
);

/** All documents of a text, as Helm reads them. Throws a `MeshError` that begins with `action`. */
export function parseHelmYaml(text: string, action: string): readonly unknown[] {
  try {
    return loadAll(text, { schema: HELM_SCHEMA });
  } catch (error) {
    throw new MeshError('invalid_setting', `${action}: ${MeshError.from(error).message}`);
  }
}

/** Throws a `MeshError` that names the source. */
export function parseValues(text: string, source: string): Values {
  const value = parseHelmYaml(text, `Cannot read values from "${source}"`)[0] ?? {};
  if (isRecord(value)) return value;
  throw new MeshError('invalid_setting', `Cannot read values from "${source}": it is not a map`);
}

/** Maps are merged, everything else is replaced; null takes a key away, and is itself kept for what this is put onto later. */
export function overlay(base: Values, over: Values): Values {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    merged[key] = isRecord(before) && isRecord(value) ? overlay(before, value) : value;
  }
  return merged;
}

/** The values as templates see them: what is null is not there. */
export function withoutNulls(values: Values): Values {
  const kept = Object.entries(values).filter(([, value]) => value !== null);
  return Object.fromEntries(
    kept.map(([key, value]) => [key, isRecord(value) ? withoutNulls(value) : value]),
  );
}

/** `controller.replicas=3,mesh.domains={maesh,mesh.local}` onto values. Throws a `MeshError`. */
export function setValues(base: Values, text: string): Values {
  let values = base;
  for (const part of splitOutside(text, ',')) {
    const [path = '', ...rest] = splitOutside(part, '=');
    if (path === '' || rest.length === 0) {
      throw new MeshError(
        'invalid_setting',
        `Cannot use "${part}" for --set: write key=value, as in controller.replicas=3`,
      );
    }
    values = setAt(values, stepsOf(path), typed(rest.join('='))) as Values;
  }
  return values;
}

/** Cuts at a separator that is neither escaped nor inside braces. Escapes stay. */
function splitOutside(text: string, separator: string): readonly string[] {
  const parts = [''];
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '{') depth += 1;
    if (char === '}') depth -= 1;
    const isEscape = char === '\\' && at + 1 < text.length;
    if (char === separator && depth <= 0) parts.push('');
    else parts.push(`${parts.pop() ?? ''}${isEscape ? text.slice(at, ++at + 1) : char}`);
  }
  return parts;
}

/** `a.b[0].c` as keys and positions; `\.` is a dot within a key. */
function stepsOf(path: string): readonly (string | number)[] {
  return splitOutside(path, '.').flatMap((part) => {
    const [, key = '', positions = ''] = /^([^[]*)((?:\[\d+\])*)$/.exec(part) ?? [];
    if (key === '') {
      throw new MeshError(
        'invalid_setting',
        `Cannot use "${path}" for --set: write keys with dots between them, as in agent.threads`,
      );
    }
    const numbers = [...positions.matchAll(/\d+/g)].map(([digits]) => Number(digits));
    return [unescaped(key), ...numbers];
  });
}

function setAt(base: unknown, steps: readonly (string | number)[], value: unknown): unknown {
  const [step, ...rest] = steps;
  if (step === undefined) return value;
  if (typeof step === 'number') {
    if (step > INDEX_MAX) {
      throw new MeshError('invalid_setting', `Cannot set item ${step}: ${INDEX_MAX} is the last`);
    }
    const list: unknown[] = Array.isArray(base) ? [...(base as readonly unknown[])] : [];
    list[step] = setAt(list[step], rest, value);
    return Array.from(list, (item) => item ?? null);
  }
  const map: Record<string, unknown> = isRecord(base) ? { ...base } : {};
  map[step] = setAt(map[step], rest, value);
  return map;
}

/** `{a,b}` is a list; true, false, null and whole numbers are what they look like. */
function typed(text: string): unknown {
  const list = /^\{(.*)\}$/s.exec(text)?.[1];
  if (list !== undefined) return list === '' ? [] : splitOutside(list, ',').map(typed);
  if (text === 'true' || text === 'false') return text === 'true';
  if (text === 'null') return null;
  if (/^(?:0|-?[1-9]\d{0,14})$/.test(text)) return Number(text);
  return unescaped(text);
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/gs, '$1');
}
