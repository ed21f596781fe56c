/** The endpoint of Service `maesh-probe`: answers "ok" to everybody, and knows nothing. So callers of the mesh reach nothing else of a controller by it. */

import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { Visitors } from '../../base/visitors.ts';
import type { ListenAddress } from '../../base/wildcard.ts';

/** Connections at a time: a few of each agent. Beyond it the source that has most loses its oldest. */
const CONNECTIONS_MAX = 256;
const HEAD_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 10_000;

export class Responder {
  readonly #address: ListenAddress;
  readonly #server: Server;

  constructor(address: ListenAddress) {
    this.#address = address;
    this.#server = createServer(
      {
        headersTimeout: HEAD_TIMEOUT_MS,
        requestTimeout: HEAD_TIMEOUT_MS,
        keepAliveTimeout: IDLE_TIMEOUT_MS,
      },
      (request, response) => {
        request.resume();
        response.end('ok\n');
      },
    );
    const visitors = new Visitors(CONNECTIONS_MAX, () => undefined);
    this.#server.on('connection', (socket) => {
      visitors.enter(socket);
    });
  }

  /** Resolves with where it listens; rejects when it cannot. */
  async start(): Promise<ListenAddress> {
    this.#server.listen({ ...this.#address });
    await once(this.#server, 'listening');
    // What fails later is a single accept, for want of file descriptors: without a listener it would end the process.
    this.#server.on('error', () => undefined);
    const { address, port } = this.#server.address() as AddressInfo;
    return { host: address, port };
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
