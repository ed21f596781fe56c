/**
 * A call of gRPC-Web, which the endpoint gets as gRPC: the translation between the stream of a caller, whatever its version of HTTP,
 * and its exchange. One object per call; other requests have none. docs/decisions/grpc.md
 */

import { FAILURES, type FailureReason } from '../../model/failure.ts';
import { GRPC_UNKNOWN } from '../../model/grpc-status.ts';
import { Base64Decoder } from '../grpc-web/base64-decoder.ts';
import { Base64Encoder, encodedBytesMax } from '../grpc-web/base64-encoder.ts';
import { MessageScan } from '../grpc-web/message-scan.ts';
import { isPreflight, preflightLines } from '../grpc-web/preflight.ts';
import { trailerFrame } from '../grpc-web/trailer-frame.ts';
import type { WebOrigin, WebOrigins } from '../grpc-web/web-origins.ts';
import {
  formatOfGrpc,
  grpcTypeText,
  mayBeGrpc,
  type WebType,
  webTypeOf,
  webTypeText,
} from '../grpc-web/web-type.ts';
import { type ExtraField, ExtraFields, FieldChanges } from '../head/field-changes.ts';
import type { HeadEdit } from '../head/filter.ts';
import { saysGrpc, statusOfHead, statusOfLines } from '../head/grpc-field.ts';
import { FRAMING_CHUNKED, FRAMING_NONE, type Head, METHOD_POST } from '../head/head.ts';
import { dropNamed } from '../head/named.ts';
import { grpcStatusLines } from './own-answer.ts';
import type { CallerStream } from './stream.ts';

const OK = 200;
const NO_CONTENT = 204;
const CONTENT_TYPE = 'content-type';
/** Of an answer, encoded in one go. */
const PIECE_BYTES = 12_288;
/** Of all answers of a thread: what is in it is passed on before anything else happens. */
const scratch = Buffer.allocUnsafeSlow(encodedBytesMax(PIECE_BYTES));
const NO_LINES = Buffer.alloc(0);
const NO_CHANGES = new FieldChanges([]);

/** What a request is to a Service that takes gRPC-Web; null for one that is something else. `head` is marked for what it is. */
export function webCallOf(
  origins: WebOrigins,
  data: Buffer,
  head: Head,
): WebCall | WebPreflight | null {
  if (isPreflight(data, head)) return new WebPreflight(origins.of(data, head));
  const isCall = head.method === METHOD_POST && !head.upgrade;
  const type = isCall ? webTypeOf(data, head, CONTENT_TYPE) : null;
  if (type === null) return isIntrusion(origins, data, head) ? new WebPreflight(null) : null;
  const wanted = webTypeOf(data, head, 'accept') ?? type;
  const call = new WebCall(type, { ...type, isText: wanted.isText }, origins.of(data, head));
  call.mark(head);
  return call;
}

/**
 * A page that may not call sends something else that is gRPC to somebody, for which its browser needs leave: an old one of ours, since
 * the annotation has named its origin once, or none, since it has a defect.
 */
function isIntrusion(origins: WebOrigins, data: Buffer, head: Head): boolean {
  return origins.of(data, head) === null && mayBeGrpc(data, head);
}

/** A browser asks whether a call may be made, or goes on as if it had. */
export class WebPreflight {
  readonly isCall = false;
  readonly status = NO_CONTENT;
  /** Null for one that may not call. */
  readonly origin: WebOrigin | null;

  constructor(origin: WebOrigin | null) {
    this.origin = origin;
  }

  /** Of the answer. */
  lines(data: Buffer, head: Head): Buffer {
    return preflightLines(data, head, this.origin?.allows ?? NO_LINES);
  }
}

function addedBy(filter: FieldChanges | null): readonly ExtraField[] {
  return filter === null ? [] : filter.extra.list;
}

export class WebCall {
  readonly isCall = true;
  /** Null for one that may not call. */
  readonly origin: WebOrigin | null;
  /** Of the content of the request; null where it goes on as it comes. */
  readonly decoder: Base64Decoder | null;
  readonly #type: WebType;
  /** Of the answer. */
  readonly #answers: WebType;
  /** Null before an answer of gRPC began, and without one. */
  #scan: MessageScan | null = null;
  #encoder: Base64Encoder | null = null;
  /** What the head of the answer said of its status; -1 for nothing. */
  #status = -1;

  constructor(type: WebType, answers: WebType, origin: WebOrigin | null) {
    this.#type = type;
    this.#answers = answers;
    this.origin = origin;
    this.decoder = type.isText ? new Base64Decoder() : null;
  }

  /** Marks a head of the request for what it asks of the mesh. How long its content becomes nobody knows. */
  mark(head: Head): void {
    head.grpc = true;
    if (this.decoder !== null) head.contentLength = -1;
  }

