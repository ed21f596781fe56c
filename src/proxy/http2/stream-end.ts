/** The side of a tunnel on a stream: content in both directions, and END_STREAM for a half that is closed (RFC 8441 §5). */

import type { TunnelEnd } from '../net/tunnel.ts';
import type { NetContext } from '../net/context.ts';
import { Defect } from '../net/copy-whole.ts';
import type { Expiring } from '../net/deadline-wheel.ts';
import { CANCEL, NO_ERROR } from './codec/error-code.ts';
import type { SendSide } from './send-side.ts';
import type { Stream } from './stream.ts';

/** A peer that takes none of the last bytes for this long does not get them. */
const FINISH_MS = 10_000;

/** The session of the stream. */
export interface EndHost {
  readonly out: SendSide;
  cancel(stream: Stream, code: number): void;
}

export class StreamEnd implements TunnelEnd, Expiring {
  /** Content in frames is seen. */
  readonly socket = null;
  deadlineMs = Infinity;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #stream: Stream;
  readonly #session: EndHost;
  readonly #context: NetContext;
  /** Of the last bytes, at the last look. */
  #bytesLeft = 0;

  constructor(stream: Stream, session: EndHost, context: NetContext) {
    this.#stream = stream;
    this.#session = session;
    this.#context = context;
  }

  write(data: Buffer | null, start: number, end: number): boolean {
    if (data === null) throw new Defect('content went by that has no frames');
    // The peer takes nothing more.
    if (this.#stream.endSent) return true;
    this.#session.out.send(this.#stream, data, start, end);
    return this.#session.out.isFree(this.#stream);
  }

  endWriting(): void {
    this.#session.out.end(this.#stream, null);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  get waitingBytes(): number {
    return this.#stream.queuedBytes + this.#stream.heldBytes;
  }

  bytesOnTheirWay(): number {
    return this.#stream.bytesOnTheirWay();
  }

  finish(): void {
    const stream = this.#stream;
    this.#session.out.end(stream, null);
    if (stream.endSent) return this.#session.cancel(stream, NO_ERROR);
    this.#bytesLeft = stream.queuedBytes;
    this.deadlineMs = this.#context.wheel.nowMs + FINISH_MS;
    this.#context.wheel.arm(this);
  }

  /** Does nothing where both halves are closed. */
  abort(): void {
    this.#session.cancel(this.#stream, CANCEL);
  }

  onDeadline(nowMs: number): void {
    const { queuedBytes, endSent } = this.#stream;
    if (endSent) return this.#session.cancel(this.#stream, NO_ERROR);
    if (queuedBytes === this.#bytesLeft) return this.abort();
    this.#bytesLeft = queuedBytes;
    this.deadlineMs = nowMs + FINISH_MS;
    this.#context.wheel.arm(this);
  }

  onDefect(error: unknown): void {
    this.#context.guard.caught('proxy', error);
    this.abort();
  }
}
