/** ServiceAccount (v1). */

import type { Fields } from '../fields.ts';
import { type Meta, readMeta } from '../meta.ts';
import { SUBDOMAIN } from '../name.ts';
import { withMeta } from '../field-use.ts';
import type { KindSpec } from './spec.ts';

export interface ServiceAccountObject {
  readonly kind: 'ServiceAccount';
  readonly meta: Meta;
}

/** Reads a ServiceAccount. */
function readServiceAccount(object: Fields): ServiceAccountObject {
  return { kind: 'ServiceAccount', meta: readMeta(object, SUBDOMAIN, 'namespaced') };
}

export const SERVICE_ACCOUNT: KindSpec<ServiceAccountObject> = {
  kind: 'ServiceAccount',
  group: '',
  versions: ['v1'],
  plural: 'serviceaccounts',
  isNamespaced: true,
  isOptional: false,
  read: readServiceAccount,
  fields: withMeta({
    honoured: [],
    told: [],
    irrelevant: [['automountServiceAccountToken imagePullSecrets secrets', 'internal to its Pods']],
  }),
};
