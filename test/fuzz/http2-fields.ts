/** The fuzz target of messages of HTTP/2: what is accepted is whole, and the same message as HTTP/1.1 and once more as HTTP/2. */
import { FAILURES } from '../../src/model/failure.ts';
import {
  BAD,
  FIELD_CONNECTION,
  FIELD_CONTENT_LENGTH,
  FIELD_DROP,
  FIELD_EXPECT,
  FIELD_HOST,
  FIELD_KINDS,
  FIELD_MAX_FORWARDS,
  FIELD_STRIDE,
  FIELD_TRANSFER_ENCODING,
  FRAMING_CHUNKED,
  FRAMING_LENGTH,
  Head,
  METHOD_GET,
  TRAILER_BYTES_MAX,
} from '../../src/proxy/head/head.ts';
import { RULES } from '../../src/proxy/head/rule.ts';
import { sentTarget } from '../../src/proxy/head/target.ts';
import {
  RESPONSE_AS_IS,
  RESPONSE_CHUNKED,
  writeRequestHead,
  writeResponseHead,
} from '../../src/proxy/http1/codec/head-writer.ts';
import { parseRequestHead } from '../../src/proxy/http1/codec/request-head.ts';
import { parseResponseHead } from '../../src/proxy/http1/codec/response-head.ts';
import { ENHANCE_YOUR_CALM, NO_ERROR } from '../../src/proxy/http2/codec/error-code.ts';
import { FieldList } from '../../src/proxy/http2/codec/field-list.ts';
import { HpackDecoder } from '../../src/proxy/http2/codec/hpack-decoder.ts';
import { HpackEncoder } from '../../src/proxy/http2/codec/hpack-encoder.ts';
import { readRequest } from '../../src/proxy/http2/codec/request-fields.ts';
import { readResponse } from '../../src/proxy/http2/codec/response-fields.ts';
import { readTrailers } from '../../src/proxy/http2/codec/trailer-fields.ts';
import { block, fieldsOf, type Pair, pairsOf } from '../support/http2.ts';
import { type FuzzTarget, invariant } from './target.ts';

const LIMITS = { bytesMax: 2048, fieldsMax: 20 };
const lists = [new FieldList(LIMITS), new FieldList(LIMITS)] as const;
// oxlint-disable-next-line no-control-regex -- no line may have one
const LINES = /^(:?[^\0-\x20:A-Z]+:[ \t][^\0-\x08\x0a-\x1f\x7f]*\r\n)*$/u;
const head = new Head(10);
const again = new Head(10);
const out = Buffer.alloc(16_384);

function textOf(
  data: Buffer,
  { methodStart, methodEnd, targetStart, targetEnd, hostStart, hostEnd }: Head,
): string {
  return [
    data.toString('latin1', methodStart, methodEnd),
    data.toString('latin1', targetStart, targetEnd),
    data.toString('latin1', hostStart, hostEnd),
  ].join(' ');
}

/** Of a head that was accepted: everything in lines, every line whole. */
function checkHead(list: FieldList, end: number, endStream: boolean): void {
  invariant(end === list.end, 'end');
  const lines = list.data.toString('latin1', 0, end);
  invariant(LINES.test(lines), 'lines');
  for (const [kind, name, value] of fieldsOf(list.data, head)) {
    invariant(kind >= 0 && kind < FIELD_KINDS, 'unknown kind');
    invariant(!/^(connection|transfer-encoding|upgrade|keep-alive)$/u.test(name), name);
    invariant(value.trim() === value || value.includes('\u00a0'), 'white space');
  }
  invariant(!(head.chunked && head.contentLength >= 0), 'two framings');
  const hasBody = head.framing === FRAMING_CHUNKED || head.framing === FRAMING_LENGTH;
  invariant(!(endStream && hasBody), 'a body behind the end');
}

function checkRefusal(): void {
  invariant(head.failure in FAILURES, `unknown failure "${head.failure}"`);
  invariant(head.rule in RULES, `unknown rule "${head.rule}"`);
}

