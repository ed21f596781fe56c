/**
 * A TLS connection with a caller, on a connection that was accepted and of which the first bytes were read. The runtime (OpenSSL)
 * does what TLS asks for; what is private in the runtime and is used here is named in docs/decisions/tls.md.
 *
 *   begun ──► secured: onSecured, nothing is told ──► handed over ──► as any other socket
 *     └── closed with the error
 *
 * The runtime decrypts all that it has read, also after a pause: what comes then is kept here.
 */

import { type SecureContext, TLSSocket } from 'node:tls';
import type { PeerProbe } from '../../../base/libc.ts';
import { FirstBytes } from '../first-bytes.ts';
import { RuntimeSocket } from '../runtime/runtime-socket.ts';
import { giveUp, READ_BYTES, type RuntimeHandle, type SocketOwner, type Turn } from '../socket.ts';
import type { ChooseByName } from './server-contexts.ts';

/** Who made it, until somebody else takes it over. */
export interface SecuredOwner extends SocketOwner {
  onSecured(): void;
}

export interface CallerSocketParts {
  readonly handle: RuntimeHandle;
  readonly probe: PeerProbe | null;
  /** Decrypted bytes are read into it. One for all, as a read is consumed before the next begins. */
  readonly readBuffer: Buffer;
  readonly later: (task: Turn) => void;
}

export interface CallerHandshake {
  readonly context: SecureContext;
  readonly choose: ChooseByName | null;
  /** What may be agreed on by ALPN, the preferred one first; none for callers that are not to agree on anything. */
  readonly protocols: readonly string[];
}

/** What the runtime has and does not show. */
interface Hidden {
  connecting: boolean;
  readonly _handle: (RuntimeHandle & Feeds) | null;
}
interface Feeds {
  readonly _parent: RuntimeHandle;
  receive(data: Buffer): void;
}
type Wrap = (this: TLSSocket, wrap: null, handle: unknown, isActive: boolean) => unknown;

// oxlint-disable-next-line typescript/unbound-method -- called with `call`
const wrapHandle = (TLSSocket.prototype as unknown as { readonly _wrapHandle: Wrap })._wrapHandle;
/** For the one that is being made. */
let given: RuntimeHandle | null = null;

/** A `TLSSocket` reads into a buffer of ours only if it makes its connection itself: it gets the one that there is. */
class GivenSocket extends TLSSocket {
  _wrapHandle(wrap: null, handle: unknown, isActive: boolean): unknown {
    return wrapHandle.call(this, wrap, handle ?? given, isActive);
  }
}

export class CallerSocket extends RuntimeSocket implements Turn {
  override readonly copies: boolean = true;
  readonly #inner: TLSSocket;
  readonly #parts: CallerSocketParts;
  #makerOwner: SecuredOwner | null;
  #isSecured = false;
  #isPaused = true;
  /** What came during a pause: in one piece, as it may come in thousands of records of a byte. */
  readonly #kept = new FirstBytes();
  /** So many of them its owner has been told. */
  #told = 0;
  #keptEnd = false;
  #hasTurn = false;

  private constructor(inner: TLSSocket, parts: CallerSocketParts, owner: SecuredOwner) {
    super(inner, parts.probe, owner);
    this.#inner = inner;
    this.#parts = parts;
    this.#makerOwner = owner;
    inner.on('secure', () => {
      this.#isSecured = true;
      this.#takeTurn();
    });
    // What breaks TLS once it stands is told by this alone.
    inner.on('_tlsError', (error: Error) => inner.destroy(error));
    this.watch();
    inner.resume();
  }

