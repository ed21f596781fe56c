/** Every value of the chart as a row of docs/install.md: its default from values.yaml, its meaning from the schema. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

import { CHART } from './chart.ts';

/** A longer default would make the table too wide to read. */
const DEFAULT_LETTERS = 80;

export interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
}

export function readSchema(): Schema {
  return JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8')) as Schema;
}

export function readValues(): unknown {
  return parse(readFileSync(join(CHART, 'values.yaml'), 'utf8'));
}

/** Names, defaults and meanings, in the order of values.yaml. */
export function valueRows(
  schema: Schema = readSchema(),
  values: unknown = readValues(),
  path = '',
): readonly (readonly [name: string, byDefault: string, meaning: string])[] {
  return Object.entries(values as object).flatMap(([key, value]: [string, unknown]) => {
    const described = schema.properties?.[key];
    const name = path === '' ? key : `${path}.${key}`;
    if (described?.properties !== undefined && !name.endsWith('.resources')) {
      return valueRows(described, value, name);
    }
    return [[`\`${name}\``, show(value), described?.description ?? '']];
  });
}

/** As one would write it in a values file, on one line. */
function show(value: unknown): string {
  if (value === '' || (typeof value === 'object' && value !== null && isEmpty(value)))
    return 'none';
  const text = typeof value === 'string' ? value : JSON.stringify(value).replaceAll('"', '');
  return text.length > DEFAULT_LETTERS ? 'in `chart/values.yaml`' : `\`${text}\``;
}

function isEmpty(value: object): boolean {
  return Object.keys(value).length === 0;
}
