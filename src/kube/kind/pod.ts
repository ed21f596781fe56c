/** Pod (v1). */

import { readAddress } from '../address.ts';
import type { Fields } from '../fields.ts';
import { checkHostName } from '../host-name.ts';
import { readMeta } from '../meta.ts';
import { SUBDOMAIN } from '../name.ts';
import type { Meta, PodObject, PortRef } from '../object.ts';
import { readPortRefs } from '../port-ref.ts';

/** Reads a Pod. A bad address or container port costs that one. */
export function readPod(object: Fields): PodObject {
  const meta = readMeta(object, SUBDOMAIN, 'namespaced');
  const spec = object.child('spec');
  const status = object.child('status');
  const phase = status.text('phase');
  const podIPs = readPodIps(status);
  // Only with a subdomain does the cluster DNS know the host name.
  if (spec.text('subdomain') !== '') checkHostName(spec, meta.name);
  return {
    kind: 'Pod',
    meta,
    ...readPodSpec(spec),
    phase,
    ready: podIPs.length > 0 && isReady(meta, phase, status),
    podIPs,
  };
}

type PodSpec = Pick<PodObject, 'nodeName' | 'serviceAccount' | 'hostNetwork' | 'ports'>;

/** Reads the `spec` of a Pod, or of the template of many. */
export function readPodSpec(spec: Fields): PodSpec {
  return {
    nodeName: spec.text('nodeName'),
    serviceAccount: spec.text('serviceAccountName') || spec.text('serviceAccount') || 'default',
    hostNetwork: spec.flag('hostNetwork', false, true),
    ports: readContainerPorts(spec),
  };
}

function readPodIps(status: Fields): readonly string[] {
  const found = new Set<string>();
  if (status.has('podIP') && status.raw('podIP') !== '') {
    const address = readAddress(status, 'podIP');
    if (address !== null) found.add(address);
  }
  for (const item of status.children('podIPs')) {
    const address = readAddress(item, 'ip');
    if (address !== null) found.add(address);
  }
  return [...found];
}

/** A plain manifest gives an address and no conditions: such a pod is ready while it runs or says nothing. */
function isReady(meta: Meta, phase: string, status: Fields): boolean {
  const conditions = status.children('conditions');
  if (meta.deletionTimestamp !== '' || phase === 'Succeeded' || phase === 'Failed') return false;
  if (conditions.length === 0) return phase === '' || phase === 'Running';
  return conditions.some((item) => item.text('type') === 'Ready' && item.text('status') === 'True');
}

/** Sidecars are init containers that always restart, and their ports count. */
function readContainerPorts(spec: Fields): readonly PortRef[] {
  const sidecars = spec
    .children('initContainers')
    .filter((container) => container.raw('restartPolicy') === 'Always');
  return [...spec.children('containers'), ...sidecars].flatMap((container) =>
    readPortRefs(container, 'containerPort'),
  );
}
