/**
 * A connection that has not proved who it is. It gets five seconds, 16 KiB and no word: whoever has no token learns
 * nothing but that something listens.
 */

import type { Clock, Timer } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import { FRAME_TYPE, type Frame } from './frame.ts';
import { readHello, type Hello } from './hello.ts';
import type { Authenticate } from './session.ts';
import type { Wire } from './wire.ts';

/** From the first byte of TLS until the token is checked. */
export const HANDSHAKE_TIMEOUT_MS = 5_000;

export interface HandshakeOptions {
  readonly wire: Wire;
  readonly authenticate: Authenticate;
  readonly clock: Clock;
  /** The wire is paused: whoever takes it over resumes it. */
  readonly onAdmitted: (hello: Hello, agent: string) => void;
  /** Closed, for this reason. */
  readonly onRefused: (reason: MeshError) => void;
}

export class Handshake {
  readonly #options: HandshakeOptions;
  readonly #deadline: Timer;
  #hasSaidHello = false;

  constructor(options: HandshakeOptions) {
    this.#options = options;
    const { wire, clock } = options;
    this.#deadline = clock.after(HANDSHAKE_TIMEOUT_MS, () =>
      wire.close(new MeshError('connect_timeout', 'it did not prove who it is in time')),
    );
    wire.onFrame = (frame) => this.#onFrame(frame);
    wire.onEnd = (error) => this.#onEnd(error);
  }

  #onFrame(frame: Frame): void {
    if (this.#hasSaidHello || frame.type !== FRAME_TYPE.hello) {
      throw new MeshError('invalid_input', `it sent a frame of type ${frame.type} before its turn`);
    }
    this.#hasSaidHello = true;
    const hello = readHello(frame);
    const { wire, authenticate } = this.#options;
    wire.pause();
    authenticate(hello.token, wire.remote).then(
      (answer) => {
        if (!wire.isOpen) return;
        if (answer.ok) this.#admit(hello, answer.agent);
        else wire.close(new MeshError('permission_denied', answer.reason));
      },
      (error: unknown) => wire.close(MeshError.from(error, 'its token cannot be checked now')),
    );
  }

  #admit(hello: Hello, agent: string): void {
    this.#deadline.cancel();
    this.#options.onAdmitted(hello, agent);
  }

  #onEnd(error: MeshError | null): void {
    this.#deadline.cancel();
    this.#options.onRefused(
      error ?? new MeshError('connection_reset', 'it hung up before it had proved who it is'),
    );
  }
}
