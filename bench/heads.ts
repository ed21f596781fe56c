/** `npm run bench:heads`: what the head of a request costs in HTTP/1.1 and in HTTP/2, in one thread and without sockets. */

import { parseArgs } from 'node:util';
import { FIELD_DROP, FIELD_STRIDE, Head } from '../src/proxy/head/head.ts';
import { writeRequestHead } from '../src/proxy/http1/codec/head-writer.ts';
import { parseRequestHead } from '../src/proxy/http1/codec/request-head.ts';
import { FieldList } from '../src/proxy/http2/codec/field-list.ts';
import { HpackDecoder } from '../src/proxy/http2/codec/hpack-decoder.ts';
import { HpackEncoder } from '../src/proxy/http2/codec/hpack-encoder.ts';
import { decodeHuffman, encodeHuffman, huffmanLength } from '../src/proxy/http2/codec/huffman.ts';
import { NAME_AUTHORITY, NAME_PATH } from '../src/proxy/http2/codec/name.ts';
import { readRequest } from '../src/proxy/http2/codec/request-fields.ts';
import { formatNumber, plainTable } from './text.ts';

const HELP = `Usage: npm run bench:heads -- [options]
  --ms N   milliseconds for each figure (default: 500)
`;

type Pair = readonly [name: string, value: string];

/** What three kinds of callers send. */
const REQUESTS: Readonly<Record<string, readonly Pair[]>> = {
  small: [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':authority', 'web.shop.maesh:8080'],
    [':path', '/items/42'],
    ['user-agent', 'h2load nghttp2/1.52.0'],
    ['accept', '*/*'],
  ],
  gRPC: [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':authority', 'cart.shop.maesh:7070'],
    [':path', '/hipstershop.CartService/GetCart'],
    ['content-type', 'application/grpc'],
    ['user-agent', 'grpc-go/1.71.0'],
    ['te', 'trailers'],
    ['grpc-timeout', '999821u'],
    ['traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'],
  ],
  browser: [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':authority', 'web.shop.maesh:8080'],
    [':path', '/static/app.js?v=1.2.3'],
    ['user-agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'],
    ['accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
    ['accept-language', 'en-US,en;q=0.5'],
    ['accept-encoding', 'gzip, deflate, br, zstd'],
    ['referer', 'http://web.shop.maesh:8080/index.html'],
    ['cookie', 'session=3f2504e0-4f89-11d3-9a0c-0305e82c3301; theme=dark'],
    ['cache-control', 'max-age=0'],
    ['upgrade-insecure-requests', '1'],
    ['priority', 'u=2'],
  ],
};

const LIMITS = { headBytesMax: 30_000, headFieldsMax: 100 };
const FORWARDING = {
  trusted: true,
  secure: false,
  lines: null,
  address: Buffer.alloc(0),
  stamp: 0,
};

const out = Buffer.alloc(65_536);

