/** Real HTTP servers behind the mesh, which say who they are and what they were asked. */

import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface Seen {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  /** Value of X-Forwarded-For. */
  readonly from: string;
}

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void;

export class EndpointServer {
  readonly name: string;
  readonly address: string;
  port = 0;
  requests = 0;
  readonly #server: http.Server;
  readonly #sockets = new Set<Socket>();

  constructor(name: string, address: string, handler?: Handler) {
    this.name = name;
    this.address = address;
    this.#server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      this.requests++;
      if (handler === undefined) this.#answer(request, response);
      else handler(request, response);
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(name: string, address: string, handler?: Handler): Promise<EndpointServer> {
    const server = new EndpointServer(name, address, handler);
    await server.listen();
    return server;
  }

  listen(port = 0): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, host: this.address, backlog: 1_024 }, () => {
        this.port = (this.#server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  /** Cuts everything. */
  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const seen: Seen = {
      name: this.name,
      method: request.method ?? '',
      path: request.url ?? '',
      host: request.headers.host ?? '',
      from: String(request.headers['x-forwarded-for'] ?? ''),
    };
    request.resume();
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(seen));
  }
}
