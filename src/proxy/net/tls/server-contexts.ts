/** The contexts of OpenSSL for what callers are shown: one for each certificate of a port, and which of them is for a name. */

import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Guard } from '../../../base/guard.ts';
import type { CallerTls, Credential } from '../../../model/credential.ts';
import type { Credentials } from './credentials.ts';
import type { TicketKeys } from './ticket-keys.ts';

/** Of TLS 1.3, then of 1.2: forward secrecy and authenticated encryption alone, which HTTP/2 asks for as well. The cheaper first. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');
const SESSION_SECONDS = 3_600;

/** `SNICallback` of the runtime. */
export type ChooseByName = (
  name: string,
  done: (error: Error | null, context?: SecureContext) => void,
) => void;

/** What a handshake begins with. */
export interface Shown {
  /** Where no name is asked for, or one that no certificate has. */
  readonly context: SecureContext;
  /** Null where there is nothing to choose. */
  readonly choose: ChooseByName | null;
}

/** The port of a Service that shows certificates; its contexts are kept for as long as this is there. */
export interface ShowingPort {
  /** Key of the Service. */
  readonly service: string;
  readonly number: number;
  /** As it is now; null where it says nothing of TLS any more. */
  readonly callerTls: CallerTls | null;
}

interface Known {
  /** Null where OpenSSL does not take it. */
  readonly context: SecureContext | null;
  /** What its ticket keys were made of. */
  sealing: string;
}

/** The runtime's own part of it, which its types leave out. */
interface NativeContext {
  readonly context: { setTicketKeys(keys: Buffer): void };
}

/**
 * Of one thread. Each port has contexts of its own: OpenSSL has one key for tickets per context, and a session is of the port where it
 * began. A context lives as long as its port and its credential are there, and as connections that shook hands with it.
 */
export class ServerContexts {
  readonly #known = new WeakMap<ShowingPort, WeakMap<Credential, Known>>();
  readonly #credentials: Credentials;
  readonly #tickets: TicketKeys;
  readonly #guard: Guard;

  constructor(credentials: Credentials, tickets: TicketKeys, guard: Guard) {
    this.#credentials = credentials;
    this.#tickets = tickets;
    this.#guard = guard;
  }

  /** What is shown now; null where there is nothing to show. */
  shownBy(port: ShowingPort): Shown | null {
    const { service, number, callerTls } = port;
    if (callerTls === null) return null;
    const known = this.#known.get(port) ?? new WeakMap<Credential, Known>();
    this.#known.set(port, known);
    const all = this.#credentials.usable(callerTls);
    // A session tells the same of its caller whichever certificate it began with: all that may be shown is in the keys, so that
    // none outlives its certificate, and none is taken by another Service that shows one of them, too.
    const digests = all.map(({ credential }) => credential.digest);
    const purpose = JSON.stringify([service, number, digests]);
    const usable: { readonly names: readonly string[]; readonly context: SecureContext }[] = [];
    for (const { certificate, credential } of all) {
      const context = this.#contextOf(known, credential, purpose);
      if (context !== null) usable.push({ names: certificate.names, context });
    }
    const first = usable[0];
    if (first === undefined) return null;
    if (usable.length === 1) return { context: first.context, choose: null };
    return {
      context: first.context,
      choose: (name, done) => {
        const wanted = name.toLowerCase();
        const fit =
          usable.find(({ names }) => names.includes(wanted)) ??
          usable.find(({ names }) => names.includes(wildcardOf(wanted)));
        done(null, (fit ?? first).context);
      },
    };
  }

  #contextOf(
    contexts: WeakMap<Credential, Known>,
    credential: Credential,
    purpose: string,
  ): SecureContext | null {
    let known = contexts.get(credential);
    if (known === undefined) {
      known = { context: this.#make(credential), sealing: '' };
      contexts.set(credential, known);
    }
    const sealing = `${this.#tickets.serial} ${purpose}`;
    if (known.context !== null && known.sealing !== sealing) {
      known.sealing = sealing;
      const native = known.context as unknown as NativeContext;
      native.context.setTicketKeys(this.#tickets.keysFor(purpose));
    }
    return known.context;
  }

  #make({ key, chain, privateKey }: Credential): SecureContext | null {
    try {
      return createSecureContext({
        cert: chain,
        key: privateKey.reveal(),
        // None of the callers is asked for a certificate: without this the runtime loads all CAs that it knows.
        ca: [],
        minVersion: 'TLSv1.2',
        ciphers: CIPHERS,
        honorCipherOrder: true,
        sessionTimeout: SESSION_SECONDS,
        secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      });
    } catch (error) {
      // What can be wrong with it was looked for before it came here.
      this.#guard.caught('proxy', error, { secret: key });
      return null;
    }
  }
}

/** The name in a certificate that fits every name of one label more: `*.shop.example`. */
function wildcardOf(name: string): string {
  const dot = name.indexOf('.');
  return dot <= 0 ? '' : `*${name.slice(dot)}`;
}
