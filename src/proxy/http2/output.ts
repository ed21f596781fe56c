/**
 * Frames on their way to a peer. What is small is gathered in a slab and leaves with one write when the turn is over: sixty
 * responses that become ready together cost one system call. Content of some length is gathered in the write buffer of the thread,
 * as long as nobody else needs it: the frames of one read leave with one write, too. Without anything to send there is no slab.
 */

import type { Gatherer, NetContext } from '../net/context.ts';
import { copyWhole, Defect } from '../net/copy-whole.ts';
import { READ_BYTES, SLAB_BYTES, type Socket } from '../net/socket.ts';
import { FLAG_END_STREAM, FRAME_DATA, FRAME_HEADER_BYTES } from './codec/frame.ts';
import { writeFrameHeader } from './codec/frame-writer.ts';

/** Content of at least this much is not gathered in a slab. */
const DIRECT_BYTES_MIN = 4_096;

export class Output implements Gatherer {
  /** Where `reserve` made room; write behind `at`, then `commit`. */
  buffer: Buffer = NOTHING;
  at = 0;
  /** DATA frames so far. */
  dataFrames = 0;
  readonly #context: NetContext;
  #socket: Socket | null = null;
  /** Asks for `flush` at the end of the turn. */
  readonly #ask: () => void;
  /** Empty while there is something in the write buffer. */
  #slab: Buffer | null = null;
  /** Of the slab. */
  #gathered = 0;
  /** In the write buffer, which is ours as long as it is not 0. */
  #pending = 0;
  /** Where the flags of the last frame of `#last` stand, in `#flagsIn`, as long as it is here; -1 otherwise. */
  #flagsAt = -1;
  #flagsIn: Buffer = NOTHING;
  #last = 0;

  constructor(context: NetContext, ask: () => void) {
    this.#context = context;
    this.#ask = ask;
  }

  attach(socket: Socket): void {
    this.#socket = socket;
  }

  /** Bytes that are not with the socket yet. */
  get gathered(): number {
    return this.#gathered + this.#pending;
  }

  /** Makes room for so many bytes, behind all that is here. @throws Defect when the frame before was never whole */
  reserve(bytes: number): void {
    if (this.buffer !== NOTHING) this.#cut();
    this.#flagsAt = -1;
    if (this.#pending > 0 || bytes > SLAB_BYTES) return this.#reserveOut(bytes);
    if (this.#gathered + bytes > SLAB_BYTES) this.flush();
    if (this.#slab === null) {
      this.#slab = this.#context.takeSlab();
      this.#ask();
    }
    this.buffer = this.#slab;
    this.at = this.#gathered;
  }

  /** Room in the write buffer, which nobody takes before the frame is whole. */
  #reserveOut(bytes: number): void {
    const out = this.#claim();
    if (this.#pending + bytes > out.length) this.flush();
    this.buffer = this.#claim();
    this.at = this.#pending;
  }

  /** The write buffer, for us to gather in: what is in the slab comes first. */
  #claim(): Buffer {
    const out = this.#context.claimOut(this);
    const slab = this.#slab;
    if (slab === null) return out;
    this.#pending = copyWhole(slab, 0, this.#gathered, out, 0);
    this.#giveSlab(slab);
    return out;
  }

  /** What was reserved is written up to `end`. */
  commit(end: number): void {
    if (this.buffer === this.#slab) this.#gathered = end;
    else this.#setPending(end);
    this.buffer = NOTHING;
  }

  #setPending(end: number): void {
    this.#pending = end;
    this.#ask();
  }

  /** The table of the peer would not be that of our encoder any more: what it read from then on would be wrong for everybody. */
  #cut(): never {
    this.#socket?.reset();
    throw new Defect('a frame was begun and never finished');
  }

  /** As `commit`, of HEADERS of a stream, which begin at `at`; its end may still be put into them. */
  commitHeaders(end: number, stream: number): void {
    const { buffer, at } = this;
    this.commit(end);
    this.#keepFlags(buffer, at, stream);
  }

  /** The frame at `at` is the last one of its stream. */
  #keepFlags(buffer: Buffer, at: number, stream: number): void {
    this.#flagsIn = buffer;
    this.#flagsAt = at + 4;
    this.#last = stream;
  }

  /** Content in frames of at most `frameBytesMax`, or what a read has; as much of it as the windows allow. */
  // oxlint-disable-next-line max-params -- once per frame, without an object
  data(stream: number, data: Buffer, start: number, end: number, frameBytesMax: number): void {
    const most = Math.min(frameBytesMax, READ_BYTES);
    for (let from = start; from < end; from += most)
      this.#frame(stream, data, from, Math.min(end, from + most));
  }

  #frame(stream: number, data: Buffer, start: number, end: number): void {
    this.dataFrames++;
    const length = end - start;
    const bytes = FRAME_HEADER_BYTES + length;
    if (length >= DIRECT_BYTES_MIN) {
      if (this.buffer !== NOTHING) this.#cut();
      this.#reserveOut(bytes);
    } else this.reserve(bytes);
    const { buffer, at } = this;
    const to = writeFrameHeader(buffer, at, length, FRAME_DATA, 0, stream);
    this.commit(copyWhole(data, start, end, buffer, to));
    this.#keepFlags(buffer, at, stream);
  }

  /** Says that nothing more of the stream follows: in its last frame, if that is still here, or in one of its own. */
  end(stream: number): void {
    if (this.#flagsAt >= 0 && this.#last === stream) {
      this.#flagsIn[this.#flagsAt] = (this.#flagsIn[this.#flagsAt] as number) | FLAG_END_STREAM;
      this.#flagsAt = -1;
      return;
    }
    this.reserve(FRAME_HEADER_BYTES);
    this.commit(writeFrameHeader(this.buffer, this.at, 0, FRAME_DATA, FLAG_END_STREAM, stream));
  }

  /** Hands all that was gathered to the socket. */
  flush(): void {
    if (this.#slab !== null) this.#claim();
    if (this.#pending > 0) this.#send();
  }

  #send(): void {
    const length = this.#pending;
    this.#leaveOut();
    this.#context.writeOut(this.#socket as Socket, length);
  }

  yieldOut(): void {
    if (this.#pending > 0 && !(this.#socket as Socket).destroyed) this.#send();
    this.#leaveOut();
  }

  /** The write buffer is not ours any more: what stands in it from now on belongs to others. */
  #leaveOut(): void {
    this.#pending = 0;
    this.#flagsAt = -1;
  }

  /** Drops what was gathered. */
  drop(): void {
    if (this.#slab !== null) this.#giveSlab(this.#slab);
    this.#leaveOut();
  }

  #giveSlab(slab: Buffer): void {
    this.#slab = null;
    this.#gathered = 0;
    this.#flagsAt = -1;
    this.#context.giveSlab(slab);
  }
}

const NOTHING = Buffer.alloc(0);
