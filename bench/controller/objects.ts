/**
 * The cluster of the benchmark as objects in etcd, as large as real ones are: Nodes, Namespaces, ServiceAccounts, Services
 * with cluster IPs, EndpointSlices and the Pods that these name. An object that is written there before the API server
 * starts is read like any other, and 100,000 Pods take seconds instead of a quarter of an hour.
 */

import { createHash } from 'node:crypto';
import { recordAt } from '../../src/base/record.ts';
import { shadowName } from '../../src/shadow/names.ts';
import { render, trafficDistributionOf } from '../../src/shadow/render.ts';
import { AGENT, markOfPart } from '../../src/model/names.ts';
import type { Options } from './options.ts';

export type Size = Pick<Options, 'services' | 'endpoints' | 'nodes' | 'agents' | 'published'>;

/** A key of etcd, and the object behind it. */
export interface Stored {
  readonly key: string;
  readonly object: object;
}

export interface AgentPod {
  readonly name: string;
  readonly node: string;
  readonly uid: string;
}

export const MESH_NAMESPACE = 'maesh';
const NAMESPACES = 100;
const CREATED = '2026-01-01T00:00:00Z';
/** The cluster's controller puts no more into one slice. */
const SLICE_ENDPOINTS_MAX = 100;
/** Of the API server that the tools have, as far as shadow Services depend on it. */
const KUBERNETES = { major: 1, minor: 36 };
/** Cluster IPs of shadow Services that are there already come after those of Services. */
const SHADOWS_FROM = 32_768;
const PROXY_PORTS_FROM = 10_000;

export function* seedOf(size: Size): Generator<Stored> {
  for (let i = 0; i < size.nodes; i += 1) yield node(i);
  yield namespaceObject(MESH_NAMESPACE);
  for (let i = 0; i < NAMESPACES; i += 1) yield namespaceObject(`team-${i}`);
  for (const [i, agent] of agentsOf(size).entries()) yield agentPod(agent, i);
  for (let i = 0; i < size.services; i += 1) yield* workload(i, size);
  for (let i = 0; i < size.published; i += 1) yield* publishedShadow(i);
}

/** `namespace/name` of a Service. */
export function serviceKey(index: number): string {
  return `team-${index % NAMESPACES}/service-${index}`;
}

/** The slice of a Service, as it is before and after its `change`th change. */
export function endpointSlice(index: number, size: Size, change: number): object {
  const { namespace, name } = placeOf(index);
  const slice = `${name}-x2k9p`;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      ...meta(namespace, slice),
      generateName: `${name}-`,
      labels: {
        'app.kubernetes.io/name': name,
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
        'kubernetes.io/service-name': name,
      },
      annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': CREATED },
      ownerReferences: [
        ownerOf({ apiVersion: 'v1', kind: 'Service', namespace, name, controller: true }),
      ],
    },
    addressType: 'IPv4',
    endpoints: Array.from({ length: size.endpoints }, (_, i) => {
      const pod = podName(name, i);
      // A change takes the endpoints out one after the other, as a rollout does.
      const isReady = change === 0 || i !== (change - 1) % size.endpoints;
      return {
        addresses: [podAddress(index, i)],
        conditions: { ready: isReady, serving: isReady, terminating: false },
        nodeName: nodeName((index + i) % size.nodes),
        targetRef: { kind: 'Pod', name: pod, namespace, uid: uidOf(`${namespace}/${pod}`) },
        zone: zoneOf((index + i) % size.nodes),
      };
    }),
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  };
}

/** What the cluster makes for the shadow of a Service: an endpoint for each agent. */
export function* shadowSlices(
  index: number,
  size: Size,
  ports: readonly Port[],
): Generator<Stored> {
  const service = shadowName(serviceKey(index));
  const agents = agentsOf(size);
  for (let from = 0; from < agents.length; from += SLICE_ENDPOINTS_MAX) {
    const name = `${service}-${from / SLICE_ENDPOINTS_MAX}`;
    const labels = {
      'app.kubernetes.io/name': 'maesh',
      'app.kubernetes.io/component': 'shadow',
      'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      'kubernetes.io/service-name': service,
    };
    const object = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...meta(MESH_NAMESPACE, name), labels },
      addressType: 'IPv4',
      endpoints: agents.slice(from, from + SLICE_ENDPOINTS_MAX).map((agent, i) => ({
        addresses: [agentAddress(from + i)],
        conditions: { ready: true, serving: true, terminating: false },
        hints: { forNodes: [{ name: agent.node }] },
        nodeName: agent.node,
        targetRef: { kind: 'Pod', name: agent.name, namespace: MESH_NAMESPACE, uid: agent.uid },
        zone: zoneOf(from + i),
      })),
      ports,
    };
    yield { key: `/registry/endpointslices/${MESH_NAMESPACE}/${name}`, object };
  }
}

export interface Port {
  readonly name: string;
  readonly port: number;
  readonly protocol: 'TCP';
}

