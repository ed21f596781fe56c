/** What all calls on one proxy thread share beyond their connections, whatever they carry: settings, identities, the log. */

import type { Identity } from '../../model/endpoint.ts';
import type { ProxySettings } from '../../model/settings.ts';
import { CallerSeats, callerSeatsBytes } from '../ledger/caller-seats.ts';
import { IdentityTrust } from '../ledger/identity-trust.ts';
import { NetContext, type NetOptions } from '../net/context.ts';
import type { AccessWriter } from './access.ts';
import { Verdict } from './verdict.ts';

export interface CallOptions extends NetOptions {
  readonly isTrusted: (address: string) => boolean;
  /** By default identities are believed without end. */
  readonly trust?: IdentityTrust;
  /** By default those of one thread. */
  readonly seats?: CallerSeats;
}

export class CallContext extends NetContext {
  readonly settings: ProxySettings;
  readonly identities = new Map<string, Identity>();
  readonly trust: IdentityTrust;
  /** CIDR check of `trustedSources`, by source address. */
  readonly isTrusted: (address: string) => boolean;
  readonly verdict = new Verdict();
  /** Connections by caller, where Services limit them. */
  readonly seats: CallerSeats;
  /** Null while the access log is off. */
  accessLog: AccessWriter | null = null;

  /** `slackBytes` as in `NetContext`. */
  constructor(options: CallOptions, slackBytes: number) {
    super(options, slackBytes);
    this.settings = options.settings;
    this.isTrusted = options.isTrusted;
    this.trust = options.trust ?? new IdentityTrust();
    this.seats = options.seats ?? new CallerSeats(new SharedArrayBuffer(callerSeatsBytes(1)), 0, 1);
  }
}
