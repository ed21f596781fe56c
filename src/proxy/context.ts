/** What everything on one proxy thread shares: time, limits, buffers, identities. One instance per thread. */

import type { Clock } from '../base/clock.ts';
import type { Guard } from '../base/guard.ts';
import type { PeerProbe } from '../base/libc.ts';
import type { Random } from '../base/random.ts';
import type { Identity } from '../model/endpoint.ts';
import type { ProxySettings } from '../model/settings.ts';
import { wholeUpTo } from './copy-whole.ts';
import { DeadlineWheel } from './deadline.ts';
import type { AccessWriter } from './http1/access.ts';
import { CallerRoom } from './caller-room.ts';
import { BrokenRules } from './http1/broken-rules.ts';
import { OWN_DIALS_BYTES, OwnDials } from './own-dials.ts';
import { DateLine } from './http1/date-line.ts';
import { Head } from './http1/head.ts';
import { listenersMax } from './listener-share.ts';
import { IdentityTrust } from './ledger/identity-trust.ts';
import { TRAILER_LINES_BYTES_MAX } from './http1/trailer.ts';

/** Bytes per read: one buffer for all connections of the thread, because a read is consumed before the next begins. */
export const READ_BYTES = 65_536;
/** Room in the write buffer beyond one whole read and a head: what rewriting adds, chunk framing, trailers. */
const WRITE_SLACK_BYTES = 8_192 + TRAILER_LINES_BYTES_MAX;
/** A socket that has to wait anyway gets a copy of less than this, rather than the whole write buffer. */
const COPY_BYTES_MAX = 16_384;
/** Size of the buffers that keep a request until its response begins. */
export const SLAB_BYTES = 16_384;
const SLABS_KEPT_MAX = 1_024;

export class ThreadContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly guard: Guard;
  readonly settings: ProxySettings;
  readonly wheel: DeadlineWheel;
  readonly identities = new Map<string, Identity>();
  readonly trust: IdentityTrust;
  /** CIDR check of `trustedSources`, by source address. */
  readonly isTrusted: (address: string) => boolean;
  readonly rules: BrokenRules;
  /** For responses without a Date. */
  readonly date: DateLine;
  readonly requestHead: Head;
  readonly responseHead: Head;
  readonly readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
  /** Null where the kernel cannot be asked: then less is noticed of peers that are not read from or written to. */
  probe: PeerProbe | null = null;
  /** Null while the access log is off. */
  accessLog: AccessWriter | null = null;
  /** Scratch for what is about to be written; see `wrote()`. */
  out: Buffer<ArrayBuffer>;
  draining = false;
  callerConnections = 0;
  readonly room: CallerRoom;
  readonly ownDials: OwnDials;
  /** Listening sockets that this thread may have. */
  readonly listenersMax: number;
  /** Accepts that the system refused, mostly for want of file descriptors. */
  acceptFailures = 0;
  readonly #slabs: Buffer[] = [];
  readonly #outBytes: number;

  constructor(options: {
    clock: Clock;
    random: Random;
    guard: Guard;
    settings: ProxySettings;
    isTrusted: (address: string) => boolean;
    /** By default identities are believed without end. */
    trust?: IdentityTrust;
    /** Proxy threads of the process; default 1. */
    threads?: number;
    /** Shared with the other threads of the process. */
    ownDials?: SharedArrayBuffer;
    /** File descriptors that the process may have; not limited by default. */
    descriptors?: number;
  }) {
    this.clock = options.clock;
    this.random = options.random;
    this.guard = options.guard;
    this.settings = options.settings;
    this.isTrusted = options.isTrusted;
    this.trust = options.trust ?? new IdentityTrust();
    this.wheel = new DeadlineWheel(options.clock);
    const { settings, threads = 1, descriptors = Infinity } = options;
    this.listenersMax = listenersMax(descriptors, threads);
    this.ownDials = new OwnDials(options.ownDials ?? new SharedArrayBuffer(OWN_DIALS_BYTES));
    this.room = new CallerRoom(
      {
        connections: settings.callerConnectionsMax,
        bytes: settings.callerMemoryBytes / threads,
        descriptors,
        threads,
      },
      this.wheel,
      this.guard,
    );
    this.rules = new BrokenRules(options.clock);
    this.date = new DateLine(options.clock);
    this.requestHead = new Head(options.settings.headFieldsMax);
    this.responseHead = new Head(options.settings.headFieldsMax);
    const { headBytesMax } = options.settings;
    // A head of nothing but short lines and lists grows by at most half.
    this.#outBytes = READ_BYTES + headBytesMax + (headBytesMax >> 1) + WRITE_SLACK_BYTES;
    this.out = Buffer.allocUnsafeSlow(this.#outBytes);
  }

  /**
   * Sends the first `length` bytes of `out`. The buffer is free again when the kernel took them all; otherwise the
   * socket keeps it and the thread takes a new one. Returns false when the writer should wait for 'drain'.
   */
  writeOut(
    socket: { write(data: Uint8Array): boolean; readonly writableLength: number },
    length: number,
  ): boolean {
    const data = this.out.subarray(0, wholeUpTo(length, this.out));
    if (length < COPY_BYTES_MAX && socket.writableLength !== 0)
      return socket.write(Buffer.from(data));
    const more = socket.write(data);
    if (socket.writableLength !== 0) this.out = Buffer.allocUnsafeSlow(this.#outBytes);
    return more;
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
