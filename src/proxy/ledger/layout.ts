/**
 * Where each figure lives in the memory that all threads share. One slot per Service, endpoint or status table, and per route
 * that has a rate limit of its own:
 *
 *   words   Int32   shared by all threads, changed with Atomics (in-flight, states, locks)
 *   floats  Float64 shared, one writer at a time or harmless races (times, moving averages); aligned, so never torn
 *   own     Float64 one copy per thread, written by that thread only, summed by the reader (counters, histograms)
 */

import { FAILURE_REASONS } from '../../model/failure.ts';
import { CHECK_RESULTS } from '../../model/health-check.ts';
import { GRPC_CODES } from '../../model/grpc-status.ts';

export type SlotKind = 'service' | 'endpoint' | 'status' | 'route';

export interface SlotShape {
  readonly words: number;
  readonly floats: number;
  readonly own: number;
  readonly slotsPerChunk: number;
}

/** Latency histogram of a Service, and of its breaker: four buckets per doubling from 64 µs; endpoint: one per doubling. */
export const SERVICE_BUCKETS = 84;
export const ENDPOINT_BUCKETS = 22;
/** Upper edge of the first bucket, in microseconds; a power of two. */
export const FIRST_BUCKET_MICROS = 64;

export const SERVICE_WORD = {
  /** Requests in flight, all threads. */
  inFlight: 0,
  /** 0 closed, 1 open, 2 recovering: written by the governor, read by the proxies. */
  breakerState: 1,
  /** Retries that may still be sent before the governor's next refill. */
  retryTokens: 2,
  /** Hash of the source address that has most requests in flight, as of the last time that there were nearly too many; 0 for none. */
  mostInFlight: 3,
  /** Lock of its token bucket. */
  bucketLock: 4,
  /** Sessions of UDP that a port waits for before it closes, all threads. */
  sessions: 5,
} as const;

export const SERVICE_FLOAT = {
  /** When the breaker entered its state, clock milliseconds. */
  breakerSinceMs: 0,
  /** When the state ends: an open breaker recovers, a recovering one closes. */
  breakerUntilMs: 1,
  /** Until when the last part of the requests in flight is kept for those that have few. */
  keptUntilMs: 2,
  /** When its token bucket is full again, in nanoseconds of the clock. */
  bucketFullNs: 3,
} as const;

export const ROUTE_WORD = { bucketLock: 0 } as const;
/** As in SERVICE_FLOAT. */
export const ROUTE_FLOAT = { bucketFullNs: 0 } as const;

/** What became of the copy of a request that was meant for a mirror. */
export const MIRROR_RESULTS = [
  /** The head of an answer came. */
  'answered',
  /** It could not be sent whole, or no whole answer came. */
  'failed',
  'timed_out',
  /** None that may take it, or the mirror may not be used. */
  'no_endpoint',
  'breaker_open',
  /** Longer than what is kept of a request, or than the Service of the mirror takes. */
  'too_large',
  /** Too many copies are on their way already, or too much of them. */
  'over_limit',
  /** The thread ended. */
  'cut',
] as const;
export type MirrorResult = (typeof MIRROR_RESULTS)[number];

/** What came of a TLS handshake, and the version that was agreed on where it is known. */
export const HANDSHAKE_RESULTS = [
  ['full', '1.3'],
  ['resumed', '1.3'],
  ['full', '1.2'],
  ['resumed', '1.2'],
  ['failed', ''],
  ['timed_out', ''],
] as const;
export const HANDSHAKE_TIMED_OUT = 5;

/** The place in HANDSHAKE_RESULTS of one that is over; null is one that failed. */
export function handshakeResult(
  done: { readonly isResumed: boolean; readonly version: string } | null,
): number {
  if (done === null) return 4;
  return (done.version === 'TLSv1.2' ? 2 : 0) + (done.isResumed ? 1 : 0);
}

/** Why a session of UDP ended. */
export const SESSION_ENDS = [
  /** It was silent for the idle limit. */
  'idle',
  /** It stood for as long as it may. */
  'lifetime',
  /** A new one took its place at a limit of the Service or of an endpoint. */
  'replaced',
  /** The node ran short of room. */
  'shed',
  /** The proxy, or the port, ended before it. */
  'draining',
  /** By a defect. */
  'failed',
] as const;
export type SessionEnd = (typeof SESSION_ENDS)[number];

/** Why a datagram was lost in the proxy, as far as it knows. */
export const DATAGRAM_DROPS = [
  /** Of a caller that gets no session, or whose session gets no endpoint. */
  'refused',
  /** The network said that the endpoint cannot be reached: at least one. */
  'unreachable',
  /** Larger than the way to the endpoint takes. */
  'too_large',
  /** To the endpoint: the system did not take it. */
  'unsent',
  /** To the caller, likewise. */
  'unsent_answer',
  /** Of callers or endpoints: the thread did not read them in time. */
  'overflow',
] as const;
export type DatagramDrop = (typeof DATAGRAM_DROPS)[number];

