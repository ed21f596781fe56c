/**
 * What maesh does with every field of the kinds that it reads: it is honoured, told as a problem, or of no concern to a caller.
 * A test holds the table against the API's own description and against what the readers read; docs/kubernetes-fields.md shows it.
 */

import type { Kind } from './object.ts';

/** `honoured`: it does what Kubernetes says. `told`: a problem names it where it would matter. */
export type Use = 'honoured' | 'told' | 'irrelevant';

/** Paths with blanks between, each with everything below it, and why. */
type Row = readonly [paths: string, why: string];

export type FieldUse = Readonly<Record<Use, readonly Row[]>>;

const META: FieldUse = {
  honoured: [
    ['metadata.name metadata.namespace', 'the name of the object'],
    ['metadata.labels', 'what selectors and topology labels look at; `maesh.dev/mesh`'],
    ['metadata.annotations', 'those of the mesh; others are of no concern'],
    ['metadata.uid', 'tells an object from a later one with its name'],
    ['metadata.deletionTimestamp', 'what is being deleted takes no new traffic'],
  ],
  told: [['metadata.generateName', 'a manifest needs a name: only the API server makes one']],
  irrelevant: [
    ['apiVersion kind', 'they choose this table'],
    [
      'metadata.creationTimestamp metadata.deletionGracePeriodSeconds metadata.finalizers metadata.generation metadata.managedFields metadata.ownerReferences metadata.resourceVersion metadata.selfLink',
      'bookkeeping of the API server',
    ],
  ],
};

const TARGET = 'targetRef.kind targetRef.name targetRef.namespace';
const TARGET_REST =
  'targetRef.apiVersion targetRef.fieldPath targetRef.resourceVersion targetRef.uid';

