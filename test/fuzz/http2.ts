/** Fuzz targets of the HTTP/2 codec: HPACK and frames. */
import { FIELD_STRIDE } from '../../src/proxy/head/head.ts';
import {
  COMPRESSION_ERROR,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  NO_ERROR,
  OF_STREAM,
  PROTOCOL_ERROR,
} from '../../src/proxy/http2/codec/error-code.ts';
import { FieldList } from '../../src/proxy/http2/codec/field-list.ts';
import { FRAME_HEADER_BYTES, FRAME_SETTINGS } from '../../src/proxy/http2/codec/frame.ts';
import {
  Frame,
  openFrame,
  PeerSettings,
  readHeader,
  readSettings,
} from '../../src/proxy/http2/codec/frame-reader.ts';
import { writeFrameHeader } from '../../src/proxy/http2/codec/frame-writer.ts';
import { HpackDecoder } from '../../src/proxy/http2/codec/hpack-decoder.ts';
import { RecentBlocks } from '../../src/proxy/http2/codec/recent-blocks.ts';
import { readTrailers } from '../../src/proxy/http2/codec/trailer-fields.ts';
import { HpackModel, type ModelField } from '../support/hpack-model.ts';
import { block } from '../support/http2.ts';
import { FIELDS_TARGET } from './http2-fields.ts';
import { SESSIONS_TARGET } from './http2-sessions.ts';
import { type FuzzTarget, invariant } from './target.ts';

const TABLE_BYTES = 512;
const LIMITS = { bytesMax: 2048, fieldsMax: 20 };
/** Bytes around the input that must never be read: each filler would change the outcome in its own way. */
const MARGIN = 16;
const FILLERS = [Buffer.alloc(MARGIN, 0xff), Buffer.from('0123456789abcdef')];

const lists = [new FieldList(LIMITS), new FieldList(LIMITS)] as const;
const recent = new RecentBlocks(LIMITS);
const buf = Buffer.alloc(4096 + 2 * MARGIN);

/** What a list must be when the block has these fields. */
function checkList(list: FieldList, fields: readonly ModelField[]): void {
  const size = fields.reduce((sum, { name, value }) => sum + name.length + value.length + 32, 0);
  if (list.tooLarge !== '') {
    const others = fields.filter(({ name }) => name !== 'cookie' && !name.startsWith(':')).length;
    invariant(size > LIMITS.bytesMax || others > LIMITS.fieldsMax, 'a list was refused');
    return;
  }
  invariant(list.size === size, `${list.size} bytes counted, ${size} came`);
  const lines = fields.map(
    ({ name, value, isSensitive }) => `${name}:${isSensitive ? '\t' : ' '}${value}\r\n`,
  );
  invariant(list.data.toString('latin1', 0, list.end) === lines.join(''), 'lines');
  let from = 0;
  for (let at = 0; at < list.count * FIELD_STRIDE; at += FIELD_STRIDE) {
    for (let i = 1; i < FIELD_STRIDE; i++) {
      invariant(list.fields[at + i]! >= from, 'offsets out of order');
      from = list.fields[at + i]!;
    }
  }
  invariant(from <= list.end, 'offsets beyond the end');
}

/** A block that leaves the table as it is comes out the same once more, whatever its reader has made of the list. */
function checkAgain(decoder: HpackDecoder, bytes: Buffer, expected: readonly ModelField[]): void {
  for (let time = 0; time < 3; time++) {
    const { changes } = decoder;
    const code = recent.decode(decoder, bytes, 0, bytes.length);
    invariant(code === NO_ERROR, `at time ${time} it has code ${code}`);
    checkList(recent.list, expected);
    if (decoder.changes !== changes) return;
    // It may move lines together.
    if (time === 1) readTrailers(recent.list);
  }
}

/** The blocks of an input: the first byte of each says how long it is. */
function blocksOf(input: Buffer): Buffer[] {
  const blocks: Buffer[] = [];
  for (let at = 0; at < input.length;) {
    const end = at + 1 + input[at]!;
    blocks.push(input.subarray(at + 1, end));
    at = end;
  }
  return blocks;
}

function sequence(...blocks: Buffer[]): Buffer {
  return Buffer.concat(blocks.flatMap((bytes) => [Buffer.from([bytes.length]), bytes]));
}

const HUFFMAN = Buffer.from('828684418cf1e3c2e5f23a6ba0ab90f4ff', 'hex');

