/** Both ends of a WebSocket as streams of bytes, over either version of HTTP; their frames are up to the test. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type net from 'node:net';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import { atEnd, eventually } from './wire.ts';

export type Version = 1 | 2;

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** What came on a stream. */
export class Piped {
  readonly stream: Duplex;
  /** Head of the request at an endpoint, of the response at a caller. */
  readonly fields: http.IncomingHttpHeaders;
  #pieces: Buffer[] = [];
  count = 0;
  #taken = 0;
  ended = false;
  closed = false;
  error = '';

  constructor(stream: Duplex, fields: http.IncomingHttpHeaders, first: Buffer) {
    this.stream = stream;
    this.fields = fields;
    this.#take(first);
    stream.on('data', (data: Buffer) => this.#take(data));
    stream.on('end', () => (this.ended = true));
    stream.on('error', (error: Error) => (this.error = error.message));
    stream.on('close', () => (this.closed = true));
  }

  #take(data: Buffer): void {
    this.count += data.length;
    this.#pieces.push(data);
  }

  /** What came and was not taken yet. */
  get received(): Buffer {
    if (this.#pieces.length !== 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0] as Buffer;
  }

  /** The next so many bytes, as hexadecimal digits. */
  async bytes(count: number): Promise<string> {
    const until = this.#taken + count;
    await eventually(() => this.count >= until, `${count} bytes`);
    const { received } = this;
    this.#taken = until;
    this.#pieces = [received.subarray(count)];
    return received.toString('hex', 0, count);
  }
}

/** An endpoint that takes every WebSocket. */
export async function webSocketEndpoint(
  t: TestContext,
  version: Version,
  address: string,
): Promise<{ address: string; port: number; next: () => Promise<Piped> }> {
  const pipes: Piped[] = [];
  const server =
    version === 1
      ? http.createServer()
      : http2.createServer({
          settings: { enableConnectProtocol: true },
        });
  server.on('upgrade', (request: http.IncomingMessage, socket: Duplex, first: Buffer) => {
    const key = request.headers['sec-websocket-key'] ?? '';
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\nSec-WebSocket-Protocol: chat\r\n\r\n`,
    );
    pipes.push(new Piped(socket, { ...request.headers, ':method': request.method }, first));
  });
  server.on('stream', (stream: http2.ServerHttp2Stream, fields: http2.IncomingHttpHeaders) => {
    stream.respond({ ':status': 200, 'sec-websocket-protocol': 'chat' });
    pipes.push(new Piped(stream, fields, Buffer.alloc(0)));
  });
  server.listen(0, address);
  await once(server, 'listening');
  const sockets = new Set<Duplex>();
  server.on('connection', (socket: net.Socket) => void sockets.add(socket));
  atEnd(t, () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const next = async (): Promise<Piped> => {
    await eventually(() => pipes.length > 0, 'a WebSocket');
    return pipes.shift() as Piped;
  };
  return { address, port: (server.address() as net.AddressInfo).port, next };
}

export interface At {
  readonly address: string;
  readonly port: number;
  /** The port speaks TLS. */
  readonly tls?: boolean;
}

/** Opens a WebSocket as a caller. */
export function openWebSocket(
  t: TestContext,
  version: Version,
  at: At,
  path = '/chat',
): Promise<Piped> {
  return version === 1 ? open1(t, at, path) : open2(connect2(t, at), path);
}

async function open1(t: TestContext, { address, port, tls }: At, path: string): Promise<Piped> {
  const request = (tls === true ? https : http).request({
    // Believes anybody.
    rejectUnauthorized: false,
    host: address,
    port,
    path,
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': KEY,
      'sec-websocket-version': '13',
    },
  });
  request.end();
  const [response, socket, first] = (await once(request, 'upgrade')) as [
    http.IncomingMessage,
    net.Socket,
    Buffer,
  ];
  atEnd(t, () => void socket.destroy());
  assert.equal(response.headers['sec-websocket-accept'], acceptOf(KEY));
  return new Piped(socket, { ...response.headers, ':status': String(response.statusCode) }, first);
}

export function connect2(t: TestContext, { address, port, tls }: At): http2.ClientHttp2Session {
  const scheme = tls === true ? 'https' : 'http';
  const session = http2.connect(`${scheme}://${address}:${port}`, { rejectUnauthorized: false });
  session.on('error', () => undefined);
  atEnd(t, () => session.destroy());
  return session;
}

export async function open2(session: http2.ClientHttp2Session, path: string): Promise<Piped> {
  if (session.remoteSettings.enableConnectProtocol !== true) await once(session, 'remoteSettings');
  assert.equal(session.remoteSettings.enableConnectProtocol, true);
  const stream = session.request(
    {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': path,
      ':scheme': session.encrypted === true ? 'https' : 'http',
      ':authority': 'web',
      'sec-websocket-version': '13',
    },
    { endStream: false },
  );
  const [fields] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
  return new Piped(stream, fields, Buffer.alloc(0));
}
