/** Trailers as content: the last frame of an answer in gRPC-Web. */

import { COLON, CR } from '../head/characters.ts';
import { TRAILERS_FLAG } from './message-scan.ts';

const PREFIX_BYTES = 5;

/** `lines` are trailers as lines of HTTP/1.1. Names are in lower case, as the protocol wants them. */
export function trailerFrame(lines: Buffer): Buffer {
  const frame = Buffer.allocUnsafeSlow(PREFIX_BYTES + lines.length);
  frame[0] = TRAILERS_FLAG;
  frame.writeUInt32BE(lines.length, 1);
  let isName = true;
  for (let i = 0; i < lines.length; i++) {
    const byte = lines[i] as number;
    if (byte === COLON) isName = false;
    const isUpper = isName && byte >= 65 && byte <= 90;
    frame[PREFIX_BYTES + i] = isUpper ? byte | 0x20 : byte;
    if (byte === CR) isName = true;
  }
  return frame;
}
