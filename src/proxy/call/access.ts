/** Fills the access-log record from an exchange that ended. */

import type { Random } from '../../base/random.ts';
import { FAILURES, type FailureReason } from '../../model/failure.ts';
import { grpcName } from '../../model/grpc-status.ts';
import type { Clock } from '../../base/clock.ts';
import type { AccessLog } from '../telemetry/access-log.ts';
import { AccessRecord } from '../telemetry/access-record.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import type { PortState } from '../table/table.ts';
import type { Account } from './account.ts';
import type { Peer } from './peer.ts';

/** Who called what. */
export interface Called {
  readonly source: Peer;
  readonly port: PortState;
}

/** Who sent a request, for the access log. */
export interface AccessCaller extends Called {
  readonly protocol: string;
  /** The target of the head in `kept` as it is sent on. */
  targetSent(kept: Buffer, headBytes: number): Buffer;
}

/** The head of a request, and where its parts stand. */
export interface KeptHead {
  readonly buffer: Buffer;
  readonly headBytes: number;
  readonly methodStart: number;
  readonly methodEnd: number;
  readonly targetStart: number;
  readonly targetEnd: number;
  /** The target is sent on with other bytes than it came. */
  readonly targetChanges: boolean;
}

/** A request that ended, for the access log. */
export interface AccessRequest extends Account {
  readonly rule: string;
  /** The last one. */
  readonly tried: { readonly endpoint: EndpointState } | null;
}

/** A connection without requests, or a session of UDP, that ended, for the access log. */
export interface AccessConnection {
  readonly failure: FailureReason | '';
  readonly startedMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** That the caller asked for in its TLS; '' where nobody has read it. */
  readonly serverName: string;
  readonly tries: number;
  /** The last one that was tried. */
  readonly endpoint: EndpointState | null;
}

export class AccessWriter {
  readonly log: AccessLog;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #record = new AccessRecord();

  constructor(log: AccessLog, clock: Clock, random: Random) {
    this.log = log;
    this.#clock = clock;
    this.#random = random;
  }

  write(caller: AccessCaller, request: AccessRequest, kept: KeptHead, nowMs: number): void {
    if (!this.log.wants(request.counted, request.failure !== '', this.#random)) return;
    const record = this.#record;
    this.#begin(caller, nowMs - request.startedMs);
    const { buffer, targetStart, targetEnd } = kept;
    record.method = buffer.toString('latin1', kept.methodStart, kept.methodEnd);
    if (kept.targetChanges) {
      const sent = caller.targetSent(buffer, kept.headBytes);
      record.setTarget(sent, 0, sent.length);
    } else record.setTarget(buffer, targetStart, targetEnd);
    record.protocol = caller.protocol;
    record.status = request.status;
    record.grpcStatus = grpcName(request.grpcStatus);
    record.failure = request.failure;
    record.rule = request.rule;
    record.requestBytes = request.requestBytes;
    record.responseBytes = request.responseBytes;
    record.tries = request.tries;
    record.endpoint = request.tried === null ? '' : request.tried.endpoint.key;
    this.log.write(record);
  }

  /** What was refused before it became a request has no method or target that could be trusted. A call of gRPC is told its status. */
  writeRefused(caller: Called, reason: FailureReason, rule: string, isGrpc = false): void {
    const { status } = FAILURES[reason];
    if (!this.log.wants(status, true, this.#random)) return;
    const record = this.#record;
    this.#begin(caller, 0);
    this.#leaveOutRequest();
    record.protocol = '';
    record.status = status;
    record.grpcStatus = isGrpc ? FAILURES[reason].grpc : '';
    record.failure = reason;
    record.rule = rule;
    record.requestBytes = 0;
    record.responseBytes = 0;
    record.tries = 0;
    record.endpoint = '';
    this.log.write(record);
  }

  writeConnection(caller: Called, connection: AccessConnection, nowMs: number): void {
    const { failure, endpoint } = connection;
    if (!this.log.wants(0, failure !== '', this.#random)) return;
    const record = this.#record;
    this.#begin(caller, nowMs - connection.startedMs);
    this.#leaveOutRequest();
    const { serverName } = connection;
    if (serverName !== '') {
      const bytes = Buffer.from(serverName, 'latin1');
      record.setTarget(bytes, 0, bytes.length);
    }
    record.protocol = caller.port.port.protocol.toUpperCase();
    record.status = 0;
    record.failure = failure;
    record.rule = '';
    record.requestBytes = connection.requestBytes;
    record.responseBytes = connection.responseBytes;
    record.tries = connection.tries;
    record.endpoint = endpoint === null ? '' : endpoint.key;
    this.log.write(record);
  }

  #leaveOutRequest(): void {
    const record = this.#record;
    record.method = '';
    record.targetLength = 0;
    record.targetCut = false;
    record.grpcStatus = '';
  }

  #begin(caller: Called, durationMs: number): void {
    const record = this.#record;
    record.durationMs = durationMs;
    record.startWallMs = this.#clock.wallMs() - durationMs;
    const { source } = caller;
    const identity = source.identify();
    let { accessOrigin } = source;
    if (accessOrigin === null || accessOrigin.identity !== identity) {
      record.callerAddress = source.address;
      record.originAddress = source.origin === null ? '' : source.origin.address;
      record.caller = identity === undefined ? '' : `${identity.namespace}/${identity.pod}`;
      record.service = caller.port.service.service.key;
      record.port = caller.port.port.port;
      accessOrigin = { identity, text: this.log.origin(record) };
      source.accessOrigin = accessOrigin;
    }
    record.origin = accessOrigin.text;
  }
}
