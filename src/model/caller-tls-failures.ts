/** The part of the table of failures that is about TLS of callers. */

export const CALLER_TLS_FAILURES = {
  tls_expected: {
    status: 400,
    grpc: 'INTERNAL',
    connection: 'closed',
    blames: 'caller',
    cause:
      'the caller spoke plain HTTP, or something else that is no TLS, to a port that speaks TLS; use https://',
  },
  tls_unexpected: {
    status: 400,
    grpc: 'INTERNAL',
    connection: 'closed',
    blames: 'caller',
    cause:
      'the caller spoke TLS to a port that has no certificate; use http://, or see the annotation tls-secret',
  },
  caller_tls_failed: {
    status: 0,
    grpc: 'UNAVAILABLE',
    connection: 'reset',
    blames: 'caller',
    cause:
      'no TLS came about with the caller: it has no version from 1.2 on, cipher or protocol (ALPN) in common with the mesh, does not believe the certificate, or broke off',
  },
  caller_tls_timeout: {
    status: 0,
    grpc: 'DEADLINE_EXCEEDED',
    connection: 'reset',
    blames: 'caller',
    cause: 'the caller did not finish its TLS handshake within the header time limit',
  },
  tls_no_certificate: {
    status: 0,
    grpc: 'UNAVAILABLE',
    connection: 'reset',
    blames: 'policy',
    cause:
      'the port speaks TLS, and this node has no certificate for it; maesh status names the Secret and its problem',
  },
} as const;
