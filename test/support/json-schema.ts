/**
 * A small strict validator for the part of JSON Schema 2020-12 that docs/openapi.yaml uses. It refuses keywords that it
 * does not know, and remembers which properties and alternatives it saw, so that a test can find what no answer has.
 */

import assert from 'node:assert/strict';

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

const KNOWN = new Set([
  '$ref',
  'additionalProperties',
  'const',
  'description',
  'enum',
  'examples',
  'items',
  'maximum',
  'minimum',
  'oneOf',
  'pattern',
  'properties',
  'required',
  'type',
]);

export class SchemaChecker {
  /** `#/components/schemas/Service/properties/key` and the like, for each property, enum value and alternative seen. */
  readonly seen = new Set<string>();
  readonly #root: JsonObject;

  constructor(root: JsonObject) {
    this.#root = root;
  }

  /** What is wrong with `value`, empty when nothing; `pointer` names the schema in the document. */
  check(value: Json, pointer: string): string[] {
    const seen = new Set<string>();
    const errors = this.#check(value, pointer, '', seen);
    if (errors.length === 0) for (const each of seen) this.seen.add(each);
    return errors;
  }

  resolve(pointer: string): JsonObject {
    let at: Json = this.#root;
    for (const part of pointer.split('/').slice(1)) {
      const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
      if (Array.isArray(at)) at = at[Number(name)] ?? null;
      else at = isObject(at) ? (at[name] ?? null) : null;
    }
    assert.ok(isObject(at), `no schema at ${pointer}`);
    return at;
  }

