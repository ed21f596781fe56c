/** ConfigMap (v1), of those that a label says to have CAs of endpoints. Of no other one is anything kept. */

import { UPSTREAM_CA_LABEL } from '../../model/names.ts';
import type { Fields } from '../fields.ts';
import { withMeta } from '../field-use.ts';
import { type Meta, readMeta } from '../meta.ts';
import { SUBDOMAIN } from '../name.ts';
import type { KindSpec } from './spec.ts';

export interface ConfigMapObject {
  readonly kind: 'ConfigMap';
  readonly meta: Meta;
  /** Empty without the label. */
  readonly data: Readonly<Record<string, string>>;
}

const LABEL_VALUE = 'true';

export function hasCas({ meta }: Pick<ConfigMapObject, 'meta'>): boolean {
  return meta.labels[UPSTREAM_CA_LABEL] === LABEL_VALUE;
}

function readConfigMap(object: Fields): ConfigMapObject {
  const meta = readMeta(object, SUBDOMAIN, 'namespaced');
  // Of one that is not for the mesh, nothing is anybody's business here, whatever is wrong with it.
  return { kind: 'ConfigMap', meta, data: hasCas({ meta }) ? object.texted('data') : {} };
}

export const CONFIG_MAP: KindSpec<ConfigMapObject> = {
  kind: 'ConfigMap',
  group: '',
  versions: ['v1'],
  plural: 'configmaps',
  isNamespaced: true,
  isOptional: false,
  mayBeRefused: true,
  labelSelector: `${UPSTREAM_CA_LABEL}=${LABEL_VALUE}`,
  keptLabels: [UPSTREAM_CA_LABEL],
  read: readConfigMap,
  fields: withMeta({
    honoured: [['data', 'CAs that certificates of endpoints are verified against']],
    told: [],
    irrelevant: [
      ['binaryData', 'CAs are PEM, which is text'],
      ['immutable', 'the API server sees to it'],
    ],
  }),
};
