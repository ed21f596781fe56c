/** Fills the access-log record from an exchange that ended. */

import type { Random } from '../../base/random.ts';
import type { ThreadContext } from '../context.ts';
import type { AccessLog } from '../telemetry/access-log.ts';
import { AccessRecord } from '../telemetry/access-record.ts';
import type { CallerConnection } from './caller-connection.ts';
import type { Exchange } from './exchange.ts';

export class AccessWriter {
  readonly log: AccessLog;
  readonly #context: ThreadContext;
  readonly #random: Random;
  readonly #record = new AccessRecord();

  constructor(log: AccessLog, context: ThreadContext) {
    this.log = log;
    this.#context = context;
    this.#random = context.random;
  }

  write(caller: CallerConnection, exchange: Exchange, nowMs: number): void {
    if (!this.log.wants(exchange.status, exchange.failure !== '', this.#random)) return;
    const record = this.#record;
    const kept = exchange.request.kept as Buffer;
    const identity = caller.identify();
    const { service } = caller.port.service;
    record.durationMs = nowMs - exchange.startedMs;
    record.startWallMs = this.#context.clock.wallMs() - record.durationMs;
    record.callerAddress = caller.address;
    record.caller = identity === undefined ? '' : `${identity.namespace}/${identity.pod}`;
    record.service = service.key;
    record.port = caller.port.number;
    record.method = kept.toString('latin1', 0, exchange.request.methodEnd);
    record.setTarget(kept, exchange.request.methodEnd + 1, exchange.request.targetEnd);
    record.protocol = exchange.http10 ? 'HTTP/1.0' : 'HTTP/1.1';
    record.status = exchange.status;
    record.failure = exchange.failure;
    record.requestBytes = exchange.request.body.bytes;
    record.responseBytes = exchange.response.body.bytes;
    record.tries = exchange.tries;
    record.endpoint = exchange.endpoint === null ? '' : exchange.endpoint.key;
    this.log.write(record);
  }
}
