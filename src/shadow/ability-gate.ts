/**
 * What may be published, by what all agents can do. An agent that cannot carry a port, or does not understand a Service, would
 * have callers sent to it that it refuses. So a name or a port is published only once every agent of every replica can serve it.
 *
 * Right after a controller started its agents are still on their way to it, and the first ones may be newer than the others: an
 * ability counts once all have had it for a while. What the first agents can do, if they come soon, counts when that time is over: by
 * then the others have come as well. If they come late, so do the others. What the first version could do always counts.
 */

import type { Clock, Timer } from '../base/clock.ts';
import type { Abilities } from '../discovery/abilities.ts';
import { FIRST_CAPABILITIES } from '../discovery/hello.ts';
import { AGENTS_RETURN_MS } from './progress.ts';

/** An agent waits no longer between two tries: so long after the first ones, all have come that could. */
const RETRY_MS = 10_000;
/** What every agent of every version can do. */
const FIRST_ABILITIES: ReadonlySet<string> = new Set(FIRST_CAPABILITIES.carries);

export class AbilityGate {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  /** Since when all agents have had it, monotonic. */
  readonly #sinceMs = new Map<string, number>();
  readonly #settled = new Set<string>();
  #reports: readonly Abilities[] = [];
  #openedMs: number | null = null;
  #hasHeard = false;
  #timer: Timer | null = null;

  /** `onChange`: what `can()` says is different. */
  constructor(clock: Clock, onChange: () => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Agents can connect to this replica from now on. */
  opened(): void {
    this.#openedMs ??= this.#clock.nowMs();
  }

  /** What the agents of each live replica can do. */
  update(reports: readonly Abilities[]): void {
    this.#reports = reports;
    const common = reports.flatMap((report) => (report.common === null ? [] : [report.common]));
    const [first, ...others] = common;
    // Without an agent nobody can say anything new.
    if (first === undefined) return;
    const rest = others.map((abilities) => new Set(abilities));
    const all = new Set(first.filter((ability) => rest.every((set) => set.has(ability))));
    const fromMs = this.#fromMs();
    this.#hasHeard = true;
    let isLess = false;
    for (const ability of this.#sinceMs.keys()) {
      if (all.has(ability)) continue;
      this.#sinceMs.delete(ability);
      isLess = this.#settled.delete(ability) || isLess;
    }
    for (const ability of all) {
      if (!this.#sinceMs.has(ability)) this.#sinceMs.set(ability, fromMs);
    }
    this.#wait();
    if (isLess) this.#onChange();
  }

  /** What of these not all agents can do, or not for long enough. */
  missing(needs: readonly string[]): readonly string[] {
    return needs.filter((need) => !FIRST_ABILITIES.has(need) && !this.#settled.has(need));
  }

  /** Agents that cannot do it, as far as replicas say; empty while only time is missing. */
  lacking(need: string): readonly string[] {
    return this.#reports.flatMap(({ common, lacking }) => {
      if (common === null || common.includes(need)) return [];
      return lacking.get(need) ?? ['agents of another controller replica'];
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** From when what is new counts. */
  #fromMs(): number {
    const nowMs = this.#clock.nowMs();
    const openedMs = this.#hasHeard ? null : this.#openedMs;
    if (openedMs === null || nowMs - openedMs >= AGENTS_RETURN_MS) return nowMs;
    return Math.max(openedMs, nowMs - AGENTS_RETURN_MS + RETRY_MS);
  }

  #wait(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const waiting = [...this.#sinceMs].filter(([ability]) => !this.#settled.has(ability));
    if (waiting.length === 0) return;
    const dueMs = Math.min(...waiting.map(([, sinceMs]) => sinceMs)) + AGENTS_RETURN_MS;
    const delayMs = Math.max(dueMs - this.#clock.nowMs(), 0);
    this.#timer = this.#clock.after(delayMs, () => this.#settle());
  }

  #settle(): void {
    const nowMs = this.#clock.nowMs();
    for (const [ability, sinceMs] of this.#sinceMs) {
      if (nowMs - sinceMs >= AGENTS_RETURN_MS) this.#settled.add(ability);
    }
    this.#wait();
    this.#onChange();
  }
}
