/**
 * Frames on their way to a peer. What is small is gathered in a slab and leaves with one write when the turn is over: sixty
 * responses that become ready together cost one system call. Content of some length is framed in the write buffer of the thread
 * and leaves at once. Without anything to send there is no slab.
 */

import type { NetContext } from '../net/context.ts';
import { copyWhole, Defect } from '../net/copy-whole.ts';
import { READ_BYTES, SLAB_BYTES, type Socket } from '../net/socket.ts';
import { FLAG_END_STREAM, FRAME_DATA, FRAME_HEADER_BYTES } from './codec/frame.ts';
import { writeFrameHeader } from './codec/frame-writer.ts';

/** Content of at least this much is not gathered. */
const DIRECT_BYTES_MIN = 4_096;

export class Output {
  /** Where `reserve` made room; write behind `at`, then `commit`. */
  buffer: Buffer = NOTHING;
  at = 0;
  /** DATA frames so far. */
  dataFrames = 0;
  readonly #context: NetContext;
  #socket: Socket | null = null;
  /** Asks for `flush` at the end of the turn. */
  readonly #ask: () => void;
  #slab: Buffer | null = null;
  /** Of the slab. */
  #gathered = 0;
  /** Where the flags of the last frame of `#last` stand, if it is in the slab; -1 otherwise. */
  #flagsAt = -1;
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
    return this.#gathered;
  }

  /** Makes room for so many bytes. What is longer than a slab leaves by itself. @throws Defect when the frame before was never whole */
  reserve(bytes: number): void {
    if (this.buffer !== NOTHING) this.#cut();
    this.#flagsAt = -1;
    if (this.#gathered + bytes > SLAB_BYTES) this.flush();
    if (bytes > SLAB_BYTES) {
      this.buffer = this.#context.claimOut(null);
      this.at = 0;
      return;
    }
    if (this.#slab === null) {
      this.#slab = this.#context.takeSlab();
      this.#ask();
    }
    this.buffer = this.#slab;
    this.at = this.#gathered;
  }

  /** What was reserved is written up to `end`. */
  commit(end: number): void {
    if (this.buffer === this.#slab) this.#gathered = end;
    else this.#write(end);
    this.buffer = NOTHING;
  }

  /** The table of the peer would not be that of our encoder any more: what it read from then on would be wrong for everybody. */
  #cut(): never {
    this.#socket?.reset();
    throw new Defect('a frame was begun and never finished');
  }

  /** As `commit`, of HEADERS of a stream, which begin at `at`; its end may still be put into them. */
  commitHeaders(end: number, stream: number): void {
    const isGathered = this.buffer === this.#slab;
    const flagsAt = this.at + 4;
    this.commit(end);
    if (!isGathered) return;
    this.#flagsAt = flagsAt;
    this.#last = stream;
  }

  /** Content in frames of at most `frameBytesMax`, or what the write buffer has room for; as much of it as the windows allow. */
  // oxlint-disable-next-line max-params -- once per frame, without an object
  data(stream: number, data: Buffer, start: number, end: number, frameBytesMax: number): void {
    const most = Math.min(frameBytesMax, READ_BYTES);
    for (let from = start; from < end; from += most)
      this.#frame(stream, data, from, Math.min(end, from + most));
  }

  #frame(stream: number, data: Buffer, start: number, end: number): void {
    this.dataFrames++;
    const length = end - start;
    if (length >= DIRECT_BYTES_MIN) return this.#direct(stream, data, start, end);
    this.reserve(FRAME_HEADER_BYTES + length);
    const { buffer, at } = this;
    const to = writeFrameHeader(buffer, at, length, FRAME_DATA, 0, stream);
    this.commit(copyWhole(data, start, end, buffer, to));
    this.#flagsAt = at + 4;
    this.#last = stream;
  }

  /** Behind what was gathered, in the same write. */
  #direct(stream: number, data: Buffer, start: number, end: number): void {
    const out = this.#context.claimOut(null);
    const kept = this.#gathered;
    const slab = this.#slab;
    if (slab !== null && kept > 0) copyWhole(slab, 0, kept, out, 0);
    this.#forget();
    const to = writeFrameHeader(out, kept, end - start, FRAME_DATA, 0, stream);
    this.#write(copyWhole(data, start, end, out, to));
  }

  /** Says that nothing more of the stream follows: in its last frame, if that is still here, or in one of its own. */
  end(stream: number): void {
    if (this.#flagsAt >= 0 && this.#last === stream && this.#slab !== null) {
      this.#slab[this.#flagsAt] = (this.#slab[this.#flagsAt] as number) | FLAG_END_STREAM;
      this.#flagsAt = -1;
      return;
    }
    this.reserve(FRAME_HEADER_BYTES);
    this.commit(writeFrameHeader(this.buffer, this.at, 0, FRAME_DATA, FLAG_END_STREAM, stream));
  }

  /** Hands all that was gathered to the socket. */
  flush(): void {
    const slab = this.#slab;
    if (slab === null) return;
    const length = copyWhole(slab, 0, this.#gathered, this.#context.claimOut(null), 0);
    this.#forget();
    if (length > 0) this.#write(length);
  }

  #write(length: number): void {
    this.#context.writeOut(this.#socket as Socket, length);
  }

  /** Drops what was gathered. */
  drop(): void {
    this.#forget();
  }

  #forget(): void {
    const slab = this.#slab;
    this.#slab = null;
    this.#gathered = 0;
    this.#flagsAt = -1;
    if (slab !== null) this.#context.giveSlab(slab);
  }
}

const NOTHING = Buffer.alloc(0);
