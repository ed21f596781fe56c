/** The endpoints of one port: which candidates have it, what they weigh and where they are. */

import { compareText } from '../../base/compare.ts';
import type { PodObject } from '../../kube/kind/pod.ts';
import type { ServiceObject, ServicePortSpec } from '../../kube/kind/service.ts';
import type { PortRef } from '../../kube/port-ref.ts';
import type { ObjectRef, StoreView } from '../../kube/store.ts';
import { type Endpoint, endpointKey } from '../../model/endpoint.ts';
import { type Cidr, contains, ipv4Number } from '../address/cidr.ts';
import { ROWS } from '../annotation/table.ts';
import type { ObjectProblem } from '../object-problem.ts';
import { nodeDependency, podDependency } from '../index/dependents.ts';
import type { MeshAddresses, MeshOwner } from '../index/mesh-addresses.ts';
import type { PodIndex } from '../index/pod-index.ts';
import { type Candidate, candidatesOf, type Candidates } from './candidate.ts';
import { ANNOTATION_PREFIX } from '../../model/names.ts';

const WEIGHT_KEY = `${ANNOTATION_PREFIX}weight`;
const WEIGHT_DEFAULT = 100;

const MESH_OWNERS: Readonly<Record<MeshOwner, string>> = {
  agent: 'agents of the mesh',
  service: 'cluster IPs of mesh names, or of the DNS of the mesh,',
};

export interface EndpointContext {
  readonly store: StoreView;
  readonly pods: PodIndex;
  /** Addresses of the mesh itself; null where they are shadow Services, which no meshed Service selects. */
  readonly cidr: Cidr | null;
  readonly mesh: Pick<MeshAddresses, 'ownerOf'>;
}

/** The endpoints of all ports of one Service. */
export class EndpointReader {
  readonly findings: ObjectProblem[] = [];
  /** Pods and Nodes that what was read depends on. */
  readonly dependencies = new Set<string>();
  readonly candidates: Candidates;
  readonly #context: EndpointContext;
  readonly #ref: ObjectRef;
  #looping: string | null = null;
  readonly #reportedOwners = new Set<MeshOwner>();

  constructor(context: EndpointContext, service: ServiceObject) {
    const { namespace, name } = service.meta;
    this.#context = context;
    this.#ref = { kind: 'Service', namespace, name };
    this.candidates = candidatesOf(context.store, context.pods, service);
    for (const slice of this.candidates.nameSlices) this.#reportNames(slice.meta.name);
    if (this.candidates.from === 'nothing') this.#reportNothing();
    // In a cluster Pods are looked at only until there are EndpointSlices.
    if (this.candidates.from === 'pods' && context.cidr !== null) this.#reportPods(service);
  }

  /** Endpoints were left out, since the mesh has their addresses. */
  get leadsToMesh(): boolean {
    return this.#reportedOwners.size > 0;
  }

  /** Ready endpoints of the port, else those that still serve; sorted by address and port. */
  read(spec: ServicePortSpec, field: string): readonly Endpoint[] {
    const found = { ready: new Map<string, Endpoint>(), fallback: new Map<string, Endpoint>() };
    const without: string[] = [];
    let hasPort = false;
    for (const { ports, candidates } of this.candidates.sets) {
      const port = this.#portOf(ports, spec);
      if (port !== null) hasPort = true;
      for (const candidate of candidates) {
        if (port === null) without.push(candidate.pod);
        else this.#add(found[candidate.use], candidate, port);
      }
    }
    if (without.length > 0) this.#reportPort(spec, field, without, hasPort);
    const chosen = found.ready.size > 0 ? found.ready : found.fallback;
    return oneFamilyPerPod([...chosen.values()]).sort(
      (a, b) => compareText(a.address, b.address) || a.port - b.port,
    );
  }