/** In the order of their counters: of callers to endpoints, and back. */
export const DATAGRAM_WAYS = ['received', 'sent'] as const;

export const SERVICE_OWN = {
  /** Six counters: responses by first digit of the status; 0 counts requests that ended without a response. */
  requests: 0,
  latencySumMs: 6,
  requestBytes: 7,
  responseBytes: 8,
  retries: 9,
  /** Retries that the budget forbade. */
  retriesDenied: 10,
  callerConnectionsOpened: 11,
  callerConnectionsActive: 12,
  upgradesActive: 13,
  inFlight: 14,
  /** Requests that a route redirected. */
  redirects: 15,
  /** One counter per entry of MIRROR_RESULTS: copies of requests to this Service. */
  mirrored: 16,
  /** One counter per entry of FAILURE_REASONS. */
  failures: 24,
  /** One counter per entry of CHECK_RESULTS: active health checks of its endpoints. */
  checks: 24 + 64,
  /** Requests that the Service of its failover took. */
  failedOver: 24 + 64 + 16,
  /** One counter per entry of HANDSHAKE_RESULTS: TLS of its callers. */
  handshakes: 24 + 64 + 16 + 1,
  handshakeSumMs: 24 + 64 + 16 + 1 + 8,
  handshakeBuckets: 24 + 64 + 16 + 1 + 8 + 1,
  /** Sessions of UDP: of this thread in the word `sessions`. */
  sessionsWaited: 24 + 64 + 16 + 32,
  sessionsOpened: 24 + 64 + 16 + 32 + 1,
  sessionsActive: 24 + 64 + 16 + 32 + 2,
  /** One counter per entry of SESSION_ENDS. */
  sessionsEnded: 24 + 64 + 16 + 32 + 3,
  /** One counter per entry of DATAGRAM_WAYS. */
  datagrams: 24 + 64 + 16 + 32 + 3 + 8,
  /** One counter per entry of DATAGRAM_DROPS. */
  datagramsDropped: 24 + 64 + 16 + 32 + 3 + 8 + 2,
  buckets: 24 + 64 + 16 + 32 + 3 + 8 + 2 + 8,
} as const;

export const ENDPOINT_WORD = {
  /** Requests in flight, all threads. */
  inFlight: 0,
  consecutiveFailures: 1,
  /** 0 in rotation, 1 ejected, 2 ejected with a probe under way. */
  health: 2,
  /** Ejections without a success between them; drives the back-off. */
  ejectionsInRow: 3,
  /** Ejections in all. */
  ejections: 4,
  /** Open connections, all threads. */
  connections: 5,
  /** The value of `ejections` when the last probe was sent, or checks ended the ejection: each is ended once. */
  probed: 6,
  /** What active checks make of it: CHECK_STATE. As the next three, written by the one thread that checks it. */
  checkState: 7,
  /** Checks in a row that passed; those that failed are counted below 0. */
  checkRun: 8,
  /** Place of the last result in CHECK_RESULTS, and its detail in the bits above (`packCheck`). */
  checkResult: 9,
  /** The value of `ejections` that `checkRun` has begun at: a check from before an ejection does not end it. */
  checkSeen: 10,
  /** Who ejected it last: 0 requests that failed, 1 checks. */
  ejectedBy: 11,
} as const;

export const ENDPOINT_FLOAT = {
  /** When it is due for a probe; while a probe is under way, when that counts as lost. */
  ejectedUntilMs: 0,
  ewmaMs: 1,
  ewmaAtMs: 2,
  /** When it last joined, for slow start; 0 when it was there from the beginning. */
  addedAtMs: 3,
  /** Load that its failures add, and when that was written. */
  penalty: 4,
  penaltyAtMs: 5,
  /** When its backend was last asked for an endpoint, to within a few requests; kept only where there are checks. */
  askedAtMs: 6,
  /** When its last check ended; 0 before. */
  checkedAtMs: 7,
  /** When its backend last had none, before it joined, or, where there is a failover, too few that are usable; 0 for never. */
  shortAtMs: 8,
} as const;

export const ENDPOINT_OWN = {
  requests: 0,
  latencySumMs: 6,
  connectFailures: 7,
  resets: 8,
  timeouts: 9,
  connectionsOpened: 10,
  inFlight: 11,
  connections: 12,
  /** Requests that count as failed for outlier ejection. */
  failed: 13,
  /** Tries that ended by no fault of the endpoint, and say nothing about it. */
  abandoned: 14,
  /** One counter per entry of HANDSHAKE_RESULTS. */
  handshakes: 16,
  buckets: 24,
} as const;

