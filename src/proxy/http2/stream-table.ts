/**
 * The streams of a session by their numbers. Numbers grow by two and few are open at a time, so that nearly all have a place of
 * their own in a small ring; who comes while an old one has it goes into a map.
 */

import type { Stream } from './stream.ts';

const PLACES = 256;

export class StreamTable {
  size = 0;
  readonly #places: (Stream | undefined)[] = [];
  readonly #others = new Map<number, Stream>();

  get(id: number): Stream | undefined {
    const stream = this.#places[placeOf(id)];
    if (stream !== undefined && stream.id === id) return stream;
    return this.#others.size === 0 ? undefined : this.#others.get(id);
  }

  set(stream: Stream): void {
    const place = placeOf(stream.id);
    while (this.#places.length <= place) this.#places.push(undefined);
    this.size++;
    if (this.#places[place] === undefined) this.#places[place] = stream;
    else this.#others.set(stream.id, stream);
  }

  /** False when it is not there. */
  delete(stream: Stream): boolean {
    const place = placeOf(stream.id);
    if (this.#places[place] === stream) this.#places[place] = undefined;
    else if (this.#others.get(stream.id) === stream) this.#others.delete(stream.id);
    else return false;
    this.size--;
    return true;
  }

  /** A copy: streams may come and go meanwhile. */
  all(): Stream[] {
    const open = this.#places.filter((stream) => stream !== undefined);
    return [...open, ...this.#others.values()];
  }
}

function placeOf(id: number): number {
  return (id >> 1) & (PLACES - 1);
}
