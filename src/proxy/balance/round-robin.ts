/**
 * In turn, in proportion to weight: each endpoint has a next time on a line on which it appears every 1/weight, and the
 * earliest is taken (earliest deadline first, a heap). With equal weights that is plain round robin. Every thread starts
 * at places of its own, so that they do not all begin with the same endpoint.
 */

import type { Random } from '../../base/random.ts';
import type { EndpointState } from './endpoint-state.ts';
import { type Candidate, type Picker, type PickRequest, weightShares } from './picker.ts';
import { rampOf, type Rotation } from './rotation.ts';

const TURNS_MAX = 64;

export class RoundRobinPicker implements Picker {
  readonly #rotation: Rotation;
  /** Indices of members as a binary heap by their deadline. */
  readonly #heap: Int32Array;
  readonly #deadlines: Float64Array;

  constructor(rotation: Rotation, random: Random) {
    this.#rotation = rotation;
    this.#heap = Int32Array.from(rotation.members, (_, i) => i);
    this.#deadlines = Float64Array.from(rotation.members, ({ weight }) => random.next() / weight);
    for (let i = (this.#heap.length >>> 1) - 1; i >= 0; i--) this.#siftDown(i);
  }

  pick(request: PickRequest, nowMs: number): EndpointState | null {
    const rotation = this.#rotation;
    const { members, gate } = rotation;
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      const index = this.#heap[0] ?? 0;
      const endpoint = members[index];
      if (endpoint === undefined) return null;
      const weight = endpoint.weight * rampOf(endpoint, gate.slowStartMs, nowMs);
      this.#deadlines[index] = (this.#deadlines[index] ?? 0) + 1 / weight;
      this.#siftDown(0);
      // Who cannot take a request loses its turn, and owes nobody when it comes back.
      if (rotation.isUsable(endpoint, request.avoid)) return endpoint;
    }
    return rotation.endpointAt(rotation.draw(request.avoid, null));
  }

  /** The shares over many turns; which one comes next is not a matter of chance. */
  odds(_request: PickRequest, candidates: readonly Candidate[]): number[] {
    return weightShares(candidates);
  }

  /** Moves the entry at `from` down to where its deadline belongs. */
  #siftDown(from: number): void {
    const heap = this.#heap;
    const index = heap[from] ?? 0;
    const deadline = this.#deadlineAt(from);
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const hasRight = child + 1 < heap.length;
      if (hasRight && this.#deadlineAt(child + 1) < this.#deadlineAt(child)) child++;
      if (deadline <= this.#deadlineAt(child)) break;
      heap[at] = heap[child] ?? 0;
      at = child;
    }
    heap[at] = index;
  }

  #deadlineAt(place: number): number {
    return this.#deadlines[this.#heap[place] ?? 0] ?? 0;
  }
}
