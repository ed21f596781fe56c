/** What differs between two states of an object, for a person. */

import { isDeepStrictEqual } from 'node:util';

import { type Raw, isRecord, recordAt } from '../base/record.ts';

/** Differences that are told of one object. */
const CHANGES_MAX = 50;
const VALUE_LENGTH_MAX = 120;
/** The API server keeps these itself. */
const KEPT_BY_SERVER = [
  'managedFields',
  'resourceVersion',
  'generation',
  'uid',
  'creationTimestamp',
  'selfLink',
];

/** `spec.replicas: 2 → 3`; empty when nothing differs that anybody wrote. */
export function changesOf(before: Raw, after: Raw): readonly string[] {
  const found = [...differences(written(before), written(after), '')];
  if (found.length <= CHANGES_MAX) return found;
  return [...found.slice(0, CHANGES_MAX), `and ${found.length - CHANGES_MAX} more`];
}

/** What nobody reads: counters of controllers, and what is told by its effects. */
const UNTOLD_ANNOTATIONS = [
  'deprecated.daemonset.template.generation',
  'deployment.kubernetes.io/revision',
  'maesh.dev/values',
];

function written(object: Raw): Raw {
  const { status: _status, ...rest } = object;
  const metadata = without(recordAt(object, 'metadata'), KEPT_BY_SERVER);
  const annotations = without(recordAt(metadata, 'annotations'), UNTOLD_ANNOTATIONS);
  return { ...rest, metadata: { ...metadata, annotations } };
}

function without(map: Raw, keys: readonly string[]): Raw {
  return Object.fromEntries(Object.entries(map).filter(([key]) => !keys.includes(key)));
}

function* differences(before: unknown, after: unknown, path: string): Generator<string> {
  if (isDeepStrictEqual(before, after)) return;
  const pairs = childrenOf(before, after);
  if (pairs === null) {
    yield `${path}: ${shown(before)} → ${shown(after)}`;
    return;
  }
  for (const [step, own, other] of pairs) {
    const isPlain = /^[\w-]+$/.test(step) || path === '';
    const next = step.startsWith('[') ? step : isPlain ? `.${step}` : `["${step}"]`;
    yield* differences(own, other, path === '' ? step : path + next);
  }
}

/** Parts to compare one by one: of two maps, or of two lists that are as long or whose items have names. */
function childrenOf(
  before: unknown,
  after: unknown,
): readonly (readonly [step: string, before: unknown, after: unknown])[] | null {
  if (isRecord(before) && isRecord(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].map((key) => [key, before[key], after[key]]);
  }
  if (!Array.isArray(before) || !Array.isArray(after)) return null;
  const [own, other] = [byName(before), byName(after)];
  if (own !== null && other !== null) {
    const names = new Set([...own.keys(), ...other.keys()]);
    return [...names].map((name) => [`[${name}]`, own.get(name), other.get(name)]);
  }
  if (before.length !== after.length) return null;
  return before.map((item: unknown, index) => [`[${index}]`, item, after[index] as unknown]);
}

function byName(list: readonly unknown[]): ReadonlyMap<string, unknown> | null {
  const named = list.map((item) => [isRecord(item) ? item['name'] : undefined, item] as const);
  if (named.some(([name]) => typeof name !== 'string')) return null;
  const map = new Map(named as readonly (readonly [string, unknown])[]);
  return map.size === list.length ? map : null;
}

function shown(value: unknown): string {
  if (value === undefined) return 'none';
  const text = JSON.stringify(value);
  return text.length <= VALUE_LENGTH_MAX ? text : `${text.slice(0, VALUE_LENGTH_MAX - 1)}…`;
}
