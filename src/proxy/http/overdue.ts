/** Who kept a request waiting when a time limit was over. */

import type { FailureReason } from '../../model/failure.ts';
import type { TimeLimit } from './exchange-deadline.ts';
import type { CallerStream, EndpointStream } from './stream.ts';

export interface Waiting {
  /** The head of the response came. */
  readonly isBody: boolean;
  /** The whole request came. */
  readonly requestDone: boolean;
  /** More than half of the time was spent on waiting for the caller. */
  readonly callerTookMost: boolean;
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
  const isCallers = limit === 'request' && waiting.callerTookMost;
  if (waiting.isBody) {
    if (isCallers || caller.waitingBytes > 0) return 'response_read_timeout';
  } else {
    if (isCallers) return 'request_body_timeout';
    if (!waiting.requestDone && stream !== null) return overdueSending(limit, stream);
  }
  return limit === 'idle' ? 'response_idle_timeout' : 'request_timeout';
}

function overdueSending(limit: 'request' | 'idle', stream: EndpointStream): FailureReason {
  if (stream.waitingBytes === 0) return 'request_body_timeout';
  return limit === 'idle' ? 'request_write_timeout' : 'request_timeout';
}
