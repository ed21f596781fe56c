/** From streams to a tunnel: what it is, and how its bytes go. */

import type { TimeoutPolicy } from '../../model/policy.ts';
import type { Head } from '../head/head.ts';
import type { NetContext } from '../net/context.ts';
import { Tunnel, type TunnelEnd, type TunnelHome, type TunnelResult } from '../net/tunnel.ts';
import { switchesToWebSocket } from './websocket-handshake.ts';
import { WebSocketTunnel } from './websocket-tunnel.ts';

/** What a tunnel asks of a stream, and tells it. */
interface TunnelStream {
  readonly tunnelEnd: TunnelEnd;
  switchTo(tunnel: Tunnel): void;
}

interface Parts {
  readonly caller: TunnelStream & { readonly port: { readonly closed: boolean } };
  readonly endpoint: TunnelStream;
  readonly limits: TimeoutPolicy;
  /** Where `endpoint` leads to. */
  readonly home: TunnelHome;
}

/** A 101; what the endpoint said right behind it is `data[from, end)`, and the caller has it. */
interface Switch {
  readonly data: Buffer;
  readonly head: Head;
  readonly from: number;
  readonly end: number;
}

/** From now on the bytes of both streams belong to a tunnel. */
export function openTunnel(
  context: NetContext,
  { caller, endpoint, limits, home }: Parts,
  { data, head, from, end }: Switch,
  done: (result: TunnelResult) => void,
): void {
  const ends = { caller: caller.tunnelEnd, endpoint: endpoint.tunnelEnd };
  const user = { endpoint: home, onTunnelEnd: done };
  const isWebSocket = switchesToWebSocket(data, head);
  const tunnel = isWebSocket
    ? new WebSocketTunnel(context, ends, limits, user)
    : new Tunnel(context, ends, limits, user);
  tunnel.onFirstBytes(data.subarray(from, end));
  endpoint.switchTo(tunnel);
  caller.switchTo(tunnel);
  if (!isWebSocket) tunnel.maySplice();
  if (context.draining || caller.port.closed) tunnel.leave();
}
