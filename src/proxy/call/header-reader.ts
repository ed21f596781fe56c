/**
 * The first bytes of a connection from a trusted source, on a port that accepts the PROXY protocol: they have to be a header of it. What
 * it says goes on with the connection, which then belongs to what the port speaks. All others that are accepted go there at once.
 *
 *   reading ──► handed over        reading ──► reset
 */

import { FAILURES, type FailureReason } from '../../model/failure.ts';
import { SERVICE_OWN } from '../ledger/layout.ts';
import { type Guest, PARTIAL_HEAD } from '../net/caller-room.ts';
import { Defect } from '../net/copy-whole.ts';
import type { Expiring } from '../net/deadline-wheel.ts';
import { FirstBytes } from '../net/first-bytes.ts';
import type { Acceptor, Caller, CallerHost } from '../net/listener.ts';
import type { Said } from '../net/proxy-protocol/header.ts';
import { parseProxyHeader } from '../net/proxy-protocol/parse.ts';
import type { Accepted, Socket, SocketOwner } from '../net/socket.ts';
import type { PortState } from '../table/table.ts';
import type { Called } from './access.ts';
import { add, countRequest } from './account.ts';
import type { CallContext } from './context.ts';
import { Peer } from './peer.ts';

/** `spoken` takes in who has nothing to say before, and who has said it. */
export function afterHeader(port: PortState, context: CallContext, spoken: Acceptor): Acceptor {
  const shared = { port, context, spoken };
  return (accepted, host) => {
    const { accept } = port.rules.service.policies.proxyProtocol;
    return accept && context.isTrusted(accepted.remoteAddress)
      ? new HeaderReader(accepted, shared, host)
      : spoken(accepted, host);
  };
}

interface Shared {
  readonly port: PortState;
  readonly context: CallContext;
  readonly spoken: Acceptor;
}

class HeaderReader implements Caller, Called, Accepted, SocketOwner, Expiring {
  readonly source: Peer;
  readonly descriptor: number;
  origin: Said = null;
  deadlineMs: number;
  wheelTick = 0;
  wheelIndex = 0;
  asleep = false;
  place: Guest['place'] = null;
  listed: Caller['listed'] = null;
  readonly standing: Guest['standing'] = PARTIAL_HEAD;
  readonly #shared: Shared;
  readonly #host: CallerHost;
  readonly #socket: Socket;
  /** What has come of it. */
  readonly #came = new FirstBytes();
  /** Who has the connection now; null before. */
  #heir: SocketOwner | null = null;
  #isOver = false;

  constructor(accepted: Accepted, shared: Shared, host: CallerHost) {
    const { context } = shared;
    this.#shared = shared;
    this.#host = host;
    this.source = new Peer(accepted, context);
    this.descriptor = accepted.descriptor;
    this.deadlineMs = context.wheel.nowMs + context.settings.headTimeoutMs;
    this.#socket = accepted.adopt(this);
    context.wheel.arm(this);
  }

  get port(): PortState {
    return this.#shared.port;
  }

  get address(): string {
    return this.source.address;
  }

  get remoteAddress(): string {
    return this.source.address;
  }

  get service(): string {
    return this.port.service.service.key;
  }

  get heldBytes(): number {
    return this.#came.heldBytes;
  }

  onData(data: Buffer, length: number): void {
    const { room } = this.#shared.context;
    if (this.asleep) room.wake(this);
    const came = this.#came;
    came.push(data, 0, length);
    const { bytes } = came;
    const header = parseProxyHeader(bytes, bytes.length);
    if (header === null) return this.#refuse('bad_proxy_header');
    if (header === 'more') return;
    this.origin = header.origin;
    this.#handOver(bytes.subarray(header.bytes));
  }

  /** `rest` stands behind the header, and in memory that is for this connection alone: some of it may be kept as it is. */
  #handOver(rest: Buffer): void {
    const caller = this.#callerInside();
    this.#end();
    this.#host.replaced(this, caller);
    // From here on what throws is a matter of whoever has the connection.
    caller.begin?.();
    const heir = this.#heir;
    if (heir !== null && rest.length > 0 && !this.#socket.destroyed) heir.onData(rest, rest.length);
    if (this.#host.isLeaving) caller.drain();
  }

  #callerInside(): Caller {
    try {
      return this.#shared.spoken(this, this.#host);
    } catch (error) {
      // Who has it half taken does not end it.
      this.#socket.handOver(this);
      throw error;
    }
  }

  adopt(owner: SocketOwner): Socket {
    this.#heir = owner;
    this.#socket.handOver(owner);
    return this.#socket;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  reset(): void {
    this.#socket.reset();
  }

  #end(): void {
    this.#isOver = true;
    this.#came.drop();
    this.#shared.context.wheel.disarm(this);
  }

  #refuse(reason: FailureReason): void {
    if (this.#isOver) return;
    this.#end();
    const { cells } = this.port.rules;
    add(this.port.service.cells, SERVICE_OWN.callerConnectionsOpened, 1);
    countRequest(cells, FAILURES[reason].status, reason);
    this.#shared.context.accessLog?.writeRefused(this, reason, '');
    this.#socket.reset();
  }

  /** Who says nothing at all only looks whether somebody listens. */
  onEnd(): void {
    if (this.#came.length === 0) this.#socket.destroy();
    else this.#refuse('bad_proxy_header');
  }

  onDeadline(): void {
    this.#refuse('bad_proxy_header');
  }

  onClose(): void {
    this.#end();
    this.#host.closed(this);
  }

  onSpliced(): void {
    throw new Defect('bytes passed before a header was read');
  }

  onDrain(): void {
    // Nothing was written.
  }

  drain(): void {
    // What it is for is not known yet, and will be soon.
  }

  cut(): void {
    this.#refuse('draining');
  }

  shed(): void {
    this.#refuse('caller_shed');
  }

  onDefect(error: unknown): void {
    const { service, address: caller } = this;
    this.#shared.context.guard.caught('proxy', error, { service, caller });
    this.#refuse('internal');
    this.#socket.reset();
  }
}
