/** Forward proxies for tests: real CONNECT over HTTP or TLS, and real SOCKS5. */

import { createServer as createHttpServer, request } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server as TcpServer, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface RunningProxy {
  /** `127.0.0.1:3128`. */
  readonly host: string;
  /** What it was asked for, with the credentials that came along: `CONNECT 127.0.0.1:6443 user:password`. */
  readonly asked: string[];
  stop(): Promise<void>;
}

export interface ConnectProxyOptions {
  /** PEM; then it speaks TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Answers every CONNECT with 403. */
  readonly refuses?: boolean;
}

export function startConnectProxy(options: ConnectProxyOptions = {}): Promise<RunningProxy> {
  const asked: string[] = [];
  const server =
    options.tls === undefined ? createHttpServer() : createHttpsServer({ ...options.tls });
  server.on('request', (head, response) => {
    asked.push(`${head.method} ${head.url}${basicOf(head)}`);
    const { headers, method } = head;
    const forwarded = request(head.url ?? '', { headers, method: method ?? 'GET' }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    head.pipe(forwarded);
  });
  server.on('connect', (head: IncomingMessage, socket: Duplex) => {
    asked.push(`CONNECT ${head.url}${basicOf(head)}`);
    if (options.refuses === true) socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    else tunnel(head.url ?? '', socket, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
  });
  return listen(server, asked);
}

/** Without or with user and password, of RFC 1928 and 1929. Each message comes in one piece on loopback. */
export function startSocksProxy(): Promise<RunningProxy> {
  const asked: string[] = [];
  const server = createServer((socket) => {
    let user = '';
    socket.once('data', (greeting: Buffer) => {
      const hasPassword = greeting.subarray(2).includes(2);
      socket.write(Buffer.from([5, hasPassword ? 2 : 0]));
      const onRequest = (message: Buffer): void => {
        const target = targetIn(message);
        asked.push(`SOCKS ${target}${user}`);
        tunnel(target, socket, () => socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])));
      };
      if (!hasPassword) {
        socket.once('data', onRequest);
        return;
      }
      socket.once('data', (login: Buffer) => {
        const nameEnd = 2 + (login[1] ?? 0);
        user = ` ${login.toString('utf8', 2, nameEnd)}:${login.toString('utf8', nameEnd + 1)}`;
        socket.write(Buffer.from([1, 0]));
        socket.once('data', onRequest);
      });
    });
    socket.on('error', () => undefined);
  });
  return listen(server, asked);
}

function targetIn(message: Buffer): string {
  const port = message.readUInt16BE(message.length - 2);
  const isName = message[3] === 3;
  return isName
    ? `${message.toString('utf8', 5, message.length - 2)}:${port}`
    : `${[...message.subarray(4, 8)].join('.')}:${port}`;
}

function basicOf({ headers }: IncomingMessage): string {
  const [, pair] = (headers['proxy-authorization'] ?? '').split(' ');
  return pair === undefined ? '' : ` ${Buffer.from(pair, 'base64').toString('utf8')}`;
}

function tunnel(target: string, socket: Duplex, onOpen: () => void): void {
  const [host = '', port = ''] = target.split(':');
  const origin = connect(Number(port), host, () => {
    onOpen();
    origin.pipe(socket).pipe(origin);
  });
  origin.on('error', () => socket.destroy());
  socket.on('error', () => origin.destroy());
  socket.on('close', () => origin.destroy());
}

async function listen(server: Server | TcpServer, asked: string[]): Promise<RunningProxy> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    host: `127.0.0.1:${port}`,
    asked,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
