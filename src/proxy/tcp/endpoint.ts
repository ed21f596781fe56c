/**
 * One connection of TCP to an endpoint: dialled for one caller, and never used again.
 *
 *   connecting ──► tunnel ──► closed        connecting ──► closed
 */

import type { EndpointState } from '../balance/endpoint-state.ts';
import { SSL_REQUEST, WILLING } from '../hello/postgresql.ts';
import { SocketEnd, type TunnelHost } from '../net/socket-end.ts';
import type { Tunnel, TunnelEnd } from '../net/tunnel.ts';
import type { NetContext } from '../net/context.ts';
import { Defect } from '../net/copy-whole.ts';
import type { KeepAlive } from '../net/keep-alive.ts';
import { closeBehind, type LastBytes } from '../net/last-bytes.ts';
import type { DialOwner, Socket, SocketError } from '../net/socket.ts';

/** Who dialled. Nothing is told once there is a tunnel, or after `close`. */
export interface EndpointUser {
  onConnected(): void;
  onEndpointClosed(error: SocketError | null): void;
  onDefect(error: unknown): void;
}

/** What an endpoint is told before there is a tunnel, in this order. */
interface First {
  /** Null for nothing. */
  readonly greeting: Uint8Array | null;
  /** As its caller has asked the mesh, in the way of PostgreSQL. */
  readonly asksForTls: boolean;
}

/** An endpoint that takes none of the last bytes for this long does not get them. */
const FINISH_MS = 10_000;
const NO_ANSWER = Buffer.alloc(0);

export class EndpointConnection implements DialOwner, TunnelHost {
  readonly endpoint: EndpointState;
  connected = false;
  readonly #context: NetContext;
  readonly #socket: Socket;
  #user: EndpointUser | null;
  #tunnel: Tunnel | null = null;
  #ownDial = 0;
  /** What it is told before all else; null for nothing. */
  #greeting: Uint8Array | null;
  #last: LastBytes | null = null;
  /** It is asked, in the way of PostgreSQL, to speak TLS: as its caller has asked the mesh. */
  #asks: boolean;

  constructor(endpoint: EndpointState, context: NetContext, user: EndpointUser, first: First) {
    this.#asks = first.asksForTls;
    this.endpoint = endpoint;
    this.#greeting = first.greeting;
    this.#context = context;
    this.#user = user;
    this.#socket = context.sockets.dial(endpoint, this, true);
    context.room.endpointConnections++;
    endpoint.openConnection();
  }

  get tunnelEnd(): TunnelEnd {
    return new SocketEnd(this.#socket, this.#context, this);
  }

  /** It has accepted, and was asked for TLS as its caller had asked. */
  get wasAsked(): boolean {
    return this.#asks && this.#ownDial !== 0;
  }

  switchTo(tunnel: Tunnel): void {
    this.#user = null;
    this.#tunnel = tunnel;
  }

  /** The connection goes on for a while: its peer may vanish. */
  watchPeer(keepAlive: KeepAlive): void {
    this.#socket.watchPeer(keepAlive);
  }

  /** Gives it up. */
  close(): void {
    this.#user = null;
    // Who has accepted it must not take that for a caller with nothing to say.
    this.#socket.reset();
  }

  leaveTunnel(): void {
    this.#tunnel = null;
    this.#last = closeBehind(this.#socket, this.#context.wheel, FINISH_MS);
  }

  abort(): void {
    this.#tunnel = null;
    this.#socket.reset();
  }

  onConnect(): void {
    this.#ownDial = this.#context.ownDials.add(this.#socket.ends());
    this.#greet();
    if (!this.#asks) return this.#stands();
    const length = SSL_REQUEST.copy(this.#context.claimOut(null));
    this.#context.writeOut(this.#socket, length);
  }

  #stands(): void {
    this.#asks = false;
    this.connected = true;
    this.#user?.onConnected();
  }

  /** What it says before there is a tunnel: that it speaks TLS, and not a byte more, which nobody could have encrypted. */
  #onAnswer(data: Buffer, length: number): void {
    if (length === 1 && data[0] === WILLING) return this.#stands();
    const user = this.#user;
    this.close();
    user?.onEndpointClosed({ tls: 'tls_handshake_failed' });
  }

  #greet(): void {
    const greeting = this.#greeting;
    this.#greeting = null;
    if (greeting !== null) this.#socket.write(Buffer.from(greeting), 0, greeting.length);
  }

  onData(data: Buffer, length: number): void {
    if (this.#asks) return this.#onAnswer(data, length);
    if (this.#tunnel === null) throw new Defect('bytes of an endpoint that nobody asked for');
    this.#tunnel.onEndpointData(data, 0, length);
  }

  onSpliced(bytes: number): void {
    this.#tunnel?.onEndpointData(null, 0, bytes);
  }

  onEnd(): void {
    if (this.#asks) return this.#onAnswer(NO_ANSWER, 0);
    this.#tunnel?.onEndpointEnd();
  }

  onDrain(): void {
    this.#tunnel?.onEndpointDrain();
  }

  onWriteFailed(): void {
    // What it had said before still comes, and then the close.
  }

  onClose(error: SocketError | null): void {
    this.#context.room.endpointConnections--;
    if (this.#ownDial !== 0) this.#context.ownDials.remove(this.#ownDial);
    this.#last?.stop();
    this.endpoint.closeConnection();
    const user = this.#user;
    this.#user = null;
    if (this.#tunnel !== null) this.#tunnel.onEndpointClosed(error);
    else user?.onEndpointClosed(error);
  }

  onDefect(error: unknown): void {
    const user = this.#user;
    const tunnel = this.#tunnel;
    this.close();
    if (user !== null) return user.onDefect(error);
    this.#context.guard.caught('proxy', error);
    tunnel?.onDefect();
  }
}
