/** The fields of the kinds that maesh reads, as the API server itself describes them (OpenAPI v3). */

import { readFileSync, writeFileSync } from 'node:fs';
import type { Kind } from '../../src/kube/object.ts';

/** What is committed: definitions by name, each field with its type. */
export interface ApiFields {
  /** Of the server that it was taken from. */
  readonly version: string;
  readonly kinds: Readonly<Record<Kind, string>>;
  /** A type is `string`, `integer` and so on or the name of a definition, after `[]` for a list and `{}` for a mapping. */
  readonly definitions: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const FILE = new URL('../kube/api-fields.json', import.meta.url);

const KINDS: Readonly<Record<Kind, string>> = {
  Namespace: 'io.k8s.api.core.v1.Namespace',
  Service: 'io.k8s.api.core.v1.Service',
  Endpoints: 'io.k8s.api.core.v1.Endpoints',
  EndpointSlice: 'io.k8s.api.discovery.v1.EndpointSlice',
  Pod: 'io.k8s.api.core.v1.Pod',
  ServiceAccount: 'io.k8s.api.core.v1.ServiceAccount',
  Node: 'io.k8s.api.core.v1.Node',
  ConfigMap: 'io.k8s.api.core.v1.ConfigMap',
  Secret: 'io.k8s.api.core.v1.Secret',
};

export function readApiFields(): ApiFields {
  return JSON.parse(readFileSync(FILE, 'utf8')) as ApiFields;
}

export function writeApiFields(fields: ApiFields): void {
  writeFileSync(FILE, `${JSON.stringify(fields, null, 1)}\n`);
}

interface Schema {
  readonly type?: string;
  readonly $ref?: string;
  readonly allOf?: readonly Schema[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
}

interface OpenApi {
  readonly info: { readonly version: string };
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** What the kinds consist of, from the documents of the API groups. */
export function apiFieldsOf(documents: readonly OpenApi[]): ApiFields {
  const schemas: Record<string, Schema> = {};
  for (const { components } of documents) Object.assign(schemas, components.schemas);
  const definitions: Record<string, Record<string, string>> = {};
  const visit = (name: string): void => {
    const { properties } = schemas[name] ?? {};
    if (definitions[name] !== undefined || properties === undefined) return;
    const fields: Record<string, string> = (definitions[name] = {});
    for (const [field, schema] of Object.entries(properties)) {
      const { marks, inner } = unwrapped(schema);
      const target = refOf(inner);
      const isObject = target !== '' && schemas[target]?.properties !== undefined;
      fields[field] =
        marks + (isObject ? target : (schemas[target]?.type ?? inner.type ?? 'string'));
      if (isObject) visit(target);
    }
  };
  for (const name of Object.values(KINDS)) visit(name);
  return { version: documents[0]?.info.version ?? '', kinds: KINDS, definitions };
}

function unwrapped(schema: Schema): { marks: string; inner: Schema } {
  if (schema.items !== undefined) {
    const { marks, inner } = unwrapped(schema.items);
    return { marks: `[]${marks}`, inner };
  }
  if (typeof schema.additionalProperties === 'object') {
    const { marks, inner } = unwrapped(schema.additionalProperties);
    return { marks: `{}${marks}`, inner };
  }
  return { marks: '', inner: schema };
}

function refOf({ $ref, allOf = [] }: Schema): string {
  const ref = $ref ?? allOf.find((part) => part.$ref !== undefined)?.$ref ?? '';
  return ref.slice(ref.lastIndexOf('/') + 1);
}