/** What must never be indexed says so behind each hop: RFC 7541 §6.2.3. */
function checkMarks(came: FieldList, sent: FieldList): void {
  for (let at = 0, to = 0; at < head.count * FIELD_STRIDE; at += FIELD_STRIDE) {
    const [kind, , , start] = head.fields.subarray(at, at + FIELD_STRIDE);
    if (kind === FIELD_DROP) continue;
    const [, , , value] = sent.fields.subarray(to, to + FIELD_STRIDE);
    if (came.data[start! - 1] === 9) invariant(sent.data[value! - 1] === 9, 'a mark that is lost');
    to += FIELD_STRIDE;
  }
}

/** Fields that pass go through an encoder and a decoder unchanged, except for the letters of names. */
function checkEncoded(list: FieldList): void {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  const fields = fieldsOf(list.data, head).filter(([kind]) => kind !== FIELD_DROP);
  for (let time = 0; time < 3; time++) {
    encoder.begin(out, 0);
    for (let at = 0; at < head.count * FIELD_STRIDE; at += FIELD_STRIDE) {
      const [kind, nameStart, nameEnd, start, end] = head.fields.subarray(at, at + FIELD_STRIDE);
      if (kind !== FIELD_DROP) encoder.field(list.data, nameStart!, nameEnd!, start!, end!);
    }
    const code = decoder.decode(out, 0, encoder.end(), lists[1]);
    invariant(code === NO_ERROR, `an encoded block has code ${code}`);
    const pairs = JSON.stringify(pairsOf(lists[1]));
    invariant(pairs === JSON.stringify(fields.map(([, name, value]) => [name, value])), pairs);
    checkMarks(list, lists[1]);
  }
}

const NAME_END = '\xfe';
const FIELD_END = '\xff';
const SENSITIVE = '\xfd';

function texts(first: number, ...pairs: Pair[]): Buffer {
  const lines = pairs.map(([name, value]) => `${name}${NAME_END}${value}${FIELD_END}`);
  return Buffer.from(String.fromCharCode(first) + lines.join(''), 'latin1');
}

/** The block of an input, which has the names and values as text, so that mutations leave lengths right. */
function blockOf(input: Buffer): Buffer {
  const lines = input.toString('latin1', 1).split(FIELD_END);
  return Buffer.concat(
    lines.slice(0, -1).map((line) => {
      const [name = '', value = ''] = line.split(NAME_END);
      const isSensitive = name.startsWith(SENSITIVE);
      return block([[isSensitive ? name.slice(1) : name, value]], isSensitive ? 0x10 : 0);
    }),
  );
}

const KEPT = { trusted: true, secure: false, lines: null, address: Buffer.alloc(0), stamp: 0 };
const H1_LIMITS = { headBytesMax: 16_384, headFieldsMax: 200 };
const ANEW = new Set([
  FIELD_DROP,
  FIELD_HOST,
  FIELD_CONNECTION,
  FIELD_TRANSFER_ENCODING,
  FIELD_EXPECT,
  FIELD_MAX_FORWARDS,
  FIELD_CONTENT_LENGTH,
]);

/** What passes as it is. */
function passing(data: Buffer, from: Head): string {
  return JSON.stringify(fieldsOf(data, from).filter(([kind]) => !ANEW.has(kind)));
}

/** Written as HTTP/1.1, a request is one request with the same fields and the same framing, whatever it says. */
function checkTranslated(list: FieldList): void {
  const size = writeRequestHead(out, list.data, head, KEPT, Buffer.alloc(0), null);
  const end = parseRequestHead(out, 0, size, again, H1_LIMITS);
  invariant(end === size, `as HTTP/1.1 it is ${again.rule}, or ends at ${end} of ${size}`);
  const target = sentTarget(list.data, head).toString('latin1');
  invariant(out.toString('latin1', again.targetStart, again.targetEnd) === target, 'target');
  const host = list.data.toString('latin1', head.hostStart, head.hostEnd);
  invariant(out.toString('latin1', again.hostStart, again.hostEnd) === host, 'host');
  invariant(again.method === head.method && again.framing === head.framing, 'method or framing');
  invariant(again.contentLength === head.contentLength, 'length');
  invariant(again.expectContinue === head.expectContinue, 'expectation');
  invariant(passing(out, again) === passing(list.data, head), passing(out, again));
}

