/** A shadow Service as maesh sees it: the cluster IP of a mesh name, and the only record of its proxy ports. */

import { isIPv6 } from 'node:net';
import type { KubeProtocol } from './names.ts';

export type ShadowState =
  /** There is a cluster IP and agents are told to listen; no name leads to it yet. */
  | 'announced'
  /** The name resolves to the cluster IP. */
  | 'published'
  /** The Service is gone. The object holds cluster IP and ports until nobody can remember them. */
  | 'retired';

export interface ShadowPort {
  /** As the Service has it, '' when it has just one. */
  readonly name: string;
  readonly port: number;
  readonly protocol: KubeProtocol;
  readonly proxyPort: number;
}

export interface RetiredPort extends ShadowPort {
  /** RFC 3339, from when its quarantine counts. */
  readonly retiredAt: string;
}

/** Everything that is decided about the shadow of one Service. */
export interface Allocation {
  /** `namespace/name` of the Service; '' when a damaged object does not say it. */
  readonly service: string;
  readonly state: ShadowState;
  /** RFC 3339; '' unless retired. */
  readonly retiredAt: string;
  /** In `spec.ports`: what the cluster IP leads to. */
  readonly ports: readonly ShadowPort[];
  /** Agents are told to listen, and nothing leads there yet. */
  readonly announcedPorts: readonly ShadowPort[];
  /** Nothing leads there any more, and nobody else gets them yet. */
  readonly retiredPorts: readonly RetiredPort[];
}

export type IpFamily = 'IPv4' | 'IPv6';

/** An allocation as an object of the cluster holds it. */
export interface Shadow extends Allocation {
  readonly kind: 'shadow';
  /** Name of the object. */
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** RFC 3339. */
  readonly createdAt: string;
  /** One or two; empty for an object that has none (somebody made it headless or external). */
  readonly clusterIPs: readonly string[];
  readonly families: readonly IpFamily[];
  /** Of all fields that maesh writes, but the families: equal when they are. */
  readonly digest: string;
}

/** An object with the labels of a shadow that cannot be understood whole. */
export interface Damaged {
  readonly kind: 'damaged';
  readonly name: string;
  /** True when its name is not the one that its Service gives: a copy, which nobody manages. */
  readonly isMisnamed: boolean;
  readonly field: string;
  readonly value: string;
  readonly message: string;
  /** What can be understood. */
  readonly salvage: Shadow;
}

/** The families of the cluster IPs of a Service; empty for a headless one, which leaves the choice to the cluster. */
export function familiesOf(clusterIPs: readonly string[]): readonly IpFamily[] {
  const addresses = clusterIPs.filter((address) => address !== '' && address !== 'None');
  return addresses.map((address) => (isIPv6(address) ? 'IPv6' : 'IPv4'));
}
