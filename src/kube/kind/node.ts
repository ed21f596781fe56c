/** Node (v1). */

import type { Fields } from '../fields.ts';
import { type Meta, readMeta } from '../meta.ts';
import { SUBDOMAIN } from '../name.ts';
import { withMeta } from '../field-use.ts';
import type { KindSpec } from './spec.ts';

export interface NodeObject {
  readonly kind: 'Node';
  readonly meta: Meta;
  readonly zone: string;
}

/** Reads a Node; the zone comes from the well-known label, or from the one it had before Kubernetes 1.17. */
function readNode(object: Fields): NodeObject {
  const meta = readMeta(object, SUBDOMAIN, 'cluster');
  const zone =
    meta.labels['topology.kubernetes.io/zone'] ??
    meta.labels['failure-domain.beta.kubernetes.io/zone'] ??
    '';
  return { kind: 'Node', meta, zone };
}

export const NODE: KindSpec<NodeObject> = {
  kind: 'Node',
  group: '',
  versions: ['v1'],
  plural: 'nodes',
  isNamespaced: false,
  isOptional: false,
  read: readNode,
  fields: withMeta({
    honoured: [],
    told: [],
    irrelevant: [
      ['spec', 'scheduling on the node; its zone is a label'],
      ['status', 'state of the node; its endpoints report their own readiness'],
    ],
  }),
};
