/** Who kept a request waiting when a time limit was over. */

import type { FailureReason } from '../../model/failure.ts';
import type { TimeLimit } from './exchange-deadline.ts';
import type { CallerStream, EndpointStream } from './stream.ts';

export interface Waiting {
  /** The head of the response came. */
  readonly isBody: boolean;
  /** More than half of the time was spent on waiting for the caller. */
  readonly callerTookMost: boolean;
  readonly request: {
    /** The whole request came. */
    readonly isComplete: boolean;
    /** Of gRPC either side may be silent for as long as it likes. */
    readonly grpc: { readonly active: boolean };
  };
}

export function overdue(
  limit: TimeLimit,
  waiting: Waiting,
  caller: CallerStream,
  stream: EndpointStream | null,
): FailureReason {
  if (limit === 'deadline') return 'deadline_exceeded';
  if (limit === 'connect') return 'connect_timeout';
  if (limit === 'try') return 'try_timeout';
  if (limit === 'idle' && isNobodysTurn(waiting, caller, stream)) return overdueCall(stream);
  return overdueTurn(limit, waiting, caller, stream);
}

function overdueTurn(
  limit: 'request' | 'idle',
  waiting: Waiting,
  caller: CallerStream,
  stream: EndpointStream | null,
): FailureReason {
  const isCallers = limit === 'request' && waiting.callerTookMost;
  if (waiting.isBody) {
    if (isCallers || caller.waitingBytes > 0) return 'response_read_timeout';
  } else {
    if (isCallers) return 'request_body_timeout';
    if (!waiting.request.isComplete && stream !== null) return overdueSending(limit, stream);
  }
  return limit === 'idle' ? 'response_idle_timeout' : 'request_timeout';
}

function overdueCall(stream: EndpointStream | null): FailureReason {
  return stream !== null && stream.isDoubtful ? 'response_idle_timeout' : 'call_idle_timeout';
}

/** A call whose endpoint owes no answer yet, or has begun one: whose turn it is, nobody can tell. */
function isNobodysTurn(
  { isBody, request }: Waiting,
  caller: CallerStream,
  stream: EndpointStream | null,
): boolean {
  const isOpen = isBody || (!request.isComplete && stream !== null && stream.waitingBytes === 0);
  return request.grpc.active && isOpen && caller.waitingBytes === 0;
}

function overdueSending(limit: 'request' | 'idle', stream: EndpointStream): FailureReason {
  if (stream.waitingBytes === 0) return 'request_body_timeout';
  return limit === 'idle' ? 'request_write_timeout' : 'request_timeout';
}
