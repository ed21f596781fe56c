/** Ways in which the proxy ends connections of callers of TCP, and those that a trusted source makes for others. */

import type { Failure } from './failure-facts.ts';

export const TCP_FAILURES = {
  bad_proxy_header: {
    status: 400,
    grpc: 'INTERNAL',
    connection: 'closed',
    blames: 'caller',
    cause: 'a trusted source did not begin with the PROXY protocol (accept-proxy-protocol)',
  },
  caller_connections: {
    status: 429,
    grpc: 'RESOURCE_EXHAUSTED',
    connection: 'closed',
    blames: 'policy',
    cause: 'the caller has as many connections as it may (limit-connections-per-caller)',
  },
  endpoint_removed: {
    status: 0,
    grpc: 'UNAVAILABLE',
    connection: 'reset',
    blames: 'policy',
    cause: 'the endpoint has left, and the time of its connections is over (timeout-drain)',
  },
} as const satisfies Record<string, Failure>;
