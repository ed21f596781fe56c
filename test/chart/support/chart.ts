/** Renders the chart with the real Helm, and reads what comes out. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';

import { findTool, output } from './tools.ts';

export const ROOT = join(import.meta.dirname, '../../..');
export const CHART = join(ROOT, 'chart');

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  /** Looked into with `dig` and `each`. */
  readonly spec?: unknown;
  readonly rules?: readonly Rule[];
}

/** Text of `helm template`, with values as YAML or JSON. */
export function template(values = '', ...flags: readonly string[]): Promise<string> {
  const args = ['template', 'maesh', CHART, '--namespace', 'maesh', '--values', '-', ...flags];
  return output(findTool('helm'), args, { input: values });
}

/** The objects of a rendered chart; refuses keys that are given twice. */
export function readManifests(text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    const manifest = document.toJS() as Manifest | null;
    return manifest === null ? [] : [manifest];
  });
}

export async function render(values = '', ...flags: readonly string[]): Promise<Manifest[]> {
  return readManifests(await template(values, ...flags));
}

export function find(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.find(
    (manifest) => manifest.kind === kind && manifest.metadata.name === name,
  );
  if (found === undefined) throw new Error(`no ${kind} ${name} was rendered`);
  return found;
}

/** Deployment, DaemonSet and Job. */
export function workloadsOf(manifests: readonly Manifest[]): readonly Manifest[] {
  return manifests.filter(({ spec }) => dig(spec, 'template') !== undefined);
}

/** What is at a path of keys and positions, or undefined. */
export function dig(value: unknown, ...path: readonly (string | number)[]): unknown {
  let here = value;
  for (const step of path) {
    if (typeof here !== 'object' || here === null) return undefined;
    here = (here as Readonly<Record<string, unknown>>)[step];
  }
  return here;
}

/** The same for a list; what is not there is an empty one. */
export function each(value: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const found = dig(value, ...path) ?? [];
  if (!Array.isArray(found)) throw new Error(`no list at ${path.join('.')}`);
  return found;
}

/** Labels, selectors and the like. */
export function words(
  value: unknown,
  ...path: readonly (string | number)[]
): Readonly<Record<string, string>> {
  return (dig(value, ...path) ?? {}) as Readonly<Record<string, string>>;
}

/** The only container of a Deployment, DaemonSet or Job. */
export function containerOf(workload: Manifest): unknown {
  return dig(workload.spec, 'template', 'spec', 'containers', 0);
}

/** Variables of the only container; those that come from a field of the Pod are empty. */
export function environment(workload: Manifest): Map<string, string> {
  return new Map(
    each(containerOf(workload), 'env').map((variable) => {
      const { name = '', value = '' } = words(variable);
      return [name, value];
    }),
  );
}

export function readYaml(path: string): unknown {
  return parse(readFileSync(join(ROOT, path), 'utf8'));
}
