/** TLS of the callers of a port: what is agreed on, and what is counted and logged of it. */

import { FAILURES, type FailureReason } from '../../model/failure.ts';
import type { CallerTls } from '../../model/credential.ts';
import { add, countRequest } from '../call/account.ts';
import type { ThreadContext } from '../http/context.ts';
import { Peer } from '../call/peer.ts';
import {
  bucketOf,
  ENDPOINT_BUCKETS,
  HANDSHAKE_TIMED_OUT,
  handshakeResult,
  SERVICE_OWN,
} from '../ledger/layout.ts';
import type { CallerSocket } from '../net/tls/caller-socket.ts';
import type { TlsPort } from '../net/tls/handshake.ts';
import type { PortState } from '../table/table.ts';

/** Of a port of HTTP, the preferred one first. What the endpoints speak is another thing. */
const HTTP_PROTOCOLS: readonly string[] = ['h2', 'http/1.1'];
/** What a port of TCP carries is not known. */
const NO_PROTOCOLS: readonly string[] = [];

export class CallerTlsPort implements TlsPort {
  readonly #port: PortState;
  readonly #context: ThreadContext;

  constructor(port: PortState, context: ThreadContext) {
    this.#port = port;
    this.#context = context;
  }

  get service(): string {
    return this.#port.service.service.key;
  }

  get number(): number {
    return this.#port.number;
  }

  get crowd(): object {
    return this.#port.rules.flight;
  }

  get callerTls(): CallerTls | null {
    return this.#port.port.callerTls;
  }

  get protocols(): readonly string[] {
    return this.#port.port.protocol === 'http' ? HTTP_PROTOCOLS : NO_PROTOCOLS;
  }

  get closed(): boolean {
    return this.#port.closed || this.#context.draining;
  }

  onSecured(socket: CallerSocket, tookMs: number): void {
    const { cells } = this.#port.service;
    add(cells, SERVICE_OWN.handshakes + handshakeResult(socket), 1);
    add(cells, SERVICE_OWN.handshakeSumMs, tookMs);
    add(cells, SERVICE_OWN.handshakeBuckets + bucketOf(tookMs, 0, ENDPOINT_BUCKETS), 1);
  }

  /** It counts as a request that came to nothing. */
  onFailed(address: string, reason: FailureReason): void {
    const { service, rules } = this.#port;
    const result = reason === 'caller_tls_timeout' ? HANDSHAKE_TIMED_OUT : handshakeResult(null);
    add(service.cells, SERVICE_OWN.handshakes + result, 1);
    countRequest(rules.cells, FAILURES[reason].status, reason);
    const called = {
      source: new Peer({ remoteAddress: address }, this.#context),
      port: this.#port,
    };
    this.#context.accessLog?.writeRefused(called, reason, '');
  }
}
