/** Reads fields of what came over the wire. Unknown ones are left alone; a wrong one is told with its place. */

import { MeshError } from '../base/error.ts';

/** JSON objects, fresh from the parser: nobody else has them, so missing fields are put in where they are. */
export type Fields = Record<string, unknown>;

function wrong(place: string, want: string): MeshError {
  return new MeshError('invalid_input', `"${place}" is not ${want}`);
}

/** @throws MeshError `invalid_input` when it is no object */
export function asFields(value: unknown, place: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong(place, 'an object');
  }
  return value as Fields;
}

/** A list; a missing one is empty. */
export function listField(fields: Fields, name: string): readonly unknown[] {
  const value = fields[name];
  if (value === undefined) return (fields[name] = []);
  if (!Array.isArray(value)) throw wrong(name, 'a list');
  return value;
}

/** A text of at most `lengthMax` characters; must be there unless there is a default. */
export function textField(
  fields: Fields,
  name: string,
  byDefault?: string,
  lengthMax = 4_096,
): string {
  const value = fields[name];
  if (value === undefined && byDefault !== undefined) return (fields[name] = byDefault);
  if (typeof value !== 'string') throw wrong(name, 'a text');
  if (value.length > lengthMax) throw wrong(name, `a text of at most ${lengthMax} characters`);
  return value;
}

/** A whole number that is not negative; must be there unless there is a default. */
export function countField(fields: Fields, name: string, byDefault?: number): number {
  const value = fields[name];
  if (value === undefined && byDefault !== undefined) return (fields[name] = byDefault);
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw wrong(name, 'a whole number');
  return value as number;
}

export function portField(fields: Fields, name: string): number {
  const port = countField(fields, name);
  if (port < 1 || port > 65_535) throw wrong(name, 'a port');
  return port;
}

export function flagField(fields: Fields, name: string, byDefault: boolean): boolean {
  const value = fields[name];
  if (value === undefined) return (fields[name] = byDefault);
  if (typeof value !== 'boolean') throw wrong(name, 'true or false');
  return value;
}
