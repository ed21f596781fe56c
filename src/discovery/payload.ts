/** What is in a frame: JSON in UTF-8, compressed with zstd where that saves something. */

import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

import { MeshError } from '../base/error.ts';
import { encodeFrame, FLAG, type Frame } from './frame.ts';

/** Largest payload, before and after compression. */
export const PAYLOAD_BYTES_MAX = 32 * 1024 * 1024;
/** Below this the frame of zstd costs as much as it saves. */
const COMPRESSED_FROM_BYTES = 256;

/** A whole frame around `text`, which is JSON. */
export function textFrame(head: Omit<Frame, 'payload'>, text: string): Buffer {
  const plain = Buffer.from(text, 'utf8');
  if (plain.length < COMPRESSED_FROM_BYTES) return encodeFrame({ ...head, payload: plain });
  return encodeFrame({
    ...head,
    flags: head.flags | FLAG.zstd,
    payload: zstdCompressSync(plain),
  });
}

/** A whole frame around `value`; never compressed, for what is small or secret. */
export function valueFrame(head: Omit<Frame, 'payload'>, value: unknown): Buffer {
  return encodeFrame({ ...head, payload: Buffer.from(JSON.stringify(value), 'utf8') });
}

/**
 * The value in a frame that may be compressed: what a controller sends, and the copy on disk.
 * @throws MeshError `invalid_input` when it does not decompress within `bytesMax` or is not JSON
 */
export function readPayload(frame: Frame, bytesMax = PAYLOAD_BYTES_MAX): unknown {
  if ((frame.flags & FLAG.zstd) === 0) return parse(frame.type, frame.payload);
  let plain: Buffer;
  try {
    plain = zstdDecompressSync(frame.payload, { maxOutputLength: bytesMax, params: WINDOW });
  } catch (error) {
    throw wrong(frame.type, 'cannot be decompressed', error);
  }
  return parse(frame.type, plain);
}

/**
 * The value in a frame that is never compressed: what an agent sends. A peer that is not authenticated must not choose how much memory
 * its first word takes.
 * @throws MeshError `invalid_input`
 */
export function readPlain(frame: Frame): unknown {
  if ((frame.flags & FLAG.zstd) !== 0) throw wrong(frame.type, 'must not be compressed');
  return parse(frame.type, frame.payload);
}

/** Memory that a compressed payload may ask for, as a power of two: as much as its text. */
const WINDOW = { [constants.ZSTD_d_windowLogMax]: 25 };

function parse(type: number, plain: Buffer): unknown {
  try {
    return JSON.parse(plain.toString('utf8'));
  } catch {
    // The error of the parser quotes the payload, which may be a token.
    throw wrong(type, 'is not JSON');
  }
}

function wrong(type: number, what: string, cause?: unknown): MeshError {
  return new MeshError('invalid_input', `the payload of a frame of type ${type} ${what}`, cause);
}
