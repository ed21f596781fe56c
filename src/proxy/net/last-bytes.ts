/** What was written last leaves by itself; a peer that takes none of it for too long gets a reset instead. */

import type { DeadlineWheel, Expiring } from './deadline-wheel.ts';
import type { Socket } from './socket.ts';

export class LastBytes implements Expiring {
  deadlineMs: number;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #wheel: DeadlineWheel;
  readonly #socket: Socket;
  readonly #patienceMs: number;
  #left: number;

  /** `socket` was told to close behind what was written. Call `stop` when it is closed. */
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
