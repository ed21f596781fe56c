/** Our fields read by `node:http2`, which is nghttp2, and its fields read by us, over real connections with tables of all sizes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2, { type ServerHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { NO_ERROR } from '../../src/proxy/http2/codec/error-code.ts';
import { FieldList } from '../../src/proxy/http2/codec/field-list.ts';
import {
  FRAME_BYTES_MIN,
  FRAME_HEADER_BYTES,
  FRAME_HEADERS,
  FRAME_SETTINGS,
  PREFACE,
  SETTING_HEADER_TABLE_SIZE,
} from '../../src/proxy/http2/codec/frame.ts';
import {
  Frame,
  openFrame,
  PeerSettings,
  readHeader,
  readSettings,
} from '../../src/proxy/http2/codec/frame-reader.ts';
import {
  writeHeaders,
  writeSettings,
  writeSettingsAck,
} from '../../src/proxy/http2/codec/frame-writer.ts';
import { HpackDecoder } from '../../src/proxy/http2/codec/hpack-decoder.ts';
import { HpackEncoder } from '../../src/proxy/http2/codec/hpack-encoder.ts';
import { NAME_AUTHORITY, NAME_PATH } from '../../src/proxy/http2/codec/name.ts';
import { below, oneOf } from '../fuzz/mutate.ts';
import { LIST_LIMITS, type Pair, pairsOf } from '../support/http2.ts';
import { portOf } from '../support/ports.ts';

const REQUESTS = 400;
const OPTIONS = { endStream: true, sendDate: false };
const NAMES = [
  'accept',
  'x-a',
  'x-b',
  'user-agent',
  'authorization',
  'cookie',
  'etag',
  'x-long-name',
];
/** Those that a table has room for, and not. */
const LENGTHS = [0, 1, 5, 20, 60, 130, 1000, 5000];

/** Fields of which some repeat from message to message. */
function randomFields(random: Random): Pair[] {
  // Node allows most of them only once.
  return NAMES.filter(() => random.next() < 0.6).map((name) => {
    const length =
      random.next() < 0.9 ? oneOf(random, LENGTHS.slice(0, 6)) : oneOf(random, LENGTHS);
    const isKnown = random.next() < 0.7;
    const text = isKnown
      ? name.repeat(length).slice(0, length)
      : Array.from({ length }, () => String.fromCharCode(33 + below(random, 94))).join('');
    return [name, text];
  });
}

function pairsOfRaw(raw: readonly string[]): Pair[] {
  return raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1]!] as const] : []));
}

/** A connection to a server of node: sends requests one after the other, and tells what came back for each. */
async function exchange(
  port: number,
  ourTable: number,
  requests: readonly (readonly Pair[])[],
): Promise<Pair[][]> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const out = Buffer.alloc(65_536);
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  decoder.setLimit(ourTable);
  const settings = new PeerSettings();
  const list = new FieldList(LIST_LIMITS);
  const frame = new Frame();
  const responses: Pair[][] = [];
  let begun = 0;
  const next = (): void => {
    const pairs = requests[begun];
    if (pairs === undefined) {
      socket.end();
      return;
    }
    const path = Buffer.from(`/${begun % 5}`);
    const host = Buffer.from('web.shop');
    encoder.begin(out, FRAME_HEADER_BYTES);
    encoder.entry(2);
    encoder.entry(6);
    encoder.named(NAME_AUTHORITY, host, 0, host.length);
    encoder.named(NAME_PATH, path, 0, path.length);
    for (const [name, value] of pairs) {
      const data = Buffer.from(name.toUpperCase() + value);
      encoder.field(data, 0, name.length, name.length, data.length);
    }
    const end = writeHeaders(out, 0, encoder.end(), 2 * begun + 1, true, FRAME_BYTES_MIN);
    begun++;
    socket.write(Buffer.from(out.subarray(0, end)));
  };
  const onFrame = (data: Buffer): void => {
    if (frame.type === FRAME_SETTINGS && frame.flags === 0) {
      assert.equal(readSettings(data, frame, settings, true), NO_ERROR);
      encoder.setMax(settings.headerTableBytes);
      socket.write(Buffer.from(out.subarray(0, writeSettingsAck(out, 0))));
    } else if (frame.type === FRAME_SETTINGS) next();
    else if (frame.type === FRAME_HEADERS) {
      assert.equal(decoder.decode(data, frame.start, frame.end, list), NO_ERROR);
      responses.push(pairsOf(list));
      next();
    }
  };
  let waiting = Buffer.alloc(0);
  const read = (chunk: Buffer): void => {
    waiting = Buffer.concat([waiting, chunk]);
    let at = 0;
    while (waiting.length - at >= FRAME_HEADER_BYTES) {
      assert.equal(readHeader(waiting, at, frame, FRAME_BYTES_MIN), NO_ERROR);
      const { end } = frame;
      if (end > waiting.length) break;
      assert.equal(openFrame(waiting, frame), NO_ERROR);
      onFrame(waiting);
      at = end;
    }
    waiting = waiting.subarray(at);
  };
  socket.write(PREFACE);
  const size = writeSettings(out, 0, [SETTING_HEADER_TABLE_SIZE, ourTable]);
  socket.write(Buffer.from(out.subarray(0, size)));
  try {
    for await (const chunk of socket) read(chunk as Buffer);
  } finally {
    socket.destroy();
  }
  return responses;
}

describe('fields over connections with node:http2', () => {
  for (const [ourTable, theirTable] of [
    [4096, 4096],
    [4096, 65_536],
    [0, 0],
    [200, 300],
  ] as const) {
    it(`are the same at both ends, with tables of ${ourTable} and ${theirTable} bytes`, async () => {
      const random = seededRandom(ourTable + theirTable);
      const requests = Array.from({ length: REQUESTS }, () => randomFields(random));
      const answers = Array.from({ length: REQUESTS }, () => randomFields(random));
      const seen: Pair[][] = [];
      const server = http2.createServer({ settings: { headerTableSize: theirTable } });
      server.on('stream', (stream: ServerHttp2Stream, _headers, _flags, raw: readonly string[]) => {
        const answer = answers[seen.length]!;
        seen.push(pairsOfRaw(raw));
        stream.respond([':status', '299', ...answer.flat()], OPTIONS);
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      try {
        const responses = await exchange(portOf(server), ourTable, requests);
        assert.deepEqual(
          seen.map((pairs) => pairs.slice(4)),
          requests,
        );
        assert.deepEqual(seen[7]!.slice(0, 4), [
          [':method', 'GET'],
          [':scheme', 'http'],
          [':authority', 'web.shop'],
          [':path', '/2'],
        ]);
        assert.deepEqual(
          responses.map((pairs) => pairs.slice(1)),
          answers,
        );
      } finally {
        server.close();
      }
    });
  }
});
