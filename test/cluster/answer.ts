/** What the test app answered, read strictly. */

import assert from 'node:assert/strict';
import type { Answer } from './app.ts';
import type { Fetched } from './bed/bed.ts';

/** Anything but 200 fails, with all that is known of it. */
export function answerOf(fetched: Fetched | undefined): Answer {
  assert.equal(fetched?.status, 200, tell(fetched));
  return JSON.parse(fetched.body) as Answer;
}

export function answersOf(fetched: readonly Fetched[]): readonly Answer[] {
  return fetched.map(answerOf);
}

/** `status 503 after 12 ms: no endpoint`, `no answer after 5000 ms: ENOTFOUND`. */
export function tell(fetched: Fetched | undefined): string {
  if (fetched === undefined) return 'nothing was called';
  const { status, error, body, ms } = fetched;
  const what = status === 0 ? 'no answer' : `status ${status}`;
  return `${what} after ${Math.round(ms)} ms: ${error}${body.slice(0, 500)}`;
}
