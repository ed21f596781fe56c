/**
 * What tickets of TLS sessions are sealed with: one secret for all threads of the process, in memory that they share and nowhere
 * else. It is replaced every hour, and the one before is gone then: a caller that comes back with an older ticket shakes hands anew.
 */

import { hkdfSync, randomFillSync } from 'node:crypto';
import type { Clock, Timer } from '../../../base/clock.ts';
import { sha256 } from '../../../base/secret-text.ts';

const SECRET_BYTES = 32;
/** Name, key for the proof, key for the content. */
const KEY_BYTES = 48;
const SECRETS_AT = 8;
const BYTES = SECRETS_AT + 2 * SECRET_BYTES;

/** How long a secret is used. */
const TICKET_SECRET_MS = 3_600_000;

export function shareTicketKeys(): SharedArrayBuffer {
  const shared = new SharedArrayBuffer(BYTES);
  renewTicketKeys(shared);
  return shared;
}

/** Only one thread may do so. */
export function renewTicketKeys(shared: SharedArrayBuffer): void {
  const words = new Int32Array(shared, 0, 1);
  const next = (Atomics.load(words, 0) + 1) & 0x7fffffff;
  // The other place than that which threads read now.
  randomFillSync(secretOf(shared, next));
  Atomics.store(words, 0, next);
}

/** What the main thread has of it. */
export class TicketSecrets {
  readonly shared = shareTicketKeys();
  readonly #timer: Timer;

  constructor(clock: Clock) {
    this.#timer = clock.every(TICKET_SECRET_MS, () => renewTicketKeys(this.shared));
  }

  stop(): void {
    this.#timer.cancel();
  }
}

export class TicketKeys {
  readonly #shared: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(shared = shareTicketKeys()) {
    this.#shared = shared;
    this.#words = new Int32Array(shared, 0, 1);
  }

  /** Another one with every new secret. */
  get serial(): number {
    return Atomics.load(this.#words, 0);
  }

  /** The keys for sessions of one purpose: those of another one are of no use for it. */
  keysFor(purpose: string): Buffer {
    const secret = Buffer.alloc(SECRET_BYTES);
    secret.set(secretOf(this.#shared, this.serial));
    const keys = Buffer.from(
      hkdfSync('sha256', secret, '', `tls tickets ${sha256(purpose)}`, KEY_BYTES),
    );
    secret.fill(0);
    return keys;
  }
}

function secretOf(shared: SharedArrayBuffer, serial: number): Uint8Array {
  return new Uint8Array(shared, SECRETS_AT + (serial & 1) * SECRET_BYTES, SECRET_BYTES);
}
