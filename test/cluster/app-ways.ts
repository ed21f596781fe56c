/**
 * What the app of the tests speaks beside HTTP/1.1, in one file that imports nothing but Node's: HTTP/2, gRPC (each message comes
 * back) and lines of TCP (the server says who it is, then every line comes back).
 */

import http2 from 'node:http2';
import net from 'node:net';

export const WAYS = ['http2', 'grpc', 'tcp'] as const;
export type WayName = (typeof WAYS)[number];

/** What a load of one of these ways counted. */
export interface WayResult {
  readonly ok: number;
  readonly failed: number;
  /** Came too late for their connection, which was told to end: sent again on the next one. */
  readonly again: number;
  readonly reasons: Readonly<Record<string, number>>;
  /** Of each failure; the first hundred. */
  readonly failures: readonly { readonly at: string; readonly reason: string }[];
  readonly maxMs: number;
}

export interface WaySpec {
  readonly host: string;
  /** Of HTTP/2 and gRPC, and of TCP. */
  readonly http2Port: number;
  readonly tcpPort: number;
  readonly thinkMs: number;
  readonly timeoutMs: number;
}

/** Said behind an answer by a server of TCP that ends: what came later it has not seen. */
const BYE = 'bye';
const GRPC = 'application/grpc';
/** Requests on a connection. So it lives for some seconds, as a pool's does, and no drain waits for it. */
const PER_CONNECTION = 20;
const MESSAGES = 4;
const MESSAGE_PAUSE_MS = 25;
const FAILURES_KEPT = 100;
/** RST_STREAM of a request that the server has not begun. RFC 9113 §8.7. */
const REFUSED = http2.constants.NGHTTP2_REFUSED_STREAM;

/** Of the server. */
export interface WaysServer {
  /** Takes no more callers, and tells those that it has to go. Resolves once they have gone. */
  close(): Promise<unknown>;
}

interface ServeOptions {
  readonly name: string;
  readonly http2Port: number;
  readonly tcpPort: number;
  readonly delayMs: number;
}

export function serveWays(options: ServeOptions): WaysServer {
  const closes = [serveHttp2(options), serveTcp(options)];
  return { close: () => Promise.all(closes.map((close) => close())) };
}

function serveHttp2({ name, http2Port, delayMs }: ServeOptions): () => Promise<void> {
  const sessions = new Set<http2.ServerHttp2Session>();
  const server = http2.createServer();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => session.destroy());
  });
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    stream.on('error', () => undefined);
    if (headers['content-type'] === GRPC) {
      stream.respond({ 'content-type': GRPC }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.pipe(stream);
      return;
    }
    stream.resume().on('end', () => {
      setTimeout(() => {
        if (stream.destroyed) return;
        stream.respond({ 'content-type': 'text/plain' });
        stream.end(name);
      }, delayMs);
    });
  });
  server.listen(http2Port, '::');
  return () => {
    for (const session of sessions) session.close();
    return closed(server);
  };
}

function serveTcp({ name, tcpPort, delayMs }: ServeOptions): () => Promise<void> {
  /** Those that were answered. */
  const used = new Set<net.Socket>();
  let leaving = false;
  const sayGoodbye = (socket: net.Socket): void => {
    if (!socket.writableEnded) socket.end(`${BYE}\n`);
  };
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.write(`${name}\n`);
    socket.on('data', (data) => {
      setTimeout(() => {
        if (socket.writableEnded || socket.destroyed) return;
        socket.write(data);
        if (leaving) sayGoodbye(socket);
        else used.add(socket);
      }, delayMs);
    });
    socket.on('end', () => setTimeout(() => socket.end(), delayMs));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => used.delete(socket));
  });
  server.listen(tcpPort, '::');
  return () => {
    leaving = true;
    for (const socket of used) sayGoodbye(socket);
    return closed(server);
  };
}