export function agentsOf({ agents }: Size): readonly AgentPod[] {
  return Array.from({ length: agents }, (_, i) => {
    const name = `maesh-agent-${i.toString(36).padStart(5, '0')}`;
    return { name, node: nodeName(i), uid: uidOf(`${MESH_NAMESPACE}/${name}`) };
  });
}

function* workload(index: number, size: Size): Generator<Stored> {
  const { namespace, name } = placeOf(index);
  yield {
    key: `/registry/serviceaccounts/${namespace}/${name}`,
    object: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta(namespace, name) },
  };
  const address = clusterIP(index);
  yield { key: `/registry/services/specs/${namespace}/${name}`, object: service(index) };
  yield { key: `/registry/ipaddresses/${address}`, object: ipAddress(address, namespace, name) };
  yield {
    key: `/registry/endpointslices/${namespace}/${name}-x2k9p`,
    object: endpointSlice(index, size, 0),
  };
  for (let i = 0; i < size.endpoints; i += 1) {
    const pod = podName(name, i);
    yield {
      key: `/registry/pods/${namespace}/${pod}`,
      object: podObject({
        namespace,
        name: pod,
        node: nodeName((index + i) % size.nodes),
        account: name,
        address: podAddress(index, i),
        labels: { 'app.kubernetes.io/name': name, 'pod-template-hash': '7d9f8b6c5' },
        owner: `${name}-7d9f8b6c5`,
      }),
    };
  }
}

/** The shadow of a Service as an earlier controller left it. */
function* publishedShadow(index: number): Generator<Stored> {
  const service = serviceKey(index);
  const name = shadowName(service);
  const address = clusterIP(index + SHADOWS_FROM);
  const proxyPort = PROXY_PORTS_FROM + index;
  const shadow = render(
    {
      name,
      allocation: {
        service,
        state: 'published',
        retiredAt: '',
        ports: [{ name: 'http', port: 80, protocol: 'TCP', proxyPort }],
        announcedPorts: [],
        retiredPorts: [],
      },
      families: ['IPv4'],
      clusterIPs: [address],
    },
    { namespace: MESH_NAMESPACE, trafficDistribution: trafficDistributionOf(KUBERNETES) },
  );
  const metadata = {
    ...recordAt(shadow, 'metadata'),
    ...meta(MESH_NAMESPACE, name),
    managedFields: managedFields('maesh', ['f:spec', 'f:metadata']),
  };
  yield {
    key: `/registry/services/specs/${MESH_NAMESPACE}/${name}`,
    object: { ...shadow, metadata, status: { loadBalancer: {} } },
  };
  yield {
    key: `/registry/ipaddresses/${address}`,
    object: ipAddress(address, MESH_NAMESPACE, name),
  };
}

function service(index: number): object {
  const { namespace, name } = placeOf(index);
  const selector = { 'app.kubernetes.io/name': name };
  const ports = [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 8080 }];
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      ...meta(namespace, name),
      labels: { ...selector, 'helm.sh/chart': 'service-1.2.3' },
      annotations: {
        'meta.helm.sh/release-name': name,
        'meta.helm.sh/release-namespace': namespace,
      },
      managedFields: managedFields('helm', ['f:spec', 'f:metadata']),
    },
    spec: {
      type: 'ClusterIP',
      clusterIP: clusterIP(index),
      clusterIPs: [clusterIP(index)],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      internalTrafficPolicy: 'Cluster',
      sessionAffinity: 'None',
      ports,
      selector,
    },
    status: { loadBalancer: {} },
  };
}

/** Without it the API server would take the address for free. */
function ipAddress(address: string, namespace: string, name: string): object {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IPAddress',
    metadata: {
      ...meta('', address),
      labels: {
        'ipaddress.kubernetes.io/ip-family': 'IPv4',
        'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
      },
    },
    spec: { parentRef: { group: '', resource: 'services', namespace, name } },
  };
}

interface PodSpec {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly account: string;
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly owner: string;
}

function agentPod({ name, node }: AgentPod, index: number): Stored {
  const object = podObject({
    namespace: MESH_NAMESPACE,
    name,
    node,
    account: AGENT,
    address: agentAddress(index),
    labels: markOfPart('agent'),
    owner: AGENT,
  });
  return { key: `/registry/pods/${MESH_NAMESPACE}/${name}`, object };
}

