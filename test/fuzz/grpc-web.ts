/**
 * Fuzz target of gRPC-Web: content types, content of requests and of answers, cut anywhere, must become what a second reader of the
 * whole makes of them. An input is four bytes that choose, a content type up to a line feed, and content.
 */

import { seededRandom } from '../../src/base/random.ts';
import { WebOrigins } from '../../src/proxy/grpc-web/web-origins.ts';
import { Head, METHOD_POST } from '../../src/proxy/head/head.ts';
import type { CallerStream } from '../../src/proxy/http/stream.ts';
import { type WebCall, webCallOf } from '../../src/proxy/http/web-call.ts';
import { parseRequestHead } from '../../src/proxy/http1/codec/request-head.ts';
import { parseResponseHead } from '../../src/proxy/http1/codec/response-head.ts';
import { frame } from '../support/grpc-web.ts';
import { type FuzzTarget, invariant } from './target.ts';

const LIMITS = { headBytesMax: 16_384, headFieldsMax: 16 };
const ORIGINS = new WebOrigins({ origins: ['*'] });
const TRAILERS_FLAG = 0x80;
/** Longer than what is encoded in one go. */
const LONG_BYTES = 14_000;

/** By the bits of the first byte. */
const HAS_TEXT = 1;
const IS_LONG = 2;
const IS_GIVEN_UP = 4;
const FLUSHES = 8;

interface Input {
  readonly flags: number;
  /** Cuts follow from it. */
  readonly seed: number;
  /** Bytes that are decoded in one go. */
  readonly room: number;
  readonly choice: number;
  readonly type: string;
  readonly content: Buffer;
}

function read(input: Buffer): Input {
  const [flags = 0, seed = 0, room = 0, choice = 0] = input;
  const line = input.indexOf('\n', 4);
  const end = line < 0 ? input.length : line;
  const type = input.toString('latin1', 4, end);
  return { flags, seed, room: 3 + (room % 64), choice, type, content: input.subarray(end + 1) };
}

/** Pieces of random sizes, each among bytes that are none of it. */
function* pieces(content: Buffer, seed: number): Generator<readonly [Buffer, number, number]> {
  const random = seededRandom(seed + 256 * content.length);
  for (let at = 0; at < content.length;) {
    const size = 1 + Math.floor(random.next() * 2 ** Math.floor(random.next() * 17));
    const piece = content.subarray(at, at + size);
    yield [Buffer.concat([Buffer.from('AA='), piece, Buffer.from('=A!')]), 3, 3 + piece.length];
    at += size;
  }
}

