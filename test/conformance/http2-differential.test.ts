/** Our reading of requests against that of `node:http2`: every disagreement must be listed in docs/decisions/http2-strictness.md. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2, { type ServerHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { BAD, Head } from '../../src/proxy/head/head.ts';
import { FieldList } from '../../src/proxy/http2/codec/field-list.ts';
import {
  FLAG_ACK,
  FRAME_BYTES_MIN,
  FRAME_HEADER_BYTES,
  FRAME_HEADERS,
  FRAME_RST_STREAM,
  FRAME_SETTINGS,
  PREFACE,
} from '../../src/proxy/http2/codec/frame.ts';
import { Frame, readHeader } from '../../src/proxy/http2/codec/frame-reader.ts';
import { writeHeaders, writeSettings } from '../../src/proxy/http2/codec/frame-writer.ts';
import { HpackDecoder } from '../../src/proxy/http2/codec/hpack-decoder.ts';
import { readRequest } from '../../src/proxy/http2/codec/request-fields.ts';
import { below, oneOf } from '../fuzz/mutate.ts';
import { block, LIST_LIMITS, type Pair, pairsOf } from '../support/http2.ts';
import { portOf } from '../support/ports.ts';
import { Disagreements } from './http1-listed.ts';

const CASES = 12_000;
const AT_ONCE = 50;

const GOOD: readonly Pair[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'web.shop'],
  [':path', '/a'],
  ['accept', '*/*'],
];
/** In the place of a value. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  ':method': ['POST', 'OPTIONS', 'CONNECT', 'TRACE', 'MKCOL', 'get', '', 'A B', 'A\r\n', '\0', 'é'],
  ':scheme': ['https', 'ftp', 'HTTP', '', 'http:', 'ht tp', 'a\0'],
  ':authority': [
    'web.shop:80',
    'a@b',
    '',
    'a b',
    'a/b',
    '[::1]:8080',
    'a:b',
    'a:99999',
    'a\r\nb',
    'é',
  ],
  ':path': [
    '/',
    '*',
    '',
    'a',
    '/a b',
    '/a#b',
    '/"',
    '/é',
    '/\0',
    '/a\r\n',
    'http://b/',
    '/?a#',
    '//',
  ],
  accept: [
    '',
    ' a',
    'a ',
    '\ta',
    'a\0b',
    'a\rb',
    'a\nb',
    'a\r\nb: c',
    'a\x7f',
    'a\x01',
    'a\tb',
    'é',
  ],
};
/** Added behind the others, or before them. */
const FIELDS: readonly Pair[] = [
  ['connection', 'close'],
  ['keep-alive', '1'],
  ['proxy-connection', 'close'],
  ['transfer-encoding', 'chunked'],
  ['upgrade', 'websocket'],
  ['http2-settings', 'AAA'],
  ['te', 'trailers'],
  ['te', 'gzip'],
  ['te', 'trailers, gzip'],
  ['host', 'web.shop'],
  ['host', 'WEB.shop:80'],
  ['host', 'other'],
  ['host', ''],
  ['host', 'a b'],
  ['content-length', '0'],
  ['content-length', '5'],
  ['content-length', 'x'],
  ['content-length', ''],
  ['cookie', 'a'],
  ['cookie', 'b'],
  ['expect', '100-continue'],
  ['expect', 'x'],
  ['max-forwards', '0'],
  ['x-real-ip', '1'],
  ['x_real_ip', '1'],
  ['Upper', 'a'],
  ['uppeR', 'a'],
  ['a b', 'c'],
  ['a:b', 'c'],
  ['', 'c'],
  ['a\0', 'c'],
  ['a\r\n', 'c'],
  ['é', 'c'],
  ['a"', 'c'],
  [':x', 'y'],
  [':', 'y'],
  [':status', '200'],
  [':protocol', 'websocket'],
  [':method', 'GET'],
  [':path', '/b'],
];

interface Case {
  readonly pairs: readonly Pair[];
  /** What was done to a good request. */
  readonly labels: readonly string[];
}

function label([name, value]: Pair): string {
  return JSON.stringify(`${name}: ${value}`).slice(1, -1);
}

/** Each change alone. */
function single(): Case[] {
  const cases: Case[] = [{ pairs: GOOD, labels: [] }];
  for (const [i, [name]] of GOOD.entries()) {
    cases.push({ pairs: GOOD.toSpliced(i, 1), labels: [`without ${name}`] });
    for (const value of VALUES[name]!)
      cases.push({ pairs: GOOD.with(i, [name, value]), labels: [label([name, value])] });
  }
  for (const pair of FIELDS) cases.push({ pairs: [...GOOD, pair], labels: [label(pair)] });
  return cases;
}

/** Several changes. */
function several(random: Random): Case {
  let { pairs, labels }: Case = { pairs: GOOD, labels: [] };
  for (let changes = 1 + below(random, 3); changes > 0; changes--) {
    const at = below(random, pairs.length);
    const [name] = pairs[at] ?? ['', ''];
    const values = VALUES[name];
    const pair: Pair =
      values === undefined || random.next() < 0.4
        ? oneOf(random, FIELDS)
        : [name, oneOf(random, values)];
    if (random.next() < 0.1) {
      pairs = pairs.toSpliced(at, 1);
      labels = [...labels, `without ${name}`];
    } else {
      const isInPlace = pair[0] === name;
      const place = random.next() < 0.1 ? at : pairs.length;
      pairs = isInPlace ? pairs.with(at, pair) : pairs.toSpliced(place, 0, pair);
      labels = [...labels, label(pair)];
    }
  }
  return { pairs, labels };
}

