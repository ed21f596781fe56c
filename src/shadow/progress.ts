/** Up to where all agents of this replica serve what the shadow Services say, in terms that other replicas understand. */

import type { Clock, Timer } from '../base/clock.ts';

/**
 * For agents to come to a controller that just started; they wait at most 10 s between two tries. Those that are not here yet serve
 * what another process told them, and nobody knows how much that is.
 */
export const AGENTS_RETURN_MS = 15_000;

/** Pairs kept until agents catch up; of more, every second one is dropped, which costs precision only. */
const STEPS_MAX = 1_000;

interface Step {
  readonly resourceVersion: string;
  /** Of the Deltas that agents get: what they must serve to be there. */
  readonly version: number;
}

export interface ProgressOptions {
  readonly clock: Clock;
  /** The oldest resource version that agents cannot have been told of yet, as `Placer.heldBack()` tells it. */
  readonly heldBack?: () => string | null;
  /** Agents had their time to come: `current` may be another. */
  readonly onReturned?: () => void;
}

export class Progress {
  readonly #clock: Clock;
  readonly #heldBack: () => string | null;
  readonly #onReturned: () => void;
  #steps: Step[] = [];
  #current = '';
  #observed = '';
  #served: number | null = null;
  #isOpen = false;
  #hasReturned = false;
  #timer: Timer | null = null;

  constructor({ clock, heldBack = () => null, onReturned = () => undefined }: ProgressOptions) {
    this.#clock = clock;
    this.#heldBack = heldBack;
    this.#onReturned = onReturned;
  }

  /** Agents can connect from now on. Nothing counts as served until they had their time to. */
  opened(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#timer = this.#clock.after(AGENTS_RETURN_MS, () => {
      this.#hasReturned = true;
      this.#onReturned();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** All shadow Services up to `resourceVersion` are in the Delta of this version, or in one before it. */
  observe(resourceVersion: string, placedVersion: number): void {
    const last = this.#steps.at(-1);
    const newest = last?.resourceVersion ?? this.#observed;
    if (newest !== '' && isBefore(resourceVersion, newest)) return;
    this.#observed = resourceVersion;
    if (last?.version === placedVersion) this.#steps.pop();
    this.#steps.push({ resourceVersion, version: placedVersion });
    const count = this.#steps.length;
    if (count > STEPS_MAX)
      this.#steps = this.#steps.filter((_, index) => (count - 1 - index) % 2 === 0);
    this.#advance();
  }

  /** The least version that a connected agent serves; null when none is connected: then nobody has to catch up. */
  served(minServedVersion: number | null): void {
    this.#served = minServedVersion;
    this.#advance();
  }

  /** A resource version, '' before the first and while agents have time to come; it never goes back. */
  get current(): string {
    this.#advance();
    return this.#current;
  }

  #advance(): void {
    if (!this.#hasReturned) return;
    let reached = '';
    let count = 0;
    for (const step of this.#steps) {
      if (this.#served !== null && step.version > this.#served) break;
      reached = step.resourceVersion;
      count += 1;
    }
    if (reached === '') return;
    const held = this.#heldBack();
    const isHeld = held !== null && !isBefore(reached, held);
    const capped = isHeld ? before(held) : reached;
    if (capped !== null && !includes(this.#current, capped)) this.#current = capped;
    // The last step that was reached is looked at again when what holds it back is gone.
    this.#steps.splice(0, count - 1);
  }
}

/**
 * Whether `a` is older than `b`. Resource versions are decimal numbers (Kubernetes 1.35 says so; all servers before it
 * have them like that); of any other ones nothing can be said but that they are the same.
 */
export function isBefore(a: string, b: string): boolean {
  const [left, right] = [parse(a), parse(b)];
  return left !== null && right !== null && left < right;
}

/** Whether what was seen up to `a` includes `b`. */
export function includes(a: string, b: string): boolean {
  const [left, right] = [parse(a), parse(b)];
  return left === null || right === null ? a === b : left >= right;
}

function before(version: string): string | null {
  const number = parse(version);
  return number === null || number === 0n ? null : String(number - 1n);
}

function parse(version: string): bigint | null {
  return /^\d{1,39}$/.test(version) ? BigInt(version) : null;
}
