/** What ends a request before any policy is asked. */

import type { FailureReason } from '../../model/failure.ts';
import type { Head } from '../head/head.ts';
import type { Replay } from './replay.ts';
import type { CallerStream } from './stream.ts';
import { webCallOf, type WebPreflight } from './web-call.ts';

/** Why it may not go on, or the answer that is all it wants; null when it goes on. `head` and `replay` are marked for what it is. */
export function enter(
  { port, isLoop }: CallerStream,
  replay: Replay,
  data: Buffer,
  head: Head,
): FailureReason | WebPreflight | null {
  const { web: origins } = port;
  const web = origins === null ? null : webCallOf(origins, data, head);
  if (web !== null && web.isCall) replay.web = web;
  if (isLoop) return 'loop';
  if (web === null) return null;
  if (web.origin === null) return 'origin_denied';
  return web.isCall ? null : web;
}
