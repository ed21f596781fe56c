/** What every connection of one proxy thread shares, whatever it carries: time, buffers, room. */

import { peerProbe } from '../../base/libc.ts';
import type { Clock } from '../../base/clock.ts';
import type { Guard } from '../../base/guard.ts';
import type { Random } from '../../base/random.ts';
import type { ProxySettings } from '../../model/settings.ts';
import { CallerRoom } from './caller-room.ts';
import { wholeUpTo } from './copy-whole.ts';
import { DeadlineWheel } from './deadline-wheel.ts';
import { OWN_DIALS_BYTES, OwnDials } from './own-dials.ts';
import { keepAliveOf } from './keep-alive.ts';
import { RuntimeSockets } from './runtime/runtime-sockets.ts';
import {
  type ByteSink,
  type DialOwner,
  READ_BYTES,
  SLAB_BYTES,
  type Socket,
  type Sockets,
} from './socket.ts';
import { Credentials } from './tls/credentials.ts';
import type { TlsThread } from './tls/tls-thread.ts';
import { HandshakeGate } from './tls/handshake-gate.ts';
import { ServerContexts } from './tls/server-contexts.ts';
import { TicketKeys } from './tls/ticket-keys.ts';
import { type EndpointTarget, isOfTls, TlsDialer } from './tls/tls-dialer.ts';

/** A socket that has to wait anyway gets a copy of less than this, rather than the whole write buffer. */
const COPY_BYTES_MAX = 16_384;
const SLABS_KEPT_MAX = 1_024;

export interface NetOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly guard: Guard;
  readonly settings: ProxySettings;
  /** Proxy threads of the process; default 1. */
  readonly threads?: number;
  /** Shared with the other threads of the process. */
  readonly ownDials?: SharedArrayBuffer;
  /** File descriptors that the process may have; not limited by default. */
  readonly descriptors?: number;
  /** Local ports that it may dial from; not limited by default. */
  readonly ports?: number;
  /** By default those of the runtime. */
  readonly sockets?: Sockets;
  /** Shared with the other threads of the process: what tickets of callers are sealed with. */
  readonly ticketKeys?: SharedArrayBuffer;
}

/** Who gathers in the write buffer of the thread. */
export interface Gatherer {
  /** Sends what it has there: somebody else needs the buffer. */
  yieldOut(): void;
}

/** Callers that can be told to go are told so within this time, and within half of a drain: they come back elsewhere. */
export const FAREWELL_SPREAD_MS = 10_000;

