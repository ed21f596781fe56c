/** Errors that an owner is told when nobody is being called: each kind once, however many there were. */

import type { SocketError } from '../socket.ts';

/** There are not many kinds. */
const KINDS_MAX = 8;

export class OwedErrors {
  #errors: SocketError[] = [];

  get isEmpty(): boolean {
    return this.#errors.length === 0;
  }

  /** The same object for the same error. */
  add(error: SocketError): void {
    if (this.#errors.length < KINDS_MAX && !this.#errors.includes(error)) this.#errors.push(error);
  }

  /** Until `tell` closes whatever they are of. */
  tell(tell: (error: SocketError) => boolean): void {
    const errors = this.#errors;
    this.#errors = [];
    for (const error of errors) if (!tell(error)) return;
  }
}
