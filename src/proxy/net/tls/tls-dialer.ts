/** Opens TLS connections to endpoints, whatever kind of sockets the thread has otherwise. */

import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import type { PeerProbe } from '../../../base/libc.ts';
import type { EndpointTls } from '../../../model/endpoint-tls.ts';
import type { KeepAlive } from '../keep-alive.ts';
import { type DialOwner, READ_BYTES, type Socket, type Target } from '../socket.ts';
import type { Credentials } from './credentials.ts';
import { TlsSocket } from './tls-socket.ts';
import { TrustStore } from './trust-store.ts';

/** An endpoint and how it is spoken to. */
export interface EndpointTarget extends Target {
  /** Null without TLS. */
  readonly tls: EndpointTls | null;
  /** In TLS it is agreed on by ALPN: nothing else is taken then. */
  readonly http2: boolean;
  /** A TLS handshake with it is over; null is one that failed once the connection below it stood. */
  onHandshake(done: Handshaken | null): void;
}

export interface Handshaken {
  readonly isResumed: boolean;
  /** `TLSv1.3`. */
  readonly version: string;
}

type TlsTarget = EndpointTarget & { readonly tls: EndpointTls };

export function isOfTls(target: EndpointTarget): target is TlsTarget {
  return target.tls !== null;
}

/** A session is not resumed for longer: its certificate was verified when it began, and not when it was resumed. */
export const SESSION_MS_MAX = 600_000;

interface KeptSession {
  readonly session: Buffer;
  readonly untilMs: number;
}

export interface TlsParts {
  readonly nowMs: () => number;
  readonly probe: PeerProbe | null;
  readonly keepAlive: KeepAlive;
  readonly credentials: Credentials;
}

export class TlsDialer {
  readonly #parts: TlsParts;
  readonly #trust = new TrustStore();
  /** What the last connection of each target may be resumed by. A target that is verified in another way is another one. */
  readonly #sessions = new WeakMap<Target, KeptSession>();
  /** One for all, as a read is consumed before the next begins; not that of other sockets, which may be in the middle of theirs. */
  readonly #readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

  constructor(parts: TlsParts) {
    this.#parts = parts;
  }

  /** As `Sockets.dial`. `onConnect` comes when the endpoint has proved who it is, and not a byte leaves before. */
  dial(target: TlsTarget, owner: DialOwner): Socket {
    const { tls, http2 } = target;
    const { nowMs, probe, keepAlive, credentials } = this.#parts;
    const client = tls.client === null ? null : credentials.of(tls.client);
    const kept = this.#sessionOf(target);
    // The types of TLS leave out what it hands on to the socket.
    const options = {
      host: target.address,
      port: target.port,
      allowHalfOpen: true,
      secureContext: this.#trust.contextOf(tls, client),
      servername: tls.serverName,
      rejectUnauthorized: tls.trust !== 'anyone',
      ALPNProtocols: [http2 ? 'h2' : 'http/1.1'],
      ...(kept === null ? {} : { session: kept.session }),
      onread: {
        buffer: this.#readBuffer,
        callback: (length: number) => {
          socket.deliver(this.#readBuffer, length);
          return true;
        },
      },
    };
    const dialledMs = nowMs();
    const inner = connect(options as ConnectionOptions);
    inner.setNoDelay();
    const { idleSeconds, intervalSeconds, probes } = keepAlive;
    if (idleSeconds > 0)
      inner.setKeepAlive(true, idleSeconds * 1_000, intervalSeconds * 1_000, probes);
    const socket: TlsSocket = new TlsSocket(inner, probe, owner, http2);
    // It would be another caller for the endpoint than the one that was meant.
    if (tls.client !== null && client === null) socket.refuse();
    watch(inner, target);
    inner.on('session', (session: Buffer) => {
      // However late an endpoint gives it, or instead of one that is resumed: the certificate was verified when it was.
      const untilMs =
        kept !== null && inner.isSessionReused() ? kept.untilMs : dialledMs + SESSION_MS_MAX;
      this.#sessions.set(target, { session, untilMs });
    });
    return socket;
  }

  #sessionOf(target: Target): KeptSession | null {
    const kept = this.#sessions.get(target);
    return kept === undefined || kept.untilMs <= this.#parts.nowMs() ? null : kept;
  }
}

function watch(inner: TLSSocket, target: TlsTarget): void {
  let state: 'dialled' | 'reached' | 'secured' = 'dialled';
  inner.once('connect', () => (state = 'reached'));
  inner.once('secureConnect', () => {
    state = 'secured';
    target.onHandshake({
      isResumed: inner.isSessionReused(),
      version: inner.getProtocol() ?? '',
    });
  });
  inner.once('close', () => {
    if (state === 'reached') target.onHandshake(null);
  });
}
