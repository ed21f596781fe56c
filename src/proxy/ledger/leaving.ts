/** Slots of what left: kept until nobody counts on them any more, and taken back when their owner is there again. */

import type { Clock } from '../../base/clock.ts';
import { ENDPOINT_WORD, SERVICE_OWN, SERVICE_WORD, type SlotKind } from './layout.ts';
import type { Ledger } from './ledger.ts';

/** How long a slot is kept at least, and until it is looked at once more while it is used. */
const QUARANTINE_MS = 600_000;

interface Left {
  readonly kind: SlotKind;
  readonly key: string;
  /** The Service that it is of. */
  readonly service: string;
  readonly dueMs: number;
}

export class Leaving {
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  /** By kind and key, in the order in which they are due. */
  readonly #left = new Map<string, Left>();

  constructor(ledger: Ledger, clock: Clock) {
    this.#ledger = ledger;
    this.#clock = clock;
  }

  /** It is there again, or still. */
  remove(kind: SlotKind, key: string): void {
    this.#left.delete(`${kind} ${key}`);
  }

  add(kind: SlotKind, key: string, service: string): void {
    this.#put({ kind, key, service, dueMs: this.#clock.nowMs() + QUARANTINE_MS });
  }

  /** Frees what nobody counts on. The connections that stand bound what is kept. */
  sweep(): void {
    const nowMs = this.#clock.nowMs();
    const due: Left[] = [];
    for (const left of this.#left.values()) {
      if (left.dueMs > nowMs) break;
      due.push(left);
    }
    if (due.length === 0) return;
    // Also by what is due later: what belongs together may have left at different times.
    const used = new Set<string>();
    for (const { kind, key, service } of this.#left.values())
      if (this.#isCounting(kind, key)) used.add(service);
    for (const left of due) {
      this.remove(left.kind, left.key);
      if (this.#isUsed(left, used)) this.#put({ ...left, dueMs: nowMs + QUARANTINE_MS });
      else this.#ledger.release(left.kind, left.key);
    }
  }

  /** At the end, also where it was there before. */
  #put(left: Left): void {
    this.remove(left.kind, left.key);
    this.#left.set(`${left.kind} ${left.key}`, left);
  }

  /**
   * Requests of a Service end by what ruled them: its own figures, those of a port that said otherwise, or of a breaker. Those that
   * another Service sent its endpoints are in flight there alone. With a route nothing but the begin of a request is counted, and
   * none begins on what left.
   */
  #isUsed({ kind, key, service }: Left, used: ReadonlySet<string>): boolean {
    if (this.#isCounting(kind, key)) return true;
    if (kind === 'route' || kind === 'endpoint') return false;
    return used.has(service) || this.#isCounting('service', service);
  }

  /** A request or a connection will be subtracted there. */
  #isCounting(kind: SlotKind, key: string): boolean {
    const ledger = this.#ledger;
    const slot = ledger.find(kind, key);
    if (slot === undefined) return false;
    if (kind === 'endpoint') {
      const { inFlight, connections } = ENDPOINT_WORD;
      return [inFlight, connections].some((word) => ledger.word(kind, slot, word) !== 0);
    }
    if (kind !== 'service') return false;
    const { callerConnectionsActive, upgradesActive } = SERVICE_OWN;
    return (
      ledger.word(kind, slot, SERVICE_WORD.inFlight) !== 0 ||
      [callerConnectionsActive, upgradesActive].some((cell) => ledger.sum(kind, slot, cell) !== 0)
    );
  }
}
