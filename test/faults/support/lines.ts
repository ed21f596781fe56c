/** Lines that go to and fro on a connection: of plain TCP, or each in a frame of WebSocket. */

import { createHash } from 'node:crypto';

/** Said by an endpoint that leaves, behind an answer: what came after that it has not seen. Of WebSocket it is the close frame. */
export const BYE = 'bye';

export interface Lines {
  encode(line: string): Buffer;
  /** Takes bytes in any pieces, and gives lines. */
  read(data: Buffer): readonly string[];
}

export class TextLines implements Lines {
  #rest = '';

  encode(line: string): Buffer {
    return Buffer.from(`${line}\n`, 'latin1');
  }

  read(data: Buffer): readonly string[] {
    const parts = (this.#rest + data.toString('latin1')).split('\n');
    this.#rest = parts.pop() ?? '';
    return parts;
  }
}

const TEXT = 0x81;
const CLOSE = 0x88;
const MASKED = 0x80;
const GOING_AWAY = Buffer.from([0x03, 0xe9]);
/** One that leaves bytes as they are. */
const MASK = Buffer.alloc(4);

export class Frames implements Lines {
  readonly #isClient: boolean;
  #rest: Buffer = Buffer.alloc(0);

  constructor(isClient: boolean) {
    this.#isClient = isClient;
  }

  encode(line: string): Buffer {
    const isBye = line === BYE;
    const payload = isBye ? GOING_AWAY : Buffer.from(line, 'latin1');
    const { length } = payload;
    const bit = this.#isClient ? MASKED : 0;
    const size = Buffer.alloc(length < 126 ? 1 : length < 65_536 ? 3 : 9);
    if (size.length === 1) size[0] = bit | length;
    else if (size.length === 3) {
      size[0] = bit | 126;
      size.writeUInt16BE(length, 1);
    } else {
      size[0] = bit | 127;
      size.writeBigUInt64BE(BigInt(length), 1);
    }
    const mask = this.#isClient ? MASK : Buffer.alloc(0);
    return Buffer.concat([Buffer.from([isBye ? CLOSE : TEXT]), size, mask, payload]);
  }

  read(data: Buffer): readonly string[] {
    this.#rest = Buffer.concat([this.#rest, data]);
    const lines: string[] = [];
    for (let line = this.#next(); line !== null; line = this.#next()) lines.push(line);
    return lines;
  }

  #next(): string | null {
    const rest = this.#rest;
    if (rest.length < 2) return null;
    const [opcode = 0, second = 0] = rest;
    const short = second & 127;
    let at = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (rest.length < at) return null;
    const length =
      short < 126 ? short : short === 126 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2));
    if ((second & MASKED) !== 0) at += MASK.length;
    if (rest.length < at + length) return null;
    this.#rest = rest.subarray(at + length);
    return opcode === CLOSE ? BYE : rest.toString('latin1', at, at + length);
  }
}

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export const UPGRADE =
  'GET /load HTTP/1.1\r\nHost: load\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`;

/** The answer to the head of such a request; '' where it is none. */
export function upgradeAnswer(head: string): string {
  const [, key] = /\r\nsec-websocket-key: (\S+)\r\n/i.exec(head) ?? [];
  if (key === undefined) return '';
  const accept = createHash('sha1').update(`${key}${GUID}`).digest('base64');
  return `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
}

/** Takes the bytes up to the end of a head away; gives the head, and what stands behind it. Null while it is not whole. */
export class HeadReader {
  #bytes: Buffer = Buffer.alloc(0);

  read(data: Buffer): { readonly head: string; readonly rest: Buffer } | null {
    this.#bytes = Buffer.concat([this.#bytes, data]);
    const end = this.#bytes.indexOf('\r\n\r\n') + 4;
    if (end < 4) return null;
    return { head: this.#bytes.toString('latin1', 0, end), rest: this.#bytes.subarray(end) };
  }
}
