/**
 * The request as it is sent to endpoints: the rewritten head and as much of the body as may be kept for another try,
 * in one buffer; what is longer streams through and makes the request final.
 */

import type { Socket } from 'node:net';
import type { ThreadContext } from '../http/context.ts';
import { copyWhole, wholeUpTo } from '../net/copy-whole.ts';
import { BodyPass } from './codec/body.ts';
import type { CallerConnection } from './caller.ts';
import { namedByConnection } from './codec/connection-names.ts';
import type { Head } from '../http/head.ts';
import { requestHeadBound, writeRequestHead } from './codec/head-writer.ts';

/** Largest body that is read and thrown away to keep a connection after an early answer. */
export const DISCARD_BYTES_MAX = 262_144;

export class OutgoingRequest {
  readonly body = new BodyPass(false);
  /** Null between requests. */
  kept: Buffer | null = null;
  /** `kept[0, methodEnd)` is the method, `kept[methodEnd + 1, targetEnd)` the target. */
  methodEnd = 0;
  targetEnd = 0;
  /** All that was sent so far is kept. */
  replayable = false;
  /** Body bytes that may be kept beyond what fits beside the head. */
  bodyMax = 0;
  readonly #context: ThreadContext;
  #headBytes = 0;
  #end = 0;
  #sent = 0;
  /** A socket may still hold a part of `kept`. */
  #shared = false;

  constructor(context: ThreadContext) {
    this.#context = context;
  }

  /** Writes the head; nothing is sent yet. */
  begin(data: Buffer, head: Head, headBytes: number, caller: CallerConnection): void {
    const bound = requestHeadBound(headBytes, head.targetRaw) + caller.forwarding.address.length;
    let kept = this.#context.takeSlab();
    if (bound > kept.length) {
      this.#context.giveSlab(kept);
      kept = Buffer.allocUnsafeSlow(bound);
    }
    this.kept = kept;
    this.#end = writeRequestHead(kept, data, head, caller.forwarding, caller.fallbackHost);
    this.#headBytes = this.#end;
    this.#sent = 0;
    this.#shared = false;
    this.replayable = true;
    this.bodyMax = 0;
    this.methodEnd = head.methodEnd - head.methodStart;
    const target =
      head.targetEnd - head.targetStart + (head.targetSlash ? 1 : 0) + 2 * head.targetRaw;
    this.targetEnd = this.methodEnd + 1 + target;
    const named = namedByConnection(data, head);
    this.body.begin(head.framing, head.contentLength, head.chunked, named);
  }

  /**
   * Takes body bytes from `data[pos, end)`: kept for `flush`, or sent at once to `socket` when they are too many.
   * Returns how far it came, or -1 when the framing is broken. `mustWait` tells that the socket has enough.
   */
  feed(data: Buffer, pos: number, end: number, socket: Socket | null): number {
    this.mustWait = false;
    if (this.replayable && this.#makeRoom(this.body.room(end - pos))) {
      const at = this.body.pass(data, pos, end, this.kept as Buffer, this.#end);
      if (at < 0) return -1;
      this.#end = at;
      return this.body.pos;
    }
    this.replayable = false;
    this.flush(socket);
    const at = this.body.pass(data, pos, end, this.#context.out, 0);
    if (at < 0) return -1;
    if (socket !== null && at > 0 && !this.#context.writeOut(socket, at)) this.mustWait = true;
    return this.body.pos;
  }

  mustWait = false;

  /** Reads body bytes and drops them: the answer is out already. -1 when they are too many or the framing is broken. */
  discard(data: Buffer, pos: number, end: number): number {
    const { body } = this;
    const isBroken = body.pass(data, pos, end, this.#context.out, 0) < 0;
    return isBroken || body.bytes > DISCARD_BYTES_MAX ? -1 : body.pos;
  }

  /** What a connection must have taken by the time the whole request was sent on it. */
  get wireBytes(): number {
    return this.#headBytes + this.body.wireBytes;
  }

  /** Sends what was fed. False when the socket has enough. */
  flush(socket: Socket | null): boolean {
    if (socket === null || this.#sent === this.#end) return true;
    const from = this.#sent;
    this.#sent = this.#end;
    const kept = this.kept as Buffer;
    return socket.write(kept.subarray(from, wholeUpTo(this.#end, kept)));
  }

  /** The next `flush` sends everything again. */
  rewind(): void {
    this.#sent = 0;
  }

  /** Call before a socket that was written to is let go. True when all its bytes have left. */
  settle(socket: Socket): boolean {
    if (socket.writableLength !== 0) this.#shared = true;
    return !this.#shared;
  }

  /** Gives the buffer back; one that a socket may still read is left to it. */
  release(): void {
    if (!this.#shared) this.#context.giveSlab(this.kept as Buffer);
    this.kept = null;
  }

  #makeRoom(more: number): boolean {
    const kept = this.kept as Buffer;
    const needed = this.#end + more;
    if (needed <= kept.length) return true;
    if (this.body.bytes + more > this.bodyMax + this.body.room(0)) return false;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, kept.length * 2));
    copyWhole(kept, 0, this.#end, larger, 0);
    this.kept = larger;
    // The first buffer may still be on its way out; the larger one is on its way from the next flush on.
    return true;
  }
}
