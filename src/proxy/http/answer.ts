/** How an answer gets to the caller: as it is, or in gRPC-Web where the call came so. */

import type { FailureReason } from '../../model/failure.ts';
import type { ByteRoom } from '../head/byte-room.ts';
import type { Head } from '../head/head.ts';
import type { Redirector } from '../head/redirector.ts';
import type { ThreadContext } from './context.ts';
import type { CallerStream } from './stream.ts';
import type { WebCall } from './web-call.ts';

/** Null for what is no call of gRPC-Web. */
type Web = WebCall | null;

/** Content of the answer. False where it breaks the rules of what it says it is. */
// oxlint-disable-next-line max-params -- once per read, without an object
export function sendBody(
  caller: CallerStream,
  web: Web,
  data: Buffer | null,
  start: number,
  end: number,
): boolean {
  if (web !== null && data !== null) return web.sendBody(caller, data, start, end);
  caller.sendBody(data, start, end);
  return true;
}

/** A read of the answer is over. False when the caller has enough. */
export function flush(caller: CallerStream, web: Web): boolean {
  if (web !== null) web.flush(caller);
  return caller.flush();
}

/** The answer is whole. False where it is not, by what it says it is: then nothing is sent. */
export function sendEnd(caller: CallerStream, web: Web, trailers: Buffer | null): boolean {
  if (web === null) caller.sendEnd(trailers);
  else if (web.mayEnd) web.sendEnd(caller, trailers);
  else return false;
  return true;
}

/** The exchange is over, and the proxy answers itself. */
export function reply(
  caller: CallerStream,
  web: Web,
  reason: FailureReason,
  retryAfterMs: number,
): void {
  if (web === null) caller.reply(reason, retryAfterMs);
  else web.reply(caller, reason, retryAfterMs);
}

/** The exchange is over before its end, `isAnswered` or not. */
export function abort(
  caller: CallerStream,
  web: Web,
  reason: FailureReason,
  isAnswered: boolean,
): void {
  if (web === null || !web.endWith(caller, reason, isAnswered)) caller.abort(reason);
}

/** Where the caller is sent instead. */
export function locationOf(
  redirect: Redirector,
  { port, source }: CallerStream,
  { data, head }: { readonly data: Buffer; readonly head: Head },
  { location, path }: ThreadContext,
): ByteRoom {
  redirect.write(location, data, head, path.read(data, head), port, source.forwarding);
  return location;
}
