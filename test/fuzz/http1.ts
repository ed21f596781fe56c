/** Fuzz targets of the HTTP/1.1 codec. */
import {
  CHUNK_BAD,
  CHUNK_DATA,
  CHUNK_END,
  ChunkedDecoder,
} from '../../src/proxy/http1/codec/chunked.ts';
import { BodyReader } from '../../src/proxy/http1/codec/body-reader.ts';
import { BODY_OVERHEAD_BYTES, BodyWriter } from '../../src/proxy/http1/codec/body-writer.ts';
import {
  BAD,
  FIELD_KINDS,
  FIELD_STRIDE,
  FRAMING_CHUNKED,
  FRAMING_CLOSE,
  FRAMING_LENGTH,
  FRAMING_NONE,
  Head,
  INCOMPLETE,
} from '../../src/proxy/head/head.ts';
import { parseRequestHead } from '../../src/proxy/http1/codec/request-head.ts';
import { parseResponseHead } from '../../src/proxy/http1/codec/response-head.ts';
import { RULES } from '../../src/proxy/head/rule.ts';
import { TRAILER_LINES_BYTES_MAX } from '../../src/proxy/head/head.ts';
import { FAILURES } from '../../src/model/failure.ts';
import { decode } from '../support/http1.ts';
import { type FuzzTarget, invariant } from './target.ts';

const LIMITS = { headBytesMax: 2048, headFieldsMax: 32 };
/** Bytes around the input that a parser must never read: each filler would change the outcome in its own way. */
const MARGIN = 16;
const FILLERS = [Buffer.from('\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n'), Buffer.from('0123456789abcdef')];

const FIELDS = [
  'Host: a',
  'Host: [::1]:80',
  'Content-Length: 5',
  'Content-Length: 0',
  'Transfer-Encoding: chunked',
  'Connection: close, x-a',
  'Connection: upgrade',
  'Upgrade: websocket',
  'Expect: 100-continue',
  'TE: trailers',
  'Keep-Alive: 1',
  'Cookie: a=b',
  'X-Forwarded-For: 1.2.3.4',
  'Forwarded: for=1',
  'X-Real-IP: 1',
  'Max-Forwards: 2',
  'Upgrade: a/1, ,b',
  'Expect: ,100-continue,',
  'X_Forwarded_For: 1',
  'Trailer: x',
  'x-a: \t b \t',
];
const DICTIONARY = [
  ...FIELDS.map((field) => `${field}\r\n`),
  '\r\n',
  '\r\n\r\n',
  '\r\n ',
  ': ',
  ' : ',
  ' HTTP/1.1\r\n',
  ' HTTP/1.0\r\n',
  ' HTTP/2.0\r\n',
  'http://',
  'OPTIONS * ',
  'CONNECT ',
  '\r\nGET / HTTP/1.1\r\n',
  ',chunked',
  ', ',
  ';a="b"',
  '9007199254740992',
  '?q="<\xe9>"',
  'Content-Length: 5, 05\r\n',
  'HTTP/1.1 204 x\r\n',
  'HTTP/1.1 426 x\r\n',
  'HTTP/1.1 101 ',
];

function bytes(...texts: string[]): Buffer[] {
  return texts.map((text) => Buffer.from(text, 'latin1'));
}

