/**
 * Frames of the discovery stream, in both directions and in the copy on disk. docs/discovery.md has the reasons.
 *
 * ```
 *  0        4     5      6          8                 16
 *  ┌────────┬─────┬──────┬──────────┬─────────────────┬──────────┐
 *  │ length │ type│ flags│ reserved │ version         │ payload… │   big-endian; `length` counts the payload only
 *  └────────┴─────┴──────┴──────────┴─────────────────┴──────────┘
 * ```
 */

import assert from 'node:assert/strict';

export const HEAD_BYTES = 16;

export const FRAME_TYPE = {
  hello: 1,
  welcome: 2,
  snapshot: 3,
  part: 4,
  commit: 5,
  acknowledge: 6,
  heartbeat: 7,
  goAway: 8,
  askToken: 9,
  token: 10,
  report: 11,
  credentials: 12,
} as const;

export const FLAG = {
  /** The payload is one zstd frame. */
  zstd: 0x01,
  /** Who does not know the type ends the connection; without it the frame is skipped. */
  mustUnderstand: 0x80,
} as const;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  /** What it means depends on the type; 0 where it means nothing. */
  readonly version: number;
  /** As it came, maybe compressed. Part of a read buffer: copy what is kept longer than the call. */
  readonly payload: Buffer;
}

const EMPTY = Buffer.alloc(0);

/** Memory of its own: frames are kept, and a small one of Node's pool would keep 64 KiB of it. */
export function encodeFrame(frame: Frame): Buffer {
  const { payload, version } = frame;
  assert(Number.isSafeInteger(version) && version >= 0, 'a version is a whole number');
  const bytes = Buffer.allocUnsafeSlow(HEAD_BYTES + payload.length);
  bytes.writeUInt32BE(payload.length, 0);
  bytes[4] = frame.type;
  bytes[5] = frame.flags;
  bytes.writeUInt16BE(0, 6);
  bytes.writeBigUInt64BE(BigInt(version), 8);
  payload.copy(bytes, HEAD_BYTES);
  return bytes;
}

/** Cuts a stream of bytes into frames, whatever pieces it comes in; holds one frame at most. */
export class FrameReader {
  /** Largest payload; may be changed between two frames. */
  payloadBytesMax: number;
  onFrame: (frame: Frame) => void;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #headBytes = 0;
  /** Of the frame that is not all there yet; null while its head is not. */
  #payload: Buffer | null = null;
  #payloadBytes = 0;
  #stopped = false;

  constructor(payloadBytesMax: number, onFrame: (frame: Frame) => void) {
    this.payloadBytesMax = payloadBytesMax;
    this.onFrame = onFrame;
  }

  /** Whether the bytes so far end with a whole frame. */
  get isBetweenFrames(): boolean {
    return this.#headBytes === 0;
  }

  /** No frame comes out any more, not even one that was pushed already. */
  stop(): void {
    this.#stopped = true;
    this.#payload = null;
  }

  /**
   * Gives every frame that the bytes complete to `onFrame`. What that throws passes through, and so does what is wrong:
   * null, or a sentence, after which the stream cannot be read on.
   */
  push(chunk: Buffer): string | null {
    let at = 0;
    while (at < chunk.length && !this.#stopped) {
      if (this.#headBytes < HEAD_BYTES) {
        const taken = chunk.copy(this.#head, this.#headBytes, at);
        this.#headBytes += taken;
        at += taken;
        if (this.#headBytes < HEAD_BYTES) return null;
        const fault = this.#checkHead();
        if (fault !== null) return fault;
        if (at === chunk.length && this.#head.readUInt32BE(0) > 0) return null;
      }
      at += this.#takePayload(chunk, at);
    }
    return null;
  }

  #checkHead(): string | null {
    const length = this.#head.readUInt32BE(0);
    if (length > this.payloadBytesMax) {
      return `a frame of type ${this.#head[4]} has ${length} bytes, more than ${this.payloadBytesMax}`;
    }
    if (this.#head.readBigUInt64BE(8) > BigInt(Number.MAX_SAFE_INTEGER)) {
      return `a frame of type ${this.#head[4]} has a version above 2^53`;
    }
    return null;
  }

  /** @returns how many bytes of `chunk` belonged to the payload */
  #takePayload(chunk: Buffer, at: number): number {
    const length = this.#head.readUInt32BE(0);
    if (this.#payload === null && chunk.length - at >= length) {
      this.#emit(length === 0 ? EMPTY : chunk.subarray(at, at + length));
      return length;
    }
    this.#payload ??= Buffer.allocUnsafe(length);
    const taken = chunk.copy(this.#payload, this.#payloadBytes, at);
    this.#payloadBytes += taken;
    if (this.#payloadBytes === length) this.#emit(this.#payload);
    return taken;
  }

  #emit(payload: Buffer): void {
    const version = Number(this.#head.readBigUInt64BE(8));
    this.#headBytes = 0;
    this.#payload = null;
    this.#payloadBytes = 0;
    this.onFrame({ type: this.#head[4] ?? 0, flags: this.#head[5] ?? 0, version, payload });
  }
}