  /** What of a request, whose head stands as it came, leaves otherwise; `edit` and `spare` as for `GrpcCall.edit`. */
  editRequest(data: Buffer, head: Head, edit: HeadEdit | null, spare: HeadEdit): HeadEdit {
    const edited = edit ?? spare.clear();
    head.grpc = true;
    head.acceptsTrailers = true;
    dropNamed(data, head, 'content-length');
    head.contentLength = -1;
    head.lengthAnew = false;
    if (head.framing !== FRAMING_NONE) {
      head.framing = FRAMING_CHUNKED;
      head.chunked = true;
    }
    // A filter may have taken it out.
    if (!dropNamed(data, head, CONTENT_TYPE)) return edited;
    const type = { name: CONTENT_TYPE, value: grpcTypeText(this.#type.format) };
    edited.extra = new ExtraFields([...(edited.extra?.list ?? []), type]);
    return edited;
  }

  /**
   * The same of an answer, with what a filter changes of it. What is no answer of gRPC passes as it came, but for whom it says may
   * read it: of that no filter has a say, nor of what the content is.
   */
  editResponse(data: Buffer, head: Head, filter: FieldChanges | null): ExtraFields {
    this.#scan = null;
    const type = saysGrpc(data, head) ? [this.#readAnswer(data, head)] : [];
    const changes = this.origin?.changes ?? NO_CHANGES;
    filter?.mark(data, head);
    changes.mark(data, head);
    const ours = [...changes.removed, ...type.map(({ name }) => name)];
    const added = addedBy(filter).filter(({ name }) => !ours.includes(name));
    if (type.length > 0 && !this.#isWhole(head)) this.#beginContent(data, head);
    return new ExtraFields([...added, ...changes.extra.list, ...type]);
  }

  /** Of gRPC, as the endpoint says it: the content type that it gets instead of its own. */
  #readAnswer(data: Buffer, head: Head): ExtraField {
    const format = formatOfGrpc(data, head);
    this.#status = statusOfHead(data, head);
    dropNamed(data, head, CONTENT_TYPE);
    return { name: CONTENT_TYPE, value: webTypeText({ ...this.#answers, format }) };
  }

  /** The head is all of the answer. */
  #isWhole({ framing, status }: Head): boolean {
    return framing === FRAMING_NONE && (this.#status >= 0 || status !== OK);
  }

  #beginContent(data: Buffer, head: Head): void {
    dropNamed(data, head, 'content-length');
    dropNamed(data, head, 'trailer');
    head.contentLength = -1;
    head.lengthAnew = false;
    head.framing = FRAMING_CHUNKED;
    this.#scan = new MessageScan();
    this.#encoder = this.#answers.isText ? new Base64Encoder() : null;
  }

  /** Content of the answer. False where it is none of gRPC. */
  sendBody(caller: CallerStream, data: Buffer, start: number, end: number): boolean {
    const isRight = this.#scan === null || this.#scan.read(data, start, end);
    if (isRight) this.#send(caller, data, start, end);
    return isRight;
  }

  #send(caller: CallerStream, data: Buffer, start: number, end: number): void {
    const encoder = this.#scan === null ? null : this.#encoder;
    if (encoder === null) return caller.sendBody(data, start, end);
    for (let at = start; at < end; at += PIECE_BYTES) {
      const length = encoder.write(data, at, Math.min(end, at + PIECE_BYTES), scratch, 0);
      if (length > 0) caller.sendBody(scratch, 0, length);
    }
  }

  /** A read of the answer is over: what came leaves to its last byte, since a message may end there. */
  flush(caller: CallerStream): void {
    const length = this.#encoder?.end(scratch, 0) ?? 0;
    if (length > 0) caller.sendBody(scratch, 0, length);
  }

  /** The answer may end here: it is of whole messages. */
  get mayEnd(): boolean {
    return this.#scan === null || this.#scan.isBetween;
  }

  /** The answer is whole. */
  sendEnd(caller: CallerStream, trailers: Buffer | null): void {
    if (this.#scan === null) return caller.sendEnd(trailers);
    const lines = trailers ?? NO_LINES;
    // Who reads gRPC takes an answer without a status for UNKNOWN; who reads gRPC-Web may wait for one.
    const status = this.#status < 0 ? GRPC_UNKNOWN : this.#status;
    const isSaid = statusOfLines(lines) >= 0;
    const all = isSaid ? lines : Buffer.concat([lines, Buffer.from(`grpc-status: ${status}\r\n`)]);
    this.#sendTrailers(caller, all);
  }

  #sendTrailers(caller: CallerStream, lines: Buffer): void {
    const frame = trailerFrame(lines);
    this.#send(caller, frame, 0, frame.length);
    this.flush(caller);
    caller.sendEnd(null);
  }

  /** The exchange is over, and the mesh answers itself. */
  reply(caller: CallerStream, reason: FailureReason, retryAfterMs: number): void {
    const { allows = NO_LINES } = this.origin ?? {};
    const isLater = retryAfterMs > 0;
    const pushback = isLater ? `grpc-retry-pushback-ms: ${Math.ceil(retryAfterMs)}\r\n` : '';
    const head = `content-type: ${webTypeText(this.#answers)}\r\n${grpcStatusLines(reason)}${pushback}content-length: 0\r\n`;
    const isKept = FAILURES[reason].connection === 'kept';
    caller.answer(OK, Buffer.concat([Buffer.from(head), allows]), isKept);
  }

  /**
   * The exchange is over before its end, and the caller is told why: by an answer where there is none, else by trailers, where a
   * message has ended. False when it cannot be told, is at fault itself, or does not even take what it has.
   */
  endWith(caller: CallerStream, reason: FailureReason, isAnswered: boolean): boolean {
    // As in HTTP/2, after an assertion that failed nothing that we say can be trusted.
    const isQuiet = FAILURES[reason].blames === 'caller' || reason === 'internal';
    if (isQuiet || caller.waitingBytes > 0) return false;
    if (!isAnswered) {
      this.reply(caller, reason, 0);
      return true;
    }
    if (this.#scan?.isBetween !== true) return false;
    this.#sendTrailers(caller, Buffer.from(grpcStatusLines(reason)));
    caller.onExchangeDone();
    return true;
  }
}