  /**
   * `hello` is what the caller has said so far; what must be answered to it is worked out before this returns. What throws leaves the
   * handle to be closed.
   */
  static begin(
    parts: CallerSocketParts,
    { context, choose, protocols }: CallerHandshake,
    hello: Buffer,
    owner: SecuredOwner,
  ): CallerSocket {
    const { readBuffer } = parts;
    const options = {
      isServer: true,
      secureContext: context,
      allowHalfOpen: true,
      ...(choose === null ? {} : { SNICallback: choose }),
      ...(protocols.length === 0 ? {} : { ALPNProtocols: protocols }),
      onread: {
        buffer: readBuffer,
        callback: (length: number) => {
          socket.deliver(readBuffer, length);
          return true;
        },
      },
    };
    given = parts.handle;
    let inner: TLSSocket;
    try {
      inner = new GivenSocket(undefined as never, options);
    } finally {
      given = null;
    }
    const hidden = inner as unknown as Hidden;
    hidden.connecting = false;
    const socket: CallerSocket = new CallerSocket(inner, parts, owner);
    try {
      hidden._handle?.receive(hello);
    } catch (error) {
      // What is below TLS is not to be closed before it.
      socket.destroy();
      throw error;
    }
    return socket;
  }

  /** What was agreed on by ALPN; '' for nothing. */
  get alpn(): string {
    const { alpnProtocol } = this.#inner;
    return typeof alpnProtocol === 'string' ? alpnProtocol : '';
  }

  /** Its owner is told in a turn of its own. */
  get isSecured(): boolean {
    return this.#isSecured;
  }

  get isResumed(): boolean {
    return this.#inner.isSessionReused();
  }

  /** `TLSv1.3`. */
  get version(): string {
    return this.#inner.getProtocol() ?? '';
  }

  override get isPaused(): boolean {
    return this.#isPaused;
  }

  /** While nothing waits the runtime encrypts what it gets at once; else it keeps what it gets. */
  override write(data: Buffer, start: number, end: number): boolean {
    if (this.destroyed || this.#inner.writableEnded) return false;
    const piece = data.subarray(start, end);
    return this.#inner.write(this.#inner.writableLength === 0 ? piece : Buffer.from(piece));
  }

  override pause(): void {
    this.#isPaused = true;
    this.#inner.pause();
  }

  override resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (this.#kept.length > 0 || this.#keptEnd) this.#takeTurn();
    else this.#inner.resume();
  }

  /** All the memory that they take. */
  override get unreadBytes(): number {
    return this.#kept.heldBytes;
  }

  /** With a reset of what is below TLS. */
  override reset(): void {
    const handle = (this.#inner as unknown as Hidden)._handle;
    const below = handle === null ? null : handle._parent;
    if (below !== null && below.reset !== undefined) {
      const close = below.close.bind(below);
      below.close = (done) => (below.reset?.(done) === 0 ? 0 : close(done));
    }
    this.destroy();
  }

  override destroy(): void {
    this.#dropKept();
    this.#keptEnd = false;
    super.destroy();
  }

  override deliver(data: Buffer, length: number): void {
    if (this.#isPaused || this.#kept.length > 0) this.#kept.push(data, 0, length);
    else super.deliver(data, length);
  }

  protected override ended(): void {
    if (this.#isSecured && (this.#isPaused || this.#kept.length > 0)) this.#keptEnd = true;
    else super.ended();
  }

  #takeTurn(): void {
    if (this.#hasTurn) return;
    this.#hasTurn = true;
    this.#parts.later(this);
  }

  onTurn(): void {
    this.#hasTurn = false;
    if (this.destroyed) return;
    try {
      if (this.#makerOwner === null) this.#tellKept();
      else {
        const maker = this.#makerOwner;
        this.#makerOwner = null;
        maker.onSecured();
      }
    } catch (error) {
      giveUp(this, this.owner, error);
    }
  }

  #tellKept(): void {
    while (!this.#isPaused && this.#told < this.#kept.length) {
      // No more than one read is for one call.
      const next = this.#kept.bytes.subarray(this.#told, this.#told + READ_BYTES);
      this.#told += next.length;
      this.owner.onData(next, next.length);
    }
    if (this.#told === this.#kept.length) this.#dropKept();
    if (this.#isPaused || this.destroyed) return;
    if (this.#keptEnd) {
      this.#keptEnd = false;
      super.ended();
    }
    if (!this.#isPaused && !this.destroyed) this.#inner.resume();
  }
  #dropKept(): void {
    this.#kept.drop();
    this.#told = 0;
  }
}