  #portOf(ports: readonly PortRef[], spec: ServicePortSpec): number | null {
    const { targetPort, protocol } = spec;
    const isPod = this.candidates.from === 'pods';
    if (isPod && typeof targetPort === 'number') return targetPort;
    const name = isPod ? targetPort : spec.name;
    for (const port of ports) {
      if (port.name === name && port.protocol === protocol) return port.port;
    }
    return null;
  }

  #add(found: Map<string, Endpoint>, candidate: Candidate, port: number): void {
    const { address } = candidate;
    const number = ipv4Number(address);
    const { cidr } = this.#context;
    if (number !== null && cidr !== null && contains(cidr, number)) {
      this.#reportLoop(address);
      return;
    }
    const owner = this.#context.mesh.ownerOf(address);
    if (owner !== null) {
      this.#reportMesh(address, owner);
      return;
    }
    const key = endpointKey({ address, port });
    // Of several Pods that give the same address, one must stand for it whatever the order of events.
    const rival = found.get(key);
    if (rival !== undefined && rival.pod <= candidate.pod) return;
    const pod = this.#pod(candidate.pod);
    const node = candidate.node === '' ? (pod?.nodeName ?? '') : candidate.node;
    const zone = this.#zoneOf(node) || candidate.zone;
    found.set(key, { address, port, weight: weightOf(pod), pod: candidate.pod, node, zone });
  }

  #pod(key: string): PodObject | undefined {
    if (key === '') return undefined;
    // The index of selectors finds the Services that take their Pods themselves.
    if (this.candidates.from !== 'pods') this.dependencies.add(podDependency(key));
    const slash = key.indexOf('/');
    return this.#context.store.get('Pod', key.slice(0, slash), key.slice(slash + 1));
  }

  #zoneOf(node: string): string {
    if (node === '') return '';
    this.dependencies.add(nodeDependency(node));
    return this.#context.store.get('Node', '', node)?.zone ?? '';
  }

  #reportPort(
    spec: ServicePortSpec,
    field: string,
    pods: readonly string[],
    hasPort: boolean,
  ): void {
    const ref = this.#ref;
    if (this.candidates.from === 'pods') {
      const [first = ''] = [...pods].sort(compareText);
      const more = pods.length > 1 ? ` and ${pods.length - 1} more have` : ' has';
      const get = pods.length > 1 ? 'get' : 'gets';
      this.findings.push({
        severity: 'warning',
        ref,
        field: `${field}.targetPort`,
        value: String(spec.targetPort),
        message: `Pod ${first}${more} no ${spec.protocol} port of this name and ${get} no traffic for port ${spec.port}`,
        remedy: 'give a container port this name, or use the number',
      });
      return;
    }
    // Slices of different Pods may name different ports; only when none has it, something is wrong.
    if (hasPort) return;
    const kind = this.candidates.from === 'slices' ? 'EndpointSlices' : 'Endpoints';
    this.findings.push({
      severity: 'warning',
      ref,
      field: spec.name === '' ? `${field}.port` : `${field}.name`,
      value: spec.name === '' ? String(spec.port) : spec.name,
      message:
        spec.name === ''
          ? `the ${kind} of the Service have no ${spec.protocol} port without a name`
          : `the ${kind} of the Service have no ${spec.protocol} port of this name`,
      remedy: 'use the same port name in both',
    });
  }

  #reportLoop(address: string): void {
    if (this.#looping !== null) return;
    this.#looping = address;
    this.findings.push({
      severity: 'error',
      ref: this.#ref,
      field: 'spec.selector',
      value: address,
      message: `endpoints inside the service CIDR ${this.#context.cidr?.text} are left out: they are the mesh itself`,
      remedy: 'give Pods and Endpoints addresses outside of it, or choose another --service-cidr',
    });
  }

  #reportMesh(address: string, owner: MeshOwner): void {
    if (this.#reportedOwners.has(owner)) return;
    this.#reportedOwners.add(owner);
    this.findings.push({
      severity: 'error',
      ref: this.#ref,
      field: this.candidates.from === 'pods' ? 'spec.selector' : 'endpoints',
      value: address,
      message: `endpoints that are ${MESH_OWNERS[owner]} are left out: a call would go from the mesh to itself`,
      remedy: 'remove these addresses from the EndpointSlices or Endpoints of the Service',
    });
  }

  #reportNames(slice: string): void {
    this.findings.push({
      severity: 'warning',
      ref: { kind: 'EndpointSlice', namespace: this.#ref.namespace, name: slice },
      field: 'addressType',
      value: 'FQDN',
      message: 'an EndpointSlice with host names is ignored',
      remedy: 'use addresses, with addressType IPv4 or IPv6',
    });
  }

  #reportPods({ selector }: ServiceObject): void {
    const { matched, unaddressed } = this.candidates;
    const value = Object.entries(selector ?? {})
      .map(([label, text]) => `${label}=${text}`)
      .join(',');
    const field = 'spec.selector';
    const about = { severity: 'warning', ref: this.#ref, field, value } as const;
    if (matched === 0) {
      this.findings.push({
        ...about,
        message: 'the selector matches no Pod, so every call fails with no_endpoint',
        remedy:
          'compare it with the labels of the Pods of this namespace; they may be in a file that maesh does not read',
      });
    } else if (unaddressed === matched) {
      this.findings.push({
        ...about,
        message:
          'no Pod that the selector matches has an address, so every call fails with no_endpoint',
        remedy: 'give the Pods addresses with maesh.dev/address or --pods CIDR',
      });
    }
  }

  #reportNothing(): void {
    this.findings.push({
      severity: 'warning',
      ref: this.#ref,
      field: 'spec.selector',
      value: '',
      message: 'the Service has no endpoints: neither a selector nor EndpointSlices nor Endpoints',
      remedy: 'add a selector, or an EndpointSlice labelled with the name of the Service',
    });
  }
}

function weightOf(pod: PodObject | undefined): number {
  const text = pod?.meta.annotations[WEIGHT_KEY];
  if (text === undefined) return WEIGHT_DEFAULT;
  const read = ROWS.get('weight')?.type.read(text.trim());
  return read?.ok === true && typeof read.value === 'number' ? read.value : WEIGHT_DEFAULT;
}

/** A Pod with addresses of both families is one endpoint, by its IPv4 address, and not two. */
function oneFamilyPerPod(endpoints: Endpoint[]): Endpoint[] {
  if (!endpoints.some((endpoint) => endpoint.address.includes(':'))) return endpoints;
  const withIpv4 = new Set<string>();
  for (const { address, pod, port } of endpoints) {
    if (pod !== '' && !address.includes(':')) withIpv4.add(`${pod} ${port}`);
  }
  return endpoints.filter(
    ({ address, pod, port }) => !address.includes(':') || !withIpv4.has(`${pod} ${port}`),
  );
}
