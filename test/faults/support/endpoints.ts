/** Many endpoints in one process: answer every request at once, close and open as told. */

import net from 'node:net';

export interface EndpointsMessage {
  readonly open?: readonly { readonly address: string; readonly port: number }[];
  /** Stops listening and closes connections between requests: what a Pod does when its grace period is over. */
  readonly close?: readonly string[];
}

/** One write a request; a request is one read, since callers here send one at a time. */
const ANSWER =
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!';

const servers = new Map<string, { server: net.Server; sockets: Set<net.Socket> }>();

function open(address: string, port: number): Promise<void> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('data', () => socket.write(ANSWER));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  });
  servers.set(address, { server, sockets });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port, backlog: 1_024 }, resolve);
  });
}

function close(address: string): void {
  const found = servers.get(address);
  servers.delete(address);
  found?.server.close();
  for (const socket of found?.sockets ?? []) socket.end();
}

process.on('message', (message: EndpointsMessage) => {
  for (const address of message.close ?? []) close(address);
  const opening = (message.open ?? []).map(({ address, port }) => open(address, port));
  if (opening.length > 0) void Promise.all(opening).then(() => process.send?.('open'));
});
process.on('disconnect', () => process.exit());
