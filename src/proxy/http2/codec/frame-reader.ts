/**
 * Reads frames: RFC 9113 §4 and §6. What is wrong is told as the code of an error, with OF_STREAM when only the stream is concerned.
 * What depends on the state of a stream or of the connection is not looked at here.
 */

import {
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  NO_ERROR,
  OF_STREAM,
  PROTOCOL_ERROR,
} from './error-code.ts';
import {
  FLAG_ACK,
  FLAG_PADDED,
  FLAG_PRIORITY,
  FRAME_BYTES_LARGEST,
  FRAME_BYTES_MIN,
  FRAME_CONTINUATION,
  FRAME_DATA,
  FRAME_GOAWAY,
  FRAME_HEADER_BYTES,
  FRAME_HEADERS,
  FRAME_PING,
  FRAME_PRIORITY,
  FRAME_PUSH_PROMISE,
  FRAME_RST_STREAM,
  FRAME_SETTINGS,
  FRAME_WINDOW_UPDATE,
  NUMBER_MAX,
  PREFACE,
  SETTING_BYTES,
  SETTING_ENABLE_CONNECT_PROTOCOL,
  SETTING_ENABLE_PUSH,
  SETTING_HEADER_TABLE_SIZE,
  SETTING_INITIAL_WINDOW_SIZE,
  SETTING_MAX_CONCURRENT_STREAMS,
  SETTING_MAX_FRAME_SIZE,
  SETTING_MAX_HEADER_LIST_SIZE,
  SETTING_NO_RFC7540_PRIORITIES,
} from './frame.ts';

const PRIORITY_BYTES = 5;

/** The header of a frame, and where its content stands. One serves a whole thread. */
export class Frame {
  /** Of the payload. */
  length = 0;
  type = 0;
  flags = 0;
  stream = 0;
  /** What the payload has without padding and priority, once `openFrame` said so. */
  start = 0;
  end = 0;
}

/** How much of the preface of a client stands in `buf[start, end)`: all of its bytes, those that came so far, or -1 when it is none. */
export function matchPreface(buf: Buffer, start: number, end: number): number {
  const length = Math.min(end - start, PREFACE.length);
  for (let i = 0; i < length; i++) if (buf[start + i] !== PREFACE[i]) return -1;
  return length;
}

/** A number of 31 bits; the first bit is reserved and ignored. */
export function read31(buf: Buffer, at: number): number {
  return (
    (((buf[at] as number) & 0x7f) << 24) |
    ((buf[at + 1] as number) << 16) |
    ((buf[at + 2] as number) << 8) |
    (buf[at + 3] as number)
  );
}

export function read32(buf: Buffer, at: number): number {
  return read31(buf, at) + ((buf[at] as number) & 0x80) * 0x100_0000;
}

/** Reads the header that stands at `at`, all FRAME_HEADER_BYTES of it. @returns what `checkHeader` says */
export function readHeader(buf: Buffer, at: number, frame: Frame, bytesMax: number): number {
  frame.length =
    ((buf[at] as number) << 16) | ((buf[at + 1] as number) << 8) | (buf[at + 2] as number);
  frame.type = buf[at + 3] as number;
  frame.flags = buf[at + 4] as number;
  frame.stream = read31(buf, at + 5);
  frame.start = at + FRAME_HEADER_BYTES;
  frame.end = frame.start + frame.length;
  return checkHeader(frame, bytesMax);
}

/** What length and stream of a frame tell before its payload is there. `bytesMax` is our SETTINGS_MAX_FRAME_SIZE. */
// oxlint-disable-next-line complexity -- a table by type, once per frame
function checkHeader({ length, type, flags, stream }: Frame, bytesMax: number): number {
  if (length > bytesMax) return tooLong(type, stream);
  switch (type) {
    case FRAME_DATA:
    case FRAME_CONTINUATION:
      return stream === 0 ? PROTOCOL_ERROR : NO_ERROR;
    case FRAME_HEADERS:
      if (stream === 0) return PROTOCOL_ERROR;
      return length < overheadOf(flags) ? FRAME_SIZE_ERROR : NO_ERROR;
    case FRAME_PRIORITY:
      if (stream === 0) return PROTOCOL_ERROR;
      return length === PRIORITY_BYTES ? NO_ERROR : FRAME_SIZE_ERROR | OF_STREAM;
    case FRAME_RST_STREAM:
      if (stream === 0) return PROTOCOL_ERROR;
      return length === 4 ? NO_ERROR : FRAME_SIZE_ERROR;
    case FRAME_SETTINGS:
      if (stream !== 0) return PROTOCOL_ERROR;
      if ((flags & FLAG_ACK) !== 0) return length === 0 ? NO_ERROR : FRAME_SIZE_ERROR;
      return length % SETTING_BYTES === 0 ? NO_ERROR : FRAME_SIZE_ERROR;
    // Push is never allowed by us, nor by a client: §8.4.
    case FRAME_PUSH_PROMISE:
      return PROTOCOL_ERROR;
    case FRAME_PING:
      if (stream !== 0) return PROTOCOL_ERROR;
      return length === 8 ? NO_ERROR : FRAME_SIZE_ERROR;
    case FRAME_GOAWAY:
      if (stream !== 0) return PROTOCOL_ERROR;
      return length >= 8 ? NO_ERROR : FRAME_SIZE_ERROR;
    case FRAME_WINDOW_UPDATE:
      return length === 4 ? NO_ERROR : FRAME_SIZE_ERROR;
    // §5.5: what is unknown is ignored.
    default:
      return NO_ERROR;
  }
}

