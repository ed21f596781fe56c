/**
 * What maesh does with every field of the kinds that it reads: honoured, reported as a problem, or irrelevant to callers.
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
    ['metadata.labels', 'selectors, topology labels and `maesh.dev/mesh` use them'],
    ['metadata.annotations', 'the annotations of maesh; all others are ignored'],
    ['metadata.uid', 'distinguishes an object from a later one with the same name'],
    ['metadata.deletionTimestamp', 'an object that is being deleted gets no new traffic'],
  ],
  told: [['metadata.generateName', 'a manifest needs a name; only the API server generates names']],
  irrelevant: [
    ['apiVersion kind', 'they select the kind'],
    [
      'metadata.creationTimestamp metadata.deletionGracePeriodSeconds metadata.finalizers metadata.generation metadata.managedFields metadata.ownerReferences metadata.resourceVersion metadata.selfLink',
      'internal data of the API server',
    ],
  ],
};

const TARGET = 'targetRef.kind targetRef.name targetRef.namespace';
const TARGET_REST =
  'targetRef.apiVersion targetRef.fieldPath targetRef.resourceVersion targetRef.uid';

export const FIELD_USE: Readonly<Record<Kind, FieldUse>> = {
  Service: withMeta({
    honoured: [
      [
        'spec.type',
        'an ExternalName Service has no mesh name; the other types do not differ for callers',
      ],
      ['spec.selector', 'selects the endpoints if there is no EndpointSlice or Endpoints object'],
      [
        'spec.clusterIP spec.clusterIPs',
        '`None` makes the Service headless; `maesh up` keeps an address in its range',
      ],
      [
        'spec.ports[].name spec.ports[].port spec.ports[].targetPort',
        'the ports that the proxy opens and dials',
      ],
      ['spec.ports[].protocol', 'TCP and UDP; an SCTP port is left out and reported'],
      [
        'spec.ports[].appProtocol',
        'the protocol of the endpoints; other protocols than HTTP are not proxied as HTTP, and reported',
      ],
      ['spec.publishNotReadyAddresses', 'endpoints that are not ready are used too'],
      [
        'spec.sessionAffinity spec.sessionAffinityConfig.clientIP.timeoutSeconds',
        'requests of one source address go to one endpoint',
      ],
      ['spec.internalTrafficPolicy', '`Local` uses only endpoints on the caller’s node'],
      ['spec.trafficDistribution', 'near endpoints first, unless an annotation overrides it'],
    ],
    told: [],
    irrelevant: [
      [
        'spec.externalIPs spec.externalTrafficPolicy spec.allocateLoadBalancerNodePorts spec.healthCheckNodePort spec.loadBalancerClass spec.loadBalancerIP spec.loadBalancerSourceRanges spec.ports[].nodePort status.loadBalancer',
        'for traffic from outside the cluster, which does not use mesh names',
      ],
      ['spec.externalName', 'a Service of type ExternalName has no mesh name'],
      ['spec.ipFamilies spec.ipFamilyPolicy', 'mesh names have addresses of the mesh'],
      ['status.conditions', 'conditions of load balancers'],
    ],
  }),
  Endpoints: withMeta({
    honoured: [
      ...['subsets[].addresses[]', 'subsets[].notReadyAddresses[]'].flatMap((at): Row[] => [
        [`${at}.ip ${at}.nodeName`, 'location of an endpoint'],
        [below(at, TARGET), 'the Pod of the endpoint'],
      ]),
      [
        'subsets[].ports[].name subsets[].ports[].port subsets[].ports[].protocol',
        'the port to dial',
      ],
    ],
    told: [
      [
        'subsets[].addresses[].hostname subsets[].notReadyAddresses[].hostname',
        'an endpoint of a headless Service has the name of its Pod; other host names are not mesh names',
      ],
    ],
    irrelevant: [
      ...['subsets[].addresses[]', 'subsets[].notReadyAddresses[]'].map((at): Row => [
        below(at, TARGET_REST),
        'the name of the Pod is sufficient',
      ]),
      ['subsets[].ports[].appProtocol', 'the port of the Service has it'],
    ],
  }),
  EndpointSlice: withMeta({
    honoured: [
      ['addressType', 'IPv4 and IPv6; a slice of host names is not used and is reported'],
      [
        'endpoints[].addresses',
        'location of an endpoint; a second address has no meaning and is reported',
      ],
      [
        'endpoints[].conditions',
        'ready endpoints are used, or serving endpoints that are terminating',
      ],
      ['endpoints[].nodeName endpoints[].zone', 'near endpoints first'],
      [below('endpoints[]', TARGET), 'the Pod of the endpoint'],
      ['ports[].name ports[].port ports[].protocol', 'the port to dial'],
    ],
    told: [
      [
        'endpoints[].hostname',
        'an endpoint of a headless Service has the name of its Pod; other host names are not mesh names',
      ],
    ],
    irrelevant: [
      [below('endpoints[]', TARGET_REST), 'the name of the Pod is sufficient'],
      [
        'endpoints[].hints',
        'meant for kube-proxy, which does not see load; the mesh itself prefers near endpoints and spills over',
      ],
      ['endpoints[].deprecatedTopology', 'from v1beta1; `nodeName` and `zone` replace it'],
      ['ports[].appProtocol', 'the port of the Service has it'],
    ],
  }),
  Pod: withMeta({
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
  Node: withMeta({
    honoured: [],
    told: [],
    irrelevant: [
      ['spec', 'scheduling on the node; its zone is a label'],
      ['status', 'state of the node; its endpoints report their own readiness'],
    ],
  }),
  Namespace: withMeta({
    honoured: [],
    told: [],
    irrelevant: [['spec status', 'lifecycle of the namespace; its objects are deleted one by one']],
  }),
  ServiceAccount: withMeta({
    honoured: [],
    told: [],
    irrelevant: [['automountServiceAccountToken imagePullSecrets secrets', 'internal to its Pods']],
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
