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
  const raw = net.connect({
    host: address,
    port,
    allowHalfOpen: true,
    noDelay: true,
    ...(from === undefined ? {} : { localAddress: from }),
  });
  const tls = connect({ socket: raw, rejectUnauthorized: false, ...options });
  const wire = new Wire(tls);
  wire.below = raw;
  atEnd(t, () => void raw.destroy());
  await once(tls, 'secureConnect');
  const { subject } = tls.getPeerCertificate();
  const alpn = typeof tls.alpnProtocol === 'string' ? tls.alpnProtocol : '-';
  const how = tls.isSessionReused() ? 'resumed' : 'whole';
  return { wire, tls, seen: `${String(subject?.CN ?? '-')} ${alpn} ${tls.getProtocol()} ${how}` };
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
