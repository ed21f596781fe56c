/** What the metrics are read from: shared memory for the traffic, the owner of the process for the rest. */

import type { Problem, Service } from '../../model/service.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { MethodFigures } from './method-counts.ts';
import type { EventLoopDelay, ProcessFigures } from './process-figures.ts';

/** Lines of access logs. */
export interface AccessLines {
  readonly written: number;
  /** The disk was slow or full. */
  readonly dropped: number;
  /** There would have been too many of a kind. */
  readonly leftOut: number;
}

export interface DnsQueryCount {
  /** `A`, `AAAA` …; what is not known to the zone must come as `other`, since callers choose the types they send. */
  readonly type: string;
  /** `NOERROR`, `NXDOMAIN` … */
  readonly rcode: string;
  readonly count: number;
}

/** How often a rule of HTTP was broken, and by which side. */
export interface BrokenRuleCount {
  readonly by: 'caller' | 'endpoint';
  readonly rule: string;
  readonly count: number;
}

/** Every method is cheap and reads the present; counters never fall while the process lives. */
export interface MetricsSource {
  readonly ledger: Ledger;
  services(): Iterable<Service>;
  /** Version of the configuration that all threads run. */
  configVersion(): number;
  problems(): readonly Problem[];
  threads(): { readonly alive: number; readonly restarts: number };
  /** Service ports that are open, each counted once whatever the number of threads. */
  listeners(): number;
  /** One per Service port that cannot be listened on. */
  listenFailures(): Iterable<{ readonly service: string }>;
  /** Source addresses that stand for a Pod, as samples by state: `certain` or `doubt`. */
  identities(): readonly { readonly labels: readonly [string]; readonly value: number }[];
  /** For how long it was not confirmed who they are. */
  identityAgeSeconds(): number;
  /** By part of the process. */
  defects(): Iterable<readonly [string, number]>;
  dnsQueries(): Iterable<DnsQueryCount>;
  /** Lines of all threads: written, and dropped because the disk was slow or full. */
  accessLog(): AccessLines;
  /** `CallerRoom.shed`, and what callers hold, of all threads. */
  callers(): { readonly shed: readonly number[]; readonly bytes: number };
  /** Rules of HTTP/1.1 that were broken, of all threads. */
  brokenRules(): Iterable<BrokenRuleCount>;
  /** Methods of gRPC that were called, of one Service. */
  methods(service: string): Iterable<MethodFigures>;
  /** One entry per thread: `main`, `proxy-0` … */
  eventLoops(): Iterable<EventLoopDelay & { readonly thread: string }>;
  /** One entry per proxy thread that has started. */
  sockets(): Iterable<{ readonly thread: string; readonly kind: string }>;
  /** Of all threads. */
  splicedBytes(): number;
  process(): ProcessFigures;
  build(): { readonly version: string; readonly node: string };
}
