/**
 * Whether exactly the bytes of a message left on its connection. Asked before the connection carries another one: a message that
 * was cut, or doubled, would make the next one something else than its sender wrote.
 */

export interface CountedSocket {
  readonly bytesWritten: number;
  readonly destroyed: boolean;
}

export class SentCount {
  #socket: CountedSocket;
  #before: number;

  constructor(socket: CountedSocket) {
    this.#socket = socket;
    this.#before = socket.bytesWritten;
  }

  /** From now on messages leave on another connection. */
  attach(socket: CountedSocket): void {
    this.#socket = socket;
    this.#before = socket.bytesWritten;
  }

  /** Asked for nothing until `attach`. */
  detach(nobody: CountedSocket): void {
    this.#socket = nobody;
  }

  /** Once per message: whether `bytes` left since the one before. On a connection that is gone it does not matter. */
  isExactly(bytes: number): boolean {
    const written = this.#socket.bytesWritten;
    const left = written - this.#before;
    this.#before = written;
    return left === bytes || this.#socket.destroyed;
  }
}