/** Some 3 KB, as one of a small Deployment. */
function podObject(pod: PodSpec): object {
  const { namespace, name, node, account, address, labels, owner } = pod;
  const image = `registry.example.com/${namespace}/${account}:2.14.0`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...meta(namespace, name),
      generateName: `${owner}-`,
      labels,
      annotations: { 'prometheus.io/scrape': 'true', 'checksum/config': uidOf(owner) },
      ownerReferences: [
        ownerOf({
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          namespace,
          name: owner,
          controller: true,
        }),
      ],
      managedFields: [
        ...managedFields('kube-controller-manager', ['f:spec', 'f:metadata']),
        ...managedFields('kubelet', ['f:status']),
      ],
    },
    spec: {
      containers: [
        {
          name: 'app',
          image,
          imagePullPolicy: 'IfNotPresent',
          env: Array.from({ length: 8 }, (_, i) => ({ name: `SETTING_${i}`, value: `value-${i}` })),
          ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
          readinessProbe: { httpGet: { path: '/healthz', port: 'http', scheme: 'HTTP' } },
          resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
          volumeMounts: [
            {
              name: 'kube-api-access',
              mountPath: '/var/run/secrets/kubernetes.io/serviceaccount',
              readOnly: true,
            },
          ],
        },
      ],
      dnsPolicy: 'ClusterFirst',
      enableServiceLinks: true,
      nodeName: node,
      restartPolicy: 'Always',
      schedulerName: 'default-scheduler',
      serviceAccount: account,
      serviceAccountName: account,
      terminationGracePeriodSeconds: 30,
      tolerations: [
        {
          key: 'node.kubernetes.io/not-ready',
          operator: 'Exists',
          effect: 'NoExecute',
          tolerationSeconds: 300,
        },
      ],
      volumes: [
        {
          name: 'kube-api-access',
          projected: {
            defaultMode: 420,
            sources: [{ serviceAccountToken: { expirationSeconds: 3607, path: 'token' } }],
          },
        },
      ],
    },
    status: {
      phase: 'Running',
      conditions: ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => ({
        type,
        status: 'True',
        lastTransitionTime: CREATED,
      })),
      containerStatuses: [
        {
          name: 'app',
          image,
          imageID: `${image}@sha256:${uidOf(image).replaceAll('-', '')}`,
          containerID: `containerd://${uidOf(name).replaceAll('-', '')}`,
          ready: true,
          started: true,
          restartCount: 0,
          state: { running: { startedAt: CREATED } },
        },
      ],
      hostIP: '192.168.0.1',
      podIP: address,
      podIPs: [{ ip: address }],
      qosClass: 'Burstable',
      startTime: CREATED,
    },
  };
}

function node(index: number): Stored {
  const name = nodeName(index);
  const object = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      ...meta('', name),
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'topology.kubernetes.io/region': 'eu-west-1',
        'topology.kubernetes.io/zone': zoneOf(index),
      },
    },
    spec: { providerID: `aws:///${zoneOf(index)}/${name}` },
    status: {
      addresses: [{ type: 'InternalIP', address: `192.168.${index >> 8}.${index & 255}` }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  };
  return { key: `/registry/minions/${name}`, object };
}

function namespaceObject(name: string): Stored {
  const object = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { ...meta('', name), labels: { 'kubernetes.io/metadata.name': name } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  };
  return { key: `/registry/namespaces/${name}`, object };
}

function meta(namespace: string, name: string): object {
  return {
    name,
    ...(namespace === '' ? {} : { namespace }),
    uid: uidOf(`${namespace}/${name}`),
    creationTimestamp: CREATED,
  };
}

function ownerOf({ namespace, ...owner }: Readonly<Record<string, string | boolean>>): object {
  return { ...owner, uid: uidOf(`${String(namespace)}/${String(owner['name'])}`) };
}

/** In the form that API servers keep it, though not of all fields. */
function managedFields(manager: string, fields: readonly string[]): readonly object[] {
  const inner = { 'f:labels': {}, 'f:annotations': {}, 'f:conditions': {}, 'f:ports': {} };
  return [
    {
      manager,
      operation: 'Update',
      apiVersion: 'v1',
      time: CREATED,
      fieldsType: 'FieldsV1',
      fieldsV1: Object.fromEntries(fields.map((field) => [field, inner])),
    },
  ];
}

function placeOf(index: number): { readonly namespace: string; readonly name: string } {
  const [namespace = '', name = ''] = serviceKey(index).split('/');
  return { namespace, name };
}

function podName(service: string, index: number): string {
  const suffix = createHash('sha256').update(service).digest('hex').slice(0, 4);
  return `${service}-7d9f8b6c5-${suffix}${index.toString(36)}`;
}

function nodeName(index: number): string {
  return `ip-10-0-${index}-17.eu-west-1.compute.internal`;
}

function zoneOf(index: number): string {
  return `eu-west-1${'abc'.charAt(index % 3)}`;
}

/** Within 10.96.0.0/16, where the first 256 are for those who ask for one. */
function clusterIP(index: number): string {
  const number = index + 256;
  return `10.96.${number >> 8}.${number & 255}`;
}

/** 10.128.0.0/9, without a Pod twice. */
function podAddress(service: number, index: number): string {
  const number = service * 100 + index;
  return `10.${128 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
}

function agentAddress(index: number): string {
  return `10.127.${index >> 8}.${index & 255}`;
}

function uidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20, 32),
  ].join('-');
}
