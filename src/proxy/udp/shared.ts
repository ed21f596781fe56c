/** What the sessions of one thread have in common. */

import { endpointKey } from '../../model/endpoint.ts';
import type { CallContext } from '../call/context.ts';
import { PickFacts } from '../call/pick-facts.ts';
import type { Ends, ListenAt } from '../net/socket.ts';
import type { ServiceState } from '../table/table.ts';
import { SessionRoom } from './session-room.ts';

export class UdpShared {
  readonly context: CallContext;
  /** Scratch. */
  readonly pick: PickFacts;
  readonly #rooms = new WeakMap<ServiceState, SessionRoom>();

  constructor(context: CallContext) {
    this.context = context;
    this.pick = new PickFacts(context.settings.node);
  }

  /** The sessions that share the limits of `flight`. */
  roomOf(flight: ServiceState): SessionRoom {
    let room = this.#rooms.get(flight);
    if (room === undefined) this.#rooms.set(flight, (room = new SessionRoom()));
    return room;
  }
}

/** Where a thread listens on UDP, beside the places where it does on TCP. */
export function placeKey(at: ListenAt): string {
  return `udp ${endpointKey(at)}`;
}

/** The ends of datagrams among those of connections, which may be the same. */
export function endsOfUdp({ localAddress, remoteAddress, ...ports }: Ends): Ends {
  return { ...ports, localAddress: `udp ${localAddress}`, remoteAddress: `udp ${remoteAddress}` };
}
