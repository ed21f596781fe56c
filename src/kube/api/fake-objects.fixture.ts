/** What the fake API server knows of objects: paths, selectors, patches, cluster IPs. */

import type { KubeRecord } from './client.ts';

export type Labels = Readonly<Record<string, string>>;

export interface FakeObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
    readonly uid?: string;
    readonly creationTimestamp?: string;
    readonly labels?: Labels;
    readonly annotations?: Labels;
  };
  readonly [field: string]: unknown;
}

export interface Target {
  readonly collection: string;
  readonly namespace: string;
  readonly name: string;
}

export function keyOf({ metadata }: FakeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

export function parsePath(path: string): Target | null {
  const steps = path.split('/').slice(1).map(decodeURIComponent);
  const versionSteps = steps[0] === 'api' ? 1 : 2;
  if (steps[0] !== 'api' && steps[0] !== 'apis') return null;
  const groupVersion = steps.slice(1, 1 + versionSteps).join('/');
  const rest = steps.slice(1 + versionSteps);
  const isInside = rest[0] === 'namespaces' && rest.length > 2;
  const namespace = isInside ? (rest[1] ?? '') : '';
  const [plural = '', name = ''] = isInside ? rest.slice(2) : rest;
  return plural === '' ? null : { collection: `${groupVersion}/${plural}`, namespace, name };
}

export function isIn(object: FakeObject, target: Target, query: URLSearchParams): boolean {
  if (target.namespace !== '' && object.metadata.namespace !== target.namespace) return false;
  const labels = (query.get('labelSelector') ?? '').split(',').filter(Boolean);
  const fields = (query.get('fieldSelector') ?? '').split(',').filter(Boolean);
  return (
    labels.every((term) => holds(term, (key) => object.metadata.labels?.[key])) &&
    fields.every((term) => holds(term, (path) => fieldAt(object, path)))
  );
}

function holds(term: string, read: (key: string) => string | undefined): boolean {
  const [, key = '', operator, value] = /^([^=!]+)(?:(!?=)=?(.*))?$/.exec(term) ?? [];
  if (operator === undefined) return read(key) !== undefined;
  return operator === '=' ? read(key) === value : read(key) !== value;
}

function fieldAt(object: KubeRecord, path: string): string {
  let value: unknown = object;
  for (const step of path.split('.')) value = (value as KubeRecord | undefined)?.[step];
  return typeof value === 'string' ? value : '';
}

/** RFC 7386. */
export function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const merged: Record<string, unknown> = { ...(target as KubeRecord | undefined) };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = merge(merged[key], value);
  }
  return merged;
}

/**
 * Server-side apply of one manager: what it asked for `last` and no longer does is taken away. Lists are atomic here, and nobody
 * else's fields are in the way.
 */
export function apply(target: unknown, last: unknown, asked: unknown): unknown {
  if (!isMap(asked)) return asked;
  const result: Record<string, unknown> = { ...(isMap(target) ? target : {}) };
  const before = isMap(last) ? last : {};
  for (const key of Object.keys(before)) if (!(key in asked)) delete result[key];
  for (const [key, value] of Object.entries(asked))
    result[key] = apply(result[key], before[key], value);
  return result;
}

function isMap(value: unknown): value is KubeRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A Service that asks for none gets one of 10.96.0.0/16, `number` telling which. */
export function withClusterIp(service: FakeObject, number: () => number): FakeObject {
  const spec = isMap(service['spec']) ? service['spec'] : {};
  if (spec['type'] === 'ExternalName' || (spec['clusterIP'] ?? '') !== '') return service;
  const next = number();
  const clusterIP = `10.96.${next >> 8}.${next & 255}`;
  return { ...service, spec: { ...spec, clusterIP, clusterIPs: [clusterIP] } };
}
