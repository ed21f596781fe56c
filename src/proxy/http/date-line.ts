/** The Date field for messages that leave without one (RFC 9110 §6.6.1), made once a second and copied as bytes. */

import type { Clock } from '../../base/clock.ts';

const SECOND_MS = 1_000;

export class DateLine {
  readonly #clock: Clock;
  /** `Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n`: the format has one length. */
  readonly #line = Buffer.from(`Date: ${new Date(0).toUTCString()}\r\n`);
  #second = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The whole line for the present second; valid until the next call. */
  now(): Buffer {
    const second = Math.floor(this.#clock.wallMs() / SECOND_MS);
    if (second !== this.#second) {
      this.#second = second;
      this.#line.write(new Date(second * SECOND_MS).toUTCString(), 'Date: '.length, 'latin1');
    }
    return this.#line;
  }
}