/** What node takes for requests, or null for each that it refuses. */
async function readByNode(
  port: number,
  seen: Map<string, Pair[]>,
  cases: readonly Case[],
): Promise<(Pair[] | null)[]> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const { localPort } = socket;
  const out = Buffer.alloc(65_536);
  const pieces: Buffer[] = [PREFACE, Buffer.from(out.subarray(0, writeSettings(out, 0, [])))];
  for (const [i, { pairs }] of cases.entries()) {
    const fields = block(pairs);
    fields.copy(out, FRAME_HEADER_BYTES);
    const end = writeHeaders(
      out,
      0,
      FRAME_HEADER_BYTES + fields.length,
      2 * i + 1,
      true,
      FRAME_BYTES_MIN,
    );
    pieces.push(Buffer.from(out.subarray(0, end)));
  }
  socket.write(Buffer.concat(pieces));
  const frame = new Frame();
  const answered = new Set<number>();
  const refused = new Set<number>();
  let waiting = Buffer.alloc(0);
  try {
    for await (const chunk of socket) {
      waiting = Buffer.concat([waiting, chunk as Buffer]);
      let at = 0;
      while (waiting.length - at >= FRAME_HEADER_BYTES) {
        readHeader(waiting, at, frame, FRAME_BYTES_MIN);
        if (frame.end > waiting.length) break;
        at = frame.end;
        if (frame.type === FRAME_SETTINGS && (frame.flags & FLAG_ACK) === 0) continue;
        if (frame.type === FRAME_HEADERS) answered.add(frame.stream);
        if (frame.type === FRAME_RST_STREAM && !answered.has(frame.stream))
          refused.add(frame.stream);
      }
      waiting = waiting.subarray(at);
      if (answered.size + refused.size === cases.length) break;
    }
  } finally {
    socket.destroy();
  }
  assert.equal(answered.size + refused.size, cases.length, 'node ended the connection');
  return cases.map((_, i) => seen.get(`${localPort} ${2 * i + 1}`) ?? null);
}

const list = new FieldList(LIST_LIMITS);
const head = new Head(10);

/** What we take for a request, or the rule that it breaks. */
function readByUs({ pairs }: Case): Pair[] | string {
  const bytes = block(pairs);
  assert.equal(new HpackDecoder().decode(bytes, 0, bytes.length, list), 0);
  return readRequest(list, head, true, false) === BAD ? head.rule : pairsOf(list);
}

/** As RFC 9113 §8.2.3 has it. */
function withOneCookie(pairs: readonly Pair[]): Pair[] {
  const cookies = pairs.filter(([name]) => name === 'cookie');
  if (cookies.length < 2) return [...pairs];
  const others = pairs.filter(([name]) => name !== 'cookie');
  return [...others, ['cookie', cookies.map(([, value]) => value).join('; ')]];
}

describe('our reading of requests against node:http2', () => {
  it(`agrees on ${CASES} requests, but for what is listed`, async () => {
    const seen = new Map<string, Pair[]>();
    const server = http2.createServer({ maxSessionInvalidFrames: 1_000_000 });
    server.on('stream', (stream: ServerHttp2Stream, _headers, _flags, raw: readonly string[]) => {
      const pairs = raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1]!] as const] : []));
      seen.set(`${stream.session!.socket.remotePort} ${stream.id}`, pairs);
      stream.respond({ ':status': 200 }, { endStream: true });
    });
    server.on('sessionError', () => undefined);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const random = seededRandom(20_261_130);
    const alone = single();
    const cases = [
      ...alone,
      ...Array.from({ length: CASES - alone.length }, () => several(random)),
    ];
    const disagreements = new Disagreements('http2-strictness.md');
    /** Changes for which node refuses what we take. */
    const odd = new Set<string>();
    let both = 0;
    try {
      for (let from = 0; from < cases.length; from += AT_ONCE) {
        const batch = cases.slice(from, from + AT_ONCE);
        const theirs = await readByNode(portOf(server), seen, batch);
        for (const [i, one] of batch.entries()) {
          const ours = readByUs(one);
          const other = theirs[i]!;
          const bytes = Buffer.from(JSON.stringify(one.pairs));
          if (typeof ours === 'string') {
            if (other !== null) disagreements.add(`we refuse: ${ours}`, bytes);
          } else if (other === null) {
            if (one.labels.length === 1) odd.add(one.labels[0]!);
            const why = one.labels.find((each) => odd.has(each)) ?? one.labels.join(', ');
            disagreements.add(`node refuses: ${why}`, bytes);
          } else {
            both++;
            assert.deepEqual(ours, withOneCookie(other));
          }
        }
      }
    } finally {
      server.close();
    }
    disagreements.check('Against node:http2', true);
    assert.ok(both > CASES * 0.1, `only ${both} were taken by both`);
  });
});
