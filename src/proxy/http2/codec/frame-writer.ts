/** Writes frames: RFC 9113 §4.1 and §6. Each function returns the new end; the caller has looked that there is room. */

import {
  FLAG_ACK,
  FLAG_END_HEADERS,
  FLAG_END_STREAM,
  FRAME_CONTINUATION,
  FRAME_GOAWAY,
  FRAME_HEADER_BYTES,
  FRAME_HEADERS,
  FRAME_PING,
  FRAME_RST_STREAM,
  FRAME_SETTINGS,
  FRAME_WINDOW_UPDATE,
  SETTING_BYTES,
} from './frame.ts';

/** @returns where the payload of `length` bytes goes */
// oxlint-disable-next-line max-params -- once per frame: an options object would be an allocation
export function writeFrameHeader(
  out: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): number {
  out[at] = length >>> 16;
  out[at + 1] = length >>> 8;
  out[at + 2] = length;
  out[at + 3] = type;
  out[at + 4] = flags;
  return write32(out, at + 5, stream);
}

function write32(out: Buffer, at: number, value: number): number {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
  return at + 4;
}

/** A setting and its value, one after the other. */
export function writeSettings(out: Buffer, at: number, settings: readonly number[]): number {
  const length = (settings.length / 2) * SETTING_BYTES;
  let to = writeFrameHeader(out, at, length, FRAME_SETTINGS, 0, 0);
  for (let i = 0; i < settings.length; i += 2) {
    const setting = settings[i] as number;
    out[to] = setting >>> 8;
    out[to + 1] = setting;
    to = write32(out, to + 2, settings[i + 1] as number);
  }
  return to;
}

export function writeSettingsAck(out: Buffer, at: number): number {
  return writeFrameHeader(out, at, 0, FRAME_SETTINGS, FLAG_ACK, 0);
}

/** `flags` is FLAG_ACK or 0; the eight bytes stand at `from` in `data`. */
// oxlint-disable-next-line max-params -- once per frame: an options object would be an allocation
export function writePing(
  out: Buffer,
  at: number,
  flags: number,
  data: Buffer,
  from: number,
): number {
  const to = writeFrameHeader(out, at, 8, FRAME_PING, flags, 0);
  for (let i = 0; i < 8; i++) out[to + i] = data[from + i] as number;
  return to + 8;
}

export function writeGoaway(out: Buffer, at: number, lastStream: number, code: number): number {
  const to = writeFrameHeader(out, at, 8, FRAME_GOAWAY, 0, 0);
  return write32(out, write32(out, to, lastStream), code);
}

export function writeRstStream(out: Buffer, at: number, stream: number, code: number): number {
  return write32(out, writeFrameHeader(out, at, 4, FRAME_RST_STREAM, 0, stream), code);
}

export function writeWindowUpdate(out: Buffer, at: number, stream: number, bytes: number): number {
  return write32(out, writeFrameHeader(out, at, 4, FRAME_WINDOW_UPDATE, 0, stream), bytes);
}

/** Room for the headers that `writeHeaders` adds to a block of so many bytes. */
export function continuationBytes(blockBytes: number, frameBytesMax: number): number {
  return Math.floor(blockBytes / frameBytesMax) * FRAME_HEADER_BYTES;
}

/**
 * Makes HEADERS of the block that ends at `end` and begins FRAME_HEADER_BYTES behind `at`, with CONTINUATION as far as one frame has
 * no room for it. `frameBytesMax` is what the peer allows.
 */
// oxlint-disable-next-line max-params -- once per message: an options object would be an allocation
export function writeHeaders(
  out: Buffer,
  at: number,
  end: number,
  stream: number,
  endStream: boolean,
  frameBytesMax: number,
): number {
  const block = at + FRAME_HEADER_BYTES;
  const length = end - block;
  const first = endStream ? FLAG_END_STREAM : 0;
  if (length <= frameBytesMax) {
    writeFrameHeader(out, at, length, FRAME_HEADERS, first | FLAG_END_HEADERS, stream);
    return end;
  }
  // From the last piece to the first, each moves behind the headers that come before it.
  const pieces = Math.ceil(length / frameBytesMax);
  for (let piece = pieces - 1; piece > 0; piece--) {
    const from = block + piece * frameBytesMax;
    const size = Math.min(frameBytesMax, end - from);
    const to = from + piece * FRAME_HEADER_BYTES;
    out.copyWithin(to, from, from + size);
    const flags = piece === pieces - 1 ? FLAG_END_HEADERS : 0;
    writeFrameHeader(out, to - FRAME_HEADER_BYTES, size, FRAME_CONTINUATION, flags, stream);
  }
  writeFrameHeader(out, at, frameBytesMax, FRAME_HEADERS, first, stream);
  return end + (pieces - 1) * FRAME_HEADER_BYTES;
}
