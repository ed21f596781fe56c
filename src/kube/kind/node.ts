/** Node (v1). */

import type { Fields } from '../fields.ts';
import { readMeta } from '../meta.ts';
import { SUBDOMAIN } from '../name.ts';
import type { NodeObject } from '../object.ts';

/** Reads a Node; the zone comes from the well-known label, or from the one it had before Kubernetes 1.17. */
export function readNode(object: Fields): NodeObject {
  const meta = readMeta(object, SUBDOMAIN, 'cluster');
  const zone =
    meta.labels['topology.kubernetes.io/zone'] ??
    meta.labels['failure-domain.beta.kubernetes.io/zone'] ??
    '';
  return { kind: 'Node', meta, zone };
}
