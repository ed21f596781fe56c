/** Every way in which the proxy itself ends a request: one table for status, blame, log, metric, documentation. */

import { CALLER_TLS_FAILURES } from './caller-tls-failures.ts';
import type { Failure } from './failure-facts.ts';
import { grpcNumber } from './grpc-status.ts';
import { HELLO_FAILURES } from './hello-failures.ts';
import { TCP_FAILURES } from './tcp-failures.ts';

export const FAILURES = {
  bad_request: {
    status: 400,
    grpc: 'INTERNAL',
    connection: 'closed',
    blames: 'caller',
    cause:
      'the request is not valid HTTP/1.1 or HTTP/2 (RFC 9112, RFC 9113); the log names the broken rule',
  },
  request_timeout_head: {
    status: 408,
    grpc: 'DEADLINE_EXCEEDED',
    connection: 'closed',
    blames: 'caller',
    cause: 'the caller did not send a complete request head within the header time limit',
  },
  call_idle_timeout: {
    status: 504,
    grpc: 'DEADLINE_EXCEEDED',
    connection: 'closed',
    blames: 'policy',
    cause:
      'neither side of a call of gRPC has said anything for longer than the idle limit; whose turn it was, the mesh cannot know',
  },
  ...CALLER_TLS_FAILURES,
  ...TCP_FAILURES,
  request_body_timeout: {
    status: 408,
    grpc: 'DEADLINE_EXCEEDED',
    connection: 'closed',
    blames: 'caller',
    cause:
      'the caller paused the request body for longer than the idle limit, or took most of the time limit of the request to send it',
  },
  body_too_large: {
    status: 413,
    grpc: 'RESOURCE_EXHAUSTED',
    connection: 'closed',
    blames: 'caller',
    cause: 'the request body is larger than the limit of the Service',
  },
  target_too_long: {
    status: 414,
    grpc: 'RESOURCE_EXHAUSTED',
    connection: 'closed',
    blames: 'caller',
    cause: 'the request target has more bytes than the limit of the whole head allows',
  },
  head_too_large: {
    status: 431,
    grpc: 'RESOURCE_EXHAUSTED',
    connection: 'closed',
    blames: 'caller',
    cause: 'the request head has more bytes or fields than the limit allows',
  },
  unsupported_coding: {
    status: 501,
    grpc: 'UNIMPLEMENTED',
    connection: 'closed',
    blames: 'caller',
    cause: 'the request uses a Transfer-Encoding other than chunked',
  },
  unsupported_method: {
    status: 501,
    grpc: 'UNIMPLEMENTED',
    connection: 'closed',
    blames: 'caller',
    cause:
      'the request is CONNECT, or OPTIONS or TRACE with Max-Forwards: 0, which the mesh does not support',
  },
  unsupported_upgrade: {
    status: 501,
    grpc: 'UNIMPLEMENTED',
    connection: 'kept',
    blames: 'caller',
    cause: 'the request is an Extended CONNECT (RFC 8441) for another protocol than websocket',
  },
  unsupported_version: {
    status: 505,
    grpc: 'UNIMPLEMENTED',
    connection: 'closed',
    blames: 'caller',
    cause: 'the request is not HTTP/1.0 or HTTP/1.1',
  },
  expectation_failed: {
    status: 417,
    grpc: 'UNIMPLEMENTED',
    connection: 'closed',
    blames: 'caller',
    cause: 'the Expect field asks for something other than 100-continue',
  },
  ...HELLO_FAILURES,
  denied: {
    status: 403,
    grpc: 'PERMISSION_DENIED',
    connection: 'kept',
    blames: 'policy',
    cause: 'no access rule allows this caller',
  },
  origin_denied: {
    status: 403,
    grpc: 'PERMISSION_DENIED',
    connection: 'kept',
    blames: 'policy',
    cause:
      'the page that makes this call is of an origin that the annotation grpc-web does not name',
  },
  rate_limited: {
    status: 429,
    grpc: 'RESOURCE_EXHAUSTED',
    connection: 'kept',
    blames: 'policy',
    cause: 'the rate limit of the Service is used up',
  },
  route_rate_limited: {
    status: 429,
    grpc: 'RESOURCE_EXHAUSTED',
    connection: 'kept',
    blames: 'policy',
    cause: 'the rate limit of the route is used up; maesh explain names the route',
  },
  no_route: {
    status: 404,
    grpc: 'UNIMPLEMENTED',
    connection: 'kept',
    blames: 'policy',
    cause: 'the Service has routes and none matches this request or connection',
  },
  invalid_backend: {
    status: 500,
    grpc: 'UNAVAILABLE',
    connection: 'kept',
    blames: 'policy',
    cause:
      'the route leads to a backend that does not exist or may not be used; maesh explain names it, and maesh status its problem',
  },
  no_endpoint: {
    status: 503,
    grpc: 'UNAVAILABLE',
    connection: 'kept',
    blames: 'endpoint',
    cause: 'the Service has no ready endpoint; are its pods running and ready?',
  },
  no_local_endpoint: {
    status: 503,
    grpc: 'UNAVAILABLE',
    connection: 'kept',
    blames: 'endpoint',
    cause:
      "the Service has internalTrafficPolicy Local, and no ready endpoint runs on the caller's node",
  },
  no_healthy_endpoint: {
    status: 503,
    grpc: 'UNAVAILABLE',
    connection: 'kept',
    blames: 'endpoint',
    cause: 'every endpoint was tried or is at its limit of connections or requests',
  },
  breaker_open: {
    status: 503,
    grpc: 'UNAVAILABLE',
    connection: 'kept',
    blames: 'policy',
    cause: 'the circuit breaker of the Service is open',
  },
  overloaded: {
    status: 503,
    grpc: 'UNAVAILABLE',
    connection: 'kept',
    blames: 'policy',
    cause:
      'the Service has as many requests in flight from this node as it may, or this caller has more than its share of them',
  },
  connect_failed: {
    status: 502,
    grpc: 'UNAVAILABLE',
    connection: 'kept',
    blames: 'endpoint',
    cause:
      'the endpoint refused the connection or cannot be reached; is the container listening on that port?',
  },
  connect_timeout: {
    status: 504,
    grpc: 'UNAVAILABLE',
    connection: 'kept',
    blames: 'endpoint',
    cause:
      'the endpoint did not accept the connection, or did not finish its TLS handshake, in time; a NetworkPolicy may drop it',
  },
  tls_certificate_expired: {
    status: 502,
    grpc: 'UNAVAILABLE',
    connection: 'kept',
    blames: 'endpoint',
    cause:
      'a certificate of the endpoint, or of its issuer, is expired or not valid yet; nothing was sent. Does something renew it, and is the clock of the node right?',
  },
  tls_wrong_name: {
    status: 502,
    grpc: 'UNAVAILABLE',
    connection: 'kept',
    blames: 'endpoint',
    cause:
      'the certificate of the endpoint is for other names; nothing was sent. See the annotation upstream-server-name',
  },
  tls_unknown_issuer: {
    status: 502,
    grpc: 'UNAVAILABLE',
    connection: 'kept',
    blames: 'endpoint',
    cause:
      'no CA that is trusted has signed the certificate of the endpoint; nothing was sent. See the annotation upstream-ca',
  },
  tls_handshake_failed: {
    status: 502,
    grpc: 'UNAVAILABLE',
    connection: 'kept',
    blames: 'endpoint',
    cause:
      'the endpoint accepted the connection, and no TLS came about; does it speak TLS 1.2 or later on that port, and HTTP/2 where that is asked for?',
  },
  tls_no_client_certificate: {
    status: 502,
    grpc: 'UNAVAILABLE',
    connection: 'kept',
    blames: 'mesh',
    cause:
      'the Secret with the client certificate for the endpoints is not here or cannot be used, so none was dialled; see the annotation upstream-client-secret',
  },
  node_exhausted: {
    status: 503,
    grpc: 'UNAVAILABLE',
    connection: 'kept',
    blames: 'mesh',
    cause: 'this node has no file descriptor, local port or memory left for another connection',
  },
  endpoint_reset: {
    status: 502,
    grpc: 'UNAVAILABLE',
    connection: 'kept',
    blames: 'endpoint',
    cause: 'the endpoint closed the connection before a complete response head',
  },
  endpoint_reset_body: {
    status: 0,
    grpc: 'UNAVAILABLE',
    connection: 'reset',
    blames: 'endpoint',
    cause:
      "the endpoint closed the connection in the middle of the response body, of a tunnel or of a connection of TCP; the caller's connection is closed too",
  },
  bad_response: {
    status: 502,
    grpc: 'INTERNAL',
    connection: 'kept',
    blames: 'endpoint',
    cause:
      'the endpoint sent a response that is not valid HTTP, or not of the version that is configured',
  },
  bad_response_body: {
    status: 0,
    grpc: 'INTERNAL',
    connection: 'reset',
    blames: 'endpoint',
    cause:
      "the endpoint sent invalid framing in the middle of the response body; the caller's connection is closed too",
  },
  upgrade_not_offered: {
    status: 501,
    grpc: 'UNIMPLEMENTED',
    connection: 'kept',
    blames: 'policy',
    cause:
      'the caller asked for a WebSocket, and the endpoint does not offer it: it speaks HTTP/2 without Extended CONNECT (RFC 8441), or answered with success and without a switch',
  },
  response_head_too_large: {
    status: 502,
    grpc: 'INTERNAL',
    connection: 'kept',
    blames: 'endpoint',
    cause: 'the response head has more bytes than the limit allows',
  },
  try_timeout: {
    status: 504,
    grpc: 'DEADLINE_EXCEEDED',
    connection: 'kept',
    blames: 'endpoint',
    cause: 'the endpoint did not start its response within the time limit of one try',
  },
  request_timeout: {
    status: 504,
    grpc: 'DEADLINE_EXCEEDED',
    connection: 'kept',
    blames: 'endpoint',
    cause: 'the request did not finish within its total time limit, including retries',
  },
  deadline_exceeded: {
    status: 504,
    grpc: 'DEADLINE_EXCEEDED',
    connection: 'kept',
    blames: 'policy',
    cause: 'the time that the caller of gRPC gave its call (grpc-timeout) is over',
  },
  response_idle_timeout: {
    status: 504,
    grpc: 'DEADLINE_EXCEEDED',
    connection: 'kept',
    blames: 'endpoint',
    cause:
      'the endpoint sent nothing for longer than the idle limit, before or during its response',
  },
  request_write_timeout: {
    status: 504,
    grpc: 'DEADLINE_EXCEEDED',
    connection: 'kept',
    blames: 'endpoint',
    cause: 'the endpoint stopped reading the request body for longer than the idle limit',
  },
  response_read_timeout: {
    status: 0,
    grpc: 'CANCELLED',
    connection: 'reset',
    blames: 'caller',
    cause:
      'the caller stopped reading the response for longer than the idle limit, or took most of the time limit of the request to read it',
  },
  tunnel_idle_timeout: {
    status: 0,
    grpc: 'DEADLINE_EXCEEDED',
    connection: 'reset',
    blames: 'policy',
    cause: 'no data moved in a tunnel or a connection of TCP for longer than the idle limit',
  },
  tunnel_lifetime: {
    status: 0,
    grpc: 'DEADLINE_EXCEEDED',
    connection: 'reset',
    blames: 'policy',
    cause: 'a tunnel or a connection of TCP had been open for as long as it may be',
  },
  caller_gone: {
    status: 0,
    grpc: 'CANCELLED',
    connection: 'reset',
    blames: 'caller',
    cause:
      'the caller closed the connection before the response was complete, or reset a connection of TCP',
  },
  loop: {
    status: 508,
    grpc: 'INTERNAL',
    connection: 'kept',
    blames: 'mesh',
    cause: 'the request comes from the mesh itself: an endpoint points back to the mesh',
  },
  caller_shed: {
    status: 0,
    grpc: 'RESOURCE_EXHAUSTED',
    connection: 'reset',
    blames: 'caller',
    cause:
      'the node ran short of resources and the caller used more than its share; its connection was closed',
  },
  draining: {
    status: 0,
    grpc: 'UNAVAILABLE',
    connection: 'reset',
    blames: 'mesh',
    cause: 'the proxy is shutting down and its drain time has passed, or a UDP port left the mesh',
  },
  internal: {
    status: 500,
    grpc: 'INTERNAL',
    connection: 'closed',
    blames: 'mesh',
    cause: 'a bug in maesh: the log has the stack trace; please report it',
  },
} as const satisfies Record<string, Failure>;

export type FailureReason = keyof typeof FAILURES;

/** Why a connection to an endpoint that accepted it is not secure. */
export type TlsFault =
  | 'tls_certificate_expired'
  | 'tls_wrong_name'
  | 'tls_unknown_issuer'
  | 'tls_handshake_failed'
  | 'tls_no_client_certificate';

/** All reasons in the order of the table, which is the order of their counters in shared memory. */
export const FAILURE_REASONS = Object.keys(FAILURES) as readonly FailureReason[];

/** True when the failure counts against the endpoint that was tried last, and against its Service. */
export function blamesEndpoint(reason: FailureReason): boolean {
  return FAILURES[reason].blames === 'endpoint';
}

/** By reason: the number of its status of gRPC. */
const GRPC_NUMBERS: Readonly<Record<FailureReason, number>> = Object.fromEntries(
  FAILURE_REASONS.map((reason) => [reason, grpcNumber(FAILURES[reason].grpc)]),
) as Record<FailureReason, number>;

export function grpcNumberOfFailure(reason: FailureReason): number {
  return GRPC_NUMBERS[reason];
}
