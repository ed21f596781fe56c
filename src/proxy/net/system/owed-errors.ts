/** Errors that an owner is told when nobody is being called: each kind once, however many there were. */

import type { SocketError } from '../socket.ts';
import { errorOf } from './errno.ts';

/** There are not many kinds. */
const KINDS_MAX = 8;

export class OwedErrors {
  #numbers: number[] = [];

  get isEmpty(): boolean {
    return this.#numbers.length === 0;
  }

  add(errno: number): void {
    if (this.#numbers.length < KINDS_MAX && !this.#numbers.includes(errno))
      this.#numbers.push(errno);
  }

  /** Until `tell` closes whatever they are of. */
  tell(tell: (error: SocketError) => boolean): void {
    const numbers = this.#numbers;
    this.#numbers = [];
    for (const errno of numbers) if (!tell(errorOf(errno))) return;
  }
}
