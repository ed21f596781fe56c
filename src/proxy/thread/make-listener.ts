/** The listener of a port, with the acceptor for what its callers speak. */

import type { ThreadContext } from '../http/context.ts';
import { http1Acceptor } from '../http1/caller.ts';
import type { RequestPool } from '../http1/request-pool.ts';
import { Listener } from '../net/listener.ts';
import type { PortState } from '../table/table.ts';
import { tcpAcceptor } from '../tcp/caller.ts';

export function makeListener(
  port: PortState,
  context: ThreadContext,
  requests: RequestPool,
): Listener {
  const { address, number, service } = port;
  const isTcp = port.port.protocol === 'tcp';
  const acceptor = isTcp ? tcpAcceptor(port, context) : http1Acceptor(port, context, requests);
  const of = { service: service.service.key, resets: isTcp };
  return new Listener({ address, port: number }, of, context, acceptor);
}
