/**
 * The path of a request as routes compare it: unreserved bytes as they are, all others percent-encoded with capital digits,
 * without dot segments (RFC 3986 §6.2.2, §5.2.4). Two spellings that servers take for the same path take the same route, so
 * that no rule is passed by with another one. What is sent on stays as it came.
 */

import {
  DOT,
  HEX,
  HEX_DIGITS,
  PERCENT,
  SLASH,
  SUB_DELIMS,
  table,
  UNRESERVED,
} from './characters.ts';
import { type Head, isServerWide } from './head.ts';

const ROOT = Buffer.from('/');
const SERVER = Buffer.from('*');

const IS_UNRESERVED = table(UNRESERVED);
/** What stands in a path as it is. */
const PLAIN = table(`${UNRESERVED}${SUB_DELIMS}:@/`);

/** One per thread, valid until the next request. */
export class PathView {
  data: Buffer = ROOT;
  start = 0;
  end = 1;
  /** How much of it the match that took the request asked for; whoever finds the match notes it, and `read` leaves it. */
  matched = 0;
  #room: Buffer = Buffer.alloc(0);

  read(data: Buffer, head: Head): this {
    // An absolute target may have none.
    if (head.queryStart <= head.targetStart)
      return this.#is(isServerWide(head) ? SERVER : ROOT, 0, 1);
    if (isPlain(data, head.targetStart, head.queryStart))
      return this.#is(data, head.targetStart, head.queryStart);
    const most = 3 * (head.queryStart - head.targetStart);
    if (this.#room.length < most) this.#room = Buffer.allocUnsafeSlow(most);
    return this.#is(this.#room, 0, writePath(data, head.targetStart, head.queryStart, this.#room));
  }

  #is(data: Buffer, start: number, end: number): this {
    this.data = data;
    this.start = start;
    this.end = end;
    return this;
  }
}

/** The form of a path from a configuration. */
export function pathOf(text: string): Buffer {
  const data = Buffer.from(text);
  const out = Buffer.alloc(3 * data.length + 1);
  return out.subarray(0, writePath(data, 0, data.length, out));
}

/** Whether the path has its form already. */
function isPlain(data: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = data[i] as number;
    if (PLAIN[byte] !== 1) return false;
    if (byte === DOT && data[i - 1] === SLASH) return false;
  }
  return true;
}

/** Writes the form of `data[start, end)` to `out` and returns its length, at most three times as many bytes. */
function writePath(data: Buffer, start: number, end: number, out: Buffer): number {
  let to = 0;
  let i = start;
  while (i < end) {
    let byte = data[i] as number;
    let isCoded = false;
    if (byte === PERCENT && i + 2 < end) {
      const value = byteOf(data[i + 1] as number, data[i + 2] as number);
      if (value >= 0) {
        byte = value;
        isCoded = true;
      }
    }
    i += isCoded ? 3 : 1;
    // A slash ends a segment, which may be a dot segment; a coded one does not.
    if (byte === SLASH && !isCoded) to = writeSlash(out, to);
    else if (isCoded ? IS_UNRESERVED[byte] === 1 : PLAIN[byte] === 1 || byte === PERCENT)
      out[to++] = byte;
    else {
      out[to++] = PERCENT;
      out[to++] = HEX_DIGITS[byte >> 4] as number;
      out[to++] = HEX_DIGITS[byte & 15] as number;
    }
  }
  const dots = dotsBefore(out, to);
  return dots === 0 ? to : dropSegment(out, to, dots);
}

function writeSlash(out: Buffer, to: number): number {
  const dots = dotsBefore(out, to);
  const at = dots === 0 ? to : dropSegment(out, to, dots) - 1;
  out[at] = SLASH;
  return at + 1;
}

/** 1 or 2 when the segment that ends at `to` is `.` or `..`. */
function dotsBefore(out: Buffer, to: number): number {
  if (to < 2 || out[to - 1] !== DOT) return 0;
  if (out[to - 2] === SLASH) return 1;
  return to > 2 && out[to - 2] === DOT && out[to - 3] === SLASH ? 2 : 0;
}

/** Takes the dot segment away, with `..` also the segment before; what is left ends with a slash. */
function dropSegment(out: Buffer, to: number, dots: number): number {
  let at = to - dots;
  if (dots === 1 || at < 2) return at;
  at--;
  while (at > 0 && out[at - 1] !== SLASH) at--;
  return Math.max(at, 1);
}

/** The byte that two hexadecimal digits stand for, or -1. */
export function byteOf(high: number, low: number): number {
  const a = HEX[high] as number;
  const b = HEX[low] as number;
  return a > 15 || b > 15 ? -1 : a * 16 + b;
}
