/** An endpoint that speaks TLS: what it was asked, and how each connection came about. */

import { randomBytes } from 'node:crypto';
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
  /** Gives another session to who resumes one, as most servers do. */
  readonly renews?: boolean;
}

const OK: Answer = (_request, response) => void response.end('ok');

export async function tlsEndpoint(
  t: TestContext,
  address: string,
  { http2 = false, answer = OK, renews = false, ...options }: TlsEndpointOptions,
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
  if (renews) renewSessions(server);
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

/** What the runtime keeps for itself of a context. */
interface Context {
  enableTicketKeyCallback(): void;
  onticketkeycallback(name: Buffer, iv: Buffer, isNew: boolean): unknown;
}

function renewSessions(server: Server): void {
  const { context } = (server as unknown as { _sharedCreds: { context: Context } })._sharedCreds;
  const [hmacKey, aesKey] = [randomBytes(16), randomBytes(16)];
  context.onticketkeycallback = (_name, _iv, isNew) =>
    isNew ? [1, hmacKey, aesKey, Buffer.alloc(16), randomBytes(16)] : [2, hmacKey, aesKey];
  context.enableTicketKeyCallback();
}