/** Offsets of a head that was accepted must be in order and inside the input. */
function checkHead(input: Buffer, from: number, end: number, head: Head): void {
  // Of a response only the bytes are bounded; a field line has at least four.
  const fieldsMax = head.status === 0 ? LIMITS.headFieldsMax : LIMITS.headBytesMax / 4;
  invariant(head.count <= fieldsMax, 'more fields than the limit');
  invariant(end - from <= LIMITS.headBytesMax, 'more bytes than the limit');
  let before = from;
  for (let at = 0; at < head.count * FIELD_STRIDE; at += FIELD_STRIDE) {
    invariant(head.fields[at]! >= 0 && head.fields[at]! < FIELD_KINDS, 'unknown kind');
    for (let i = 1; i < FIELD_STRIDE; i++) {
      invariant(head.fields[at + i]! >= before, 'offsets out of order');
      before = head.fields[at + i]!;
    }
    invariant(head.fields[at + 2]! > head.fields[at + 1]!, 'empty field name');
    for (let i = head.fields[at + 1]!; i < before; i++)
      invariant(input[i] !== 0 && input[i] !== 10 && input[i] !== 13, 'line end or NUL in a field');
  }
  invariant(before <= end, 'offsets beyond the head');
  invariant(input[end - 2] === 13 && input[end - 1] === 10, 'no line end before the offset');
  invariant(
    Number.isSafeInteger(head.contentLength) && head.contentLength >= -1,
    'length out of range',
  );
  invariant(!(head.chunked && head.contentLength >= 0), 'two framings');
}

function checkRefusal(head: Head): void {
  invariant(head.failure in FAILURES, `unknown failure "${head.failure}"`);
  invariant(head.rule in RULES, `unknown rule "${head.rule}"`);
}

type Parse = (buf: Buffer, start: number, end: number, head: Head) => number;

function headTarget(name: string, seeds: readonly Buffer[], parse: Parse): FuzzTarget {
  const buf = Buffer.alloc(4096 + 2 * MARGIN);
  const heads = [new Head(64), new Head(64)];
  return {
    name,
    seeds,
    dictionary: DICTIONARY,
    run(input) {
      const ends = [0, 1].map((which) => {
        FILLERS[which]!.copy(buf, 0);
        input.copy(buf, MARGIN);
        FILLERS[which]!.copy(buf, MARGIN + input.length);
        const head = heads[which]!;
        const end = parse(buf, MARGIN, MARGIN + input.length, head);
        invariant(
          end === INCOMPLETE || end === BAD || (end > MARGIN && end <= MARGIN + input.length),
          `offset ${end}`,
        );
        if (end === BAD) checkRefusal(head);
        else if (end !== INCOMPLETE) checkHead(buf, MARGIN, end, head);
        return end;
      });
      invariant(
        ends[0] === ends[1] && heads[0]!.rule === heads[1]!.rule,
        'bytes outside the input were read',
      );
      if (ends[0]! < 0) return;
      const cut = MARGIN + ((input.length * 7919) % (ends[0]! - MARGIN));
      invariant(
        parse(buf, MARGIN, cut, heads[1]!) === INCOMPLETE,
        `a prefix of ${cut - MARGIN} bytes is not INCOMPLETE`,
      );
    },
  };
}

const requestHead = headTarget(
  'request-head',
  bytes(
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    `POST /a/b?c=d HTTP/1.1\r\n${FIELDS.slice(0, 1).join('\r\n')}\r\nContent-Length: 5\r\nX-A: b\r\nConnection: X-A\r\n\r\nhello`,
    'PUT http://web.shop.maesh:8080/x HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n0\r\n\r\n',
    '\r\nOPTIONS * HTTP/1.1\r\nHost: [::1]\r\nConnection: upgrade\r\nUpgrade: websocket\r\nCookie: a=b\r\n\r\n',
    'HEAD /%20 HTTP/1.0\r\nConnection: keep-alive\r\nTE: trailers, x;q=1\r\nX-Forwarded-For: 1\r\nKeep-Alive: 5\r\n\r\n',
  ),
  (buf, start, end, head) => parseRequestHead(buf, start, end, head, LIMITS),
);

const responseHead = headTarget(
  'response-head',
  bytes(
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: x\r\n\r\nhello',
    'HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a\r\nTrailer: b\r\n\r\n',
    'HTTP/1.0 503 No\r\nRetry-After: 1\r\nConnection: keep-alive\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 426 Up\r\nUpgrade: a, ,b\r\nServer : x\r\nContent-Length: 5, 5\r\n\r\nhello',
  ),
  (buf, start, end, head) =>
    parseResponseHead(buf, start, end, head, LIMITS, 1 + ((end - start) % 2)),
);

