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

/** So often it is asked whether the peer is still there: of a write in TLS that failed behind its end, the runtime says nothing. */
const LOOK_MS = 2_000;

export class LastBytes implements Expiring {
  deadlineMs: number;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #wheel: DeadlineWheel;
  readonly #socket: Socket;
  readonly #patienceMs: number;
  #left: number;
  #untilMs: number;

  constructor(wheel: DeadlineWheel, socket: Socket, patienceMs: number) {
    this.#wheel = wheel;
    this.#socket = socket;
    this.#patienceMs = patienceMs;
    this.#left = socket.unsentBytes();
    this.#untilMs = wheel.nowMs + patienceMs;
    this.deadlineMs = wheel.nowMs + Math.min(LOOK_MS, patienceMs);
    wheel.arm(this);
  }

  stop(): void {
    this.#wheel.disarm(this);
  }

  onDeadline(nowMs: number): void {
    const left = this.#socket.unsentBytes();
    if (left !== this.#left) this.#untilMs = nowMs + this.#patienceMs;
    this.#left = left;
    if (nowMs >= this.#untilMs || this.#socket.peerState() === 'gone') return this.#socket.reset();
    this.deadlineMs = Math.min(nowMs + LOOK_MS, this.#untilMs);
    this.#wheel.arm(this);
  }

  onDefect(): void {
    this.#socket.reset();
  }
}
