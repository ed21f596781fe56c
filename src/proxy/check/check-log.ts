/** A line of the log for each change that checks see: not for each check, and not for more changes than anybody can read. */

import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { TokenBucket } from '../../base/token-bucket.ts';
import { checkReason } from '../../model/health-check.ts';
import type { CheckChange } from '../balance/check-standing.ts';
import type { CheckEvent } from './checker.ts';

/** Lines at once, and then in a second: a Service may lose all its endpoints at the same time. */
const LINES_AT_ONCE = 50;
const LINES_PER_SECOND = 5;

const WORDS: Readonly<Record<CheckChange, string>> = {
  failing: 'An endpoint fails its health checks and is not ejected',
  ejected: 'An endpoint fails its health checks and is ejected',
  passing: 'An endpoint passes its health checks again',
  readmitted: 'An endpoint passes its health checks and gets requests again',
};

export class CheckLog {
  readonly #log: Log;
  readonly #lines: TokenBucket;
  #skipped = 0;

  constructor(clock: Clock, log: Log) {
    this.#log = log;
    this.#lines = new TokenBucket(clock, { perSecond: LINES_PER_SECOND, burst: LINES_AT_ONCE });
  }

  tell({ change, service, endpoint, outcome }: CheckEvent): void {
    if (this.#lines.take() > 0) {
      this.#skipped++;
      return;
    }
    const skipped = this.#skipped === 0 ? {} : { skipped: this.#skipped };
    this.#skipped = 0;
    const fields = { service, endpoint, result: checkReason(outcome), ...skipped };
    const isBad = change === 'failing' || change === 'ejected';
    this.#log[isBad ? 'warn' : 'info'](WORDS[change], fields);
  }
}
