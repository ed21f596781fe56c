/** Callers that speak TLS with the proxy. */

import { once } from 'node:events';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { atEnd, type Dialled, Wire } from './wire.ts';

export interface SecureWire {
  readonly wire: Wire;
  readonly tls: TLSSocket;
  /** `NAME ALPN VERSION whole|resumed`: what it was shown, what was agreed on, and how. */
  readonly seen: string;
}

export interface SecureOptions extends ConnectionOptions {
  /** Source address. */
  readonly from?: string;
}

/** Shakes hands; believes anybody unless told otherwise. */
export async function secureDial(
  t: TestContext,
  { address, port }: Dialled,
  { from, ...options }: SecureOptions = {},
): Promise<SecureWire> {
  // Its types leave out what it hands on to the connection. A connection that is given, and closed below it, may crash the runtime.
  const dialled = {
    host: address,
    port,
    allowHalfOpen: true,
    noDelay: true,
    rejectUnauthorized: false,
    ...(from === undefined ? {} : { localAddress: from }),
    ...options,
  };
  const tls = connect(dialled as ConnectionOptions);
  const wire = new Wire(tls);
  wire.resets = () => resetBelow(tls);
  atEnd(t, () => wire.drop());
  await once(tls, 'secureConnect');
  const { subject } = tls.getPeerCertificate();
  const alpn = typeof tls.alpnProtocol === 'string' ? tls.alpnProtocol : '-';
  const how = tls.isSessionReused() ? 'resumed' : 'whole';
  return { wire, tls, seen: `${String(subject?.CN ?? '-')} ${alpn} ${tls.getProtocol()} ${how}` };
}

interface Handle {
  close(done: () => void): unknown;
  reset(done: () => void): number;
}

/** RST of the connection that carries it. */
export function resetBelow(tls: TLSSocket): void {
  const handle = (tls as unknown as { readonly _handle: { readonly _parent: Handle } | null })
    ._handle;
  if (handle !== null) handle._parent.close = (done) => handle._parent.reset(done);
  tls.destroy();
}

/** The code of the error that ends a handshake. */
export async function refusedDial(
  t: TestContext,
  at: Dialled,
  options: SecureOptions = {},
): Promise<string> {
  try {
    const { wire } = await secureDial(t, at, options);
    wire.socket.destroy();
    return 'secured';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** The first message of a real client, as it is. */
export async function firstHello(options: ConnectionOptions = {}): Promise<Buffer> {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const client = connect({ ...options, host: '127.0.0.1', port, rejectUnauthorized: false });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [net.Socket];
  let data = Buffer.alloc(0);
  while (data.length < 5 || data.length < 5 + data.readUInt16BE(3))
    // oxlint-disable-next-line no-await-in-loop -- until it is whole
    data = Buffer.concat([data, ...((await once(socket, 'data')) as [Buffer])]);
  client.destroy();
  socket.destroy();
  server.close();
  return data;
}

/** Where callers connect to instead: says `first` to `to`, from this address, and passes on what comes. */
export async function relayTo(
  t: TestContext,
  to: Dialled,
  { from, first }: { readonly from: string; readonly first: Uint8Array },
): Promise<Dialled> {
  const sockets = new Set<net.Socket>();
  const relay = net.createServer({ allowHalfOpen: true }, (caller) => {
    const inner = net.connect({
      host: to.address,
      port: to.port,
      localAddress: from,
      allowHalfOpen: true,
    });
    inner.write(first);
    caller.pipe(inner);
    inner.pipe(caller);
    for (const [one, other] of [
      [caller, inner],
      [inner, caller],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.resetAndDestroy());
    }
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  atEnd(t, () => {
    relay.close();
    // Ports of TCP pass an end on, and nobody answers it then.
    for (const socket of sockets) socket.resetAndDestroy();
  });
  return { address: '127.0.0.1', port: (relay.address() as net.AddressInfo).port };
}
