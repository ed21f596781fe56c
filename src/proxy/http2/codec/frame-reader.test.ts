import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hex } from '../../../../test/support/http2.ts';
import {
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  NO_ERROR,
  OF_STREAM,
  PROTOCOL_ERROR,
} from './error-code.ts';
import {
  FRAME_BYTES_MIN,
  FRAME_HEADER_BYTES,
  PREFACE,
  SETTING_HEADER_TABLE_SIZE,
  SETTING_INITIAL_WINDOW_SIZE,
} from './frame.ts';
import {
  Frame,
  matchPreface,
  openFrame,
  PeerSettings,
  read32,
  readHeader,
  readSettings,
} from './frame-reader.ts';
import {
  continuationBytes,
  writeGoaway,
  writeHeaders,
  writePing,
  writeRstStream,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from './frame-writer.ts';

const frame = new Frame();

/** Header and payload: the code of the first error. */
function judge(bytes: Buffer): number {
  const code = readHeader(bytes, 0, frame, FRAME_BYTES_MIN);
  return code === NO_ERROR ? openFrame(bytes, frame) : code;
}

/** `type flags stream`, each a number, and the payload in hexadecimal digits. */
function build(header: string, payload: string | number): Buffer {
  const content = typeof payload === 'number' ? Buffer.alloc(payload, 1) : hex(payload);
  const [type, flags, stream] = header.split(' ').map(Number);
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES);
  bytes.writeUIntBE(content.length, 0, 3);
  bytes[3] = type!;
  bytes[4] = flags!;
  bytes.writeUInt32BE(stream!, 5);
  return Buffer.concat([bytes, content]);
}

const SIZE_OF_STREAM = FRAME_SIZE_ERROR | OF_STREAM;
const PROTOCOL_OF_STREAM = PROTOCOL_ERROR | OF_STREAM;

type Case = readonly [what: string, header: string, payload: string | number, code: number];

