/** Pod (v1). */

import { readAddress } from '../address.ts';
import type { Fields } from '../fields.ts';
import { checkHostName } from '../host-name.ts';
import { readMeta } from '../meta.ts';
import { SUBDOMAIN } from '../name.ts';
import type { Meta } from '../meta.ts';
import type { PortRef } from '../port-ref.ts';
import { readPortRefs } from '../port-ref.ts';
import { below, withMeta, type Row } from '../field-use.ts';
import type { KindSpec } from './spec.ts';

export interface PodObject {
  readonly kind: 'Pod';
  readonly meta: Meta;
  readonly nodeName: string;
  readonly serviceAccount: string;
  readonly hostNetwork: boolean;
  readonly phase: string;
  readonly ready: boolean;
  readonly podIPs: readonly string[];
  readonly ports: readonly PortRef[];
}

/** Reads a Pod. A bad address or container port costs that one. */
function readPod(object: Fields): PodObject {
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

export const POD: KindSpec<PodObject> = {
  kind: 'Pod',
  group: '',
  versions: ['v1'],
  plural: 'pods',
  isNamespaced: true,
  isOptional: false,
  // Jobs leave pods behind by the thousand, whose addresses others have by now.
  fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed',
  read: readPod,
  fields: withMeta({
    honoured: [
      ['spec.nodeName', 'the node of the Pod'],
      ['spec.serviceAccountName spec.serviceAccount', 'identity of the Pod as a caller'],
      ['spec.hostNetwork', 'the Pod has the address of its node, so it is anonymous as a caller'],
      [
        'spec.containers[].ports[].name spec.containers[].ports[].containerPort spec.containers[].ports[].protocol',
        'a named `targetPort` refers to them',
      ],
      [
        'spec.initContainers[].restartPolicy spec.initContainers[].ports[].name spec.initContainers[].ports[].containerPort spec.initContainers[].ports[].protocol',
        'the ports of sidecars are used too',
      ],
      ['status.phase', 'a Pod that has ended gets no traffic'],
      ['status.podIP status.podIPs', 'the address to dial, and identity of the Pod as a caller'],
      ['status.conditions[].type status.conditions[].status', 'readiness of the Pod'],
    ],
    told: [
      [
        'spec.hostname spec.subdomain',
        'an endpoint of a headless Service has the name of its Pod; other host names are not mesh names',
      ],
    ],
    irrelevant: [
      ['spec.readinessGates', 'the condition Ready includes them'],
      [
        'spec.activeDeadlineSeconds spec.restartPolicy spec.terminationGracePeriodSeconds spec.ephemeralContainers spec.initContainers[].ports[].hostIP spec.initContainers[].ports[].hostPort spec.containers[].ports[].hostIP spec.containers[].ports[].hostPort',
        'used by the kubelet; the result is in the status',
      ],
      [
        'spec.affinity spec.nodeSelector spec.os spec.overhead spec.preemptionPolicy spec.priority spec.priorityClassName spec.resourceClaims spec.resources spec.runtimeClassName spec.schedulerName spec.schedulingGates spec.schedulingGroup spec.tolerations spec.topologySpreadConstraints',
        'used by the scheduler; the result is `nodeName`',
      ],
      [
        'spec.automountServiceAccountToken spec.dnsConfig spec.dnsPolicy spec.enableServiceLinks spec.hostAliases spec.hostIPC spec.hostPID spec.hostUsers spec.hostnameOverride spec.imagePullSecrets spec.securityContext spec.setHostnameAsFQDN spec.shareProcessNamespace spec.volumes',
        'internal to the Pod',
      ],
      ...['spec.containers[]', 'spec.initContainers[]'].map((at): Row => [
        below(
          at,
          `args command env envFrom image imagePullPolicy lifecycle livenessProbe name readinessProbe resizePolicy resources
          restartPolicyRules securityContext startupProbe stdin stdinOnce terminationMessagePath terminationMessagePolicy tty
          volumeDevices volumeMounts workingDir`,
        ),
        'internal to the container; probe results are in the status',
      ]),
      ['spec.containers[].restartPolicy', 'used by the kubelet'],
      [
        below(
          'status',
          `allocatedResources containerStatuses ephemeralContainerStatuses extendedResourceClaimStatus hostIP hostIPs
        initContainerStatuses message nodeAllocatableResourceClaimStatuses nominatedNodeName observedGeneration qosClass reason
        resize resourceClaimStatuses resources startTime`,
        ),
        'details of the status; readiness is sufficient',
      ],
      [
        below(
          'status.conditions[]',
          'lastProbeTime lastTransitionTime message observedGeneration reason',
        ),
        'details of a condition',
      ],
    ],
  }),
};
