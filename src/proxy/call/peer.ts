/** Who is at the other end of a caller's connection, from the connection alone. Made once per connection. */

import { hash32 } from '../../base/hash.ts';
import { type Identity, isAccount, principalOf } from '../../model/endpoint.ts';
import type { IdentityTrust } from '../ledger/identity-trust.ts';
import type { OwnDials } from '../net/own-dials.ts';
import { type Origin, UNKNOWN } from '../net/proxy-protocol/header.ts';
import type { Accepted, Socket } from '../net/socket.ts';

/** The part of every access-log line of a connection that says who called what, while the caller is `identity`. */
export interface AccessOrigin {
  readonly identity: Identity | undefined;
  readonly text: Uint8Array;
}

/** What the thread knows of callers. */
export interface CallerKnowledge {
  readonly settings: { readonly meshAccount: string };
  readonly identities: ReadonlyMap<string, Identity>;
  readonly trust: IdentityTrust;
  readonly ownDials: OwnDials;
  readonly wheel: { readonly nowMs: number };
}

type Of = Pick<Accepted, 'remoteAddress' | 'origin'>;

export class Peer {
  readonly address: string;
  readonly addressHash: number;
  /** Whom it says that it is there for: to be told and logged, and nothing else. */
  readonly origin: Origin | null;
  /** It is there for somebody, and does not say for whom. */
  readonly isForUnknown: boolean;
  /** Kept by the access log; null until the first line. */
  accessOrigin: AccessOrigin | null = null;
  readonly #known: CallerKnowledge;
  /** Null until it was asked for. */
  #isOwnDial: boolean | null = null;

  constructor({ remoteAddress, origin = null }: Of, known: CallerKnowledge) {
    this.address = remoteAddress;
    this.addressHash = hash32(remoteAddress);
    this.isForUnknown = origin === UNKNOWN;
    this.origin = origin === UNKNOWN ? null : origin;
    this.#known = known;
  }

  /** Who the address probably stands for now, for logs and locality; undefined is nobody. */
  identify(): Identity | undefined {
    return this.#known.identities.get(this.address);
  }

  /** Who the caller is for access rules. */
  principal(): Identity | undefined {
    const { wheel, trust } = this.#known;
    return principalOf(this.identify(), wheel.nowMs, trust.untilMs);
  }

  /** The other end of `socket`, its connection, is a proxy of the mesh, on this node or another one. */
  isLoop(socket: Pick<Socket, 'ends'>): boolean {
    this.#isOwnDial ??= this.#known.ownDials.has(socket.ends());
    if (this.#isOwnDial) return true;
    const { meshAccount } = this.#known.settings;
    if (meshAccount === '') return false;
    const caller = this.identify();
    return caller !== undefined && isAccount(caller, meshAccount);
  }
}
