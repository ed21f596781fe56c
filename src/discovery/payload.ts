/** What is in a frame: JSON in UTF-8, compressed with zstd where that saves something. */

import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';

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
 * The value in a frame.
 * @throws MeshError `invalid_input` when it does not decompress within `bytesMax` or is not JSON
 */
export function readPayload(frame: Frame, bytesMax = PAYLOAD_BYTES_MAX): unknown {
  try {
    const plain =
      (frame.flags & FLAG.zstd) === 0
        ? frame.payload
        : zstdDecompressSync(frame.payload, { maxOutputLength: bytesMax });
    return JSON.parse(plain.toString('utf8'));
  } catch (error) {
    // The text of the error may quote the payload, which may be a token.
    const what = error instanceof SyntaxError ? 'is not JSON' : 'cannot be decompressed';
    throw new MeshError('invalid_input', `the payload of a frame of type ${frame.type} ${what}`);
  }
}
