/** The answers that the proxy gives itself, as HTTP/1.1. Their parts are built once: a storm of refusals makes no strings. */

import { writeDecimal } from '../../../base/decimal.ts';
import { FAILURE_REASONS, FAILURES, type FailureReason } from '../../../model/failure.ts';
import type { DateLine } from '../../http/date-line.ts';
import type { ByteRoom } from '../../head/byte-room.ts';
import type { ExtraFields } from '../../head/field-changes.ts';
import { ownAnswer } from '../../http/own-answer.ts';
import { METHOD_HEAD } from '../../head/head.ts';
import { copyWhole, wholeUpTo } from '../../net/copy-whole.ts';

const REASON_PHRASES: Readonly<Record<number, string>> = {
  200: 'OK',
  204: 'No Content',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
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

const LOCATION = Buffer.from('Location: ');
const NO_CONTENT = Buffer.from('Content-Length: 0\r\n');
const RETRY_AFTER = Buffer.from('Retry-After: ');
const LINE_END = Buffer.from('\r\n');
const CONNECTION_CLOSE = Buffer.from('Connection: close\r\n');
const CONNECTION_KEEP_ALIVE = Buffer.from('Connection: keep-alive\r\n');

const STATUS_LINES: ReadonlyMap<FailureReason, Buffer> = new Map(
  FAILURE_REASONS.map((reason) => [reason, lineOf(FAILURES[reason].status)]),
);

function lineOf(status: number): Buffer {
  return Buffer.from(`HTTP/1.1 ${status} ${REASON_PHRASES[status] ?? 'Error'}\r\n`);
}

const BARE_LINES: ReadonlyMap<number, Buffer> = new Map(
  [200, 204, 301, 302, 303, 307, 308].map((status) => [status, lineOf(status)]),
);

/** What an answer of the proxy must know of the request; a head that was refused tells as much as was read of it. */
export interface Answered {
  /** METHOD_*; METHOD_OTHER while it is not known. */
  readonly method: number;
  readonly http10: boolean;
}

/**
 * Writes a whole response for `reason` to `out` and returns its length. `retryAfterMs` above 0 adds Retry-After in
 * whole seconds, rounded up. The answer to HEAD has the length of its content only (RFC 9110 §9.3.2). Every answer of the proxy
 * itself is written here.
 */
export function writeLocalReply(
  out: Buffer,
  request: Answered,
  reply: { readonly reason: FailureReason; readonly retryAfterMs: number; readonly close: boolean },
  date: DateLine,
): number {
  const { fields, body } = ownAnswer(reply.reason);
  let at = append(STATUS_LINES.get(reply.reason) as Buffer, out, 0);
  at = append(date.now(), out, at);
  at = append(fields, out, at);
  if (reply.retryAfterMs > 0) {
    at = append(RETRY_AFTER, out, at);
    at = writeDecimal(Math.ceil(reply.retryAfterMs / 1000), out, at);
    at = append(LINE_END, out, at);
  }
  at = endHead(out, at, request, reply.close);
  if (request.method !== METHOD_HEAD) at = append(body, out, at);
  return at;
}

/** Writes a whole redirect to `out` and returns its length. It has no content: Location says all that there is. */
export function writeRedirect(
  out: Buffer,
  request: Answered,
  redirect: {
    readonly status: number;
    readonly location: ByteRoom;
    readonly extra: ExtraFields;
    readonly close: boolean;
  },
  date: DateLine,
): number {
  const { status, location, extra, close } = redirect;
  let at = append(BARE_LINES.get(status) as Buffer, out, 0);
  at = append(date.now(), out, at);
  at = append(LOCATION, out, at);
  at = copyWhole(location.bytes, 0, location.length, out, at);
  at = append(LINE_END, out, at);
  at = append(extra.lines, out, at);
  at = append(NO_CONTENT, out, at);
  return endHead(out, at, request, close);
}

/** Writes an answer without content to `out` and returns its length; `lines` are all of its fields but Date. */
export function writeBareAnswer(
  out: Buffer,
  request: Answered,
  {
    status,
    lines,
    close,
  }: { readonly status: number; readonly lines: Buffer; readonly close: boolean },
  date: DateLine,
): number {
  let at = append(BARE_LINES.get(status) as Buffer, out, 0);
  at = append(date.now(), out, at);
  at = append(lines, out, at);
  return endHead(out, at, request, close);
}

function endHead(out: Buffer, from: number, { http10 }: Answered, close: boolean): number {
  let at = from;
  if (close) at = append(CONNECTION_CLOSE, out, at);
  else if (http10) at = append(CONNECTION_KEEP_ALIVE, out, at);
  return append(LINE_END, out, at);
}

/** @throws Defect when it does not fit */
function append(part: Buffer, out: Buffer, at: number): number {
  part.copy(out, at);
  return wholeUpTo(at + part.length, out);
}
