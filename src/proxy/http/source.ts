/** What HTTP needs to know of the other end of a caller's connection. Made once per connection. */

import { newStamp } from '../head/stamp.ts';
import { type CallerKnowledge, Peer } from '../call/peer.ts';
import type { Accepted } from '../net/socket.ts';

/** What a request says to the endpoint about its caller. */
export interface Forwarding {
  /** `X-Forwarded-For: ADDRESS\r\nX-Forwarded-Proto: SCHEME\r\n`, or null when the setting is off. */
  readonly lines: Buffer | null;
  /** To be added to what a trusted caller says; empty for others. */
  readonly address: Buffer;
  /** Keep what the caller says about where its request comes from, and add to it. */
  readonly trusted: boolean;
  /** The caller speaks TLS with the proxy. */
  readonly secure: boolean;
  /** Of the field `X-Forwarded-For` in `lines`. */
  readonly stamp: number;
}

/** What the thread knows of callers. */
export interface HttpCallerKnowledge extends CallerKnowledge {
  readonly settings: { readonly forwardedHeaders: boolean; readonly meshAccount: string };
  readonly isTrusted: (address: string) => boolean;
}

const NO_ADDRESS = Buffer.alloc(0);

export class Source extends Peer {
  readonly forwarding: Forwarding;

  constructor(
    accepted: Pick<Accepted, 'remoteAddress' | 'origin'>,
    known: HttpCallerKnowledge,
    secure = false,
  ) {
    super(accepted, known);
    // What the bytes say is said by who sent them. Of somebody who is not named, that is nobody who is trusted; and the endpoint is
    // told the address of the connection, as the specification of the PROXY protocol has it.
    const address = this.origin === null ? this.address : this.origin.address;
    const enabled = known.settings.forwardedHeaders;
    const trusted = !this.isForUnknown && known.isTrusted(address);
    this.forwarding = {
      lines: enabled
        ? Buffer.from(
            `X-Forwarded-For: ${address}\r\nX-Forwarded-Proto: ${secure ? 'https' : 'http'}\r\n`,
          )
        : null,
      address: trusted ? Buffer.from(address) : NO_ADDRESS,
      trusted,
      secure,
      stamp: newStamp(),
    };
  }

  get isSecure(): boolean {
    return this.forwarding.secure;
  }
}
