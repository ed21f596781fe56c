/**
 * Text that must not be shown, such as a private key. What is written of it by accident (JSON, a log, an error, a debugger, a copy of the
 * structure) has its digest alone: a key has far too much of chance in it for that to tell anything.
 */

import { createHash } from 'node:crypto';

export class SecretText {
  /** SHA-256 in hex; by it two are compared. */
  readonly digest: string;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    this.digest = sha256(text);
  }

  /** The text itself: to be called where it is used, and nowhere else. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return HIDDEN;
  }
}

const HIDDEN = '[secret]';

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
