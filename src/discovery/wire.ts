/** One connection as either side sees it: frames in, frames out, an end with a reason, and when it was last alive. */

import type { Socket } from 'node:net';

import type { Clock } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import { FLAG, FrameReader, type Frame } from './frame.ts';

/** Who says nothing for this long is dead; both sides say something every `HEARTBEAT_MS`. */
export const SILENCE_MS_MAX = 15_000;
export const HEARTBEAT_MS = 5_000;
/** A peer that does not take the last frames keeps the connection this long. */
const FINISH_MS_MAX = 5_000;

export interface WireOptions {
  readonly socket: Socket;
  readonly clock: Clock;
  /** Largest payload to begin with. */
  readonly payloadBytesMax: number;
}

export class Wire {
  /** `address:port` of the peer. */
  readonly remote: string;
  /** May throw what ends the connection. */
  onFrame: (frame: Frame) => void = () => undefined;
  /** Called when bytes that waited were sent. */
  onDrain: () => void = () => undefined;
  /** Called once, with null when one of the two sides simply hung up. */
  onEnd: (error: MeshError | null) => void = () => undefined;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #reader: FrameReader;
  /** Clock milliseconds of the last byte that came. */
  #receivedAtMs: number;
  /** Clock milliseconds when it was last asked for silence. */
  #askedAtMs: number;
  #isEnded = false;

  constructor({ socket, clock, payloadBytesMax }: WireOptions) {
    this.#socket = socket;
    this.#clock = clock;
    this.remote = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`;
    this.#receivedAtMs = clock.nowMs();
    this.#askedAtMs = clock.nowMs();
    this.#reader = new FrameReader(payloadBytesMax, (frame) => this.onFrame(frame));
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('drain', () => this.#run(() => this.onDrain()));
    socket.on('error', (error) =>
      this.close(MeshError.from(error, `Lost the connection to ${this.remote}`)),
    );
    socket.on('end', () => this.close(null));
    socket.on('close', () => this.close(null));
  }

  get isOpen(): boolean {
    return !this.#isEnded;
  }

  /** Bytes that were given to `send` and not taken by the system. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  set payloadBytesMax(bytes: number) {
    this.#reader.payloadBytesMax = bytes;
  }

  /** Whether the peer was silent for too long; to be asked every `HEARTBEAT_MS`. */
  isSilent(): boolean {
    const nowMs = this.#clock.nowMs();
    // Who was stopped itself for a while has not heard anybody, and must first read what has come meanwhile.
    const wasStopped = nowMs - this.#askedAtMs > 2 * HEARTBEAT_MS;
    this.#askedAtMs = nowMs;
    if (wasStopped) this.#receivedAtMs = nowMs;
    return nowMs - this.#receivedAtMs >= SILENCE_MS_MAX;
  }

  /** The buffers are kept until they are sent, and must not change. */
  send(...frames: readonly Buffer[]): void {
    if (this.#isEnded) return;
    if (frames.length > 1) this.#socket.cork();
    for (const frame of frames) this.#socket.write(frame);
    if (frames.length > 1) this.#socket.uncork();
  }

  /** Reads nothing until `resume`. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Sends what there is and a last frame, then hangs up. */
  finish(frame: Buffer): void {
    if (this.#isEnded) return;
    this.#end(null);
    const late = this.#clock.after(FINISH_MS_MAX, () => this.#socket.destroy());
    this.#socket.once('close', () => late.cancel());
    // What the peer still sends must be read, or the kernel would reset the connection under the last frame.
    this.#socket.resume();
    this.#socket.end(frame);
  }

  /** Hangs up at once; may be called twice. */
  close(error: MeshError | null): void {
    this.#socket.destroy();
    this.#end(error);
  }

  #end(error: MeshError | null): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#reader.stop();
    this.onEnd(error);
  }

  #receive(chunk: Buffer): void {
    this.#receivedAtMs = this.#clock.nowMs();
    this.#run(() => {
      const fault = this.#reader.push(chunk);
      if (fault !== null) this.close(new MeshError('invalid_input', `Cannot read on: ${fault}`));
    });
  }

  #run(handle: () => void): void {
    try {
      handle();
    } catch (error) {
      // A defect keeps its stack, and costs this connection only.
      this.close(
        error instanceof MeshError ? error : new MeshError('unknown', describe(error), error),
      );
    }
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/**
 * What to do with a frame of a type that one does not know, or did not expect now.
 * @throws MeshError `invalid_input` when it must be understood
 */
export function skip(frame: Frame): void {
  if ((frame.flags & FLAG.mustUnderstand) === 0) return;
  throw new MeshError(
    'invalid_input',
    `a frame of type ${frame.type}, which must be understood, is not known here or not expected now`,
  );
}
