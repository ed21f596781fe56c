/** What a replica is spoken to in: HTTP/1.1, HTTP/2, gRPC, or lines over TCP. All of them answer alike. */

import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import type { Clock } from '../../src/base/clock.ts';
import type { Speaks } from './behaviour.ts';

export interface Answer {
  readonly isGood: boolean;
  readonly afterMs: number;
}

export interface Answering {
  /** Of the service, and of the Pod. */
  readonly app: string;
  readonly name: string;
  /** Or ''. */
  readonly release: string;
  readonly clock: Clock;
  /** How a request that has come is answered; null when it never is. */
  next(): Answer | null;
}

export interface ReplicaServer {
  readonly server: net.Server;
  /** Ends all connections at once. */
  cut(): void;
}

export function openServer(speaks: Speaks, answering: Answering): ReplicaServer {
  return OPEN[speaks](answering);
}

const OPEN: Readonly<Record<Speaks, (answering: Answering) => ReplicaServer>> = {
  http(answering) {
    const server = http.createServer((request, response) => {
      request.resume();
      answerHttp(response, answering);
    });
    server.keepAliveTimeout = 300_000;
    return { server, cut: () => server.closeAllConnections() };
  },
  http2(answering) {
    const server = http2.createServer((request, response) => {
      request.resume();
      answerHttp(response, answering);
    });
    return { server, cut: cutOf(server) };
  },
  grpc(answering) {
    const server = http2.createServer();
    server.on('stream', (stream: http2.ServerHttp2Stream) => answerGrpc(stream, answering));
    return { server, cut: cutOf(server) };
  },
  lines(answering) {
    const server = net.createServer({ noDelay: true }, (socket) => answerLines(socket, answering));
    return { server, cut: cutOf(server) };
  },
};

/** How its connections are ended. */
function cutOf(server: net.Server): () => void {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  return () => sockets.forEach((socket) => socket.destroy());
}

function says({ name, release }: Answering): string {
  return release === '' ? name : `${name} (${release})`;
}

/** The part of a response that both versions have. */
interface HttpResponse {
  readonly destroyed: boolean;
  writeHead(status: number, fields: Record<string, string | number>): unknown;
  end(text: string): unknown;
}

function answerHttp(response: HttpResponse, answering: Answering): void {
  const answer = answering.next();
  if (answer === null) return;
  answering.clock.after(answer.afterMs, () => {
    if (response.destroyed) return;
    const text = answer.isGood
      ? `${answering.app}: hello from ${says(answering)}\n`
      : `${says(answering)}: no\n`;
    response.writeHead(answer.isGood ? 200 : 503, {
      'content-type': 'text/plain',
      'content-length': Buffer.byteLength(text),
      'x-served-by': answering.name,
    });
    response.end(text);
  });
}

const UNAVAILABLE = '14';

/** A message comes back as it came. */
function answerGrpc(stream: http2.ServerHttp2Stream, answering: Answering): void {
  const parts: Buffer[] = [];
  stream.on('error', () => undefined);
  stream.on('data', (part: Buffer) => parts.push(part));
  stream.on('end', () => {
    const answer = answering.next();
    if (answer === null) return;
    answering.clock.after(answer.afterMs, () => {
      if (stream.destroyed) return;
      const fields = { 'content-type': 'application/grpc', 'x-served-by': answering.name };
      if (!answer.isGood)
        return stream.respond({ ...fields, 'grpc-status': UNAVAILABLE }, { endStream: true });
      stream.respond(fields, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.concat(parts));
    });
  });
}

/** `ready orders-1` before anything was said; then `ok` or `error` to each line. */
function answerLines(socket: net.Socket, answering: Answering): void {
  let rest = '';
  socket.on('error', () => socket.destroy());
  socket.write(`ready ${answering.name}\n`);
  socket.setEncoding('utf8').on('data', (data: unknown) => {
    const lines = (rest + String(data)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const answer = answering.next();
      if (answer === null) continue;
      answering.clock.after(answer.afterMs, () => {
        if (socket.writable) socket.write(`${answer.isGood ? 'ok' : 'error'} ${line}\n`);
      });
    }
  });
}
