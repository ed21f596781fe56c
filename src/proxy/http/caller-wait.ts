/**
 * How much of the time of one request its caller took: to send the body, and to read the response. Whoever sends or reads slowly
 * must not make a Service look slow to others.
 */
export class CallerWait {
  #ms = 0;
  #sinceMs = -1;

  reset(): void {
    this.#ms = 0;
    this.#sinceMs = -1;
  }

  /** Whether the caller is waited for from now on. Times are those of the wheel: in steps of a tick. */
  note(isWaitedFor: boolean, nowMs: number): void {
    if (!isWaitedFor) this.end(nowMs);
    else if (this.#sinceMs < 0) this.#sinceMs = nowMs;
  }

  end(nowMs: number): void {
    this.#ms = this.total(nowMs);
    this.#sinceMs = -1;
  }

  total(nowMs: number): number {
    return this.#sinceMs < 0 ? this.#ms : this.#ms + nowMs - this.#sinceMs;
  }
}
