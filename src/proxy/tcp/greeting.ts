/** What an endpoint is told of the caller before any byte of it. */

import { isIPv6 } from 'node:net';
import type { Peer } from '../call/peer.ts';
import { headerOf, type Origin } from '../net/proxy-protocol/header.ts';
import type { Socket } from '../net/socket.ts';
import type { PortState, ServiceState } from '../table/table.ts';

/** As the Service of the endpoint asks for it; null where nothing is. `socket` is that of the caller. */
export function greetingOf(
  { service }: ServiceState,
  port: PortState,
  source: Peer,
  socket: Socket,
): Uint8Array | null {
  const { send } = service.policies.proxyProtocol;
  if (send === 'none') return null;
  return headerOf(send, source.origin ?? ownOrigin(port, source, socket));
}

/** What the caller dialled is the address of the Service: in a cluster the proxy has another one. */
function ownOrigin({ service, port }: PortState, { address }: Peer, socket: Socket): Origin {
  const { localAddress, localPort, remotePort } = socket.ends();
  const isV6 = isIPv6(address);
  const { address: first, secondAddress: second } = service.service;
  const dialled = [first, second].find((each) => each !== '' && isIPv6(each) === isV6);
  return {
    address,
    port: remotePort,
    toAddress: dialled ?? localAddress,
    toPort: dialled === undefined ? localPort : port.port,
  };
}
