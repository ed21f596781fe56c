/**
 * A TLS connection to an endpoint. It stands when the endpoint has proved who it is: until then what is written is kept here, so
 * that an endpoint that fails to gets nothing, whatever the runtime does with what it has.
 *
 *   dialled ──► TCP stands ──► secured: onConnect ──► as any other socket
 *                   └── a `TlsFault` with the error that it is closed with
 *
 * The runtime does not tell an end without `close_notify` from one with it. Nor does it keep what arrived before a write failed.
 */

import type { TLSSocket } from 'node:tls';
import type { PeerProbe } from '../../../base/libc.ts';
import { RuntimeSocket } from '../runtime/runtime-socket.ts';
import { type DialOwner, HIGH_WATER_BYTES, type SocketError } from '../socket.ts';
import { tlsFaultOf } from './tls-fault.ts';

export class TlsSocket extends RuntimeSocket {
  override readonly copies: boolean = true;
  readonly #inner: TLSSocket;
  readonly #dialOwner: DialOwner;
  readonly #http2: boolean;
  #secured = false;
  /** The TCP connection stood. */
  #reached = false;
  /** What was written before it was secured. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #owesDrain = false;
  /** What is to be done behind it. */
  #then: 'end' | 'destroySoon' | null = null;
  #error: SocketError | null = null;

  // oxlint-disable-next-line max-params -- once per connection
  constructor(inner: TLSSocket, probe: PeerProbe | null, owner: DialOwner, http2: boolean) {
    super(inner, probe, owner);
    this.#inner = inner;
    this.#dialOwner = owner;
    this.#http2 = http2;
    inner.on('connect', () => (this.#reached = true));
    inner.on('secureConnect', () => this.guard(() => this.#onSecured()));
    // What breaks TLS once it stands is told by the runtime, which then leaves the connection open.
    inner.on('error', () => inner.destroy());
    this.watch();
  }

  override get connecting(): boolean {
    return !this.#secured && !this.destroyed;
  }

  override get writableLength(): number {
    return this.#heldBytes + super.writableLength;
  }

  override get writableNeedDrain(): boolean {
    return this.#owesDrain || super.writableNeedDrain;
  }

  override get bytesWritten(): number {
    return this.#secured ? super.bytesWritten : this.#heldBytes;
  }

  override unsentBytes(): number {
    return this.#heldBytes + super.unsentBytes();
  }

  /** The runtime may keep what it gets until later, so it gets a copy. */
  override write(data: Buffer, start: number, end: number): boolean {
    if (this.destroyed || this.#then !== null) return false;
    const copy = Buffer.from(data.subarray(start, end));
    if (this.#secured) return this.#inner.write(copy);
    this.#held.push(copy);
    this.#heldBytes += copy.length;
    if (this.#heldBytes >= HIGH_WATER_BYTES) this.#owesDrain = true;
    return !this.#owesDrain;
  }

  override end(): void {
    if (this.#secured) super.end();
    else this.#then ??= 'end';
  }

  override destroySoon(): void {
    if (this.#secured) super.destroySoon();
    else this.#then = 'destroySoon';
  }

  override destroy(): void {
    this.#dropHeld();
    super.destroy();
  }

  /** Without `close_notify`, and so no end that a peer may believe. The runtime cannot reset what is below TLS. */
  override reset(): void {
    this.destroy();
  }

  /** There is nothing to prove ourselves with: not a byte is sent. */
  refuse(): void {
    this.#error = { code: NO_CREDENTIAL, tls: 'tls_no_client_certificate' };
    this.destroy();
  }

  #onSecured(): void {
    if (this.destroyed) return;
    // What was not agreed on is not spoken: RFC 9113 §3.2, RFC 7301 §3.2.
    if (this.#http2 && this.#inner.alpnProtocol !== 'h2') {
      this.#error = { code: NO_HTTP2, tls: 'tls_handshake_failed' };
      return this.destroy();
    }
    this.#secured = true;
    // Before its owner writes more.
    const held = this.#held;
    this.#dropHeld();
    for (const each of held) this.#inner.write(each);
    this.#dialOwner.onConnect();
    if (this.destroyed) return;
    if (this.#then === 'end') super.end();
    else if (this.#then === 'destroySoon') super.destroySoon();
    else this.#drainIfDue();
  }

  #drainIfDue(): void {
    const isDue = this.#owesDrain && !this.#inner.writableNeedDrain;
    this.#owesDrain = false;
    if (isDue) this.owner.onDrain();
  }

  #dropHeld(): void {
    this.#held = [];
    this.#heldBytes = 0;
  }

  /** Before it is secured, the runtime closes it with an error. */
  protected override ended(): void {
    if (this.#secured) super.ended();
  }

  protected override told(error: SocketError | null): SocketError | null {
    if (this.#error !== null) return this.#error;
    if (error === null || !this.#reached) return error;
    if (this.#secured && !REFUSES_US.test(error.code ?? '')) return error;
    return { code: error.code ?? '', tls: tlsFaultOf(error) };
  }
}

/** Alerts by which an endpoint of TLS 1.3 says, once the connection stands, that it does not take our certificate, or wants one. */
const REFUSES_US = /^ERR_SSL_.*ALERT_(?:.*CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|DECRYPT_ERROR)/;
/** The Secret of the client certificate is not here. */
const NO_CREDENTIAL = 'ERR_NO_CLIENT_CERTIFICATE';
/** The endpoint has not agreed to speak HTTP/2. */
const NO_HTTP2 = 'ERR_NO_HTTP2_BY_ALPN';
