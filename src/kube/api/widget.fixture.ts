/** A kind of a CRD that the mesh does not read, for tests of those that clusters may lack; its older version has the size elsewhere. */

import type { KubeKind } from '../kind/table.ts';
import { readMeta } from '../meta.ts';
import { SUBDOMAIN } from '../name.ts';
import type { Kind, KubeObject } from '../object.ts';
import type { Store } from '../store.ts';

const KIND = 'Widget' as Kind;

interface Widget {
  readonly size: string;
}

export const WIDGET = {
  kind: KIND,
  group: 'parts.test',
  versions: ['v1', 'v1alpha1'],
  plural: 'widgets',
  isNamespaced: true,
  isOptional: true,
  upgrade: ({ size, ...raw }) => ({ ...raw, spec: { size } }),
  read: (object) => {
    const widget = {
      kind: 'Widget',
      meta: readMeta(object, SUBDOMAIN, 'namespaced'),
      size: object.child('spec').text('size'),
    };
    return widget as unknown as KubeObject;
  },
  fields: { honoured: [], told: [], irrelevant: [] },
} as const satisfies KubeKind;

/** Of all widgets in the store. */
export function sizesIn(store: Store): string {
  return [...store.list(KIND)].map((each) => (each as unknown as Widget).size).join();
}
