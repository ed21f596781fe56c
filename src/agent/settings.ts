/** Everything that `maesh up` is told, parsed and checked: types only, the table with flags and defaults is src/cli/settings.ts. */

import type { LogLevel } from '../base/log.ts';
import type { Protocol } from '../model/service.ts';
import type { ProxySettings } from '../model/settings.ts';

/** An address to listen on: `host` is an IP literal, `port` 0 takes any free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export interface UpSettings {
  /** Manifest files and folders, at least one, as the user wrote them. */
  readonly files: readonly string[];
  /** IPv4 CIDR that Service addresses are taken from. */
  readonly serviceCidr: string;
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
  readonly logLevel: LogLevel;
  readonly logFormat: 'common' | 'json';
  readonly proxy: ProxySettings;
}

/** What a command may touch of its process; tests pass their own. */
export interface CommandIo {
  /** Writes to standard output as it is, without adding a line end. */
  out(text: string): void;
  /** Writes to standard error as it is, without adding a line end. */
  err(text: string): void;
  /** Calls `run` each time the signal arrives; the returned function ends that. */
  onSignal(signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP', run: () => void): () => void;
}
