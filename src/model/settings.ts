/** What one proxy is told by flags rather than by Services. Each has a row in docs/settings.md. */

export interface ProxySettings {
  /** Name of the node that the proxy runs on; '' where one machine stands for all nodes (`maesh up`). */
  readonly node: string;
  /** Bytes of a request or response head; 1,024 to 262,144. */
  readonly headBytesMax: number;
  /** Header fields in a head; 1 to 1,000. */
  readonly headFieldsMax: number;
  /** Methods of gRPC of one Service that have figures of their own; the others share theirs. 0 to 1,000. */
  readonly grpcMethodsMax: number;
  /** From the first byte of a request (or accept) to the end of its head. */
  readonly headTimeoutMs: number;
  /** An idle connection of a caller is closed after this time. */
  readonly callerIdleMs: number;
  /** A peer that does not answer the kernel for this long is gone; whole seconds, 0 asks nobody. */
  readonly peerTimeoutMs: number;
  /** A peer that takes nothing for this long, though bytes wait for it, is gone; 0 leaves it to the kernel. */
  readonly unacknowledgedTimeoutMs: number;
  /** Connections of callers per thread; beyond it those with more than their share make room. */
  readonly callerConnectionsMax: number;
  /** What all callers may hold on all threads: connections, partial heads, kept bodies, what slow readers have not taken. */
  readonly callerMemoryBytes: number;
  /** Answer a caller that closed its sending side; otherwise that cancels its request. */
  readonly halfClosedCallers: boolean;
  /** CIDRs of callers whose forwarding fields (X-Forwarded-* and the like) are kept and extended. */
  readonly trustedSources: readonly string[];
  /** Add `X-Forwarded-For`, `-Proto` and `-Host`. Those of callers that are not trusted are dropped in any case. */
  readonly forwardedHeaders: boolean;
  /** ServiceAccount of all proxies of the mesh, `namespace/name`; '' on one machine. A caller that runs as it is a loop. */
  readonly meshAccount: string;
  readonly accessLog: AccessLogSettings;
  /** Who makes the system calls of connections: the proxy itself, the runtime, or whichever works. */
  readonly sockets: (typeof SOCKET_CHOICES)[number];
  /** Bodies of which at least so many bytes are still to come are spliced; Infinity for none. */
  readonly spliceBytes: number;
}

export const SOCKET_CHOICES = ['auto', 'system', 'runtime'] as const;

export interface AccessLogSettings {
  readonly format: 'off' | 'json' | 'common';
  /** A file, or '-' for standard output. */
  readonly path: string;
  /** Share of requests that are logged, 0 to 1; failures by the proxy itself are always logged. */
  readonly sample: number;
  /** Only responses with at least this status are logged; 0 logs all. */
  readonly statusMin: number;
  /** Log the query of the target too; off because queries carry secrets. */
  readonly query: boolean;
}

export const DEFAULT_PROXY_SETTINGS: ProxySettings = {
  node: '',
  headBytesMax: 32_768,
  headFieldsMax: 100,
  grpcMethodsMax: 100,
  headTimeoutMs: 10_000,
  callerIdleMs: 180_000,
  peerTimeoutMs: 120_000,
  unacknowledgedTimeoutMs: 0,
  callerConnectionsMax: 16_384,
  callerMemoryBytes: 268_435_456,
  halfClosedCallers: false,
  trustedSources: [],
  forwardedHeaders: true,
  meshAccount: '',
  accessLog: { format: 'off', path: '-', sample: 1, statusMin: 0, query: false },
  sockets: 'auto',
  spliceBytes: 65_536,
};
