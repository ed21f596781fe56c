/** A way to a server on this machine that a test can cut, and that leads elsewhere when told: a network, or a Service with its endpoints. */

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

export class Relay {
  readonly #targets: () => readonly number[];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #pairs = new Set<Pair>();
  #isCut = false;
  #isHeld = false;

  private constructor(targets: () => readonly number[]) {
    this.#targets = targets;
    this.#server = createServer((client) => void this.#accept(client));
  }

  /** Leads each connection to the first of these ports of 127.0.0.1 on which somebody listens. */
  static async start(targets: () => readonly number[]): Promise<Relay> {
    const relay = new Relay(targets);
    relay.#server.listen(0, '127.0.0.1');
    await once(relay.#server, 'listening');
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends all connections and takes no new ones, until `mend()`. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  /** What clients say from here on waits until `release()`; what they are told does not. */
  hold(): void {
    this.#isHeld = true;
    for (const { client, server } of this.#pairs) client.unpipe(server).pause();
  }

  release(): void {
    this.#isHeld = false;
    for (const { client, server } of this.#pairs) client.pipe(server);
  }

  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #accept(client: Socket): Promise<void> {
    this.#track(client);
    client.pause();
    const server = this.#isCut ? null : await this.#reach();
    if (server === null || client.destroyed || this.#isCut) {
      client.destroy();
      server?.destroy();
      return;
    }
    const pair = { client, server };
    this.#pairs.add(pair);
    const end = (): void => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    client.on('close', end);
    server.on('close', end);
    server.pipe(client);
    if (!this.#isHeld) client.pipe(server);
  }

  async #reach(): Promise<Socket | null> {
    for (const port of this.#targets()) {
      const socket = connect(port, '127.0.0.1');
      this.#track(socket);
      const { promise, resolve } = Promise.withResolvers<boolean>();
      socket.once('connect', () => resolve(true));
      socket.once('close', () => resolve(false));
      if (await promise) return socket;
    }
    return null;
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    // Its end is told by `close`.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