  #check(value: Json, pointer: string, path: string, seen: Set<string>): string[] {
    const schema = this.resolve(pointer);
    for (const keyword of Object.keys(schema)) {
      assert.ok(KNOWN.has(keyword), `unknown keyword ${keyword} at ${pointer}`);
    }
    const ref = schema['$ref'];
    if (typeof ref === 'string') return this.#check(value, ref, path, seen);
    if (Array.isArray(schema['oneOf'])) return this.#checkOneOf(value, pointer, path, seen);
    const errors = [...checkType(schema, value, path), ...checkLimits(schema, value, path)];
    if (schema['enum'] !== undefined) seen.add(`${pointer}/enum/${JSON.stringify(value)}`);
    if (errors.length > 0) return errors;
    if (Array.isArray(value)) {
      assert.ok(schema['items'] !== undefined, `items at ${pointer}`);
      return value.flatMap((item: Json, i) =>
        this.#check(item, `${pointer}/items`, `${path}/${i}`, seen),
      );
    }
    return isObject(value) ? this.#checkObject(value, pointer, path, seen) : [];
  }

  #checkOneOf(value: Json, pointer: string, path: string, seen: Set<string>): string[] {
    const alternatives = this.resolve(pointer)['oneOf'];
    assert.ok(Array.isArray(alternatives));
    const results = alternatives.map((_, i) => {
      const inside = new Set<string>();
      return { i, inside, errors: this.#check(value, `${pointer}/oneOf/${i}`, path, inside) };
    });
    const fits = results.filter(({ errors }) => errors.length === 0);
    const [fit] = fits;
    if (fit === undefined || fits.length > 1) {
      const why = results.map(({ i, errors }) => `${i}: ${errors.join(', ')}`).join('; ');
      return [`${path}: fits ${fits.length} of the alternatives at ${pointer} (${why})`];
    }
    seen.add(`${pointer}/oneOf/${fit.i}`);
    for (const each of fit.inside) seen.add(each);
    return [];
  }

  #checkObject(value: JsonObject, pointer: string, path: string, seen: Set<string>): string[] {
    const { properties = {}, required = [], additionalProperties } = this.resolve(pointer);
    assert.ok(isObject(properties) && Array.isArray(required));
    assert.ok(additionalProperties !== undefined, `additionalProperties is missing at ${pointer}`);
    const errors: string[] = [];
    for (const name of required) {
      if (!(String(name) in value)) errors.push(`${path}: ${String(name)} is missing`);
    }
    for (const [name, item] of Object.entries(value)) {
      const at = `${pointer}/properties/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      if (name in properties) {
        seen.add(at);
        errors.push(...this.#check(item, at, `${path}/${name}`, seen));
      } else if (additionalProperties === false) errors.push(`${path}: ${name} is not documented`);
      else
        errors.push(
          ...this.#check(item, `${pointer}/additionalProperties`, `${path}/${name}`, seen),
        );
    }
    return errors;
  }

  /** Every property, enum value and alternative under a schema that no checked value had. */
  unseen(pointer: string): string[] {
    const missing: string[] = [];
    const schema = this.resolve(pointer);
    const expect = (at: string): void => {
      if (!this.seen.has(at)) missing.push(at);
    };
    if (Array.isArray(schema['enum'])) {
      for (const value of schema['enum']) expect(`${pointer}/enum/${JSON.stringify(value)}`);
    }
    if (Array.isArray(schema['oneOf'])) {
      for (const i of schema['oneOf'].keys()) {
        expect(`${pointer}/oneOf/${i}`);
        missing.push(...this.unseen(`${pointer}/oneOf/${i}`));
      }
    }
    if (isObject(schema['properties'] ?? null)) {
      for (const name of Object.keys(schema['properties'] ?? {})) {
        expect(`${pointer}/properties/${name}`);
        missing.push(...this.unseen(`${pointer}/properties/${name}`));
      }
    }
    if (isObject(schema['items'] ?? null)) missing.push(...this.unseen(`${pointer}/items`));
    return missing;
  }
}

function checkType(schema: JsonObject, value: Json, path: string): string[] {
  const type = schema['type'];
  if (type === undefined) {
    assert.ok('const' in schema, `a type or const at ${path}`);
    return value === schema['const'] ? [] : [`${path}: is not ${JSON.stringify(schema['const'])}`];
  }
  const types = Array.isArray(type) ? type : [type];
  if (types.some((each) => hasType(String(each), value))) return [];
  return [`${path}: ${JSON.stringify(value)} is no ${types.join(' or ')}`];
}

function hasType(type: string, value: Json): boolean {
  switch (type) {
    case 'null':
      return value === null;
    case 'boolean':
    case 'string':
      return typeof value === type;
    case 'number':
      return typeof value === 'number' && Number.isFinite(value);
    case 'integer':
      return Number.isInteger(value);
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isObject(value);
    default:
      return assert.fail(`unknown type ${type}`);
  }
}

function checkLimits(schema: JsonObject, value: Json, path: string): string[] {
  const errors: string[] = [];
  const { minimum, maximum, pattern } = schema;
  const allowed = schema['enum'];
  if (Array.isArray(allowed) && !allowed.includes(value)) {
    errors.push(`${path}: ${JSON.stringify(value)} is none of ${allowed.join(', ')}`);
  }
  if (typeof value === 'number') {
    if (typeof minimum === 'number' && value < minimum)
      errors.push(`${path}: ${value} < ${minimum}`);
    if (typeof maximum === 'number' && value > maximum)
      errors.push(`${path}: ${value} > ${maximum}`);
  }
  if (
    typeof value === 'string' &&
    typeof pattern === 'string' &&
    !new RegExp(pattern, 'u').test(value)
  ) {
    errors.push(`${path}: ${JSON.stringify(value)} does not match ${pattern}`);
  }
  return errors;
}

/** Whether `value` is an object and no list. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses text that must be JSON. */
export function parseJson(text: string): Json {
  const value: unknown = JSON.parse(text);
  assert.ok(isJson(value));
  return value;
}

function isJson(value: unknown): value is Json {
  if (Array.isArray(value)) return value.every(isJson);
  if (typeof value === 'object' && value !== null) return Object.values(value).every(isJson);
  return value !== undefined;
}
