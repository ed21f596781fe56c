/** Untyped records: what JSON and YAML mappings become, and how their fields are read. What is missing or of another type is absent. */

/** True for an object that is neither null nor an array. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export type Raw = Readonly<Record<string, unknown>>;

/** The record at this path, or an empty one. */
export function recordAt(raw: unknown, ...path: readonly string[]): Raw {
  const value = valueAt(raw, path);
  return isRecord(value) ? value : {};
}

export function listAt(raw: unknown, ...path: readonly string[]): readonly unknown[] {
  const value = valueAt(raw, path);
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

/** '' when it is no text. */
export function textAt(raw: unknown, ...path: readonly string[]): string {
  const value = valueAt(raw, path);
  return typeof value === 'string' ? value : '';
}

/** 0 when it is no number. */
export function numberAt(raw: unknown, ...path: readonly string[]): number {
  const value = valueAt(raw, path);
  return typeof value === 'number' ? value : 0;
}

function valueAt(raw: unknown, path: readonly string[]): unknown {
  let value = raw;
  for (const step of path) value = isRecord(value) ? value[step] : undefined;
  return value;
}
