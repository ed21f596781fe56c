/**
 * Where the endpoints of a Service come from: its EndpointSlices, else its Endpoints object, else the Pods that its
 * selector matches. All three become candidates: an address with the ports it has and whether it may be used.
 */

import { compareText } from '../../base/compare.ts';
import type { EndpointAddress, EndpointSliceObject } from '../../kube/kind/endpoint-slice.ts';
import type { PodObject } from '../../kube/kind/pod.ts';
import type { ServiceObject } from '../../kube/kind/service.ts';
import type { PortRef } from '../../kube/port-ref.ts';
import type { StoreView } from '../../kube/store.ts';
import type { PodIndex } from '../index/pod-index.ts';

/** `fallback`: it is going away but still serves; used when nothing is ready, as kube-proxy does. */
type Use = 'ready' | 'fallback';

export interface Candidate {
  readonly address: string;
  readonly use: Use;
  /** `namespace/name`, or ''. */
  readonly pod: string;
  readonly node: string;
  /** As the EndpointSlice says, or ''. */
  readonly zone: string;
}

/** Candidates that have the same ports. */
interface CandidateSet {
  readonly ports: readonly PortRef[];
  readonly candidates: readonly Candidate[];
}

export interface Candidates {
  readonly from: 'slices' | 'endpoints' | 'pods' | 'nothing';
  readonly sets: readonly CandidateSet[];
  /** Slices that say host names instead of addresses. */
  readonly nameSlices: readonly EndpointSliceObject[];
  /** Pods that the selector matches, and how many of them have no address; only where they were looked at. */
  readonly matched: number;
  readonly unaddressed: number;
}

const NOT_LOOKED = { matched: 0, unaddressed: 0 };

export function candidatesOf(store: StoreView, pods: PodIndex, service: ServiceObject): Candidates {
  const { namespace, name } = service.meta;
  const slices = [...store.slicesOf(namespace, name)];
  if (slices.length > 0) return fromSlices(slices, service);
  const endpoints = store.get('Endpoints', namespace, name);
  if (endpoints !== undefined) {
    const sets = endpoints.subsets.map(({ ports, addresses }) => ({
      ports,
      candidates: addressed(addresses, service),
    }));
    return { from: 'endpoints', sets, nameSlices: [], ...NOT_LOOKED };
  }
  if (service.selector === null)
    return { from: 'nothing', sets: [], nameSlices: [], ...NOT_LOOKED };
  const sets: CandidateSet[] = [];
  let matched = 0;
  let unaddressed = 0;
  for (const pod of pods.matching(namespace, service.selector)) {
    matched++;
    if (pod.podIPs.length === 0) unaddressed++;
    const candidate = fromPod(pod, service);
    if (candidate !== null) sets.push({ ports: pod.ports, candidates: [candidate] });
  }
  return { from: 'pods', sets, nameSlices: [], matched, unaddressed };
}

function fromSlices(slices: EndpointSliceObject[], service: ServiceObject): Candidates {
  // By name, so that the first of two that say the same address does not depend on the order of events.
  slices.sort((a, b) => compareText(a.meta.name, b.meta.name));
  const named = slices.filter((slice) => slice.addressType === 'FQDN');
  const sets = slices
    .filter((slice) => slice.addressType === 'IPv4' || slice.addressType === 'IPv6')
    .map(({ ports, endpoints }) => ({ ports, candidates: addressed(endpoints, service) }));
  return { from: 'slices', sets, nameSlices: named, ...NOT_LOOKED };
}

function addressed(
  addresses: readonly EndpointAddress[],
  service: ServiceObject,
): readonly Candidate[] {
  const candidates: Candidate[] = [];
  for (const { address, ready, serving, terminating, pod, nodeName, zone } of addresses) {
    const isReady = ready || service.publishNotReadyAddresses;
    if (isReady || (serving && terminating)) {
      const use = isReady ? 'ready' : 'fallback';
      candidates.push({ address, use, pod, node: nodeName, zone });
    }
  }
  return candidates;
}

function fromPod(pod: PodObject, service: ServiceObject): Candidate | null {
  // One endpoint per Pod: a second address of it is another family.
  const [address] = pod.podIPs;
  if (address === undefined || pod.phase === 'Succeeded' || pod.phase === 'Failed') return null;
  const isLeaving = pod.meta.deletionTimestamp !== '';
  const isReady = (pod.ready && !isLeaving) || service.publishNotReadyAddresses;
  // Of a Pod that is deleted, nothing says whether it still serves; when nobody else does, trying is better than not.
  if (!isReady && (!isLeaving || pod.phase === 'Pending')) return null;
  const { namespace, name } = pod.meta;
  const use = isReady ? 'ready' : 'fallback';
  return { address, use, pod: `${namespace}/${name}`, node: pod.nodeName, zone: '' };
}