const CASES: readonly Case[] = [
  ['DATA', '0 0 1', '61', NO_ERROR],
  ['empty DATA', '0 1 1', '', NO_ERROR],
  ['DATA of no stream', '0 0 0', '61', PROTOCOL_ERROR],
  ['DATA with flags that it does not have', '0 0xf6 1', '61', NO_ERROR],
  ['padded DATA', '0 8 1', '01 6162 00', NO_ERROR],
  ['DATA of padding only', '0 8 1', '02 0000', NO_ERROR],
  ['DATA with padding beyond its end', '0 8 1', '02 00', PROTOCOL_ERROR],
  ['padded DATA without the length', '0 8 1', '', FRAME_SIZE_ERROR],
  ['long DATA', '0 0 1', FRAME_BYTES_MIN + 1, SIZE_OF_STREAM],
  ['the longest DATA', '0 0 1', FRAME_BYTES_MIN, NO_ERROR],
  ['long DATA of no stream', '0 0 0', FRAME_BYTES_MIN + 1, FRAME_SIZE_ERROR],
  ['HEADERS', '1 4 1', '82', NO_ERROR],
  ['HEADERS of no stream', '1 4 0', '82', PROTOCOL_ERROR],
  ['long HEADERS', '1 4 1', FRAME_BYTES_MIN + 1, FRAME_SIZE_ERROR],
  ['HEADERS with padding', '1 0xc 1', '01 82 00', NO_ERROR],
  ['HEADERS with too much padding', '1 0xc 1', '02 82', PROTOCOL_ERROR],
  ['padded HEADERS without the length', '1 0xc 1', '', FRAME_SIZE_ERROR],
  ['HEADERS with priority', '1 0x24 1', '00000003 00 82', NO_ERROR],
  ['HEADERS with half a priority', '1 0x24 1', '00000003', FRAME_SIZE_ERROR],
  ['HEADERS with priority in the padding', '1 0x2c 1', '02 00000003 00', PROTOCOL_ERROR],
  ['HEADERS that depend on themselves', '1 0x24 1', '80000001 00 82', PROTOCOL_OF_STREAM],
  ['PRIORITY', '2 0 1', '00000003 00', NO_ERROR],
  ['PRIORITY of no stream', '2 0 0', '00000003 00', PROTOCOL_ERROR],
  ['short PRIORITY', '2 0 1', '00000003', SIZE_OF_STREAM],
  ['PRIORITY that depends on itself', '2 0 1', '00000001 00', PROTOCOL_OF_STREAM],
  ['RST_STREAM', '3 0 1', '00000000', NO_ERROR],
  ['RST_STREAM of no stream', '3 0 0', '00000000', PROTOCOL_ERROR],
  ['short RST_STREAM', '3 0 1', '000000', FRAME_SIZE_ERROR],
  ['SETTINGS', '4 0 0', '0001 00000000', NO_ERROR],
  ['empty SETTINGS', '4 0 0', '', NO_ERROR],
  ['SETTINGS of a stream', '4 0 1', '', PROTOCOL_ERROR],
  ['half a setting', '4 0 0', '0001 000000', FRAME_SIZE_ERROR],
  ['an acknowledgement', '4 1 0', '', NO_ERROR],
  ['an acknowledgement with a setting', '4 1 0', '0001 00000000', FRAME_SIZE_ERROR],
  ['PUSH_PROMISE', '5 4 1', '00000002 82', PROTOCOL_ERROR],
  ['PING', '6 0 0', 8, NO_ERROR],
  ['PING of a stream', '6 0 1', 8, PROTOCOL_ERROR],
  ['short PING', '6 0 0', 7, FRAME_SIZE_ERROR],
  ['long PING', '6 1 0', 9, FRAME_SIZE_ERROR],
  ['GOAWAY', '7 0 0', 8, NO_ERROR],
  ['GOAWAY with a text', '7 0 0', 20, NO_ERROR],
  ['GOAWAY of a stream', '7 0 1', 8, PROTOCOL_ERROR],
  ['short GOAWAY', '7 0 0', 7, FRAME_SIZE_ERROR],
  ['WINDOW_UPDATE', '8 0 1', '00000001', NO_ERROR],
  ['WINDOW_UPDATE of the connection', '8 0 0', '00000001', NO_ERROR],
  ['WINDOW_UPDATE by nothing', '8 0 1', '80000000', PROTOCOL_OF_STREAM],
  ['WINDOW_UPDATE of the connection by nothing', '8 0 0', '00000000', PROTOCOL_ERROR],
  ['long WINDOW_UPDATE', '8 0 1', 5, FRAME_SIZE_ERROR],
  ['CONTINUATION', '9 4 1', '82', NO_ERROR],
  ['CONTINUATION of no stream', '9 4 0', '82', PROTOCOL_ERROR],
  ['what is unknown', '10 0xff 0', 3, NO_ERROR],
  ['PRIORITY_UPDATE, which is ignored', '16 0 0', '00000001 75', NO_ERROR],
  ['what is unknown and long', '10 0 1', FRAME_BYTES_MIN + 1, FRAME_SIZE_ERROR],
];

describe('frames', () => {
  for (const [what, header, payload, code] of CASES)
    it(`${what}: ${code}`, () => assert.equal(judge(build(header, payload)), code));

  it('have a reserved bit that means nothing', () => {
    assert.equal(judge(build('0 0 0x80000001', '61')), NO_ERROR);
    assert.equal(frame.stream, 1);
  });

  it('have their content where they say', () => {
    for (const [header, payload, content] of [
      ['0 0 1', '6162', '6162'],
      ['0 8 1', '01 6162 00', '6162'],
      ['1 0x24 1', '80000003 ff 82', '82'],
      ['1 0x2c 1', '02 80000003 ff 8286 0000', '8286'],
      ['8 0 1', '80000001', '80000001'],
    ] as const) {
      const bytes = build(header, payload);
      assert.equal(judge(bytes), NO_ERROR);
      assert.equal(bytes.subarray(frame.start, frame.end).toString('hex'), content);
    }
  });
});

