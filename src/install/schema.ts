/** Checks values against `values.schema.json`, and says what is wrong in words for a person. Draft 7, as far as the chart goes. */

import { isDeepStrictEqual } from 'node:util';

import { nearest } from '../base/nearest.ts';
import { isRecord } from '../base/record.ts';

type Schema = Readonly<Record<string, unknown>>;

/** A sentence for each thing that is wrong, with its place; empty when nothing is. */
export function checkSchema(value: unknown, schema: Schema, place = ''): readonly string[] {
  return [
    ...checkAny(value, schema, place),
    ...(isRecord(value) ? checkMap(value, schema, place) : []),
    ...(Array.isArray(value) ? checkList(value as readonly unknown[], schema, place) : []),
  ];
}

function checkAny(value: unknown, schema: Schema, place: string): readonly string[] {
  const remedy = remedyFor(value, schema);
  if (remedy !== '') return [`Cannot use ${JSON.stringify(value)} for "${place}": ${remedy}`];
  const { anyOf } = schema as { readonly anyOf?: readonly Schema[] };
  const found = (anyOf ?? []).map((each) => checkSchema(value, each, place));
  return found.every((errors) => errors.length > 0) ? (found[0] ?? []) : [];
}

/** What to give instead, or ''. */
function remedyFor(value: unknown, schema: Schema): string {
  const types = typesOf(schema);
  if (types.length > 0 && !types.some((type) => isOf(value, type))) {
    return `give ${types.map((type) => TYPE_WORDS[type] ?? type).join(' or ')}`;
  }
  const { enum: allowed, not } = schema as {
    readonly enum?: readonly unknown[];
    readonly not?: Schema;
  };
  if (allowed?.includes(value) === false) {
    return `give one of ${allowed.map((each) => JSON.stringify(each)).join(', ')}`;
  }
  if ('const' in schema && !isDeepStrictEqual(schema['const'], value)) {
    return `give ${JSON.stringify(schema['const'])}`;
  }
  if (not !== undefined && checkSchema(value, not).length === 0) return 'it is not allowed';
  if (typeof value === 'number') return numberRemedy(value, schema);
  return typeof value === 'string' ? textRemedy(value, schema) : '';
}

function typesOf(schema: Schema): readonly string[] {
  const { type } = schema as { readonly type?: string | readonly string[] };
  return type === undefined ? [] : typeof type === 'string' ? [type] : type;
}

function numberRemedy(value: number, schema: Schema): string {
  const { minimum, maximum } = schema as Partial<Record<string, number>>;
  if (minimum !== undefined && value < minimum) return `give at least ${minimum}`;
  return maximum !== undefined && value > maximum ? `give at most ${maximum}` : '';
}

function textRemedy(value: string, schema: Schema): string {
  const { minLength = 0, maxLength = Infinity } = schema as Partial<Record<string, number>>;
  if (value.length < minLength) return 'it is too short';
  if (value.length > maxLength) return `give at most ${maxLength} characters`;
  const { pattern } = schema;
  const isMatch = typeof pattern !== 'string' || new RegExp(pattern, 'u').test(value);
  return isMatch ? '' : `give what matches ${pattern}`;
}

function checkMap(
  value: Readonly<Record<string, unknown>>,
  schema: Schema,
  place: string,
): readonly string[] {
  const properties = isRecord(schema['properties']) ? schema['properties'] : {};
  const rest = schema['additionalProperties'];
  const names = schema['propertyNames'];
  const errors: string[] = [];
  for (const key of (schema['required'] ?? []) as readonly string[]) {
    if (!Object.hasOwn(value, key)) errors.push(`Cannot do without "${inside(place, key)}"`);
  }
  for (const [key, item] of Object.entries(value)) {
    const at = inside(place, key);
    if (isRecord(names)) errors.push(...checkSchema(key, names, at));
    const own = Object.hasOwn(properties, key) ? properties[key] : rest;
    if (isRecord(own)) errors.push(...checkSchema(item, own, at));
    else if (own === false) errors.push(unknownKey(at, key, Object.keys(properties)));
  }
  return errors;
}

function unknownKey(place: string, key: string, known: readonly string[]): string {
  const [meant] = nearest(key, known, 2);
  const hint = meant === undefined ? `there are ${known.join(', ')}` : `did you mean "${meant}"?`;
  return `Cannot find a value "${place}": ${hint}`;
}

function checkList(value: readonly unknown[], schema: Schema, place: string): readonly string[] {
  const { items, minItems } = schema as { readonly items?: unknown; readonly minItems?: number };
  const errors = isRecord(items)
    ? value.flatMap((item, index) => checkSchema(item, items, `${place}[${index}]`))
    : [];
  if (minItems !== undefined && value.length < minItems) {
    errors.push(`Cannot use a list of ${value.length} for "${place}": give at least ${minItems}`);
  }
  const texts = value.map((item) => JSON.stringify(item));
  if (schema['uniqueItems'] === true && new Set(texts).size < texts.length) {
    errors.push(`Cannot use "${place}": it names something twice`);
  }
  return errors;
}

function inside(place: string, key: string): string {
  return place === '' ? key : `${place}.${key}`;
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'a text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  null: 'nothing',
};

function isOf(value: unknown, type: string): boolean {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return isRecord(value);
  if (type === 'null') return value === null;
  return typeof value === type;
}
