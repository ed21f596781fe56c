/** The two shapes of an access-log line. No header value is ever in it; the query only when asked for. */

import type { AccessRecord } from './access-record.ts';
import { BYTES_PER_CHAR_MAX, LineWriter } from './line-writer.ts';

/** Longest names that are logged whole; Kubernetes allows 253 + 1 + 253. */
const NAME_CHARS = 512;
const SHORT_CHARS = 64;
const LAST_STATUS = 599;
const QUESTION_MARK = 0x3f;
const DASH = 0x2d;

/** No line is longer, whatever the record holds: two names, seven short texts, a target, a word of gRPC, numbers and punctuation. */
export const LINE_BYTES_MAX =
  BYTES_PER_CHAR_MAX * (2 * NAME_CHARS + 7 * SHORT_CHARS) + 3 * 2_048 + 1_024;

/** Names of the fields of a JSON line, in their order. */
export const ACCESS_FIELDS = [
  'time',
  'callerAddress',
  'originAddress',
  'caller',
  'service',
  'port',
  'method',
  'target',
  'targetCut',
  'protocol',
  'status',
  'grpcStatus',
  'failure',
  'rule',
  'requestBytes',
  'responseBytes',
  'durationMs',
  'tries',
  'endpoint',
] as const;

export class AccessFormat {
  readonly #common: boolean;
  readonly #query: boolean;
  #second = -1;
  /** Start of a line: up to the milliseconds in JSON, the time alone in the common format. */
  #time: Uint8Array = Buffer.alloc(0);
  /** What stands between target and request bytes in the JSON line of an ordinary HTTP/1.1 request, by its status. */
  readonly #outcomes: (Uint8Array | undefined)[] = Array.from({ length: LAST_STATUS + 1 });
  readonly #scratch = new LineWriter(Buffer.allocUnsafeSlow(LINE_BYTES_MAX));

  constructor(format: 'json' | 'common', query: boolean) {
    this.#common = format === 'common';
    this.#query = query;
  }

  /** Appends one line; `to` must have room for LINE_BYTES_MAX bytes. */
  append(to: LineWriter, record: AccessRecord): void {
    const second = Math.floor(record.startWallMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      const text = this.#common
        ? commonTime(second)
        : `{"time":"${new Date(second * 1000).toISOString().slice(0, 20)}`;
      this.#time = Buffer.from(text);
    }
    if (this.#common) this.#appendCommon(to, record);
    else this.#appendJson(to, record);
    to.byte(0x0a);
  }

  /** The part of a line that says who called what: the same for all requests of a connection, so it may be kept. */
  origin(record: AccessRecord): Uint8Array {
    return this.#kept((to) => this.#writeOrigin(to, record));
  }

  #appendOrigin(to: LineWriter, record: AccessRecord): void {
    if (record.origin === null) this.#writeOrigin(to, record);
    else to.bytes(record.origin);
  }

  #writeOrigin(to: LineWriter, record: AccessRecord): void {
    if (this.#common) {
      const { callerAddress, originAddress } = record;
      to.text(originAddress === '' ? callerAddress : originAddress, SHORT_CHARS);
      to.ascii(' - ');
      if (record.caller === '') to.byte(DASH);
      else to.text(record.caller, NAME_CHARS);
      return;
    }
    to.ascii('Z","callerAddress":"');
    to.text(record.callerAddress, SHORT_CHARS);
    to.ascii('","originAddress":"');
    to.text(record.originAddress, SHORT_CHARS);
    to.ascii('","caller":"');
    to.text(record.caller, NAME_CHARS);
    to.ascii('","service":"');
    to.text(record.service, NAME_CHARS);
    to.ascii('","port":');
    to.integer(record.port);
  }

  #appendJson(to: LineWriter, record: AccessRecord): void {
    to.bytes(this.#time);
    to.padded(Math.floor(record.startWallMs) - this.#second * 1000, 3);
    this.#appendOrigin(to, record);
    to.ascii(',"method":"');
    to.text(record.method, SHORT_CHARS);
    to.ascii('","target":"');
    to.target(record.target, this.#targetEnd(record));
    this.#appendOutcome(to, record);
    to.integer(record.requestBytes);
    to.ascii(',"responseBytes":');
    to.integer(record.responseBytes);
    to.ascii(',"durationMs":');
    to.thousandths(record.durationMs);
    to.ascii(',"tries":');
    to.integer(record.tries);
    to.ascii(',"endpoint":"');
    to.text(record.endpoint, SHORT_CHARS);
    to.ascii('"}');
  }

  #appendOutcome(to: LineWriter, record: AccessRecord): void {
    const { status } = record;
    if (!isOrdinary(record)) return this.#writeOutcome(to, record);
    let outcome = this.#outcomes[status];
    if (outcome === undefined) {
      outcome = this.#kept((scratch) => this.#writeOutcome(scratch, record));
      this.#outcomes[status] = outcome;
    }
    to.bytes(outcome);
  }

  #kept(write: (to: LineWriter) => void): Uint8Array {
    this.#scratch.length = 0;
    write(this.#scratch);
    return new Uint8Array(this.#scratch.buffer.subarray(0, this.#scratch.length));
  }

  #writeOutcome(to: LineWriter, record: AccessRecord): void {
    to.ascii(
      record.targetCut ? '","targetCut":true,"protocol":"' : '","targetCut":false,"protocol":"',
    );
    to.text(record.protocol, SHORT_CHARS);
    to.ascii('","status":');
    to.integer(record.status);
    to.ascii(',"grpcStatus":"');
    to.text(record.grpcStatus, SHORT_CHARS);
    to.ascii('","failure":"');
    to.text(record.failure, SHORT_CHARS);
    to.ascii('","rule":"');
    to.text(record.rule, SHORT_CHARS);
    to.ascii('","requestBytes":');
  }

  /** `127.1.0.5 - shop/client [22/Nov/2026:05:05:04 +0000] "GET /cart HTTP/1.1" 200 1234`. */
  #appendCommon(to: LineWriter, record: AccessRecord): void {
    this.#appendOrigin(to, record);
    to.ascii(' [');
    to.bytes(this.#time);
    to.ascii('] "');
    to.text(record.method, SHORT_CHARS);
    to.byte(0x20);
    to.target(record.target, this.#targetEnd(record));
    to.byte(0x20);
    to.text(record.protocol, SHORT_CHARS);
    to.ascii('" ');
    if (record.status === 0) to.byte(DASH);
    else to.integer(record.status);
    to.byte(0x20);
    to.integer(record.responseBytes);
  }

  /** Queries carry tokens and names of people; the path alone tells which request it was. */
  #targetEnd(record: AccessRecord): number {
    if (this.#query) return record.targetLength;
    for (let i = 0; i < record.targetLength; i++) {
      if (record.target[i] === QUESTION_MARK) return i;
    }
    return record.targetLength;
  }
}

/** What all but the status of the outcome is the same for. */
function isOrdinary(record: AccessRecord): boolean {
  const { status, grpcStatus, protocol, failure, rule, targetCut } = record;
  const isPlain = failure === '' && rule === '' && grpcStatus === '' && !targetCut;
  return isPlain && protocol === 'HTTP/1.1' && status > 0 && status <= LAST_STATUS;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `22/Nov/2026:05:05:04 +0000`: always UTC. */
function commonTime(second: number): string {
  const iso = new Date(second * 1000).toISOString();
  const month = MONTHS[Number(iso.slice(5, 7)) - 1] ?? '';
  return `${iso.slice(8, 10)}/${month}/${iso.slice(0, 4)}:${iso.slice(11, 19)} +0000`;
}