describe('SETTINGS', () => {
  function read(payload: string, fromServer = false, settings = new PeerSettings()): number {
    const bytes = build('4 0 0', payload);
    assert.equal(judge(bytes), NO_ERROR);
    return readSettings(bytes, frame, settings, fromServer);
  }

  it('are read, the last of a kind counts, and what is unknown is ignored', () => {
    const settings = new PeerSettings();
    const payload = `0001 00001000 0001 00000000 0001 00000400 0002 00000000 0003 ffffffff 0004 7fffffff
      0005 00ffffff 0006 80000000 0008 00000001 0009 00000001 1234 00000007`;
    assert.equal(read(payload, true, settings), NO_ERROR);
    assert.deepEqual(Object.fromEntries(Object.entries(settings)), {
      headerTableBytes: 1024,
      headerTableBytesLeast: 0,
      maxStreams: 2 ** 32 - 1,
      initialWindow: 2 ** 31 - 1,
      frameBytesMax: 2 ** 24 - 1,
      headerListBytesMax: 2 ** 31,
      extendedConnect: true,
    });
    assert.equal(read('0008 00000000', true, settings), PROTOCOL_ERROR);
    assert.equal(settings.headerTableBytesLeast, 1024);
  });

  for (const [payload, fromServer, code] of [
    ['0002 00000001', false, NO_ERROR],
    ['0002 00000001', true, PROTOCOL_ERROR],
    ['0002 00000002', false, PROTOCOL_ERROR],
    ['0004 80000000', false, FLOW_CONTROL_ERROR],
    ['0005 00003fff', false, PROTOCOL_ERROR],
    ['0005 00004000', false, NO_ERROR],
    ['0005 01000000', false, PROTOCOL_ERROR],
    ['0008 00000002', true, PROTOCOL_ERROR],
    ['0009 00000002', false, PROTOCOL_ERROR],
  ] as const)
    it(`${payload} from a ${fromServer ? 'server' : 'client'}: ${code}`, () =>
      assert.equal(read(payload, fromServer), code));
});

describe('the preface', () => {
  it('is known by all of its bytes', () => {
    for (let length = 0; length <= PREFACE.length; length++)
      assert.equal(matchPreface(PREFACE, 0, length), length);
    assert.equal(matchPreface(Buffer.concat([PREFACE, PREFACE]), 24, 48), 24);
    assert.equal(matchPreface(Buffer.from('PRI * HTTP/1.1\r\n'), 0, 16), -1);
    assert.equal(matchPreface(Buffer.from('POST'), 0, 4), -1);
  });
});

describe('what is written', () => {
  const out = Buffer.alloc(4096);

  /** Reads the frames in `out` up to `end`: `type flags stream payload`. */
  function framesOf(end: number): string[] {
    const frames: string[] = [];
    for (let at = 0; at < end; at = frame.end) {
      assert.equal(readHeader(out, at, frame, FRAME_BYTES_MIN), NO_ERROR);
      assert.equal(openFrame(out, frame), NO_ERROR);
      const { type, flags, stream, start, end: to } = frame;
      frames.push(`${type} ${flags} ${stream} ${out.toString('hex', start, to)}`);
    }
    return frames;
  }

  it('is read', () => {
    let at = writeSettings(out, 0, [
      SETTING_HEADER_TABLE_SIZE,
      4096,
      SETTING_INITIAL_WINDOW_SIZE,
      2 ** 31 - 1,
    ]);
    at = writeSettingsAck(out, at);
    at = writePing(out, at, 1, Buffer.from('xabcdefgh'), 1);
    at = writeGoaway(out, at, 2 ** 31 - 1, 11);
    at = writeRstStream(out, at, 2 ** 31 - 1, 8);
    at = writeWindowUpdate(out, at, 3, 2 ** 31 - 1);
    assert.deepEqual(framesOf(at), [
      '4 0 0 00010000100000047fffffff',
      '4 1 0 ',
      '6 1 0 6162636465666768',
      '7 0 0 7fffffff0000000b',
      '3 0 2147483647 00000008',
      '8 0 3 7fffffff',
    ]);
    assert.equal(read32(hex('ffffffff'), 0), 2 ** 32 - 1);
  });

  it('a block that is too long for one frame is continued', () => {
    for (let length = 0; length < 35; length++) {
      const block = Buffer.from(Array.from({ length }, (_, i) => i));
      out.fill(0xee);
      block.copy(out, FRAME_HEADER_BYTES);
      const end = writeHeaders(out, 0, FRAME_HEADER_BYTES + length, 5, true, 10);
      assert.ok(end <= FRAME_HEADER_BYTES + length + continuationBytes(length, 10));
      const pieces = Math.max(1, Math.ceil(length / 10));
      assert.deepEqual(
        framesOf(end),
        Array.from({ length: pieces }, (_, i) => {
          const flags = (i === 0 ? 1 : 0) + (i === pieces - 1 ? 4 : 0);
          const piece = block.subarray(10 * i, 10 * (i + 1)).toString('hex');
          return `${i === 0 ? 1 : 9} ${flags} 5 ${piece}`;
        }),
      );
      assert.equal(out[end], 0xee);
    }
  });
});
