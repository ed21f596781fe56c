/** The listener of a port, with the acceptor for what its callers speak. */

import { afterHeader } from '../call/header-reader.ts';
import type { ThreadContext } from '../http/context.ts';
import { http1Acceptor } from '../http1/caller.ts';
import type { RequestPool } from '../http1/request-pool.ts';
import { type Acceptor, Listener, type PortListener } from '../net/listener.ts';
import { tlsAcceptor } from '../net/tls/handshake.ts';
import type { PortState } from '../table/table.ts';
import { tcpAcceptor } from '../tcp/caller.ts';
import { UdpListener } from '../udp/listener.ts';
import type { UdpThread } from '../udp/thread.ts';
import { CallerTlsPort } from './caller-tls.ts';

// oxlint-disable-next-line max-params -- all that a thread has for each kind of port
export function makeListener(
  port: PortState,
  context: ThreadContext,
  requests: RequestPool,
  udp: UdpThread,
): PortListener {
  if (port.port.protocol === 'udp') return new UdpListener(port, udp);
  const { address, number, service } = port;
  const isTcp = port.port.protocol === 'tcp';
  const plain = isTcp ? tcpAcceptor(port, context) : http1Acceptor(port, context, requests);
  const of = { service: service.service.key, resets: isTcp };
  const acceptor = afterHeader(port, context, orTls(port, context, plain));
  return new Listener({ address, port: number }, of, context, acceptor);
}

/** A port may begin or cease to speak TLS while callers are connected: each connection goes on as it has begun. */
function orTls(port: PortState, context: ThreadContext, plain: Acceptor): Acceptor {
  let secure: Acceptor | null = null;
  return (accepted, host) => {
    if (port.port.callerTls === null) return plain(accepted, host);
    secure ??= tlsAcceptor(new CallerTlsPort(port, context), context, context.callerTls, plain);
    return secure(accepted, host);
  };
}