const TYPE = /^application\/grpc-web(-text)?(\+[!#$%&'*+.^_`|~0-9a-z-]{1,31})?(?:[\t ]*;.*)?$/is;

/** What the type says, by a second reader: null where it is none of gRPC-Web. */
function typeOf(text: string): { isText: boolean; format: string } | null {
  const [whole, suffix, format = ''] = TYPE.exec(text.replaceAll(/^[\t ]+|[\t ]+$/g, '')) ?? [];
  return whole === undefined ? null : { isText: suffix !== undefined, format };
}

/** A call with a head of this content type; null where the head is none, 'other' where it is no call. */
function callOf(type: string): WebCall | 'other' | null {
  const data = Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\n\r\n`, 'latin1');
  const head = new Head(LIMITS.headFieldsMax);
  if (parseRequestHead(data, 0, data.length, head, LIMITS) !== data.length) return null;
  const call = webCallOf(ORIGINS, data, head);
  return call !== null && call.isCall ? call : 'other';
}

function checkType(type: string): void {
  const call = callOf(type);
  if (call === null) return;
  const wanted = typeOf(type);
  invariant((call === 'other') === (wanted === null), `"${type}" is read otherwise`);
  if (call === 'other' || wanted === null) return;
  invariant((call.decoder !== null) === wanted.isText, `"${type}" is of another form`);
  const sink = new Sink();
  call.reply(sink.stream, 'no_endpoint', 0);
  const form = wanted.isText ? '-text' : '';
  const said = `content-type: application/grpc-web${form}${wanted.format}\r\ngrpc-status: 14\r\n`;
  invariant(sink.head.startsWith(said), `it is answered by ${sink.head}`);
}

const GROUP = /^(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$/;
const BEGUN = /^(?:[A-Za-z0-9+/]{0,3}|[A-Za-z0-9+/]{2}=)$/;

/** What content in base64 is, group by group. */
function decode(text: string): { bytes: Buffer; end: 'whole' | 'open' | 'broken' } {
  const parts: Buffer[] = [];
  for (let at = 0; at < text.length; at += 4) {
    const group = text.slice(at, at + 4);
    const bytes = Buffer.from(group, 'base64');
    const isGood = GROUP.test(group) && bytes.toString('base64') === group;
    if (!isGood) return { bytes: Buffer.concat(parts), end: BEGUN.test(group) ? 'open' : 'broken' };
    parts.push(bytes);
  }
  return { bytes: Buffer.concat(parts), end: 'whole' };
}

/** The content of a request in text. */
function checkRequest({ content, seed, room }: Input): void {
  const call = callOf('application/grpc-web-text');
  invariant(call !== null && call !== 'other' && call.decoder !== null, 'it is a call');
  const { decoder } = call;
  const out = Buffer.alloc(room);
  const got: Buffer[] = [];
  let isBroken = false;
  for (const [data, start, end] of pieces(content, seed)) {
    for (let at = start; at < end && !isBroken;) {
      const next = decoder.read(data, at, end, out);
      invariant(next < 0 || next > at, 'it does not come on');
      isBroken = next < 0;
      got.push(Buffer.from(out.subarray(0, decoder.written)));
      at = next;
    }
    if (isBroken) break;
  }
  const seen = isBroken ? 'broken' : decoder.isWhole ? 'whole' : 'open';
  const wanted = decode(content.toString('latin1'));
  invariant(seen === wanted.end, `it is ${seen}, and not ${wanted.end}`);
  // Of a broken group the first bytes may have been written: they go nowhere.
  const bytes = Buffer.concat(got);
  const isSame = isBroken
    ? bytes.subarray(0, wanted.bytes.length).equals(wanted.bytes) &&
      bytes.length < wanted.bytes.length + 4
    : bytes.equals(wanted.bytes);
  invariant(isSame, 'it became something else');
}

/** Takes what a call says to its caller. */
class Sink {
  readonly #parts: Buffer[] = [];
  head = '';
  ends = 0;
  trailers: Buffer | null = null;

  get stream(): CallerStream {
    const taken: Partial<CallerStream> = {
      waitingBytes: 0,
      sendBody: (data, start, end) => {
        invariant(data !== null && start < end && end <= data.length, 'a piece without bytes');
        this.#parts.push(Buffer.from(data.subarray(start, end)));
      },
      sendEnd: (trailers) => {
        this.ends++;
        this.trailers = trailers;
      },
      answer: (_status, lines) => {
        this.head = lines.toString('latin1');
      },
      onExchangeDone: () => undefined,
    };
    return taken as CallerStream;
  }

  /** What came since it was taken last. */
  take(): Buffer {
    return Buffer.concat(this.#parts.splice(0));
  }
}

/** Where content is none of gRPC, -1 for nowhere; and whether it ends between messages. */
function messagesOf(content: Buffer): { brokenAt: number; isWhole: boolean } {
  let at = 0;
  while (at < content.length) {
    if ((content[at] as number) >= TRAILERS_FLAG) return { brokenAt: at, isWhole: false };
    if (at + 5 > content.length) return { brokenAt: -1, isWhole: false };
    at += 5 + content.readUInt32BE(at + 1);
  }
  return { brokenAt: -1, isWhole: at === content.length };
}

const GRPC_HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/grpc+x\r\n';
/** Heads of answers, with the status that they say; null for one that is none of gRPC. */
const HEADS: readonly (readonly [lines: string, status: number | null])[] = [
  [`${GRPC_HEAD}Transfer-Encoding: chunked\r\n\r\n`, -1],
  [`${GRPC_HEAD}Content-Length: 70000\r\n\r\n`, -1],
  [`${GRPC_HEAD}Grpc-Status: 5\r\nTransfer-Encoding: chunked\r\n\r\n`, 5],
  [`${GRPC_HEAD}Content-Length: 0\r\n\r\n`, -1],
  ['HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n', null],
];
/** Trailers of endpoints, and what a page must be told of them. */
const TRAILERS: readonly (readonly [lines: string | null, told: string])[] = [
  ['grpc-status: 0\r\n', 'grpc-status: 0\r\n'],
  ['Grpc-Status: 7\r\nX-A: B: C\r\n', 'grpc-status: 7\r\nx-a: B: C\r\n'],
  ['x-bin: AAA=\r\n', 'x-bin: AAA=\r\n'],
  [null, ''],
];

/** The content of an answer, in both forms. */
function checkAnswer({ flags, seed, choice, content: short }: Input): void {
  const isLong = (flags & IS_LONG) !== 0 && short.length > 0;
  const times = isLong ? Math.ceil(LONG_BYTES / short.length) : 1;
  const content = Buffer.concat(Array.from({ length: times }, () => short));
  const isText = (flags & HAS_TEXT) !== 0;
  const call = callOf(`application/grpc-web${isText ? '-text' : ''}`);
  invariant(call !== null && call !== 'other', 'it is a call');
  const [lines, status] = HEADS[choice % HEADS.length] as (typeof HEADS)[number];
  const head = new Head(LIMITS.headFieldsMax);
  const bytes = Buffer.from(lines);
  parseResponseHead(bytes, 0, bytes.length, head, LIMITS, METHOD_POST);
  const said = call.editResponse(bytes, head, null).list;
  const type = said.find(({ name }) => name === 'content-type')?.value;
  const wanted = `application/grpc-web${isText ? '-text' : ''}+x`;
  invariant(type === (status === null ? undefined : wanted), `its type is ${type}`);
  const sink = new Sink();
  const from = sendAll(call, sink, { content, seed, flags, isText, isGrpc: status !== null });
  if (from < 0) return;
  end(call, sink, { content: content.subarray(from), choice, flags, isText, status });
}

interface Sending {
  readonly content: Buffer;
  readonly seed: number;
  readonly flags: number;
  readonly isText: boolean;
  readonly isGrpc: boolean;
}

/** How much was checked on its way; -1 when the content is none of whole messages, and was found to be none at the piece that shows it. */
function sendAll(
  call: WebCall,
  sink: Sink,
  { content, seed, flags, isText, isGrpc }: Sending,
): number {
  const { brokenAt, isWhole } = isGrpc ? messagesOf(content) : { brokenAt: -1, isWhole: true };
  const { stream } = sink;
  let came = 0;
  let taken = 0;
  for (const [data, from, to] of pieces(content, seed)) {
    const before = came;
    came += to - from;
    const isRight = call.sendBody(stream, data, from, to);
    invariant(isRight === (brokenAt < 0 || came <= brokenAt), 'other messages were seen');
    if (!isRight) {
      invariant(!call.mayEnd, 'what is broken is whole');
      invariant(!call.endWith(stream, 'endpoint_reset_body', true), 'trailers in a message');
      const got = isText ? decode(sink.take().toString('latin1')).bytes : sink.take();
      invariant(got.equals(content.subarray(taken, taken + got.length)), 'other bytes left before');
      invariant(taken + got.length <= before, 'what is broken was sent');
      return -1;
    }
    if ((flags & FLUSHES) === 0) continue;
    call.flush(stream);
    invariant(plain(sink, isText && isGrpc).equals(content.subarray(taken, came)), 'bytes wait');
    taken = came;
  }
  invariant(call.mayEnd === isWhole, `it may end: ${call.mayEnd}`);
  return isWhole ? taken : -1;
}

/** What left since the last look, as a reader has it. */
function plain(sink: Sink, isText: boolean): Buffer {
  const content = sink.take();
  if (!isText) return content;
  const { bytes, end: how } = decode(content.toString('latin1'));
  invariant(how === 'whole', `base64 that is ${how}`);
  return bytes;
}

interface Ending {
  /** What of it was not looked at yet. */
  readonly content: Buffer;
  readonly choice: number;
  readonly flags: number;
  readonly isText: boolean;
  readonly status: number | null;
}

function end(call: WebCall, sink: Sink, { content, choice, flags, isText, status }: Ending): void {
  const [lines, told] = TRAILERS[(choice >> 4) % TRAILERS.length] as (typeof TRAILERS)[number];
  const trailers = lines === null ? null : Buffer.from(lines);
  const isGivenUp = (flags & IS_GIVEN_UP) !== 0 && status !== null;
  if (isGivenUp) invariant(call.endWith(sink.stream, 'endpoint_reset_body', true), 'it is told');
  else call.sendEnd(sink.stream, trailers);
  invariant(sink.ends === 1, `it ended ${sink.ends} times`);
  const left = plain(sink, isText && status !== null);
  if (status === null) {
    invariant(left.equals(content) && sink.trailers === trailers, 'it was changed');
    return;
  }
  invariant(sink.trailers === null, 'trailers behind a frame of trailers');
  invariant(left.subarray(0, content.length).equals(content), 'other messages left');
  const last = left.subarray(content.length);
  if (isGivenUp) {
    const text = last.toString('latin1', 5);
    invariant(text.startsWith('grpc-status: 14\r\ngrpc-message: '), `the last frame is ${text}`);
    invariant(last.equals(frame(text, TRAILERS_FLAG)), 'its length is wrong');
    return;
  }
  const isSaid = told.includes('grpc-status: ');
  const own = isSaid ? '' : `grpc-status: ${status < 0 ? 2 : status}\r\n`;
  invariant(last.equals(frame(told + own, TRAILERS_FLAG)), `the last frame is ${last.toString()}`);
}

const MESSAGES = Buffer.concat([frame('hello'), frame(''), frame('\0\x01\x02', 1)]);
const seed = (flags: number, type: string, content: Buffer | string): Buffer =>
  Buffer.concat([Buffer.from([flags, 7, 9, 0x10]), Buffer.from(`${type}\n`), Buffer.from(content)]);

const target: FuzzTarget = {
  name: 'grpc-web',
  seeds: [
    seed(0, 'application/grpc-web+proto', MESSAGES),
    seed(FLUSHES, 'application/grpc-web', MESSAGES),
    seed(HAS_TEXT | FLUSHES, 'application/grpc-web-text', MESSAGES),
    seed(HAS_TEXT | IS_LONG, 'application/grpc-web-text+proto; charset=utf-8', MESSAGES),
    seed(HAS_TEXT | IS_LONG | FLUSHES, `application/grpc-web+${'x'.repeat(31)}`, MESSAGES),
    seed(HAS_TEXT | IS_GIVEN_UP, 'Application/gRPC-Web-Text', frame('x'.repeat(300))),
    seed(HAS_TEXT, 'application/grpc-web-text', MESSAGES.toString('base64')),
    seed(0, 'text/plain', `${frame('a').toString('base64')}${frame('bc').toString('base64')}`),
    seed(0, 'application/grpc', Buffer.concat([MESSAGES, frame('grpc-status: 0\r\n', 0x80)])),
  ],
  dictionary: [
    '\0\0\0\0\0',
    '\0\0\0\0\x03abc',
    '\x80\0\0\0\0',
    '\x01\0\0\0\xff',
    'AAAA',
    'AAA=',
    'AA==',
    'AB==',
    '=',
    '-text',
    '+proto',
    ' ;',
    '\n',
  ],
  run(input) {
    const parts = read(input);
    checkType(parts.type);
    checkRequest(parts);
    checkAnswer(parts);
  },
};

export const GRPC_WEB_TARGETS: readonly FuzzTarget[] = [target];