interface Decoding {
  readonly outcome: string;
  readonly hash: number;
  readonly size: number;
}

const piece = Buffer.alloc(4096 + 2 * MARGIN);
const STRICT = new ChunkedDecoder(false);
const LENIENT = new ChunkedDecoder(true);

/** Decodes in pieces of `step` bytes, each moved to another place between alien bytes. */
function decodeBy(decoder: ChunkedDecoder, input: Buffer, step: number): Decoding {
  decoder.reset();
  let hash = 0;
  let size = 0;
  for (let from = 0; from < input.length; from += step) {
    const to = Math.min(input.length, from + step);
    FILLERS[from & 1]!.copy(piece, 0);
    input.copy(piece, MARGIN, from, to);
    FILLERS[1 - (from & 1)]!.copy(piece, MARGIN + to - from);
    const end = MARGIN + to - from;
    let pos = MARGIN;
    while (pos < end) {
      const event = decoder.step(piece, pos, end);
      invariant(decoder.pos >= pos && decoder.pos <= end, 'position outside the input');
      if (event === CHUNK_BAD) {
        invariant(decoder.rule in RULES, `unknown rule "${decoder.rule}"`);
        return { outcome: decoder.rule, hash, size };
      }
      if (event === CHUNK_END) {
        const lines = decoder.trailers === null ? '' : decoder.trailers.toString('latin1');
        invariant(lines.length <= TRAILER_LINES_BYTES_MAX, 'trailers beyond their bound');
        invariant(
          lines === '' || /^([^\r\n:]+: [^\r\n]*\r\n)+$/u.test(lines),
          'trailers are not lines',
        );
        return { outcome: `end ${from + decoder.pos - MARGIN} ${lines}`, hash, size };
      }
      if (event === CHUNK_DATA) {
        invariant(
          decoder.dataStart >= pos &&
            decoder.dataEnd > decoder.dataStart &&
            decoder.dataEnd === decoder.pos,
          'data range',
        );
        for (let i = decoder.dataStart; i < decoder.dataEnd; i++)
          hash = (Math.imul(hash, 31) + piece[i]!) | 0;
        size += decoder.dataEnd - decoder.dataStart;
      } else invariant(decoder.pos === end, 'CHUNK_MORE before the end');
      pos = decoder.pos;
    }
  }
  return { outcome: 'more', hash, size };
}

const chunked: FuzzTarget = {
  name: 'chunked',
  seeds: bytes(
    '5\r\nhello\r\n0\r\n\r\n',
    'a;b=c;d="e\\"f"\r\n0123456789\r\n3 ; x\r\nabc\r\n0\r\nX-T: 1\r\nHost: b\r\n\r\nGET',
    '0000\r\na:b\r\nc: \t d \r\n\r\n',
    `${'1\r\nx\r\n'.repeat(20)}0\r\n\r\n`,
  ),
  dictionary: [
    '\r\n',
    ' \t',
    '5 \r\n',
    'a : b\r\n',
    '0\r\n\r\n',
    ';a',
    ';a="b"',
    '\r\n0\r\n',
    'ffffffffffffff',
    '1fffffffffffff',
    'a: b\r\n',
    ' ',
    '="\\',
  ],
  run(input) {
    const size = Math.max(1, input.length);
    const [strict, lenient] = [STRICT, LENIENT].map((decoder) => {
      const whole = decodeBy(decoder, input, size);
      for (const step of [1, 2 + (input.length % 5)])
        same(decodeBy(decoder, input, step), whole, `cut by ${step}`);
      return whole;
    });
    if (strict!.outcome.startsWith('end')) same(lenient!, strict!, 'read with lenience');
  },
};

