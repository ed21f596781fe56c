/** ServiceAccount (v1). */

import type { Fields } from '../fields.ts';
import { readMeta } from '../meta.ts';
import { SUBDOMAIN } from '../name.ts';
import type { ServiceAccountObject } from '../object.ts';

/** Reads a ServiceAccount. */
export function readServiceAccount(object: Fields): ServiceAccountObject {
  return { kind: 'ServiceAccount', meta: readMeta(object, SUBDOMAIN, 'namespaced') };
}
