/**
 * Tells when the first message of a caller of TLS has come whole, whatever it says. Until then nothing is done for the caller but
 * to keep its bytes; what is wrong with the message is for TLS itself to say.
 */

/** More of it must come. */
export const HELLO_PARTIAL = 0;
/** It is whole, or so wrong that no more is to be waited for. */
export const HELLO_WHOLE = 1;
/** No TLS begins so. */
export const HELLO_OTHER = 2;
export type HelloState = typeof HELLO_PARTIAL | typeof HELLO_WHOLE | typeof HELLO_OTHER;

/** Bytes of a first message, with the heads of its records. Those of browsers with post-quantum keys have some 2,000. */
export const HELLO_BYTES_MAX = 32_768;

const HANDSHAKE = 22;
const MAJOR = 3;
const CLIENT_HELLO = 1;
const RECORD_HEAD = 5;
const RECORD_MAX = 16_384;
const MESSAGE_HEAD = 4;

/** Whether the first two bytes of a caller are those of TLS. */
export function isHandshake(data: Buffer, start: number): boolean {
  return data[start] === HANDSHAKE && data[start + 1] === MAJOR;
}

export class HelloWatch {
  /** Bytes of the head of the next record that have come, and the first half of its length. */
  #headAt = 0;
  #length = 0;
  /** Bytes of the present record that are still to come. */
  #recordLeft = 0;
  /** Bytes of the head of the message that have come. */
  #messageAt = 0;
  #messageLeft = 0;
  #isFirst = true;

  /** Reads on: `data[start, end)` came. Not to be asked again once it has said something else than HELLO_PARTIAL. */
  feed(data: Buffer, start: number, end: number): HelloState {
    for (let at = start; at < end;) {
      if (this.#recordLeft === 0) {
        const state = this.#readHead(data[at++] as number);
        if (state !== HELLO_PARTIAL) return state;
      } else if (this.#messageAt < MESSAGE_HEAD) {
        if (!this.#readMessageHead(data[at++] as number)) return HELLO_WHOLE;
      } else {
        const count = Math.min(this.#recordLeft, this.#messageLeft, end - at);
        at += count;
        this.#recordLeft -= count;
        this.#messageLeft -= count;
        if (this.#messageLeft === 0) return HELLO_WHOLE;
      }
    }
    return HELLO_PARTIAL;
  }

  #readHead(byte: number): HelloState {
    const wrong = this.#isFirst ? HELLO_OTHER : HELLO_WHOLE;
    switch (this.#headAt++) {
      case 0:
        return byte === HANDSHAKE ? HELLO_PARTIAL : wrong;
      case 1:
        return byte === MAJOR ? HELLO_PARTIAL : wrong;
      case 3:
        this.#length = byte << 8;
        return HELLO_PARTIAL;
      case RECORD_HEAD - 1: {
        const length = this.#length + byte;
        if (length === 0 || length > RECORD_MAX) return HELLO_WHOLE;
        this.#recordLeft = length;
        this.#headAt = 0;
        this.#isFirst = false;
        return HELLO_PARTIAL;
      }
      default:
        return HELLO_PARTIAL;
    }
  }

  /** False where it is not the message that must come, or a longer one than there may be. */
  #readMessageHead(byte: number): boolean {
    this.#recordLeft--;
    if (this.#messageAt++ === 0) return byte === CLIENT_HELLO;
    this.#messageLeft = this.#messageLeft * 256 + byte;
    if (this.#messageAt < MESSAGE_HEAD) return true;
    return this.#messageLeft > 0 && this.#messageLeft <= HELLO_BYTES_MAX;
  }
}
