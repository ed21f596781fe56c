/**
 * Walks over the records of a caller of TLS until its first message has come whole, whatever that says. It keeps no byte. Who has TLS
 * look at the message does not ask what is wrong with it; who reads it without TLS does.
 *
 * What is told follows from the bytes alone, and not from where reads have cut them.
 */

/** More of it must come. */
export const HELLO_PARTIAL = 0;
/** It is whole, or so wrong that no more is to be waited for. */
export const HELLO_WHOLE = 1;
/** No TLS begins so. */
export const HELLO_OTHER = 2;
export type HelloState = typeof HELLO_PARTIAL | typeof HELLO_WHOLE | typeof HELLO_OTHER;

/** Why no ClientHello comes in such records. */
export type RecordFault =
  /** As is a hello of SSL 2. */
  | 'no TLS'
  | 'another version than TLS 1.0 to 1.3'
  | 'a record of another kind than a handshake'
  | 'an empty or too long record'
  | 'another message than a ClientHello'
  | 'too long';

/** In which a first message must end, with the heads of its records. Those of browsers with post-quantum keys have some 2,000. */
export const HELLO_BYTES_MAX = 32_768;

const HANDSHAKE = 22;
const MAJOR = 3;
const CLIENT_HELLO = 1;
export const RECORD_HEAD = 5;
const RECORD_MAX = 16_384;
/** Of a message: its type and its length. */
export const MESSAGE_HEAD = 4;

/** Whether the first two bytes of a caller are those of TLS. */
export function isHandshake(data: Buffer, start: number): boolean {
  return data[start] === HANDSHAKE && data[start + 1] === MAJOR;
}

export class HelloWatch {
  /** Null unless it has said that something is wrong. */
  fault: RecordFault | null = null;
  /** Of the message, its head included; known as soon as that is there. */
  messageBytes = 0;
  /** Bytes that have come, the heads of records among them. */
  #seen = 0;
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
    const stop = Math.min(end, start + HELLO_BYTES_MAX - this.#seen);
    this.#seen += stop - start;
    for (let at = start; at < stop;) {
      if (this.#recordLeft === 0) this.#readHead(data[at++] as number);
      else if (this.#messageAt < MESSAGE_HEAD) this.#readMessageHead(data[at++] as number);
      else {
        const count = Math.min(this.#recordLeft, this.#messageLeft, stop - at);
        at += count;
        this.#recordLeft -= count;
        this.#messageLeft -= count;
      }
      if (this.fault !== null)
        return this.#isFirst && this.#headAt < RECORD_HEAD ? HELLO_OTHER : HELLO_WHOLE;
      if (this.#messageAt === MESSAGE_HEAD && this.#messageLeft === 0) return HELLO_WHOLE;
    }
    if (stop === end) return HELLO_PARTIAL;
    this.fault = 'too long';
    return HELLO_WHOLE;
  }

  #readHead(byte: number): void {
    switch (this.#headAt++) {
      case 0:
        if (byte === HANDSHAKE) return;
        this.fault = this.#isFirst ? 'no TLS' : 'a record of another kind than a handshake';
        return;
      case 1:
        if (byte !== MAJOR) this.fault = 'another version than TLS 1.0 to 1.3';
        return;
      case 3:
        this.#length = byte << 8;
        return;
      case RECORD_HEAD - 1: {
        const length = this.#length + byte;
        if (length === 0 || length > RECORD_MAX) {
          this.fault = 'an empty or too long record';
          return;
        }
        this.#recordLeft = length;
        this.#headAt = 0;
        this.#isFirst = false;
        return;
      }
      default:
    }
  }

  #readMessageHead(byte: number): void {
    this.#recordLeft--;
    if (this.#messageAt++ === 0) {
      if (byte !== CLIENT_HELLO) this.fault = 'another message than a ClientHello';
      return;
    }
    this.#messageLeft = this.#messageLeft * 256 + byte;
    if (this.#messageAt < MESSAGE_HEAD) return;
    this.messageBytes = MESSAGE_HEAD + this.#messageLeft;
    if (this.messageBytes > HELLO_BYTES_MAX) this.fault = 'too long';
  }
}
