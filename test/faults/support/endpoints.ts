/** Many endpoints in one process: answer every request at once, close and open as told. */

import { createSocket } from 'node:dgram';
import http2 from 'node:http2';
import net from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { framed, MessageReader } from './grpc-message.ts';
import { BYE, Frames, HeadReader, TextLines, upgradeAnswer } from './lines.ts';

export interface EndpointAddress {
  readonly address: string;
  readonly port: number;
  /** Default http1; those of HTTP/2 answer gRPC, too. */
  readonly speaks?: 'http1' | 'http2' | 'tcp' | 'websocket' | 'udp';
}

export interface EndpointsMessage {
  readonly open?: readonly EndpointAddress[];
  /** Addresses whose endpoints stop to listen and close what they have: what a Pod does when its grace period is over. */
  readonly close?: readonly string[];
}

const BODY = 'Hello, world!';
const ANSWER = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;

interface Endpoint {
  readonly address: string;
  readonly server: { close(): unknown };
  /** Connections, or datagrams, taken so far. */
  accepted: number;
  closeAll(): void;
}

interface StreamEndpoint extends Endpoint {
  readonly server: net.Server;
}

const endpoints = new Set<Endpoint>();

function http1Endpoint(address: string): StreamEndpoint {
  /** Those that wait for another request, after the first. */
  const idle = new Set<net.Socket>();
  let leaving = false;
  const server = net.createServer({ noDelay: true }, (socket) => {
    let text = '';
    socket.on('data', (data) => {
      text += data.toString('latin1');
      idle.delete(socket);
      if (!isWhole(text)) return;
      text = '';
      socket.write(ANSWER);
      if (leaving) socket.end();
      else idle.add(socket);
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => idle.delete(socket));
  });
  const closeAll = (): void => {
    leaving = true;
    for (const socket of idle) socket.end();
  };
  return { address, server, accepted: 0, closeAll };
}

/** Callers of HTTP/1.1 send no content here, and one request at a time; those of HTTP/2 send some without a length. */
function isWhole(text: string): boolean {
  if (!text.includes('\r\n\r\n')) return false;
  return text.endsWith('0\r\n\r\n') || !/\r\ntransfer-encoding: chunked\r\n/i.test(text);
}

function http2Endpoint(address: string): StreamEndpoint {
  const sessions = new Set<http2.ServerHttp2Session>();
  const server = http2.createServer();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => session.destroy());
  });
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    stream.on('error', () => undefined);
    if (headers['content-type'] === 'application/grpc') return echo(stream);
    stream.resume().on('end', () => {
      if (stream.destroyed) return;
      stream.respond({ 'content-type': 'text/plain', 'content-length': BODY.length });
      stream.end(BODY);
    });
  });
  const closeAll = (): void => {
    for (const session of sessions) session.close();
  };
  return { address, server, accepted: 0, closeAll };
}

/** Each message as it comes, and a status of gRPC. */
function echo(stream: http2.ServerHttp2Stream): void {
  stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  const reader = new MessageReader((message) => void stream.write(framed(message)));
  stream.on('data', (data: Buffer) => reader.read(data));
  stream.on('end', () => stream.end());
}

/**
 * Of TCP and of WebSocket: speaks first, and says who it is. Says every line back. When it leaves it says goodbye behind an answer: who
 * has sent more knows that it was not seen.
 */
function lineEndpoint(address: string, isWebSocket: boolean): StreamEndpoint {
  /** How to say goodbye to those that were answered. */
  const used = new Map<net.Socket, () => void>();
  let leaving = false;
  const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    const codec = isWebSocket ? new Frames(false) : new TextLines();
    let head = isWebSocket ? new HeadReader() : null;
    let hasSaidGoodbye = false;
    const say = (line: string): void => void socket.write(codec.encode(line));
    const sayGoodbye = (): void => {
      if (socket.writableEnded || hasSaidGoodbye) return;
      hasSaidGoodbye = true;
      say(BYE);
      // Of WebSocket the other side says so, too, and then it is over.
      if (!isWebSocket) socket.end();
    };
    const onLine = (line: string): void => {
      if (isWebSocket && line === BYE) {
        sayGoodbye();
        socket.end();
        return;
      }
      if (hasSaidGoodbye) return;
      say(line);
      if (leaving) sayGoodbye();
      else used.set(socket, sayGoodbye);
    };
    if (!isWebSocket) say(address);
    socket.on('data', (data: Buffer) => {
      if (socket.writableEnded) return;
      let bytes: Buffer = data;
      if (head !== null) {
        const request = head.read(data);
        if (request === null) return;
        head = null;
        const answer = upgradeAnswer(request.head);
        if (answer === '') {
          socket.destroy();
          return;
        }
        socket.write(answer);
        say(address);
        bytes = request.rest;
      }
      for (const line of codec.read(bytes)) onLine(line);
    });
    socket.on('end', () => socket.end());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => used.delete(socket));
  });
  const closeAll = (): void => {
    leaving = true;
    for (const sayGoodbye of used.values()) sayGoodbye();
  };
  return { address, server, accepted: 0, closeAll };
}

const KINDS = {
  http1: http1Endpoint,
  http2: http2Endpoint,
  tcp: (address: string) => lineEndpoint(address, false),
  websocket: (address: string) => lineEndpoint(address, true),
} as const;

/** Says every datagram back. */
function openDatagrams(address: string, port: number): Promise<void> {
  const server = createSocket('udp4');
  const endpoint: Endpoint = { address, server, accepted: 0, closeAll: () => undefined };
  endpoints.add(endpoint);
  server.on('message', (data, from) => {
    endpoint.accepted++;
    server.send(data, from.port, from.address);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.bind(port, address, resolve);
  });
}

function open({ address, port, speaks = 'http1' }: EndpointAddress): Promise<void> {
  if (speaks === 'udp') return openDatagrams(address, port);
  const endpoint = KINDS[speaks](address);
  endpoints.add(endpoint);
  endpoint.server.on('connection', () => endpoint.accepted++);
  return new Promise((resolve, reject) => {
    endpoint.server.once('error', reject);
    endpoint.server.listen({ host: address, port, backlog: 1_024 }, resolve);
  });
}

function close(address: string): void {
  for (const endpoint of endpoints) {
    if (endpoint.address !== address) continue;
    endpoints.delete(endpoint);
    endpoint.server.close();
    endpoint.closeAll();
  }
}

const closing = new Set<string>();

/**
 * Who came before is taken, and what came before is read: the event loop looks at all sockets between two turns, and takes one connection
 * of each server at a look.
 */
async function closeSoon(address: string): Promise<void> {
  closing.add(address);
  const count = (): number =>
    [...endpoints]
      .filter((each) => each.address === address)
      .reduce((sum, { accepted }) => sum + accepted, 0);
  for (let before = -1; before !== count();) {
    before = count();
    // oxlint-disable no-await-in-loop -- until nobody has come
    await nextTurn();
    await nextTurn();
    // oxlint-enable no-await-in-loop
  }
  if (closing.delete(address)) close(address);
}

/** Whether it is there still, and now stays. */
function stay(address: string): boolean {
  return closing.delete(address);
}

process.on('message', (message: EndpointsMessage) => {
  for (const address of message.close ?? []) void closeSoon(address);
  const wanted = message.open ?? [];
  const there = new Set(wanted.map(({ address }) => address).filter(stay));
  const opening = wanted.filter(({ address }) => !there.has(address)).map((each) => open(each));
  if (message.open !== undefined) void Promise.all(opening).then(() => process.send?.('open'));
});
process.on('disconnect', () => process.exit());