const hpack: FuzzTarget = {
  name: 'hpack',
  seeds: [
    sequence(HUFFMAN, Buffer.from('828684be5886a8eb10649cbf', 'hex')),
    sequence(
      block(
        [
          ['a', 'b'],
          ['c', 'd'.repeat(100)],
        ],
        0x40,
      ),
      Buffer.from('bebf3f017e01617e0162', 'hex'),
      Buffer.from('3f81017e0163', 'hex'),
    ),
    sequence(block([['x', 'y'.repeat(90)]], 0x40), Buffer.from('be'.repeat(60), 'hex')),
    sequence(block([['x', 'y']], 0x10), Buffer.from('203fe1037f00', 'hex')),
  ],
  dictionary: [
    '\x40\x01a\x01b',
    '\x3f\xe1\x03',
    '\x20',
    '\x7f\x00',
    '\x0f\x1d\x01a',
    '\x81\x1f',
    '\xff',
  ],
  run(input) {
    const model = new HpackModel(TABLE_BYTES);
    const decoders = lists.map(() => new HpackDecoder(TABLE_BYTES));
    const third = new HpackDecoder(TABLE_BYTES);
    recent.forget();
    for (const bytes of blocksOf(input)) {
      const expected = model.decode(bytes);
      const codes = decoders.map((decoder, which) => {
        FILLERS[which]!.copy(buf, 0);
        bytes.copy(buf, MARGIN);
        FILLERS[which]!.copy(buf, MARGIN + bytes.length);
        return decoder.decode(buf, MARGIN, MARGIN + bytes.length, lists[which]!);
      });
      invariant(codes[0] === codes[1], 'bytes outside the block were read');
      if (codes[0] === ENHANCE_YOUR_CALM) {
        invariant(lists[0].size > LIMITS.bytesMax, 'a small list is a flood');
        return;
      }
      invariant(
        codes[0] === (expected === null ? COMPRESSION_ERROR : NO_ERROR),
        `code ${codes[0]}`,
      );
      if (expected === null) return;
      for (const list of lists) checkList(list, expected);
      checkAgain(third, bytes, expected);
      for (const { table } of decoders) {
        invariant(table.size === model.tableBytes && table.count === model.table.length, 'table');
        invariant(table.bytes.length <= 4 * TABLE_BYTES + 1024, 'the table grew');
      }
    }
  },
};

const CODES = [NO_ERROR, PROTOCOL_ERROR, FRAME_SIZE_ERROR, FLOW_CONTROL_ERROR];
const FRAME_BYTES = 256;
const frame = new Frame();

function checkCode(code: number): void {
  invariant(CODES.includes(code & ~OF_STREAM), `code ${code}`);
  invariant(code !== OF_STREAM, 'an error without a code');
  invariant(code < OF_STREAM || frame.stream > 0, 'an error of no stream');
}

function wire(type: number, flags: number, stream: number, payload: string): Buffer {
  const content = Buffer.from(payload, 'hex');
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + content.length);
  content.copy(bytes, writeFrameHeader(bytes, 0, content.length, type, flags, stream));
  return bytes;
}

const frames: FuzzTarget = {
  name: 'http2-frames',
  seeds: [
    Buffer.concat([
      wire(4, 0, 0, '000100001000000400010000'),
      wire(8, 0, 0, '00010000'),
      wire(1, 5, 1, '828684'),
    ]),
    Buffer.concat([
      wire(1, 0x2c, 3, '0200000001ff820000'),
      wire(0, 9, 3, '01616200'),
      wire(3, 0, 3, '00000008'),
    ]),
    Buffer.concat([
      wire(6, 0, 0, '0102030405060708'),
      wire(7, 0, 0, '0000000100000000'),
      wire(2, 0, 5, '0000000300'),
    ]),
    Buffer.concat([
      wire(1, 0, 1, '82'),
      wire(9, 4, 1, '84'),
      wire(16, 0, 0, '00000001'),
      wire(5, 4, 1, '00000002'),
    ]),
  ],
  dictionary: [
    '\0\0\0',
    '\0\0\x04\x08\0',
    '\xff\xff\xff\xff',
    '\0\0\0\0',
    '\x80\0\0\x01',
    '\0\0\x06\x04\0\0\0\0\0',
  ],
  run(input) {
    const settings = new PeerSettings();
    let at = 0;
    while (input.length - at >= FRAME_HEADER_BYTES) {
      const code = readHeader(input, at, frame, FRAME_BYTES);
      checkCode(code);
      const { start, end } = frame;
      invariant(start === at + FRAME_HEADER_BYTES && end === start + frame.length, 'range');
      if (code !== NO_ERROR || end > input.length) return;
      invariant(frame.length <= FRAME_BYTES, 'a long frame');
      const opened = openFrame(input, frame);
      checkCode(opened);
      if (opened === NO_ERROR) {
        invariant(frame.start >= start && frame.end >= frame.start && frame.end <= end, 'content');
        if (frame.type === FRAME_SETTINGS)
          checkCode(readSettings(input, frame, settings, input.length % 2 === 0));
      }
      at = end;
    }
    invariant(settings.initialWindow < 2 ** 31 && settings.frameBytesMax < 2 ** 24, 'settings');
  },
};

export const HTTP2_TARGETS: readonly FuzzTarget[] = [hpack, FIELDS_TARGET, frames, SESSIONS_TARGET];
