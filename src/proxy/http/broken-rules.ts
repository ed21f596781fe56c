/**
 * Counts the rules of HTTP that callers and endpoints break, and logs them now and then: whoever can break one can
 * break it without end.
 */

import type { Clock } from '../../base/clock.ts';
import type { FailureReason } from '../../model/failure.ts';
import type { BrokenRuleCount } from '../telemetry/metrics-source.ts';
import { type Rule, RULE_NAMES } from '../head/rule.ts';

export interface BrokenRule {
  readonly rule: Rule;
  readonly reason: FailureReason;
  /** `namespace/name`. */
  readonly service: string;
  /** Source address. */
  readonly caller: string;
  /** `address:port` of the endpoint that broke it; '' when the caller did. */
  readonly endpoint: string;
}

/** How often one rule is logged for one Service. */
export const LOG_EVERY_MS = 60_000;
/** Lines of one thread in that time, whatever the Services and rules. */
export const LOG_LINES_MAX = 32;
/** Services and rules that are told apart; the oldest is forgotten first. */
const KEYS_MAX = 512;

interface LoggedRule {
  atMs: number;
  skipped: number;
}

const INDEX: ReadonlyMap<Rule, number> = new Map(RULE_NAMES.map((rule, i) => [rule, i]));

export class BrokenRules {
  /** Two counters per rule, in the order of RULE_NAMES: broken by a caller, by an endpoint. */
  readonly counts: number[] = RULE_NAMES.flatMap(() => [0, 0]);
  /** Takes one line for the log; `skipped` are those like it that were left out since the last one. */
  onLog: ((broken: BrokenRule, skipped: number) => void) | null = null;
  readonly #clock: Clock;
  readonly #logged = new Map<string, LoggedRule>();
  #sinceMs = -Infinity;
  #lines = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  report(broken: BrokenRule): void {
    const side = broken.endpoint === '' ? 0 : 1;
    const at = 2 * (INDEX.get(broken.rule) as number) + side;
    this.counts[at] = (this.counts[at] as number) + 1;
    const nowMs = this.#clock.nowMs();
    const logged = this.#find(`${broken.service} ${side} ${broken.rule}`);
    if (nowMs - logged.atMs < LOG_EVERY_MS || !this.#hasRoom(nowMs)) {
      logged.skipped++;
      return;
    }
    const { skipped } = logged;
    logged.atMs = nowMs;
    logged.skipped = 0;
    this.onLog?.(broken, skipped);
  }

  #find(key: string): LoggedRule {
    const known = this.#logged.get(key);
    if (known !== undefined) return known;
    for (const oldest of this.#logged.keys()) {
      if (this.#logged.size < KEYS_MAX) break;
      this.#logged.delete(oldest);
    }
    const logged = { atMs: -Infinity, skipped: 0 };
    this.#logged.set(key, logged);
    return logged;
  }

  #hasRoom(nowMs: number): boolean {
    if (nowMs - this.#sinceMs >= LOG_EVERY_MS) {
      this.#sinceMs = nowMs;
      this.#lines = 0;
    }
    return this.#lines++ < LOG_LINES_MAX;
  }
}

/** What `counts` says, without the rules that nobody broke. */
export function namedCounts(counts: readonly number[]): BrokenRuleCount[] {
  return counts.flatMap((count, i) => {
    const rule = RULE_NAMES[i >> 1];
    if (count === 0 || rule === undefined) return [];
    return [{ by: (i & 1) === 0 ? ('caller' as const) : ('endpoint' as const), rule, count }];
  });
}
