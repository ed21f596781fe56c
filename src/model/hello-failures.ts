/** How callers of TLS fail to say what routes ask for. */

import type { Failure } from './failure-facts.ts';

export const HELLO_FAILURES = {
  bad_hello: {
    status: 400,
    grpc: 'INTERNAL',
    connection: 'closed',
    blames: 'caller',
    cause: 'the port routes by the ClientHello of TLS, and the caller sent something else first',
  },
  hello_timeout: {
    status: 408,
    grpc: 'DEADLINE_EXCEEDED',
    connection: 'closed',
    blames: 'caller',
    cause: 'the caller did not send a whole ClientHello within the time limit of a head',
  },
} as const satisfies Record<string, Failure>;
