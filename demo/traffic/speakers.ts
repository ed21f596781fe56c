/** How a caller asks, in each protocol of the shop: one request, and what came back. */

import { Agent, request } from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import type { Speaks } from '../shop/behaviour.ts';

export interface Asked {
  /** System error code, or another word for no whole answer; '' when there is one. */
  readonly error: string;
  /** `200`; `grpc 14` for a call of gRPC that failed. */
  readonly status: string;
  /** Who gave it, or ''. */
  readonly pod: string;
  readonly hasHint: boolean;
}

export interface Speaker {
  ask(user: number): Promise<Asked>;
  close(): void;
}

export interface Place {
  /** Name of the service. */
  readonly service: string;
  /** Where the mesh listens for it. */
  readonly address: string;
  readonly port: number;
  /** `web.shop.maesh`, sent as Host. */
  readonly host: string;
  /** The caller's own address, by which the mesh knows it. */
  readonly source: string;
}

/** No caller of the demo waits longer; far beyond every limit that the mesh keeps. */
const GIVE_UP_MS = 10_000;
const GAVE_UP = 'GAVE_UP';
const CUT_SHORT = 'CUT_SHORT';
/** Requests of HTTP/1.1 under way. */
export const IN_FLIGHT_MAX = 100;

export function speakerFor(speaks: Speaks, place: Place): Speaker {
  if (speaks === 'http') return new HttpSpeaker(place);
  if (speaks === 'lines') return new LineSpeaker(place);
  return new Http2Speaker(place, speaks === 'grpc');
}

function lost(error: string): Asked {
  return { error, status: '', pod: '', hasHint: false };
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : error.message;
}

class HttpSpeaker implements Speaker {
  readonly #place: Place;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT_MAX, maxFreeSockets: 8 });

  constructor(place: Place) {
    this.#place = place;
  }

  ask(user: number): Promise<Asked> {
    const { address, port, host, source, service } = this.#place;
    const { promise, resolve } = Promise.withResolvers<Asked>();
    const call = request({
      agent: this.#agent,
      host: address,
      port,
      path: `/${service}`,
      localAddress: source,
      timeout: GIVE_UP_MS,
      headers: { host, 'x-user': String(user) },
    });
    call.on('timeout', () => call.destroy(Object.assign(new Error('gave up'), { code: GAVE_UP })));
    call.on('error', (error) => resolve(lost(codeOf(error))));
    call.on('response', (response) => {
      response.resume();
      response.on('end', () => {
        if (!response.complete) return resolve(lost(CUT_SHORT));
        const { headers, statusCode = 0 } = response;
        resolve({
          error: '',
          status: String(statusCode),
          pod: String(headers['x-served-by'] ?? ''),
          hasHint: headers['retry-after'] !== undefined,
        });
      });
      response.on('error', () => resolve(lost(CUT_SHORT)));
    });
    call.end();
    return promise;
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** A message of gRPC: not compressed, five bytes. */
const MESSAGE = Buffer.from('\0\0\0\0\x05price', 'latin1');

/** All requests share one connection. */
class Http2Speaker implements Speaker {
  readonly #place: Place;
  readonly #isGrpc: boolean;
  #session: http2.ClientHttp2Session | null = null;

  constructor(place: Place, isGrpc: boolean) {
    this.#place = place;
    this.#isGrpc = isGrpc;
  }

  ask(user: number): Promise<Asked> {
    const { host, service } = this.#place;
    const { promise, resolve } = Promise.withResolvers<Asked>();
    const fields = { ':authority': host, 'x-user': String(user) };
    const stream = this.#connected().request(
      this.#isGrpc
        ? {
            ...fields,
            ':method': 'POST',
            ':path': '/shop.Prices/Get',
            'content-type': 'application/grpc',
            te: 'trailers',
          }
        : { ...fields, ':path': `/${service}` },
      { endStream: !this.#isGrpc },
    );
    let head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
    let trailers: http2.IncomingHttpHeaders = {};
    stream.setTimeout(GIVE_UP_MS, () => {
      resolve(lost(GAVE_UP));
      stream.close(http2.constants.NGHTTP2_CANCEL);
    });
    stream.on('error', (error) => resolve(lost(codeOf(error))));
    stream.on('response', (response) => (head = response));
    stream.on('trailers', (response) => (trailers = response));
    stream.resume();
    stream.on('close', () => {
      const status = head[':status'];
      if (status === undefined || stream.rstCode !== 0) return resolve(lost(CUT_SHORT));
      const code = String(trailers['grpc-status'] ?? head['grpc-status'] ?? 'none');
      resolve({
        error: '',
        status: this.#isGrpc && code !== '0' ? `grpc ${code}` : String(status),
        pod: String(head['x-served-by'] ?? ''),
        hasHint: head['retry-after'] !== undefined,
      });
    });
    if (this.#isGrpc) stream.end(MESSAGE);
    return promise;
  }

  close(): void {
    this.#session?.close();
  }

  #connected(): http2.ClientHttp2Session {
    const before = this.#session;
    if (before !== null && !before.closed && !before.destroyed) return before;
    const { address, port, source } = this.#place;
    const session = http2.connect(`http://${address}:${port}`, {
      createConnection: () => net.connect({ host: address, port, localAddress: source }),
    });
    // Its requests say what was lost.
    session.on('error', () => session.destroy());
    this.#session = session;
    return session;
  }
}

/** A connection for each request: hears who is there, says a line, and has it back. */
class LineSpeaker implements Speaker {
  readonly #place: Place;

  constructor(place: Place) {
    this.#place = place;
  }

  ask(user: number): Promise<Asked> {
    const { address, port, source } = this.#place;
    const { promise, resolve } = Promise.withResolvers<Asked>();
    const socket = net.connect({ host: address, port, localAddress: source, noDelay: true });
    const line = `order of ${user}`;
    let text = '';
    const end = (asked: Asked): void => {
      resolve(asked);
      socket.end();
    };
    socket.setTimeout(GIVE_UP_MS, () => end(lost(GAVE_UP)));
    socket.setEncoding('utf8').on('data', (data: unknown) => {
      text += String(data);
      const [greeting = '', answer] = text.split('\n');
      if (answer === '') socket.write(`${line}\n`);
      if (text.split('\n').length < 3) return;
      const pod = greeting.replace(/^ready /, '');
      const isGood = answer === `ok ${line}`;
      end({ error: '', status: isGood ? '200' : 'error', pod, hasHint: false });
    });
    socket.on('error', (error) => resolve(lost(codeOf(error))));
    socket.on('close', () => resolve(lost(CUT_SHORT)));
    return promise;
  }

  close(): void {
    // Nothing stays open.
  }
}