/** What calls of one method of gRPC are counted by, on one thread; they are in no slot (`MethodTable`). */
export const METHOD_CELL = {
  /** One counter per status of gRPC. */
  calls: 0,
  latencySumMs: GRPC_CODES.length,
  buckets: GRPC_CODES.length + 1,
} as const;
export const METHOD_CELLS = METHOD_CELL.buckets + ENDPOINT_BUCKETS;

export const STATUS_MIN = 100;
export const STATUS_COUNT = 500;
/** Where the histogram of what requests waited for endpoints begins: what a breaker judges latency by. */
export const STATUS_BUCKETS = STATUS_COUNT + 4;

export const SHAPES: Readonly<Record<SlotKind, SlotShape>> = {
  service: {
    words: 6,
    floats: 4,
    own: SERVICE_OWN.buckets + SERVICE_BUCKETS,
    slotsPerChunk: 256,
  },
  endpoint: {
    words: 12,
    floats: 9,
    own: ENDPOINT_OWN.buckets + ENDPOINT_BUCKETS,
    slotsPerChunk: 1024,
  },
  /** Counters of single statuses 100 to 599, then network errors, then latency: only for Services with a breaker. */
  status: {
    words: 0,
    floats: 0,
    own: STATUS_BUCKETS + SERVICE_BUCKETS,
    slotsPerChunk: 64,
  },
  route: { words: 1, floats: 1, own: 0, slotsPerChunk: 256 },
};

export const SLOT_KINDS = Object.keys(SHAPES) as readonly SlotKind[];

/** Index of the network-error counter in a status slot's own cells. */
export const STATUS_NETWORK_ERRORS = STATUS_COUNT;

if (MIRROR_RESULTS.length > SERVICE_OWN.failures - SERVICE_OWN.mirrored) {
  throw new RangeError('more results of mirrors than counters: widen SERVICE_OWN.mirrored');
}

if (CHECK_RESULTS.length > SERVICE_OWN.failedOver - SERVICE_OWN.checks) {
  throw new RangeError('more results of checks than counters: widen SERVICE_OWN.checks');
}

if (HANDSHAKE_RESULTS.length > SERVICE_OWN.handshakeSumMs - SERVICE_OWN.handshakes) {
  throw new RangeError('more results of handshakes than counters: widen SERVICE_OWN.handshakes');
}

if (HANDSHAKE_RESULTS.length > ENDPOINT_OWN.buckets - ENDPOINT_OWN.handshakes) {
  throw new RangeError('more results of handshakes than counters: widen ENDPOINT_OWN.handshakes');
}

if (ENDPOINT_BUCKETS > SERVICE_OWN.sessionsOpened - SERVICE_OWN.handshakeBuckets) {
  throw new RangeError('more buckets of handshakes than room: widen SERVICE_OWN.handshakeBuckets');
}

if (DATAGRAM_WAYS.length > SERVICE_OWN.datagramsDropped - SERVICE_OWN.datagrams) {
  throw new RangeError('more ways of datagrams than counters: widen SERVICE_OWN.datagrams');
}

if (SESSION_ENDS.length > SERVICE_OWN.datagrams - SERVICE_OWN.sessionsEnded) {
  throw new RangeError('more ends of sessions than counters: widen SERVICE_OWN.sessionsEnded');
}

if (DATAGRAM_DROPS.length > SERVICE_OWN.buckets - SERVICE_OWN.datagramsDropped) {
  throw new RangeError('more kinds of drops than counters: widen SERVICE_OWN.datagramsDropped');
}

if (FAILURE_REASONS.length > SERVICE_OWN.checks - SERVICE_OWN.failures) {
  throw new RangeError('more failure reasons than counters: widen SERVICE_OWN.failures');
}

/**
 * Bucket of a latency: bucket 0 is below 64 µs, then `2 ** subBits` buckets per doubling; the last one takes the rest.
 * `subBits` is 2 for a Service and 0 for an endpoint.
 */
export function bucketOf(latencyMs: number, subBits: number, buckets: number): number {
  const micros = latencyMs * 1000;
  if (!(micros >= FIRST_BUCKET_MICROS)) return 0;
  if (micros >= 2_000_000_000) return buckets - 1;
  const whole = micros | 0;
  const top = 31 - Math.clz32(whole);
  const index = ((top - 6) << subBits) + ((whole >>> (top - subBits)) & ((1 << subBits) - 1)) + 1;
  return index < buckets ? index : buckets - 1;
}

/** Upper edge of a bucket in milliseconds; Infinity for the last one. */
export function bucketEdgeMs(index: number, subBits: number, buckets: number): number {
  if (index >= buckets - 1) return Infinity;
  const per = 1 << subBits;
  const octave = Math.floor(index / per);
  return (FIRST_BUCKET_MICROS * 2 ** octave * (1 + (index % per) / per)) / 1000;
}