export class NetContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly guard: Guard;
  readonly wheel: DeadlineWheel;
  readonly sockets: Sockets;
  draining = false;
  /** The time over which callers that can be told to go are told so. */
  farewellMs = FAREWELL_SPREAD_MS;
  callerConnections = 0;
  /** Where this thread listens, as keys of endpoints: who dials there dials the mesh. */
  readonly places = new Set<string>();
  readonly room: CallerRoom;
  readonly ownDials: OwnDials;
  /** What callers are shown. */
  readonly credentials = new Credentials();
  /** Accepts that the system refused, mostly for want of file descriptors. */
  acceptFailures = 0;
  /** Bodies of which at least so many bytes are still to come are spliced; Infinity for nothing at all. */
  readonly spliceBytes: number;
  readonly #options: NetOptions;
  #tls: TlsDialer | null = null;
  #callerTls: TlsThread | null = null;
  readonly #slabs: Buffer[] = [];
  readonly #outBytes: number;
  /** Scratch for what is about to be written. */
  #out: Buffer<ArrayBuffer>;
  #gatherer: Gatherer | null = null;
  /** When the present read began, if it is for many messages; -1 otherwise. */
  #readMs = -1;

  /** `slackBytes`: room in the write buffer beyond one whole read. */
  constructor(options: NetOptions, slackBytes: number) {
    this.#options = options;
    this.clock = options.clock;
    this.random = options.random;
    this.guard = options.guard;
    this.sockets = options.sockets ?? new RuntimeSockets(null);
    const { sockets } = this;
    this.wheel = new DeadlineWheel(options.clock, () => sockets.hasReadAll);
    const { settings, threads = 1, descriptors = Infinity, ports = Infinity } = options;
    this.spliceBytes = settings.spliceBytes;
    this.ownDials = new OwnDials(options.ownDials ?? new SharedArrayBuffer(OWN_DIALS_BYTES));
    this.room = new CallerRoom(
      {
        connections: settings.callerConnectionsMax,
        bytes: settings.callerMemoryBytes / threads,
        descriptors,
        threads,
        ports,
      },
      this.wheel,
      this.guard,
    );
    this.#outBytes = READ_BYTES + slackBytes;
    this.#out = this.sockets.allocate(this.#outBytes);
  }

  /** Time of the clock. All messages of one read have come at the same time, and the clock is read once for them. */
  nowMs(): number {
    return this.#readMs < 0 ? this.clock.nowMs() : this.#readMs;
  }

  /** A read for many messages begins. Until `endRead` time stands still. */
  beginRead(): void {
    this.#readMs = this.clock.nowMs();
  }

  endRead(): void {
    this.#readMs = -1;
  }

  /** Opens a connection for requests to an endpoint, in TLS where that is spoken. What fails is told by `onClose`, later. */
  dial(target: EndpointTarget, owner: DialOwner): Socket {
    if (!isOfTls(target)) return this.sockets.dial(target, owner);
    this.#tls ??= new TlsDialer({
      nowMs: () => this.clock.nowMs(),
      probe: peerProbe(),
      keepAlive: keepAliveOf(this.#options.settings),
      credentials: this.credentials,
    });
    return this.#tls.dial(target, owner);
  }

  /** What handshakes with callers need. */
  get callerTls(): TlsThread {
    const { clock, credentials, guard, sockets, wheel } = this;
    this.#callerTls ??= {
      timeoutMs: this.#options.settings.headTimeoutMs,
      contexts: new ServerContexts(credentials, new TicketKeys(this.#options.ticketKeys), guard),
      gate: new HandshakeGate({ later: (task) => sockets.later(task), clock, wheel, guard }),
      // Who makes system calls asks about peers, too.
      probe: sockets instanceof RuntimeSockets ? sockets.probe : peerProbe(true),
      readBuffer: Buffer.allocUnsafeSlow(READ_BYTES),
    };
    return this.#callerTls;
  }

  /** Whether what was read is to be copied before the next read: it stands in a buffer that all connections share, or in a part of it. */
  isShared(data: Buffer): boolean {
    if (overlap(data, this.sockets.readBuffer)) return true;
    return this.#callerTls !== null && overlap(data, this.#callerTls.readBuffer);
  }

  /**
   * The write buffer. Whoever gathers in it over several calls says so by `by`; null is for one write right away. One read of
   * HTTP/2 is for many messages: what another one has gathered leaves first.
   */
  claimOut(by: Gatherer | null): Buffer<ArrayBuffer> {
    if (this.#gatherer !== by) {
      this.#gatherer?.yieldOut();
      this.#gatherer = by;
    }
    return this.#out;
  }

  /**
   * Sends the first `length` bytes of the write buffer, which is free again then: a socket that keeps what the kernel did not
   * take keeps the buffer, and the thread takes a new one. Returns false when the writer should wait for 'drain'.
   */
  writeOut(socket: ByteSink, length: number): boolean {
    const out = this.#out;
    wholeUpTo(length, out);
    if (socket.copies) return socket.write(out, 0, length);
    if (length < COPY_BYTES_MAX && (socket.writableLength !== 0 || socket.connecting))
      return socket.write(Buffer.from(out.subarray(0, length)), 0, length);
    const more = socket.write(out, 0, length);
    if (socket.writableLength !== 0) this.#out = this.sockets.allocate(this.#outBytes);
    return more;
  }

  /** Memory that so many bytes keep while they wait in a socket. */
  pinnedBy(bytes: number): number {
    if (this.sockets.copies || bytes < COPY_BYTES_MAX) return bytes;
    return Math.ceil(bytes / READ_BYTES) * this.#outBytes;
  }

  /** A buffer of SLAB_BYTES that nobody else writes to until `giveSlab`. */
  takeSlab(): Buffer {
    return this.#slabs.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
  }

  /** Takes a slab back. Only when no socket still holds a part of it. */
  giveSlab(slab: Buffer): void {
    if (slab.length === SLAB_BYTES && this.#slabs.length < SLABS_KEPT_MAX) this.#slabs.push(slab);
  }
}

/** Two buffers may have the same memory, or parts of it. */
function overlap(a: Buffer, b: Buffer): boolean {
  return (
    a.buffer === b.buffer &&
    a.byteOffset < b.byteOffset + b.length &&
    b.byteOffset < a.byteOffset + a.length
  );
}
