/** Everything that `maesh agent` is told, parsed and checked; flags and defaults are in src/cli/cluster-settings.ts. */

import type { LogSettings } from '../../base/command.ts';
import type { ListenAddress } from '../../base/wildcard.ts';
import type { ProxySettings } from '../../model/settings.ts';

export interface NodeSettings extends LogSettings {
  /** File that says how to reach the API server; '' inside a cluster. */
  readonly kubeconfig: string;
  /** The mesh namespace. */
  readonly namespace: string;
  /** Name of this Pod. */
  readonly pod: string;
  /** Name of this node. */
  readonly node: string;
  /** Where the controllers are; asked of the DNS at each connect. */
  readonly controller: { readonly host: string; readonly port: number };
  /** Callers whose identity was not confirmed for this long are nobody for access rules. */
  readonly identityMaxAgeMs: number;
  /** Folder of the last good copy of the configuration. */
  readonly stateDir: string;
  /** File of the token that proves who this agent is. */
  readonly tokenFile: string;
  readonly dns: ListenAddress | null;
  readonly domains: readonly string[];
  readonly dnsTtlSeconds: number;
  readonly admin: ListenAddress;
  readonly threads: number;
  /** Between not ready and the end of accepting: callers' nodes must have heard of it by then. */
  readonly drainDelayMs: number;
  readonly drainTimeoutMs: number;
  readonly proxy: ProxySettings;
}
