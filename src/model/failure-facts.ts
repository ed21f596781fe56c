/** What the table of failures says of each of them. */

import type { GrpcStatus } from './grpc-status.ts';

/**
 * Who caused a failure. Only `endpoint` counts against the endpoint (ejection, balancing), the Service (breaker) and as
 * a try that failed; `caller` counts as a 4xx, whatever was answered; `mesh` is a fault of this proxy, its node or its
 * configuration; `policy` is nobody's fault: a limit or rule of the Service, or the deadline of
 * a call, did what it is there for.
 */
export type Blame = 'caller' | 'endpoint' | 'mesh' | 'policy';

/**
 * What becomes of a connection of HTTP/1.1: it is `kept` for the next request, unless the request or a drain says otherwise, or the
 * rest of its body is too long to read; `closed` behind the answer; or cut by a `reset`, without an answer. Once a response is under
 * way, it is a reset for all.
 */
type ConnectionEnd = 'kept' | 'closed' | 'reset';

export interface Failure {
  /** The HTTP status that the caller gets; 0 when the caller is gone or an answer is already under way. */
  readonly status: number;
  /** What a gRPC caller is told. */
  readonly grpc: GrpcStatus;
  readonly connection: ConnectionEnd;
  readonly blames: Blame;
  /** What most likely happened and what to look at, as a sentence for the operator. */
  readonly cause: string;
}
