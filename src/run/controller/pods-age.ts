/**
 * For how long a controller has not heard of Pods: agents that are told so do not believe for ever who callers are, although
 * their controller is there.
 */

import type { Clock } from '../../base/clock.ts';
import type { KindStatus } from '../../kube/api/source.ts';

type Status = () => readonly Pick<KindStatus, 'kind' | 'synced' | 'lastError'>[];

export class PodsAge {
  readonly #clock: Clock;
  readonly #status: Status;
  /** Clock milliseconds; null while Pods are watched. */
  #sinceMs: number | null;

  constructor(clock: Clock, status: Status) {
    this.#clock = clock;
    this.#status = status;
    this.#sinceMs = clock.nowMs();
  }

  /** To be called when the status may have changed. */
  update(): void {
    const pods = this.#status().find(({ kind }) => kind === 'Pod');
    const isHeard = pods !== undefined && pods.synced && pods.lastError === null;
    this.#sinceMs = isHeard ? null : (this.#sinceMs ?? this.#clock.nowMs());
  }

  get ms(): number {
    return this.#sinceMs === null ? 0 : this.#clock.nowMs() - this.#sinceMs;
  }
}
