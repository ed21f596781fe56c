/** Everything that `maesh controller` is told, parsed and checked; flags and defaults are in src/cli/cluster-settings.ts. */

import type { LogSettings } from '../../base/command.ts';
import type { ListenAddress } from '../../base/wildcard.ts';
import type { Scope } from '../../compile/service/membership.ts';
import type { Protocol } from '../../model/service.ts';

export interface ControllerSettings extends LogSettings {
  /** File that says how to reach the API server; '' inside a cluster. */
  readonly kubeconfig: string;
  /** The mesh namespace: where shadow Services, Leases and the Secret of the CA are. */
  readonly namespace: string;
  /** Name of this replica, unlike that of any other: the Pod's. */
  readonly identity: string;
  readonly scope: Scope;
  /** Namespaces whose Secrets may be read: none that is not here. */
  readonly secretNamespaces: readonly string[];
  readonly defaultMode: Protocol;
  readonly proxyPorts: { readonly from: number; readonly to: number };
  readonly discovery: ListenAddress;
  /** Where the endpoint of Service `maesh-probe` answers; null: the data path is not checked. */
  readonly probe: ListenAddress | null;
  readonly admin: ListenAddress;
  /** Domains of mesh names, at least one. */
  readonly domains: readonly string[];
  readonly dnsMode: 'auto' | 'manual' | 'off';
  readonly clusterDomain: string;
}
