/** Answers to callers, kept until the turn is over: those of one listener leave by one call. */

import type { Peer } from '../peer.ts';
import type { Turn } from '../socket.ts';
import type { DatagramSpace } from './datagram-space.ts';
import type { EventLoop } from './event-loop.ts';
import { DATAGRAM_DATA, type DatagramKernel, MESSAGES_MAX } from './kernel-interface.ts';

/** Begins of places; a line of the processor's cache. */
const ALIGNMENT = 64;

/** Who answers. */
export interface Answerer {
  readonly descriptor: number;
  readonly family: number;
  /** A wildcard address: where an answer leaves from must be said. */
  readonly isEvery: boolean;
  /** An answer did not leave. */
  lost(errno: number): void;
}

interface Answer {
  from: Answerer | null;
  at: number;
  readonly sizes: { address: number; control: number; data: number };
}

export class Answers implements Turn {
  readonly #kernel: DatagramKernel;
  readonly #space: DatagramSpace;
  readonly #loop: EventLoop;
  readonly #answers: readonly Answer[] = Array.from({ length: MESSAGES_MAX }, () => ({
    from: null,
    at: 0,
    sizes: { address: 0, control: 0, data: 0 },
  }));
  #count = 0;
  #end: number;
  #hasTurn = false;

  constructor(kernel: DatagramKernel, space: DatagramSpace, loop: EventLoop) {
    this.#kernel = kernel;
    this.#space = space;
    this.#loop = loop;
    this.#end = space.answersAt;
  }

  /** Answers that wait. */
  get size(): number {
    return this.#count;
  }

  /** Copies `data[start, end)`, which has room in a place. */
  // oxlint-disable-next-line max-params -- those of `send`, and whose it is
  add(from: Answerer, peer: Peer, data: Buffer, start: number, end: number): void {
    const length = end - start;
    const bytes = DATAGRAM_DATA + length;
    const space = this.#space;
    if (this.#count === MESSAGES_MAX || this.#end + bytes > space.answersEnd) this.flush();
    const at = this.#end;
    this.#end = at + Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    const answer = this.#answers[this.#count++] as Answer;
    answer.from = from;
    answer.at = at;
    const { sizes } = answer;
    sizes.address = space.putAddress(at, peer, from.family);
    sizes.control = from.isEvery ? space.putLocal(at, peer, from.family) : 0;
    sizes.data = length;
    data.copy(space.memory, at + DATAGRAM_DATA, start, end);
    if (this.#hasTurn) return;
    this.#hasTurn = true;
    this.#loop.later(this);
  }

  onTurn(): void {
    this.#hasTurn = false;
    this.flush();
  }

  /** Sends all that waits: what the kernel does not take is lost. */
  flush(): void {
    const count = this.#count;
    // Those of the first listener, then those of the first one that is left, and so on.
    for (let first = 0; first < count; first++) {
      const { from } = this.#answers[first] as Answer;
      if (from === null) continue;
      let messages = 0;
      for (let i = first; i < count; i++) {
        const answer = this.#answers[i] as Answer;
        if (answer.from !== from) continue;
        answer.from = null;
        this.#kernel.put(messages++, answer.at, answer.sizes);
      }
      this.#send(from, messages);
    }
    this.#count = 0;
    this.#end = this.#space.answersAt;
  }

  #send(from: Answerer, count: number): void {
    for (let first = 0; first < count;) {
      const sent = this.#kernel.sendMany(from.descriptor, first, count - first);
      if (sent > 0) first += sent;
      else {
        // The first of them does not leave; others go elsewhere, or are smaller.
        from.lost(-sent);
        first++;
      }
    }
  }
}
