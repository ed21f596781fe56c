/**
 * The ClientHello of a caller of TLS, 1.0 to 1.3: which server it asks for, and which protocols it offers. Nothing is changed, and
 * nothing is answered. Lengths are taken at their word: where they do not add up, another reader of the same bytes might see
 * another name.
 */

import { isIP } from 'node:net';

import { normalServerName } from '../../model/server-name.ts';
import { MESSAGE_HEAD, type RecordFault } from '../net/tls/hello-watch.ts';

export interface ClientHello {
  /** In its normal form; '' where the caller asks for none, or for an address. Of Encrypted ClientHello, the outer one. */
  readonly serverName: string;
  /** Those of ALPN in their order, each byte a character. */
  readonly protocols: readonly string[];
}

/** Why the first bytes of a caller are no ClientHello. */
export type HelloFault =
  | RecordFault
  | 'lengths that do not add up'
  | 'an extension that is there twice'
  | 'a server name that is no name';

const SERVER_NAME = 0;
const ALPN = 16;
const HOST_NAME = 0;
const RANDOM_BYTES = 32;
const LONGEST_SESSION_ID = 32;

/** Reads numbers and parts from a part of a buffer; what does not fit ends the reading by `Overrun`. */
class Cursor {
  readonly #data: Buffer;
  readonly end: number;
  at: number;

  constructor(data: Buffer, start: number, end: number) {
    this.#data = data;
    this.at = start;
    this.end = end;
  }

  get isAtEnd(): boolean {
    return this.at === this.end;
  }

  skip(bytes: number): void {
    if (bytes > this.end - this.at) throw OVERRUN;
    this.at += bytes;
  }

  byte(): number {
    this.skip(1);
    return this.#data[this.at - 1] as number;
  }

  word(): number {
    return this.byte() * 256 + this.byte();
  }

  /** The next so many bytes. */
  part(bytes: number): Cursor {
    const start = this.at;
    this.skip(bytes);
    return new Cursor(this.#data, start, this.at);
  }

  text(): string {
    return this.#data.toString('latin1', this.at, this.end);
  }
}

class Overrun extends Error {}
/** One for all: nobody looks at its stack. */
const OVERRUN = new Overrun('a length goes beyond what is there');

/** `data[start, end)` is the whole handshake message with its header, which somebody has looked at. Never throws. */
export function readClientHello(
  data: Buffer,
  start: number,
  end: number,
): ClientHello | HelloFault {
  try {
    return read(new Cursor(data, start + MESSAGE_HEAD, end));
  } catch (error) {
    if (error === OVERRUN) return 'lengths that do not add up';
    throw error;
  }
}

function read(message: Cursor): ClientHello | HelloFault {
  if (message.byte() !== 3) return 'another version than TLS 1.0 to 1.3';
  message.skip(1 + RANDOM_BYTES);
  const sessionId = message.byte();
  if (sessionId > LONGEST_SESSION_ID) return 'lengths that do not add up';
  message.skip(sessionId);
  const suites = message.word();
  if (suites === 0 || suites % 2 !== 0) return 'lengths that do not add up';
  message.skip(suites);
  const compressions = message.byte();
  if (compressions === 0) return 'lengths that do not add up';
  message.skip(compressions);
  // Of TLS 1.0 to 1.2 a hello may end here.
  if (message.isAtEnd) return { serverName: '', protocols: [] };
  const extensions = message.part(message.word());
  if (!message.isAtEnd) return 'lengths that do not add up';
  return readExtensions(extensions);
}

function readExtensions(extensions: Cursor): ClientHello | HelloFault {
  const seen = new Set<number>();
  let serverName = '';
  let protocols: readonly string[] = [];
  while (!extensions.isAtEnd) {
    const type = extensions.word();
    const content = extensions.part(extensions.word());
    if (seen.has(type)) return 'an extension that is there twice';
    seen.add(type);
    if (type === ALPN) protocols = readProtocols(content);
    if (type !== SERVER_NAME) continue;
    const name = readServerName(content);
    if (name === null) return 'a server name that is no name';
    serverName = name;
  }
  return { serverName, protocols };
}

/** One host name; names of other kinds, of which there are none yet, are passed over. Null for what is no name. */
function readServerName(content: Cursor): string | null {
  const list = content.part(content.word());
  if (!content.isAtEnd || list.isAtEnd) throw OVERRUN;
  let found: string | null = null;
  while (!list.isAtEnd) {
    const kind = list.byte();
    const text = list.part(list.word()).text();
    if (kind !== HOST_NAME) continue;
    if (found !== null) return null;
    found = isIP(text) === 0 ? normalServerName(text) : '';
    if (found === null) return null;
  }
  return found ?? '';
}

function readProtocols(content: Cursor): readonly string[] {
  const list = content.part(content.word());
  if (!content.isAtEnd || list.isAtEnd) throw OVERRUN;
  const protocols: string[] = [];
  while (!list.isAtEnd) {
    const length = list.byte();
    if (length === 0) throw OVERRUN;
    protocols.push(list.part(length).text());
  }
  return protocols;
}
