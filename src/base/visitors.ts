/**
 * A bounded number of connections, shared by their sources: when there are too many, the source that has the most loses
 * the one that has been idle for longest. So one who opens connections without end keeps nobody else out, and a new
 * connection of a source that has few, such as a health probe, is always let in.
 */

import type { Socket } from 'node:net';

/** One connection. */
export interface Visitor {
  readonly socket: Socket;
  readonly source: string;
  /** A request runs: it is closed only when its source has no idle connection. */
  isBusy: boolean;
  /** Grows with each sign of life of any connection. */
  turn: number;
}

export class Visitors {
  /** Connections that were closed to let others in. */
  evicted = 0;
  /** Open now. */
  size = 0;
  readonly #max: number;
  readonly #onEvict: (source: string) => void;
  readonly #sources = new Map<string, Set<Visitor>>();
  #turn = 0;

  /** `onEvict` learns the source whose connection was closed. */
  constructor(max: number, onEvict: (source: string) => void) {
    this.#max = max;
    this.#onEvict = onEvict;
  }

  /** Lets a connection in, until its socket closes; closes another one if need be. */
  enter(socket: Socket): Visitor {
    const source = socket.remoteAddress ?? '';
    const visitor: Visitor = { socket, source, isBusy: false, turn: ++this.#turn };
    const own = this.#sources.get(source);
    if (own === undefined) this.#sources.set(source, new Set([visitor]));
    else own.add(visitor);
    this.size += 1;
    socket.once('close', () => this.#leave(visitor));
    if (this.size > this.#max) this.#evict(visitor);
    return visitor;
  }

  /** It was active just now. */
  touch(visitor: Visitor): void {
    visitor.turn = ++this.#turn;
  }

  /** How many connections of this source are busy. */
  busyOf(source: string): number {
    let count = 0;
    for (const { isBusy } of this.#sources.get(source) ?? []) if (isBusy) count += 1;
    return count;
  }

  *[Symbol.iterator](): Generator<Visitor, void, undefined> {
    for (const own of this.#sources.values()) yield* own;
  }

  #leave(visitor: Visitor): void {
    const own = this.#sources.get(visitor.source);
    if (own?.delete(visitor) !== true) return;
    this.size -= 1;
    if (own.size === 0) this.#sources.delete(visitor.source);
  }

  #evict(newcomer: Visitor): void {
    const victim = this.#victim(newcomer);
    this.evicted += 1;
    this.#leave(victim);
    victim.socket.destroy();
    this.#onEvict(victim.source);
  }

  /** The least recently active connection of the busiest source, or sources; one that is idle if there is any. */
  #victim(newcomer: Visitor): Visitor {
    const most = Math.max(...[...this.#sources.values()].map(({ size }) => size));
    let victim: Visitor | null = null;
    for (const own of this.#sources.values()) {
      if (own.size < most) continue;
      for (const visitor of own) {
        if (visitor === newcomer) continue;
        if (victim === null || goesBefore(visitor, victim)) victim = visitor;
      }
    }
    return victim ?? newcomer;
  }
}

function goesBefore(a: Visitor, b: Visitor): boolean {
  return a.isBusy === b.isBusy ? a.turn < b.turn : !a.isBusy;
}
