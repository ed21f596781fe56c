/** Fills the access-log record from an exchange that ended. */

import type { Random } from '../../base/random.ts';
import type { Identity } from '../../model/endpoint.ts';
import { FAILURES, type FailureReason } from '../../model/failure.ts';
import type { Clock } from '../../base/clock.ts';
import type { AccessLog } from '../telemetry/access-log.ts';
import { AccessRecord } from '../telemetry/access-record.ts';
import type { PortState } from '../table/table.ts';
import type { Account } from './account.ts';
import type { Replay } from './replay.ts';

/** The part of every access-log line of a connection that says who called what, while the caller is `identity`. */
export interface AccessOrigin {
  readonly identity: Identity | undefined;
  readonly text: Uint8Array;
}

/** Who called what, for the access log. */
export interface AccessCaller {
  readonly address: string;
  readonly port: PortState;
  readonly protocol: string;
  /** Kept by the access log; null until the first line. */
  accessOrigin: AccessOrigin | null;
  identify(): Identity | undefined;
  /** The target of the head in `kept` as it is sent on. */
  targetSent(kept: Buffer, headBytes: number): Buffer;
}

/** A request that ended, for the access log. */
export interface AccessRequest extends Account {
  readonly rule: string;
  /** Of the last try; '' without one. */
  readonly endpointKey: string;
  readonly replay: Replay;
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

  write(caller: AccessCaller, exchange: AccessRequest, nowMs: number): void {
    if (!this.log.wants(exchange.status, exchange.failure !== '', this.#random)) return;
    const record = this.#record;
    this.#begin(caller, nowMs - exchange.startedMs);
    const { buffer, targetStart, targetEnd } = exchange.replay;
    record.method = buffer.toString(
      'latin1',
      exchange.replay.methodStart,
      exchange.replay.methodEnd,
    );
    if (exchange.replay.targetChanges) {
      const sent = caller.targetSent(buffer, exchange.replay.headBytes);
      record.setTarget(sent, 0, sent.length);
    } else record.setTarget(buffer, targetStart, targetEnd);
    record.protocol = caller.protocol;
    record.status = exchange.status;
    record.failure = exchange.failure;
    record.rule = exchange.rule;
    record.requestBytes = exchange.requestBytes;
    record.responseBytes = exchange.responseBytes;
    record.tries = exchange.tries;
    record.endpoint = exchange.endpointKey;
    this.log.write(record);
  }

  /** What was refused before it became a request has no method or target that could be trusted. */
  writeRefused(caller: AccessCaller, reason: FailureReason, rule: string): void {
    const { status } = FAILURES[reason];
    if (!this.log.wants(status, true, this.#random)) return;
    const record = this.#record;
    this.#begin(caller, 0);
    record.method = '';
    record.targetLength = 0;
    record.targetCut = false;
    record.protocol = '';
    record.status = status;
    record.failure = reason;
    record.rule = rule;
    record.requestBytes = 0;
    record.responseBytes = 0;
    record.tries = 0;
    record.endpoint = '';
    this.log.write(record);
  }

  #begin(caller: AccessCaller, durationMs: number): void {
    const record = this.#record;
    record.durationMs = durationMs;
    record.startWallMs = this.#clock.wallMs() - durationMs;
    const identity = caller.identify();
    let { accessOrigin } = caller;
    if (accessOrigin === null || accessOrigin.identity !== identity) {
      record.callerAddress = caller.address;
      record.caller = identity === undefined ? '' : `${identity.namespace}/${identity.pod}`;
      record.service = caller.port.service.service.key;
      record.port = caller.port.port.port;
      accessOrigin = { identity, text: this.log.origin(record) };
      caller.accessOrigin = accessOrigin;
    }
    record.origin = accessOrigin.text;
  }
}