/** §4.2: an error of the connection when the frame could change its state, as a block of fields does. */
function tooLong(type: number, stream: number): number {
  const isOfStream =
    type === FRAME_DATA ||
    type === FRAME_PRIORITY ||
    type === FRAME_RST_STREAM ||
    type === FRAME_WINDOW_UPDATE;
  return isOfStream && stream !== 0 ? FRAME_SIZE_ERROR | OF_STREAM : FRAME_SIZE_ERROR;
}

/** Bytes of HEADERS that stand before its fields. */
function overheadOf(flags: number): number {
  return (
    ((flags & FLAG_PADDED) === 0 ? 0 : 1) + ((flags & FLAG_PRIORITY) === 0 ? 0 : PRIORITY_BYTES)
  );
}

/**
 * Takes padding and priority out of `start` and `end`, and checks what the payload of the frame tells. All of it must be there; of
 * DATA the first byte is enough. `readHeader` found nothing wrong. SETTINGS are left to `readSettings`.
 */
// oxlint-disable-next-line complexity -- a table by type, once per frame
export function openFrame(buf: Buffer, frame: Frame): number {
  switch (frame.type) {
    case FRAME_DATA:
      return (frame.flags & FLAG_PADDED) === 0 ? NO_ERROR : unpad(buf, frame);
    case FRAME_HEADERS: {
      if ((frame.flags & FLAG_PADDED) !== 0 && unpad(buf, frame) !== NO_ERROR)
        return PROTOCOL_ERROR;
      if ((frame.flags & FLAG_PRIORITY) === 0) return NO_ERROR;
      if (frame.end - frame.start < PRIORITY_BYTES) return PROTOCOL_ERROR;
      const on = read31(buf, frame.start);
      frame.start += PRIORITY_BYTES;
      return dependency(on, frame);
    }
    case FRAME_PRIORITY:
      return dependency(read31(buf, frame.start), frame);
    case FRAME_WINDOW_UPDATE:
      if (read31(buf, frame.start) > 0) return NO_ERROR;
      return frame.stream === 0 ? PROTOCOL_ERROR : PROTOCOL_ERROR | OF_STREAM;
    default:
      return NO_ERROR;
  }
}

/** §6.1: the length of the padding comes first, and the padding last. */
function unpad(buf: Buffer, frame: Frame): number {
  if (frame.start === frame.end) return FRAME_SIZE_ERROR;
  const padding = buf[frame.start++] as number;
  frame.end -= padding;
  return frame.end < frame.start ? PROTOCOL_ERROR : NO_ERROR;
}

/** RFC 7540 §5.3.1: a stream cannot depend on itself. That is all that is left of priorities. */
function dependency(on: number, { stream }: Frame): number {
  return on === stream ? PROTOCOL_ERROR | OF_STREAM : NO_ERROR;
}

/** What a peer says in SETTINGS: RFC 9113 §6.5.2, with the values that hold until it does. */
export class PeerSettings {
  headerTableBytes = 4096;
  /** The least of the values in one frame: the encoder must be told of it, too. */
  headerTableBytesLeast = 4096;
  maxStreams = Infinity;
  initialWindow = 65_535;
  frameBytesMax = FRAME_BYTES_MIN;
  headerListBytesMax = Infinity;
  extendedConnect = false;
}

/** Reads the payload of SETTINGS without ACK. Unknown ones are ignored. @returns NO_ERROR or the code of an error of the connection */
// oxlint-disable-next-line complexity -- a table by setting
export function readSettings(
  buf: Buffer,
  { start, end }: Frame,
  settings: PeerSettings,
  fromServer: boolean,
): number {
  settings.headerTableBytesLeast = settings.headerTableBytes;
  for (let i = start; i < end; i += SETTING_BYTES) {
    const value = read32(buf, i + 2);
    switch (((buf[i] as number) << 8) | (buf[i + 1] as number)) {
      case SETTING_HEADER_TABLE_SIZE:
        settings.headerTableBytes = value;
        settings.headerTableBytesLeast = Math.min(settings.headerTableBytesLeast, value);
        break;
      // We never push, so that only a server can be wrong with 1.
      case SETTING_ENABLE_PUSH:
        if (value > 1 || (fromServer && value === 1)) return PROTOCOL_ERROR;
        break;
      case SETTING_MAX_CONCURRENT_STREAMS:
        settings.maxStreams = value;
        break;
      case SETTING_INITIAL_WINDOW_SIZE:
        if (value > NUMBER_MAX) return FLOW_CONTROL_ERROR;
        settings.initialWindow = value;
        break;
      case SETTING_MAX_FRAME_SIZE:
        if (value < FRAME_BYTES_MIN || value > FRAME_BYTES_LARGEST) return PROTOCOL_ERROR;
        settings.frameBytesMax = value;
        break;
      case SETTING_MAX_HEADER_LIST_SIZE:
        settings.headerListBytesMax = value;
        break;
      // RFC 8441 §3: once said, it stays.
      case SETTING_ENABLE_CONNECT_PROTOCOL:
        if (value > 1 || (value === 0 && settings.extendedConnect)) return PROTOCOL_ERROR;
        settings.extendedConnect = value === 1;
        break;
      case SETTING_NO_RFC7540_PRIORITIES:
        if (value > 1) return PROTOCOL_ERROR;
        break;
      default:
    }
  }
  return NO_ERROR;
}