/** Microseconds of a processor that this thread has used. */
function usedUs(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/** Nanoseconds of a processor for one call. */
function measure(ms: number, run: () => number): number {
  let sum = 0;
  for (let i = 0; i < 20_000; i++) sum += run();
  const start = usedUs();
  let calls = 0;
  while (usedUs() - start < ms * 1000) {
    for (let i = 0; i < 1000; i++) sum += run();
    calls += 1000;
  }
  if (sum === 0) throw new Error('Nothing was done');
  return ((usedUs() - start) * 1000) / calls;
}

function http1(pairs: readonly Pair[]): Buffer {
  const [method, , host, path, ...fields] = pairs.map(([, value]) => value);
  const lines = pairs.slice(4).map(([name], i) => `${name}: ${fields[i]}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n${lines.join('')}\r\n`);
}

/** A literal that gets into the table, or not, as text or in code. */
function literal(pair: Pair, first: number, isCoded: boolean): Buffer {
  return Buffer.concat([Buffer.from([first]), ...pair.map((text) => string(text, isCoded))]);
}

function string(text: string, isCoded: boolean): Buffer {
  const bytes = Buffer.from(text);
  const content = isCoded ? out.subarray(0, encodeHuffman(bytes, 0, bytes.length, out, 0)) : bytes;
  return Buffer.concat([Buffer.from([(isCoded ? 0x80 : 0) | content.length]), content]);
}

function decoding(ms: number, blocks: { warm: Buffer; block: Buffer }): number {
  const decoder = new HpackDecoder();
  const list = new FieldList({ bytesMax: LIMITS.headBytesMax, fieldsMax: LIMITS.headFieldsMax });
  const head = new Head(LIMITS.headFieldsMax);
  decoder.decode(blocks.warm, 0, blocks.warm.length, list);
  const { block } = blocks;
  return measure(ms, () => {
    decoder.decode(block, 0, block.length, list);
    return readRequest(list, head, true, false);
  });
}

function encoding(ms: number, pairs: readonly Pair[], isRepeated: boolean): [number, number] {
  const encoder = new HpackEncoder();
  if (!isRepeated) encoder.setMax(0);
  const data = http1(pairs);
  const head = new Head(LIMITS.headFieldsMax);
  parseRequestHead(data, 0, data.length, head, LIMITS);
  let size = 0;
  const ns = measure(ms, () => {
    const { fields } = head;
    encoder.begin(out, 0);
    encoder.entry(2);
    encoder.entry(6);
    encoder.named(NAME_AUTHORITY, data, head.hostStart, head.hostEnd);
    encoder.named(NAME_PATH, data, head.targetStart, head.targetEnd);
    for (let i = FIELD_STRIDE; i < head.count * FIELD_STRIDE; i += FIELD_STRIDE) {
      if (fields[i] === FIELD_DROP) continue;
      const [nameStart, nameEnd] = [fields[i + 1] as number, fields[i + 2] as number];
      encoder.field(data, nameStart, nameEnd, fields[i + 3] as number, fields[i + 4] as number);
    }
    size = encoder.end();
    return size;
  });
  return [ns, size];
}

type Row = readonly [what: string, ns: number, bytes: number];

function bench(pairs: readonly Pair[], ms: number): Row[] {
  const data = http1(pairs);
  const head = new Head(LIMITS.headFieldsMax);
  const none = Buffer.alloc(0);
  const parse = (): number => parseRequestHead(data, 0, data.length, head, LIMITS);
  const compose = (): number => writeRequestHead(out, data, head, FORWARDING, none, null);
  const rows: Row[] = [
    ['HTTP/1.1, parsed', measure(ms, parse), data.length],
    ['HTTP/1.1, written', measure(ms, compose), compose()],
  ];
  const warm = Buffer.concat(pairs.map((pair) => literal(pair, 0x40, false)));
  for (const [what, block] of [
    ['from the table', Buffer.from(pairs.map((_, i) => 0x80 | (61 + pairs.length - i)))],
    ['from plain strings', Buffer.concat(pairs.map((pair) => literal(pair, 0, false)))],
    ['from Huffman code', Buffer.concat(pairs.map((pair) => literal(pair, 0, true)))],
  ] as const)
    rows.push([`HTTP/2, decoded ${what}`, decoding(ms, { warm, block }), block.length]);
  rows.push(['HTTP/2, encoded with the table', ...encoding(ms, pairs, true)]);
  rows.push(['HTTP/2, encoded as plain strings', ...encoding(ms, pairs, false)]);
  return [...rows, ...huffman(pairs, ms)];
}

/** What Huffman code would add to plain strings, of all names and values. */
function huffman(pairs: readonly Pair[], ms: number): Row[] {
  const text = Buffer.from(pairs.flat().join(''));
  const packed = Buffer.from(out.subarray(0, encodeHuffman(text, 0, text.length, out, 0)));
  const encode = (): number =>
    huffmanLength(text, 0, text.length) + encodeHuffman(text, 0, text.length, out, 0);
  const decode = (): number => decodeHuffman(packed, 0, packed.length, out, 0, out.length);
  return [
    ['Huffman code, all strings written', measure(ms, encode), packed.length],
    ['Huffman code, all strings read', measure(ms, decode), text.length],
  ];
}

const { values } = parseArgs({
  options: { ms: { type: 'string', default: '500' }, help: { type: 'boolean', default: false } },
});
if (values.help) process.stdout.write(HELP);
else
  for (const [name, pairs] of Object.entries(REQUESTS)) {
    const rows = bench(pairs, Number(values.ms)).map(([what, ns, bytes]) => [
      what,
      formatNumber(ns, 0),
      formatNumber(bytes, 0),
    ]);
    const head = [`${name}, ${pairs.length} fields`, 'ns', 'bytes'];
    process.stdout.write(`${plainTable({ head, rows })}\n\n`);
  }
