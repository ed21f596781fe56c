/** The `metadata` of every object. */

import type { Fields } from './fields.ts';
import { LABEL, isName } from './name.ts';
import type { NameRule } from './name.ts';

export interface Meta {
  readonly name: string;
  /** '' for kinds without a namespace. */
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly uid: string;
  readonly deletionTimestamp: string;
}

/** Reads `metadata`; a missing or bad name or namespace loses the object. No namespace means `default`. */
export function readMeta(object: Fields, rule: NameRule, scope: 'namespaced' | 'cluster'): Meta {
  const fields = object.child('metadata');
  return {
    name: readName(fields, rule),
    namespace: scope === 'cluster' ? '' : readNamespace(fields),
    labels: fields.texted('labels'),
    annotations: fields.texted('annotations'),
    uid: fields.text('uid'),
    deletionTimestamp: fields.text('deletionTimestamp'),
  };
}

function readName(fields: Fields, rule: NameRule): string {
  const name = fields.raw('name');
  if (typeof name === 'string' && isName(name, rule)) return name;
  if (fields.isLost) return '';
  if (!fields.has('name')) {
    const remedy = fields.has('generateName')
      ? 'write "name" instead of "generateName": only the API server makes names'
      : 'write the name of the object';
    fields.lose('name', 'Name is missing', remedy);
  } else if (typeof name !== 'string') {
    fields.lose('name', 'Name must be a string', 'quote it');
  } else {
    fields.lose('name', 'Name is not valid', `use ${rule.text}`);
  }
  return '';
}

function readNamespace(fields: Fields): string {
  if (!fields.has('namespace')) return 'default';
  const namespace = fields.raw('namespace');
  if (typeof namespace === 'string' && isName(namespace, LABEL)) return namespace;
  if (namespace === '') return 'default';
  if (typeof namespace === 'string') {
    fields.lose('namespace', 'Namespace is not valid', `use ${LABEL.text}`);
  } else {
    fields.lose('namespace', 'Namespace must be a string', 'quote it');
  }
  return '';
}
