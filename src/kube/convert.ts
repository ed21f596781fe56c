/** Untyped objects, from a manifest or the API, to typed ones. */

import { isRecord } from '../base/record.ts';
import { Fields, Findings } from './fields.ts';
import type { Finding } from './fields.ts';
import type { KubeKind } from './kind/table.ts';
import { describe } from './object.ts';
import type { KubeObject } from './object.ts';

export interface Conversion {
  /** `Service shop/web` as far as it is written; '' when the object has no name. */
  readonly name: string;
  /** null when the object cannot be used; then `findings` has at least one error. */
  readonly object: KubeObject | null;
  /** What could be read of an object that cannot be used, when it has a name: to look for more mistakes in it, and nothing else. */
  readonly refused: KubeObject | null;
  readonly findings: readonly Finding[];
}

/** Reads one object in the first version of its kind. Never throws for data that JSON can express. */
export function convert(
  { kind, read }: KubeKind,
  value: Readonly<Record<string, unknown>>,
): Conversion {
  const findings = new Findings();
  const object = read(Fields.root(value, findings));
  const isNamed = object.meta.name !== '' && (object.meta.namespace !== '' || !findings.lost);
  return {
    name: isNamed ? describe(object) : nameAsWritten(kind, value),
    object: findings.lost ? null : object,
    refused: findings.lost && isNamed ? object : null,
    findings: findings.all,
  };
}

/** `Service shop/web` as far as it is written; '' when there is no name. */
export function nameAsWritten(kind: string, value: Readonly<Record<string, unknown>>): string {
  const meta = isRecord(value['metadata']) ? value['metadata'] : {};
  const { name, namespace } = meta;
  if (typeof name !== 'string' || name === '') return '';
  const place = typeof namespace === 'string' && namespace !== '' ? `${namespace}/` : '';
  return `${kind} ${place}${name}`.slice(0, 200);
}
