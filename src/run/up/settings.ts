/** Everything that `maesh up` is told, parsed and checked: types only, the table with flags and defaults is src/cli/settings.ts. */

import type { LogSettings } from '../../base/command.ts';
import type { ListenAddress } from '../../base/wildcard.ts';
import type { Protocol } from '../../model/service.ts';
import type { ProxySettings } from '../../model/settings.ts';

export interface UpSettings extends LogSettings {
  /** Manifest files and folders, at least one, as the user wrote them. */
  readonly files: readonly string[];
  /** IPv4 CIDR that Service addresses are taken from. */
  readonly serviceCidr: string;
  /** Start beside a mesh that serves the same addresses, and share their callers until that one ends. */
  readonly takeOver: boolean;
  /** IPv4 CIDR that Pods without an address get one from; null gives none. */
  readonly podCidr: string | null;
  /** null: no DNS server. */
  readonly dns: ListenAddress | null;
  /** Domains of mesh names, lower case, without a trailing dot, at least one; the first is the one shown to people. */
  readonly domains: readonly string[];
  readonly dnsTtlSeconds: number;
  readonly admin: ListenAddress;
  /** Proxy worker threads. */
  readonly threads: number;
  /** Protocol of Service ports that do not name one. */
  readonly defaultMode: Protocol;
  /** Deny what no access rule allows; accepted now, takes effect with access rules. */
  readonly acl: boolean;
  readonly drainTimeoutMs: number;
  readonly proxy: ProxySettings;
}
