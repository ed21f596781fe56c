/** Callers that write bytes and read responses, on connections that are used again while the mesh keeps them. */

import net from 'node:net';
import { PREFACE } from '../../../src/proxy/http2/codec/frame.ts';
import { frame, Http2Peer } from '../../support/http2-peer.ts';
import { Http2Messages, type Message } from './http2-messages.ts';

export interface Response {
  readonly status: number;
  /** By lower-case name. */
  readonly fields: ReadonlyMap<string, string>;
  readonly body: string;
}

export interface Http2Request {
  /** The fields. */
  readonly block: Buffer;
  readonly hasBody: boolean;
  readonly body: string;
  /** It asks for a tunnel, whose bytes are no content. */
  readonly isUpgrade?: boolean;
}

/** The mesh took no connection, or cut it without an answer; or it is one of TCP, which has an endpoint. */
export type Answer = Response | 'refused' | 'cut' | 'stands';

/** Stands for what was sent where nothing of it is missing. */
const WHOLE = Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
const DATA = 0;
const HEADERS = 1;
const SETTINGS = 4;
const END_STREAM = 0x1;
const END_HEADERS = 0x4;

/** How often to look whether time has to pass: what is under way takes as long as the machine likes. */
const STALL_MS = 10;

interface Line {
  readonly socket: net.Socket;
  text: string;
  closed: boolean;
  wake: () => void;
}

export class Callers {
  readonly #lines = new Map<string, Line>();
  /** Called while an answer is awaited and nothing happens, with the bytes that were sent and how often it was for these. */
  readonly #stalled: (bytes: Buffer, times: number) => void;

  constructor(stalled: (bytes: Buffer, times: number) => void) {
    this.#stalled = stalled;
  }

  async ask(
    from: string,
    to: { readonly address: string; readonly port: number },
    bytes: Buffer,
  ): Promise<Answer> {
    const key = `${from} ${to.address} ${to.port}`;
    const line = await this.#line(key, from, to);
    if (line === null) return 'refused';
    line.text = '';
    line.socket.write(bytes);
    const isHead = bytes.toString('latin1', 0, 5) === 'HEAD ';
    const response = await this.#response(line, isHead, bytes);
    const keeps = response !== null && response.fields.get('connection') === undefined;
    if (!keeps || bytes.includes('HTTP/1.0\r\n')) {
      this.#lines.delete(key);
      line.socket.destroy();
    }
    return response ?? 'cut';
  }

  /** The same in HTTP/2, on a connection of its own. */
  async askHttp2(
    from: string,
    to: { readonly address: string; readonly port: number },
    { block, body, hasBody, isUpgrade = false }: Http2Request,
  ): Promise<Answer> {
    const { address: host, port } = to;
    const socket = net.connect({ host, port, localAddress: from, noDelay: true });
    if (!(await connected(socket))) return 'refused';
    let answer: Answer | null = null;
    let wake = (): void => undefined;
    const settle = (what: Answer): void => {
      answer ??= what;
      wake();
    };
    const peer = new Http2Peer(socket);
    void new Http2Messages(peer, {
      onMessage: (message) => settle(responseOf(message)),
      onReset: () => settle('cut'),
    });
    socket.on('close', () => settle('cut'));
    peer.write(PREFACE, frame(SETTINGS, 0, 0));
    peer.write(frame(HEADERS, END_HEADERS | (hasBody ? 0 : END_STREAM), 1, block));
    const pieces = body.match(/[^]{1,16000}/g) ?? [''];
    if (hasBody && !isUpgrade)
      pieces.forEach((piece, i) => {
        const flags = i === pieces.length - 1 ? END_STREAM : 0;
        peer.write(frame(DATA, flags, 1, Buffer.from(piece)));
      });
    // oxlint-disable-next-line no-unmodified-loop-condition -- events of the socket set it
    for (let stalls = 0; answer === null;) {
      // oxlint-disable-next-line no-await-in-loop -- until something happens
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => {
          this.#stalled(WHOLE, ++stalls);
          resolve();
        }, STALL_MS);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    // The other half of a tunnel ends as it should, and then the connection.
    if (isUpgrade && hasBody) peer.write(frame(DATA, END_STREAM, 1));
    if (isUpgrade) socket.end();
    else socket.destroy();
    return answer;
  }

  close(): void {
    for (const { socket } of this.#lines.values()) socket.destroy();
    this.#lines.clear();
  }

  async #line(
    key: string,
    from: string,
    to: { readonly address: string; readonly port: number },
  ): Promise<Line | null> {
    const known = this.#lines.get(key);
    if (known !== undefined && !known.closed) return known;
    const socket = net.connect({
      host: to.address,
      port: to.port,
      localAddress: from,
      noDelay: true,
    });
    if (!(await connected(socket))) return null;
    const line: Line = { socket, text: '', closed: false, wake: () => undefined };
    socket.on('data', (data) => {
      line.text += data.toString('latin1');
      line.wake();
    });
    socket.on('error', () => undefined);
    for (const event of ['end', 'close'])
      socket.on(event, () => {
        line.closed = true;
        line.wake();
      });
    this.#lines.set(key, line);
    return line;
  }

  async #response(line: Line, isHead: boolean, bytes: Buffer): Promise<Response | null> {
    for (let stalls = 0; ;) {
      const response = parse(line.text, isHead);
      if (response !== null || line.closed) return response;
      // oxlint-disable-next-line no-await-in-loop -- until something happens
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => {
          this.#stalled(bytes, ++stalls);
          resolve();
        }, STALL_MS);
        line.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

function connected(socket: net.Socket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
}

function responseOf({ fields, body }: Message): Response {
  const named = new Map<string, string>();
  for (const [name, value] of fields) named.set(name, value);
  return { status: Number(named.get(':status')), fields: named, body };
}

/** Null while the response is not whole. */
function parse(text: string, isHead: boolean): Response | null {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const fields = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    fields.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const body = text.slice(end + 4);
  const length = isHead ? 0 : Number(fields.get('content-length') ?? 0);
  return body.length < length ? null : { status: Number(first.slice(9, 12)), fields, body };
}