/** The same for a response. */
function checkResponse(list: FieldList): void {
  const framing = head.chunked ? RESPONSE_CHUNKED : RESPONSE_AS_IS;
  const how = {
    framing,
    close: false,
    http10: false,
    upgrade: false,
    cookie: null,
    extra: null,
    date: null,
  };
  const size = writeResponseHead(out, 0, list.data, head, how);
  const end = parseResponseHead(out, 0, size, again, H1_LIMITS, METHOD_GET);
  invariant(end === size, `as HTTP/1.1 it is ${again.rule}, or ends at ${end} of ${size}`);
  invariant(again.status === head.status && again.chunked === head.chunked, 'status or framing');
  invariant(passing(out, again) === passing(list.data, head), passing(out, again));
}

const PSEUDO: readonly Pair[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'a:80'],
  [':path', '/a?b'],
];

function line(name: string, value: string): string {
  return `${name}${NAME_END}${value}${FIELD_END}`;
}

/** The first byte says what the block is, and whether the stream ends. */
export const FIELDS_TARGET: FuzzTarget = {
  name: 'http2-fields',
  seeds: [
    texts(0, ...PSEUDO, ['cookie', 'a'], ['x', 'y'], ['cookie', 'b']),
    texts(1, ...PSEUDO, ['te', 'trailers'], ['host', 'a'], [`${SENSITIVE}x-a`, '1']),
    texts(1, ...PSEUDO, ['content-length', '5'], ['expect', '100-continue']),
    texts(1, ...PSEUDO.with(0, [':method', 'CONNECT']), [':protocol', 'websocket']),
    texts(0, ...PSEUDO.with(0, [':method', 'OPTIONS']), ['max-forwards', '5']),
    texts(3, [':status', '200'], ['content-length', '5'], ['date', 'x']),
    texts(2, [':status', '204'], ['set-cookie', 'a'], ['content-length', '0']),
    texts(4, ['grpc-status', '0'], [`${SENSITIVE}x-real-ip`, '1'], ['a_b', 'c']),
  ],
  dictionary: [
    line('cookie', 'a'),
    line(`${SENSITIVE}cookie`, 'b'),
    line('host', 'a'),
    line('content-length', '1'),
    line('A', 'b'),
    line('te', 'trailers'),
    line('connection', 'x'),
    line('x_real.ip', '1'),
    line('', ''),
    line(':protocol', 'websocket'),
    NAME_END,
    FIELD_END,
    '\r\n',
    '\0',
    ' ',
    ':443',
    '*',
  ],
  run(input) {
    if (input.length === 0) return;
    const [list] = lists;
    const kind = input[0]! >> 1;
    const endStream = (input[0]! & 1) === 0;
    const bytes = blockOf(input);
    const code = new HpackDecoder().decode(bytes, 0, bytes.length, list);
    if (code === ENHANCE_YOUR_CALM) return;
    invariant(code === NO_ERROR, `a good block has code ${code}`);
    if (kind === 2) {
      const end = readTrailers(list);
      if (end === BAD) invariant(list.broken in RULES, `unknown rule "${list.broken}"`);
      else {
        const lines = list.data.toString('latin1', 0, end);
        invariant(end <= TRAILER_BYTES_MAX && LINES.test(lines), lines);
      }
      return;
    }
    const end =
      kind === 1
        ? readResponse(list, head, METHOD_GET, endStream)
        : readRequest(list, head, endStream, true);
    if (end === BAD) {
      checkRefusal();
      return;
    }
    checkHead(list, end, endStream);
    checkEncoded(list);
    if (kind === 1) {
      checkResponse(list);
      return;
    }
    // With one forward left, the next that reads it refuses.
    if (head.protocolEnd === 0 && head.maxForwards !== 1) checkTranslated(list);
    const before = JSON.stringify([textOf(list.data, head), fieldsOf(list.data, head)]);
    const kept = Buffer.from(list.data.subarray(0, end));
    lists[1].again(kept, 0, end);
    invariant(readRequest(lists[1], again, endStream, true) === end, 'not the same once more');
    invariant(JSON.stringify([textOf(kept, again), fieldsOf(kept, again)]) === before, 'changed');
  },
};