export const FIELD_USE: Readonly<Record<Kind, FieldUse>> = {
  Service: withMeta({
    honoured: [
      ['spec.type', 'an ExternalName has no mesh name; the other types differ only outside'],
      ['spec.selector', 'which Pods are endpoints, where no EndpointSlice or Endpoints says so'],
      [
        'spec.clusterIP spec.clusterIPs',
        '`None` is headless; `maesh up` keeps an address in its range',
      ],
      [
        'spec.ports[].name spec.ports[].port spec.ports[].targetPort',
        'where to listen, and where to dial',
      ],
      ['spec.ports[].protocol', 'TCP and UDP; a port with SCTP is left out, and told'],
      [
        'spec.ports[].appProtocol',
        'what endpoints speak; what is not HTTP is not carried as HTTP, and told',
      ],
      ['spec.publishNotReadyAddresses', 'endpoints that are not ready count too'],
      [
        'spec.sessionAffinity spec.sessionAffinityConfig.clientIP.timeoutSeconds',
        'a source address stays with its endpoint',
      ],
      ['spec.internalTrafficPolicy', '`Local`: only endpoints of the caller’s node'],
      ['spec.trafficDistribution', 'near endpoints first, where no annotation says otherwise'],
    ],
    told: [],
    irrelevant: [
      [
        'spec.externalIPs spec.externalTrafficPolicy spec.allocateLoadBalancerNodePorts spec.healthCheckNodePort spec.loadBalancerClass spec.loadBalancerIP spec.loadBalancerSourceRanges spec.ports[].nodePort status.loadBalancer',
        'for traffic from outside, which does not use mesh names',
      ],
      ['spec.externalName', 'a Service of type ExternalName has no mesh name'],
      ['spec.ipFamilies spec.ipFamilyPolicy', 'a mesh name has the addresses of the mesh'],
      ['status.conditions', 'of load balancers'],
    ],
  }),
  Endpoints: withMeta({
    honoured: [
      ...['subsets[].addresses[]', 'subsets[].notReadyAddresses[]'].flatMap((at): Row[] => [
        [`${at}.ip ${at}.nodeName`, 'where an endpoint is'],
        [below(at, TARGET), 'the Pod behind it'],
      ]),
      ['subsets[].ports[].name subsets[].ports[].port subsets[].ports[].protocol', 'where to dial'],
    ],
    told: [
      [
        'subsets[].addresses[].hostname subsets[].notReadyAddresses[].hostname',
        'an endpoint of a headless Service is named after its Pod; another host name is no mesh name',
      ],
    ],
    irrelevant: [
      ...['subsets[].addresses[]', 'subsets[].notReadyAddresses[]'].map((at): Row => [
        below(at, TARGET_REST),
        'the name of the Pod is enough',
      ]),
      ['subsets[].ports[].appProtocol', 'the port of the Service says it'],
    ],
  }),
  EndpointSlice: withMeta({
    honoured: [
      ['addressType', 'IPv4 and IPv6; a slice of host names is not used, and told'],
      [
        'endpoints[].addresses',
        'where an endpoint is; a second address has no meaning, and is told',
      ],
      ['endpoints[].conditions', 'ready, else serving while it ends'],
      ['endpoints[].nodeName endpoints[].zone', 'near endpoints first'],
      [below('endpoints[]', TARGET), 'the Pod behind it'],
      ['ports[].name ports[].port ports[].protocol', 'where to dial'],
    ],
    told: [
      [
        'endpoints[].hostname',
        'an endpoint of a headless Service is named after its Pod; another host name is no mesh name',
      ],
    ],
    irrelevant: [
      [below('endpoints[]', TARGET_REST), 'the name of the Pod is enough'],
      [
        'endpoints[].hints',
        'advice to kube-proxy, which sees no load; the mesh prefers near endpoints itself, and spills over',
      ],
      ['endpoints[].deprecatedTopology', 'what v1beta1 had; `nodeName` and `zone` say it'],
      ['ports[].appProtocol', 'the port of the Service says it'],
    ],
  }),
  Pod: withMeta({
    honoured: [
      ['spec.nodeName', 'where it is'],
      ['spec.serviceAccountName spec.serviceAccount', 'who it is as a caller'],
      ['spec.hostNetwork', 'its address is that of its node, so it is nobody as a caller'],
      [
        'spec.containers[].ports[].name spec.containers[].ports[].containerPort spec.containers[].ports[].protocol',
        'what a named `targetPort` means',
      ],
      [
        'spec.initContainers[].restartPolicy spec.initContainers[].ports[].name spec.initContainers[].ports[].containerPort spec.initContainers[].ports[].protocol',
        'the ports of sidecars count too',
      ],
      ['status.phase', 'a Pod that ended takes no traffic'],
      ['status.podIP status.podIPs', 'where it is dialled, and who it is as a caller'],
      ['status.conditions[].type status.conditions[].status', 'whether it is ready'],
    ],
    told: [
      [
        'spec.hostname spec.subdomain',
        'an endpoint of a headless Service is named after its Pod; another host name is no mesh name',
      ],
    ],
    irrelevant: [
      ['spec.readinessGates', 'the condition Ready has them'],
      [
        'spec.activeDeadlineSeconds spec.restartPolicy spec.terminationGracePeriodSeconds spec.ephemeralContainers spec.initContainers[].ports[].hostIP spec.initContainers[].ports[].hostPort spec.containers[].ports[].hostIP spec.containers[].ports[].hostPort',
        'the kubelet’s work; what comes of it is in the status',
      ],
      [
        'spec.affinity spec.nodeSelector spec.os spec.overhead spec.preemptionPolicy spec.priority spec.priorityClassName spec.resourceClaims spec.resources spec.runtimeClassName spec.schedulerName spec.schedulingGates spec.schedulingGroup spec.tolerations spec.topologySpreadConstraints',
        'the scheduler’s work; what comes of it is `nodeName`',
      ],
      [
        'spec.automountServiceAccountToken spec.dnsConfig spec.dnsPolicy spec.enableServiceLinks spec.hostAliases spec.hostIPC spec.hostPID spec.hostUsers spec.hostnameOverride spec.imagePullSecrets spec.securityContext spec.setHostnameAsFQDN spec.shareProcessNamespace spec.volumes',
        'the inside of the Pod',
      ],
      ...['spec.containers[]', 'spec.initContainers[]'].map((at): Row => [
        below(
          at,
          `args command env envFrom image imagePullPolicy lifecycle livenessProbe name readinessProbe resizePolicy resources
            restartPolicyRules securityContext startupProbe stdin stdinOnce terminationMessagePath terminationMessagePolicy tty
            volumeDevices volumeMounts workingDir`,
        ),
        'the inside of the container; what probes say is in the status',
      ]),
      ['spec.containers[].restartPolicy', 'the kubelet’s work'],
      [
        below(
          'status',
          `allocatedResources containerStatuses ephemeralContainerStatuses extendedResourceClaimStatus hostIP hostIPs
          initContainerStatuses message nodeAllocatableResourceClaimStatuses nominatedNodeName observedGeneration qosClass reason
          resize resourceClaimStatuses resources startTime`,
        ),
        'why it is as it is; whether it is ready is enough',
      ],
      [
        below(
          'status.conditions[]',
          'lastProbeTime lastTransitionTime message observedGeneration reason',
        ),
        'why a condition is as it is',
      ],
    ],
  }),
  Node: withMeta({
    honoured: [],
    told: [],
    irrelevant: [
      ['spec', 'who may run there; the zone is a label'],
      ['status', 'how it is; the endpoints on it say whether they are ready'],
    ],
  }),
  Namespace: withMeta({
    honoured: [],
    told: [],
    irrelevant: [['spec status', 'its life; what is in it goes by itself']],
  }),
  ServiceAccount: withMeta({
    honoured: [],
    told: [],
    irrelevant: [
      ['automountServiceAccountToken imagePullSecrets secrets', 'the inside of its Pods'],
    ],
  }),
};

function withMeta(own: FieldUse): FieldUse {
  return {
    honoured: [...own.honoured, ...META.honoured],
    told: [...own.told, ...META.told],
    irrelevant: [...own.irrelevant, ...META.irrelevant],
  };
}

function below(parent: string, fields: string): string {
  return pathsIn(fields)
    .map((field) => `${parent}.${field}`)
    .join(' ');
}

/** The paths of a row. */
export function pathsIn(paths: string): readonly string[] {
  return paths.trim().split(/\s+/);
}