function closed(server: net.Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** What became of one request: '' if all is well, AGAIN if it is to be sent on another connection. */
type Outcome = string;
const AGAIN = 'again';

/** A connection: makes one request after the other, until it is told to go. */
export interface WayConnection {
  /** The server has said that this connection ends. */
  readonly isLeaving: boolean;
  request(): Promise<Outcome>;
  close(): void;
}

export function connectWay(way: WayName, spec: WaySpec): WayConnection {
  return way === 'tcp' ? new TcpConnection(spec) : new Http2Connection(way, spec);
}

/** Resolves with `what` unless something else comes first. */
function late(timeoutMs: number, resolve: (outcome: Outcome) => void): NodeJS.Timeout {
  return setTimeout(() => resolve('timeout'), timeoutMs);
}

class Http2Connection implements WayConnection {
  isLeaving = false;
  readonly #session: http2.ClientHttp2Session;
  readonly #spec: WaySpec;
  readonly #isGrpc: boolean;
  #error = '';

  constructor(way: WayName, spec: WaySpec) {
    this.#spec = spec;
    this.#isGrpc = way === 'grpc';
    this.#session = http2.connect(`http://${spec.host}:${spec.http2Port}`);
    const leave = (error: string): void => {
      this.isLeaving = true;
      this.#error ||= error;
    };
    this.#session.on('goaway', (code) => leave(code === 0 ? '' : `GOAWAY ${code}`));
    this.#session.on('close', () => leave('closed'));
    this.#session.on('error', (error: NodeJS.ErrnoException) => leave(error.code ?? error.message));
  }

  request(): Promise<Outcome> {
    // Nothing was sent on it, so nothing is lost.
    if (this.isLeaving) return Promise.resolve(AGAIN);
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const stream = this.#session.request(
      this.#isGrpc
        ? { ':method': 'POST', ':path': '/test.Echo/Stream', 'content-type': GRPC, te: 'trailers' }
        : { ':path': '/' },
      { endStream: !this.#isGrpc },
    );
    const timer = late(this.#spec.timeoutMs, resolve);
    let fields: http2.IncomingHttpHeaders = {};
    let length = 0;
    stream.on('response', (head) => (fields = { ...head, ...fields }));
    stream.on('trailers', (trailers) => (fields = { ...fields, ...trailers }));
    stream.on('data', (data: Buffer) => (length += data.length));
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ERR_HTTP2_STREAM_ERROR') return resolve(ended(stream.rstCode));
      // The reason is that of the connection, if that is what has ended.
      const { code, message } = (error.cause ?? error) as NodeJS.ErrnoException;
      resolve(code ?? message);
    });
    stream.on('close', () => {
      clearTimeout(timer);
      if (stream.rstCode !== 0) return resolve(ended(stream.rstCode));
      const { ':status': status, 'grpc-status': grpcStatus } = fields;
      if (status === undefined) return resolve(this.#error || 'closed');
      if (Number(status) !== 200) return resolve(`status ${String(status)}`);
      if (!this.#isGrpc) return resolve(length > 0 ? '' : 'no body');
      if (grpcStatus !== '0') return resolve(`grpc-status ${String(grpcStatus)}`);
      resolve(length === MESSAGES * MESSAGE.length ? '' : `${length} bytes`);
    });
    if (this.#isGrpc) void say(stream);
    return promise.finally(() => clearTimeout(timer));
  }

  close(): void {
    this.#session.close();
  }
}

const MESSAGE = Buffer.from('\0\0\0\0\x05hello', 'latin1');

/** A stream of some messages. */
async function say(stream: http2.ClientHttp2Stream): Promise<void> {
  for (let i = 0; i < MESSAGES && stream.writable; i++) {
    stream.write(MESSAGE);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await new Promise((resolve) => setTimeout(resolve, MESSAGE_PAUSE_MS));
  }
  if (stream.writable) stream.end();
}

function ended(code: number | undefined): Outcome {
  return code === REFUSED ? AGAIN : `reset with ${code}`;
}

class TcpConnection implements WayConnection {
  isLeaving = false;
  readonly #socket: net.Socket;
  readonly #timeoutMs: number;
  #error = '';
  #text = '';
  #hasName = false;
  #lines = 0;
  #wanted = '';
  #resolve: ((outcome: Outcome) => void) | null = null;

  constructor({ host, tcpPort, timeoutMs }: WaySpec) {
    this.#timeoutMs = timeoutMs;
    this.#socket = net.connect({ host, port: tcpPort, noDelay: true });
    this.#socket.setEncoding('latin1').on('data', (data: unknown) => this.#read(String(data)));
    this.#socket.on('error', (error: NodeJS.ErrnoException) =>
      this.#end(error.code ?? error.message),
    );
    this.#socket.on('end', () => this.#end('closed'));
    this.#socket.on('close', () => this.#end('closed'));
  }

  request(): Promise<Outcome> {
    if (this.isLeaving) return Promise.resolve(this.#error || AGAIN);
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const timer = late(this.#timeoutMs, resolve);
    this.#resolve = resolve;
    this.#wanted = `line ${++this.#lines}`;
    this.#socket.write(`${this.#wanted}\n`);
    return promise.finally(() => clearTimeout(timer));
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(data: string): void {
    const parts = (this.#text + data).split('\n');
    this.#text = parts.pop() ?? '';
    for (const line of parts) this.#take(line);
  }

  #take(line: string): void {
    if (!this.#hasName) this.#hasName = true;
    else if (line === BYE) {
      this.isLeaving = true;
      this.#answer(AGAIN);
    } else this.#answer(line === this.#wanted ? '' : `said ${line}`);
  }

  #end(error: string): void {
    if (!this.isLeaving) this.#error = error;
    this.isLeaving = true;
    this.#answer(error);
  }

  #answer(outcome: Outcome): void {
    this.#resolve?.(outcome);
    this.#resolve = null;
  }
}

/** Counts requests of one way, one connection at a time, until `isStopped` says so. */
export async function loadWay(
  way: WayName,
  spec: WaySpec,
  isStopped: () => boolean,
): Promise<WayResult> {
  const reasons: Record<string, number> = {};
  const failures: { at: string; reason: string }[] = [];
  let [ok, failed, again, maxMs] = [0, 0, 0, 0];
  while (!isStopped()) {
    const connection = connectWay(way, spec);
    // oxlint-disable no-await-in-loop -- one after the other
    for (let n = 0; n < PER_CONNECTION && !isStopped(); n++) {
      const startedMs = performance.now();
      const outcome = await connection.request();
      maxMs = Math.max(maxMs, performance.now() - startedMs);
      if (outcome === '') ok++;
      else if (outcome === AGAIN) again++;
      else {
        failed++;
        reasons[outcome] = (reasons[outcome] ?? 0) + 1;
        if (failures.length < FAILURES_KEPT)
          failures.push({ at: new Date().toISOString(), reason: outcome });
      }
      if (connection.isLeaving || outcome !== '') {
        // What comes again comes at once, unless that is all that ever comes.
        if (outcome !== AGAIN) await new Promise((resolve) => setTimeout(resolve, spec.thinkMs));
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, spec.thinkMs));
    }
    // oxlint-enable no-await-in-loop
    connection.close();
  }
  return { ok, failed, again, reasons, failures, maxMs };
}

/** How a stream without end went. */
export interface Held {
  readonly way: 'grpc' | 'tcp';
  /** Unix times: of when its caller was told that it should go, 0 if it was not, and of its end. */
  readonly toldAt: number;
  readonly endedAt: number;
  readonly how: string;
  /** Messages, and lines, that came back. */
  readonly answers: number;
}

const HOLD_PAUSE_MS = 100;

/** Holds a stream of gRPC and a connection of TCP, and has something to say on both, until they end. */
export async function holdWays(spec: WaySpec): Promise<readonly Held[]> {
  return await Promise.all([holdGrpc(spec), holdTcp(spec)]);
}

function holdGrpc({ host, http2Port }: WaySpec): Promise<Held> {
  const session = http2.connect(`http://${host}:${http2Port}`);
  const fields = { ':method': 'POST', ':path': '/test.Echo/Stream', 'content-type': GRPC };
  const stream = session.request({ ...fields, te: 'trailers' }, { endStream: false });
  let [toldAt, bytes, status] = [0, 0, ''];
  session.on('goaway', () => (toldAt ||= Date.now()));
  session.on('error', () => undefined);
  stream.on('data', (data: Buffer) => (bytes += data.length));
  stream.on('trailers', (trailers) => (status = `grpc-status ${String(trailers['grpc-status'])}`));
  stream.on('error', () => undefined);
  const timer = setInterval(() => stream.writable && stream.write(MESSAGE), HOLD_PAUSE_MS);
  return new Promise((resolve) => {
    stream.on('close', () => {
      clearInterval(timer);
      const how = status === '' ? ended(stream.rstCode) : status;
      const answers = bytes / MESSAGE.length;
      resolve({ way: 'grpc', toldAt, endedAt: Date.now(), how, answers });
    });
  });
}

function holdTcp({ host, tcpPort }: WaySpec): Promise<Held> {
  const socket = net.connect({ host, port: tcpPort, noDelay: true });
  let [lines, how] = [-1, 'closed'];
  socket.setEncoding('latin1').on('data', (data: unknown) => {
    lines += String(data).split('\n').length - 1;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => (how = error.code ?? error.message));
  const timer = setInterval(() => socket.write('hello\n'), HOLD_PAUSE_MS);
  return new Promise((resolve) => {
    socket.on('close', () => {
      clearInterval(timer);
      resolve({ way: 'tcp', toldAt: 0, endedAt: Date.now(), how, answers: lines });
    });
  });
}