function same(one: Decoding, other: Decoding, how: string): void {
  invariant(
    one.outcome === other.outcome && one.hash === other.hash && one.size === other.size,
    `${how}: ${JSON.stringify(one)} instead of ${JSON.stringify(other)}`,
  );
}

const FRAMINGS = [FRAMING_NONE, FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE];
const passed = Buffer.alloc(2 * 4096 + TRAILER_LINES_BYTES_MAX);
const reader = new BodyReader(false);
const writer = new BodyWriter();

/** Passes a body in pieces of `step` bytes. Returns what left, and how much of the input it took. */
function passBy(input: Buffer, [kind, length]: readonly [number, number], step: number) {
  const framing = FRAMINGS[kind & 3]!;
  const rechunk = framing !== FRAMING_NONE && (kind & 4) !== 0;
  reader.begin(framing, length);
  writer.begin(rechunk);
  const sent: Buffer[] = [];
  let used = 0;
  let wire = 0;
  let content = 0;
  let at = 0;
  let out = passed;
  const sink = {
    onBody(data: Buffer, start: number, end: number): boolean {
      content += end - start;
      at = writer.write(data, start, end, out, at);
      return true;
    },
  };
  for (let from = 0; from < input.length; from += step) {
    const to = Math.min(input.length, from + step);
    const wasDone = reader.done;
    at = 0;
    out = passed.subarray(0, to - from + BODY_OVERHEAD_BYTES + TRAILER_LINES_BYTES_MAX);
    if (!reader.read(input, from, to, sink))
      return { outcome: `bad ${reader.rule}`, sent: 0, used: 0 };
    invariant(reader.pos >= from && reader.pos <= to, 'position outside the input');
    invariant(reader.done || reader.pos === to, 'input left over inside a body');
    if (wasDone) invariant(at === 0 && reader.pos === from, 'bytes behind the body were passed on');
    if (reader.done && !wasDone) at = writer.end(reader.trailers, out, at);
    else at = writer.closeChunk(out, at);
    sent.push(Buffer.from(out.subarray(0, at)));
    wire += at;
    used += reader.pos - from;
    invariant(writer.wireBytes === wire, `${writer.wireBytes} bytes counted, ${wire} written`);
  }
  if (framing === FRAMING_LENGTH) invariant(content === Math.min(length, used), 'payload');
  const payload = rechunk
    ? decode(Buffer.concat(sent)).body
    : Buffer.concat(sent).toString('latin1');
  invariant(payload.length === content, 'what leaves is not what was counted');
  return { outcome: reader.done ? 'done' : 'open', sent: payload, used };
}

/** The first byte says how the body is framed, the second how long it says to be. Bytes behind it belong to nobody. */
const bodyPass: FuzzTarget = {
  name: 'body',
  seeds: bytes(
    '\0\x05helloHTTP/1.1 200 OK\r\n\r\n',
    '\x01\x05helloHTTP/1.1 200 OK\r\n\r\n',
    '\x05\x05helloHTTP/1.1 200 OK\r\n\r\n',
    '\x02 5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
    '\x06 5\r\nhello\r\n0\r\nX-T: 1\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
    '\x03 until the end',
    '\x07 until the end',
  ),
  dictionary: chunked.dictionary,
  run(input) {
    if (input.length < 3) return;
    const kind = [input[0]!, input[1]!] as const;
    const rest = input.subarray(2);
    const whole = passBy(rest, kind, rest.length);
    for (const step of [1, 2 + (rest.length % 5)]) {
      const pieces = passBy(rest, kind, step);
      invariant(
        pieces.outcome === whole.outcome &&
          pieces.sent === whole.sent &&
          pieces.used === whole.used,
        `cut by ${step}: ${JSON.stringify(pieces)} instead of ${JSON.stringify(whole)}`,
      );
    }
  },
};

export const HTTP1_TARGETS: readonly FuzzTarget[] = [requestHead, responseHead, chunked, bodyPass];
