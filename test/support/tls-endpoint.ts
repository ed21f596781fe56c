/** An endpoint that speaks TLS: what it was asked, and how each connection came about. */

import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { Server, TLSSocket, TlsOptions } from 'node:tls';
import { createSecureServer } from 'node:http2';
import { atEnd, type Dialled } from './wire.ts';

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface TlsEndpoint extends Dialled {
  readonly server: Server;
  /** Method, path and version of each request. */
  readonly requests: string[];
  /** Of each connection that was secured: the name that was asked for, the protocol, and whether it was resumed. */
  readonly connections: string[];
  /** TCP connections. */
  readonly accepted: () => number;
}

export interface TlsEndpointOptions extends TlsOptions {
  readonly http2?: boolean;
  readonly answer?: Answer | undefined;
}

const OK: Answer = (_request, response) => void response.end('ok');

export async function tlsEndpoint(
  t: TestContext,
  address: string,
  { http2 = false, answer = OK, ...options }: TlsEndpointOptions,
): Promise<TlsEndpoint> {
  const requests: string[] = [];
  const connections: string[] = [];
  let accepted = 0;
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    requests.push(`${request.method} ${request.url} ${request.httpVersion}`);
    answer(request, response);
  };
  const server = http2
    ? (createSecureServer(options, take as never) as unknown as Server)
    : createServer(options, take);
  const open = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => {
    accepted++;
    open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => open.delete(socket));
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    const { servername, alpnProtocol } = socket;
    const how = socket.isSessionReused() ? 'resumed' : 'whole';
    connections.push(`${servername} ${alpnProtocol} ${socket.getProtocol()} ${how}`);
  });
  // Of a handshake that failed.
  server.on('tlsClientError', () => undefined);
  server.listen(0, address);
  await once(server, 'listening');
  atEnd(t, () => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { address, port, server, requests, connections, accepted: () => accepted };
}
