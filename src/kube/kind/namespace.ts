/** Namespace (v1). */

import type { Fields } from '../fields.ts';
import { type Meta, readMeta } from '../meta.ts';
import { LABEL } from '../name.ts';
import { withMeta } from '../field-use.ts';
import type { KindSpec } from './spec.ts';

export interface NamespaceObject {
  readonly kind: 'Namespace';
  readonly meta: Meta;
}

/** Reads a Namespace. */
function readNamespace(object: Fields): NamespaceObject {
  return { kind: 'Namespace', meta: readMeta(object, LABEL, 'cluster') };
}

export const NAMESPACE: KindSpec<NamespaceObject> = {
  kind: 'Namespace',
  group: '',
  versions: ['v1'],
  plural: 'namespaces',
  isNamespaced: false,
  isOptional: false,
  read: readNamespace,
  fields: withMeta({
    honoured: [],
    told: [],
    irrelevant: [['spec status', 'lifecycle of the namespace; its objects are deleted one by one']],
  }),
};
