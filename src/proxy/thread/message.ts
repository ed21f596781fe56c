/** What the main thread and a proxy thread say to each other. */

import type { ProxySettings } from '../../model/settings.ts';
import type { ChunkMessage } from '../ledger/ledger.ts';
import type { SocketKind } from '../net/socket.ts';
import type { SentCredentials } from '../net/tls/credentials.ts';
import type { DeltaPart } from './delta-parts.ts';

export interface ThreadData {
  /** 0-based; a replacement has the number of the thread it replaces. */
  readonly index: number;
  /** How many there are. */
  readonly threads: number;
  /** Memory of `OwnDials`. */
  readonly ownDials: SharedArrayBuffer;
  /** Of `TicketKeys`. */
  readonly ticketKeys: SharedArrayBuffer;
  /** Connections by caller. */
  readonly seats: SharedArrayBuffer;
  readonly settings: ProxySettings;
  /** Of the `IdentityTrust` of all threads. */
  readonly trust: SharedArrayBuffer;
  /** Of what this thread has open. */
  readonly marks: SharedArrayBuffer;
}

export type ToThread =
  /** New shared memory, before the first delta that uses it. */
  | { readonly kind: 'chunks'; readonly chunks: readonly ChunkMessage[] }
  /** The next part comes when this one was taken. */
  | ({ readonly kind: 'delta' } & DeltaPart)
  /** Certificates with keys, in their order among the deltas; likewise. */
  | ({ readonly kind: 'credentials' } & SentCredentials)
  /** Stop accepting, finish what runs; cut the rest after `timeoutMs`. */
  | { readonly kind: 'drain'; readonly timeoutMs: number; readonly lateMs: number }
  /** No thread accepts any more: tell callers to go. */
  | { readonly kind: 'closed' }
  /** Open log files anew, after they were moved away. */
  | { readonly kind: 'reopen' };

/** Instead of a code of the system: maesh itself is at fault, and the log has more. */
export const DEFECT = 'DEFECT';
/** Likewise: callers of the port speak TLS, and none of its certificates is here. */
export const NO_CERTIFICATE = 'NO_CERTIFICATE';

/** A port that a thread does not serve. */
export interface ListenFailure {
  readonly service: string;
  readonly address: string;
  readonly port: number;
  /** The system's code: EADDRINUSE, EACCES, EADDRNOTAVAIL, EMFILE …; or `DEFECT`. */
  readonly code: string;
}

export type FromThread =
  /** Warm and waiting for the first delta. */
  | {
      readonly kind: 'started';
      readonly sockets: SocketKind;
      /** Why it is not `system` although it might have been; '' otherwise. */
      readonly reason: string;
      /** Why it cannot splice although its sockets are `system`; '' otherwise. */
      readonly unspliced: string;
      /** Why datagrams go through the runtime although its sockets are `system`; '' otherwise. */
      readonly runtimeDatagrams: string;
    }
  /** A part of a delta, or credentials, were applied, or met a defect. */
  | { readonly kind: 'taken' }
  /** Everything up to `version` is served, but for `failures`, which are all that stand now; null for the same as the last time. */
  | {
      readonly kind: 'applied';
      readonly version: number;
      readonly listeners: number;
      readonly failures: readonly ListenFailure[] | null;
    }
  /** It accepts no more. */
  | { readonly kind: 'closed' }
  | { readonly kind: 'drained' }
  /** Where the thread counts calls of one more method of gRPC: METHOD_CELL. */
  | {
      readonly kind: 'method';
      readonly service: string;
      readonly method: string;
      readonly cells: SharedArrayBuffer;
    }
  /** Once a second: what only the thread itself knows. */
  | { readonly kind: 'vitals'; readonly vitals: ThreadVitals }
  | {
      readonly kind: 'log';
      readonly level: 'info' | 'warn' | 'error';
      readonly message: string;
      readonly fields: Readonly<Record<string, string | number>>;
    };

export interface ThreadVitals {
  /** How much later than asked timers run, in the last second. */
  readonly eventLoop: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number };
  /** Access log lines since the thread started. */
  readonly logWritten: number;
  readonly logDropped: number;
  readonly logLeftOut: number;
  /** Caught at the boundary since the thread started; each cost a connection. */
  readonly defects: number;
  /** `BrokenRules.counts` since the thread started. */
  readonly brokenRules: readonly number[];
  /** `CallerRoom.shed` since the thread started. */
  readonly shed: readonly number[];
  /** What callers hold now. */
  readonly callerBytes: number;
  /** Bytes that went from socket to socket inside the kernel, since the thread started. */
  readonly splicedBytes: number;
}

export type StartedMessage = Extract<FromThread, { readonly kind: 'started' }>;
