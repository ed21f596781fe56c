/** What was written last leaves by itself; a peer that takes none of it for too long gets a reset instead. */

import type { DeadlineWheel, Expiring } from './deadline-wheel.ts';
import type { Socket } from './socket.ts';

/** Closes `socket` behind what was written; null when nothing is left. Call `stop` when it is closed. */
export function closeBehind(
  socket: Socket,
  wheel: DeadlineWheel,
  patienceMs: number,
): LastBytes | null {
  socket.destroySoon();
  return socket.destroyed ? null : new LastBytes(wheel, socket, patienceMs);
}

export class LastBytes implements Expiring {
  deadlineMs: number;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #wheel: DeadlineWheel;
  readonly #socket: Socket;
  readonly #patienceMs: number;
  #left: number;

  constructor(wheel: DeadlineWheel, socket: Socket, patienceMs: number) {
    this.#wheel = wheel;
    this.#socket = socket;
    this.#patienceMs = patienceMs;
    this.#left = socket.unsentBytes();
    this.deadlineMs = wheel.nowMs + patienceMs;
    wheel.arm(this);
  }

  stop(): void {
    this.#wheel.disarm(this);
  }

  onDeadline(nowMs: number): void {
    const left = this.#socket.unsentBytes();
    if (left === this.#left) return this.#socket.reset();
    this.#left = left;
    this.deadlineMs = nowMs + this.#patienceMs;
    this.#wheel.arm(this);
  }

  onDefect(): void {
    this.#socket.reset();
  }
}
