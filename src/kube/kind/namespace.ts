/** Namespace (v1). */

import type { Fields } from '../fields.ts';
import { readMeta } from '../meta.ts';
import { LABEL } from '../name.ts';
import type { NamespaceObject } from '../object.ts';

/** Reads a Namespace. */
export function readNamespace(object: Fields): NamespaceObject {
  return { kind: 'Namespace', meta: readMeta(object, LABEL, 'cluster') };
}
