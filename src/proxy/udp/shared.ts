/** What the sessions of one thread have in common. */

import { networkInterfaces } from 'node:os';
import { endpointKey } from '../../model/endpoint.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import type { CallContext } from '../call/context.ts';
import { PickFacts } from '../call/pick-facts.ts';
import type { Ends, ListenAt } from '../net/socket.ts';
import type { ServiceState } from '../table/table.ts';
import { SessionRoom } from './session-room.ts';

/** Addresses of this node are asked for anew after this long. */
const ADDRESSES_MS = 10_000;

export class UdpShared {
  readonly context: CallContext;
  /** Scratch. */
  readonly pick: PickFacts;
  /** All sessions. */
  readonly room = new SessionRoom();
  readonly #rooms = new WeakMap<ServiceState | EndpointState, SessionRoom>();
  #addresses: ReadonlySet<string> = new Set();
  #addressesUntilMs = -Infinity;

  constructor(context: CallContext) {
    this.context = context;
    this.pick = new PickFacts(context.settings.node);
  }

  /** The sessions that share the limits of a Service, or that of an endpoint. */
  roomOf(whose: ServiceState | EndpointState): SessionRoom {
    let room = this.#rooms.get(whose);
    if (room === undefined) this.#rooms.set(whose, (room = new SessionRoom()));
    return room;
  }

  /**
   * Whether datagrams from there would be those of a port of the mesh on this node. Answers leave from such a port, but no session
   * does: whoever writes one as its source makes two ports answer each other for ever.
   */
  isPlace(from: ListenAt): boolean {
    const { places } = this.context;
    if (places.has(placeKey(from))) return true;
    const { port } = from;
    const isListening = EVERYWHERE.some((address) => places.has(placeKey({ address, port })));
    return isListening && this.#isOurs(from.address);
  }

  /** Whether what goes to `to` comes back: to a port of the mesh, or as the answer to itself where `to` is the caller. */
  comesBack(to: ListenAt, caller: string, callerPort: number): boolean {
    if (to.port === callerPort && to.address === caller) return true;
    return this.context.places.has(placeKey(to));
  }

  #isOurs(address: string): boolean {
    if (address === '::1' || address.startsWith('127.')) return true;
    const { nowMs } = this.context.wheel;
    if (nowMs >= this.#addressesUntilMs) {
      this.#addressesUntilMs = nowMs + ADDRESSES_MS;
      const all = Object.values(networkInterfaces()).flatMap((of) => of ?? []);
      this.#addresses = new Set(all.map((of) => of.address));
    }
    return this.#addresses.has(address);
  }
}

const EVERYWHERE = ['0.0.0.0', '::'] as const;

/** Where a thread listens on UDP, beside the places where it does on TCP. */
export function placeKey(at: ListenAt): string {
  return `udp ${endpointKey(at)}`;
}

/** The ends of datagrams among those of connections, which may be the same. */
export function endsOfUdp({ localAddress, remoteAddress, ...ports }: Ends): Ends {
  return { ...ports, localAddress: `udp ${localAddress}`, remoteAddress: `udp ${remoteAddress}` };
}
