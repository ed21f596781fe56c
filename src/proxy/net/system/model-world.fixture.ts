/** What the model of system sockets runs on: a kernel, and peers whose ends the test holds. */

import type { Accepted, ListenAt, Target } from '../socket.ts';
import type { Kernel } from './kernel-interface.ts';

/** The next call of this name fails so. */
export interface Fault {
  readonly call: string;
  readonly errno: number;
}

export interface ModelPeer {
  /** Nobody has decided yet whether the connection comes to stand. */
  readonly isPending: boolean;
  readonly isRefused: boolean;
  readonly hasEnded: boolean;
  readonly isReset: boolean;
  /** What we write to it. */
  expects: Written;
  /** Bytes that arrived, each of them the right one. */
  readonly received: number;
  /** Of an orderly close, everything has arrived that there was, or never will. */
  readonly isDone: boolean;
  decide(isRefused: boolean): void;
  /** Sends what follows `sent` bytes; returns how many left. */
  send(sent: number, amount: number): number;
  /** Has room for so many more, and takes what there is. */
  take(amount: number): void;
  end(): void;
  reset(): void;
  /** Its connection is over, and everything was looked at. */
  close(): void;
}

export interface World {
  readonly kernel: Kernel;
  readonly faults: Fault[];
  /** Open ones of both sides. */
  readonly descriptors: number;
  /** Bytes in all pipes, as far as anybody can tell. */
  readonly inPipes: number;
  readonly listenAt: ListenAt;
  /** Whether what was written is lost when we close while bytes of the peer are unread: the kernel resets it then. */
  readonly losesBehindUnread: boolean;
  /** Where to dial; most answer. */
  target(value: number): Target;
  /** The other end of what was dialled last; null when nothing left. */
  dialled(): ModelPeer | null;
  /** A caller dials `listenAt`, whose port is `port` now. */
  knock(port: number): void;
  peerOf(accepted: Accepted): ModelPeer;
  /** Of one operation: a few of them fill the buffers of a connection. At most 65,536. */
  readonly bytesMax: number;
  /** Something is under way: the next event is waited for. */
  isPatient: boolean;
  /** Everything came to its end. */
  clear(): void;
}

/** The byte at a place of any stream. */
export function pattern(at: number): number {
  return (at * 31 + (at >> 8)) & 0xff;
}

/** Pieces of streams, one behind the other. */
export class Written {
  bytes = 0;
  readonly #pieces: { readonly start: number; readonly from: number; end: number }[] = [];

  /** `length` bytes of a stream, from there. */
  add(from: number, length: number): void {
    const last = this.#pieces.at(-1);
    const start = this.bytes;
    this.bytes += length;
    if (last !== undefined && last.from + start - last.start === from) last.end = this.bytes;
    else this.#pieces.push({ start, from, end: this.bytes });
  }

  /** Whether `data[0, length)` is what stands at that place. */
  has(at: number, data: Buffer, length: number): boolean {
    const end = at + length;
    return (
      end <= this.bytes &&
      this.#pieces
        .filter((piece) => piece.start < end && piece.end > at)
        .every((piece) => {
          const [start, stop] = [Math.max(piece.start, at), Math.min(piece.end, end)];
          const part = data.subarray(start - at, stop - at);
          return isPatternAt(piece.from + start - piece.start, part, part.length);
        })
    );
  }
}

/** The pattern comes round: any piece of it in one copy. */
const ROUND = 65_536;
const PIECE_MAX = 65_536;
const PATTERN = Buffer.from(Uint8Array.from({ length: ROUND + PIECE_MAX }, (_, at) => pattern(at)));

/** Valid as long as nobody writes to it. */
export function patternAt(at: number, length: number): Buffer {
  const start = at % ROUND;
  return PATTERN.subarray(start, start + length);
}

/** Whether `data[0, length)` is what stands there in the stream. */
export function isPatternAt(at: number, data: Buffer, length: number): boolean {
  for (let from = 0; from < length; from += PIECE_MAX) {
    const start = (at + from) % ROUND;
    const end = Math.min(from + PIECE_MAX, length);
    if (PATTERN.compare(data, from, end, start, start + end - from) !== 0) return false;
  }
  return true;
}
