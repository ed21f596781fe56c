/** The answers that the proxy gives itself: built once per reason, only the message and Retry-After vary. */

import { wholeUpTo } from '../../net/copy-whole.ts';
import { FAILURES, type FailureReason } from '../../../model/failure.ts';
import type { DateLine } from '../../http/date-line.ts';
import { METHOD_HEAD } from '../../http/head.ts';

/** Failures of a request whose body cannot be read to its end any more: their answer is the last of the connection. */
export const OUT_OF_STEP: ReadonlySet<FailureReason> = new Set([
  'bad_request',
  'body_too_large',
  'request_body_timeout',
]);

const REASON_PHRASES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  417: 'Expectation Failed',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
  508: 'Loop Detected',
};

/** What an answer of the proxy must know of the request; a head that was refused tells as much as was read of it. */
export interface Answered {
  /** METHOD_*; METHOD_OTHER while it is not known. */
  readonly method: number;
  readonly http10: boolean;
}

/**
 * Writes a whole response for `reason` to `out` and returns its length. `retryAfterMs` above 0 adds Retry-After in
 * whole seconds, rounded up. The body names the reason, so that the caller's log already says what the mesh meant; the
 * answer to HEAD has its length only (RFC 9110 §9.3.2). Every answer of the proxy itself is written here.
 */
export function writeLocalReply(
  out: Buffer,
  request: Answered,
  reply: { readonly reason: FailureReason; readonly retryAfterMs: number; readonly close: boolean },
  date: DateLine,
): number {
  const { status, cause } = FAILURES[reply.reason];
  const body = `maesh: ${reply.reason}: ${cause}\n`;
  const retry =
    reply.retryAfterMs > 0 ? `Retry-After: ${Math.ceil(reply.retryAfterMs / 1000)}\r\n` : '';
  const connection = reply.close
    ? 'Connection: close\r\n'
    : request.http10
      ? 'Connection: keep-alive\r\n'
      : '';
  const text =
    `HTTP/1.1 ${status} ${REASON_PHRASES[status] ?? 'Error'}\r\n${date.now().toString('latin1')}` +
    `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\n${retry}${connection}\r\n` +
    (request.method === METHOD_HEAD ? '' : body);
  return out.write(text, 0, wholeUpTo(text.length, out), 'latin1');
}
