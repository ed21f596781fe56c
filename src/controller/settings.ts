/** Everything that `maesh controller` is told, parsed and checked; flags and defaults are in src/cli/cluster-settings.ts. */

import type { LogLevel } from '../base/log.ts';
import type { Scope } from '../compile/service/membership.ts';
import type { Protocol } from '../model/service.ts';

/** An address to listen on: `host` is an IP literal, `port` 0 takes any free one. */
interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ControllerSettings {
  /** File that says how to reach the API server; '' inside a cluster. */
  readonly kubeconfig: string;
  /** The mesh namespace: where shadow Services, Leases and the Secret of the CA are. */
  readonly namespace: string;
  /** Name of this replica, unlike that of any other: the Pod's. */
  readonly identity: string;
  readonly scope: Scope;
  readonly defaultMode: Protocol;
  readonly proxyPorts: { readonly from: number; readonly to: number };
  readonly discovery: Address;
  readonly admin: Address;
  /** Domains of mesh names, at least one. */
  readonly domains: readonly string[];
  readonly dnsMode: 'auto' | 'manual' | 'off';
  readonly clusterDomain: string;
  readonly logLevel: LogLevel;
  readonly logFormat: 'common' | 'json';
}
