import assert from 'node:assert/strict';
import fs from 'node:fs';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { ManualClock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { seededRandom } from '../../base/random.ts';
import type { AccessLogSettings } from '../../model/settings.ts';
import { ACCESS_FIELDS, AccessFormat, LINE_BYTES_MAX } from './access-format.ts';
import {
  AccessLog,
  AccessRecord,
  COMPLAIN_MS,
  FLUSH_MS,
  QUEUE_BYTES_MAX,
  RETRY_MS,
} from './access-log.ts';
import { type AccessSink, FileSink, type ReopenDone, type WriteDone } from './access-sink.ts';
import { LineWriter } from './line-writer.ts';

const JSON_SETTINGS: AccessLogSettings = {
  format: 'json',
  path: '-',
  sample: 1,
  statusMin: 0,
  query: false,
};

function example(): AccessRecord {
  const record = new AccessRecord();
  record.startWallMs = Date.UTC(2026, 10, 22, 5, 5, 4, 7);
  record.callerAddress = '127.1.0.5';
  record.caller = 'shop/client';
  record.service = 'shop/web';
  record.port = 80;
  record.method = 'GET';
  setTarget(record, '/cart?token=hunter2');
  record.protocol = 'HTTP/1.1';
  record.status = 200;
  record.requestBytes = 120;
  record.responseBytes = 1234;
  record.durationMs = 1.2345;
  record.tries = 2;
  record.endpoint = '127.2.0.1:8080';
  return record;
}

function parseLine(text: string): Record<string, unknown> {
  const line: unknown = JSON.parse(text);
  assert.ok(typeof line === 'object' && line !== null);
  return { ...line };
}

function setTarget(record: AccessRecord, target: string | Buffer): void {
  const bytes = Buffer.from(target);
  record.setTarget(bytes, 0, bytes.length);
}

/** Takes what it is told to take and remembers it. */
class MemorySink implements AccessSink {
  text = '';
  reopened = 0;
  closed = false;
  reopensNew = true;
  take: (length: number) => number | Error | 'later' = (length) => length;
  pending: (() => void) | null = null;

  write(buffer: Buffer, offset: number, length: number, done: WriteDone): void {
    const taken = this.take(length);
    if (taken === 'later') {
      this.pending = () => this.write(buffer, offset, length, done);
      return;
    }
    if (taken instanceof Error) {
      done(taken, 0);
      return;
    }
    this.text += buffer.toString('latin1', offset, offset + taken);
    done(null, taken);
  }

  reopen(done: ReopenDone): void {
    this.reopened += 1;
    done(null, this.reopensNew);
  }

  close(): void {
    this.closed = true;
  }
}

function start(t: TestContext, settings: Partial<AccessLogSettings> = {}) {
  const clock = new ManualClock();
  const sink = new MemorySink();
  const messages: string[] = [];
  const note = (message: string): unknown => messages.push(message);
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
  const access = new AccessLog({ ...JSON_SETTINGS, ...settings }, sink, clock, log);
  t.after(() => access.close());
  return { access, sink, clock, messages };
}

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'maesh-access-'));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

test('write() makes one JSON line with the documented fields, without the query', (t) => {
  const { access, sink, clock } = start(t);
  access.write(example());
  clock.advance(FLUSH_MS);
  const line = parseLine(sink.text);
  assert.deepEqual(line, {
    time: '2026-11-22T05:05:04.007Z',
    callerAddress: '127.1.0.5',
    originAddress: '',
    caller: 'shop/client',
    service: 'shop/web',
    port: 80,
    method: 'GET',
    target: '/cart',
    targetCut: false,
    protocol: 'HTTP/1.1',
    status: 200,
    grpcStatus: '',
    failure: '',
    rule: '',
    requestBytes: 120,
    responseBytes: 1234,
    durationMs: 1.235,
    tries: 2,
    endpoint: '127.2.0.1:8080',
  });
  assert.deepEqual(Object.keys(line), [...ACCESS_FIELDS]);
});

test('write() makes common log format lines, with the query when asked', (t) => {
  const { access, sink, clock } = start(t, { format: 'common', query: true });
  const record = example();
  access.write(record);
  record.caller = '';
  record.status = 0;
  setTarget(record, '/a"b\\c d\u0001é');
  access.write(record);
  record.originAddress = '203.0.113.9';
  access.write(record);
  clock.advance(FLUSH_MS);
  assert.deepEqual(sink.text.split('\n'), [
    '127.1.0.5 - shop/client [22/Nov/2026:05:05:04 +0000] "GET /cart?token=hunter2 HTTP/1.1" 200 1234',
    '127.1.0.5 - - [22/Nov/2026:05:05:04 +0000] "GET /a\\"b\\\\c%20d%01%C3%A9 HTTP/1.1" - 1234',
    '203.0.113.9 - - [22/Nov/2026:05:05:04 +0000] "GET /a\\"b\\\\c%20d%01%C3%A9 HTTP/1.1" - 1234',
    '',
  ]);
});

test('write() escapes whatever bytes a caller sends', (t) => {
  const { access, sink, clock } = start(t, { query: true });
  const text = fc.string({ unit: 'binary', maxLength: 600 });
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 3_000 }),
      text,
      text,
      fc.double(),
      (target, name, short, number) => {
        const record = example();
        setTarget(record, Buffer.from(target));
        Object.assign(record, {
          caller: name,
          service: name,
          method: short,
          failure: short,
          rule: short,
          endpoint: short,
        });
        Object.assign(record, {
          durationMs: number,
          requestBytes: number,
          protocol: short,
          callerAddress: short,
          originAddress: short,
        });
        sink.text = '';
        access.write(record);
        clock.advance(FLUSH_MS);
        assert.match(sink.text, /^[\x20-\x7e]+\n$/);
        assert.ok(sink.text.length <= LINE_BYTES_MAX);
        const line = parseLine(sink.text);
        assert.equal(line['caller'], name.slice(0, 512));
        assert.equal(line['method'], short.slice(0, 64));
        assert.equal(line['targetCut'], target.length > 2_048);
        assert.deepEqual(
          percentDecode(String(line['target'])),
          percentDecode(Buffer.from(target.slice(0, 2_048)).toString('latin1')),
        );
      },
    ),
  );
});

function percentDecode(text: string): number[] {
  const plain = text.replaceAll(/%([0-9A-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(parseInt(hex, 16)),
  );
  return [...Buffer.from(plain, 'latin1')];
}

test('write() spells every whole number and every time', (t) => {
  const { access, sink, clock } = start(t);
  const whole = fc.oneof(
    fc.maxSafeNat(),
    fc.constantFrom(0, 9, 10, 99, 100, 10 ** 15, Number.MAX_SAFE_INTEGER),
  );
  fc.assert(
    fc.property(whole, fc.nat(4_000_000_000_000), fc.nat(10 ** 9), (bytes, wallMs, micros) => {
      const record = example();
      Object.assign(record, {
        responseBytes: bytes,
        startWallMs: wallMs,
        durationMs: micros / 1000,
      });
      sink.text = '';
      access.write(record);
      clock.advance(FLUSH_MS);
      const line = parseLine(sink.text);
      assert.equal(line['responseBytes'], bytes);
      assert.equal(line['time'], new Date(wallMs).toISOString());
      assert.equal(line['durationMs'], micros / 1000);
    }),
  );
});

test('wants() always takes failures, else by status and sample', (t) => {
  const random = seededRandom(1);
  const { access } = start(t, { statusMin: 400, sample: 0.25 });
  assert.ok(access.wants(0, true, random));
  assert.ok(!access.wants(399, false, random));
  let taken = 0;
  for (let i = 0; i < 10_000; i++) taken += access.wants(404, false, random) ? 1 : 0;
  assert.ok(taken > 2_300 && taken < 2_700, String(taken));
  assert.ok(!start(t, { format: 'off' }).access.wants(500, true, random));
});

test('write() hands a full chunk on at once and the rest after 100 ms', (t) => {
  const { access, sink, clock } = start(t);
  while (sink.text === '') access.write(example());
  assert.ok(sink.text.length >= 65_536);
  const first = sink.text.length;
  access.write(example());
  assert.equal(sink.text.length, first);
  clock.advance(FLUSH_MS);
  assert.ok(sink.text.length > first);
});

test('write() drops and counts lines while the disk is slow, and goes on when it is not', (t) => {
  const { access, sink, clock } = start(t);
  sink.take = () => 'later';
  const lines = 20_000;
  for (let i = 0; i < lines; i++) access.write(example());
  assert.ok(access.dropped > 0);
  assert.equal(access.written, 0);
  sink.take = (length) => length;
  sink.pending?.();
  clock.advance(FLUSH_MS);
  assert.equal(access.written + access.dropped, lines);
  assert.equal(sink.text.split('\n').length - 1, access.written);
  assert.ok(sink.text.length <= QUEUE_BYTES_MAX + LINE_BYTES_MAX);
  access.write(example());
  clock.advance(FLUSH_MS);
  assert.equal(access.written + access.dropped, lines + 1);
});

test('write() finishes a line that a filling disk took half of', (t) => {
  const { access, sink, clock } = start(t);
  let calls = 0;
  sink.take = (length) => {
    calls += 1;
    if (calls === 1) return Math.floor(length / 2);
    return calls === 2 ? Object.assign(new Error('full'), { code: 'ENOSPC' }) : length;
  };
  for (let i = 0; i < 3; i++) access.write(example());
  clock.advance(FLUSH_MS);
  assert.equal(access.written, 0);
  clock.advance(RETRY_MS + FLUSH_MS);
  assert.equal(access.written, 3);
  for (const line of sink.text.trimEnd().split('\n')) JSON.parse(line);
});

test('reopen() leaves a full disk at once, in the middle of a line, and the new file begins with a whole one', (t) => {
  const { access, sink, clock } = start(t);
  let room = 500;
  sink.take = (length) => {
    const taken = Math.min(length, room);
    room -= taken;
    return taken > 0 ? taken : Object.assign(new Error('full'), { code: 'ENOSPC' });
  };
  for (let i = 0; i < 5; i++) access.write(example());
  clock.advance(FLUSH_MS);
  const [old, part] = [sink.text.split('\n').slice(0, -1), sink.text.split('\n').at(-1) ?? ''];
  assert.ok(old.length > 0 && part !== '', sink.text);
  sink.text = '';
  room = Infinity;
  access.reopen();
  assert.equal(sink.reopened, 1);
  clock.advance(FLUSH_MS);
  const lines = sink.text.trimEnd().split('\n');
  for (const line of lines) JSON.parse(line);
  assert.equal(old.length + 1 + lines.length, 5);
  assert.deepEqual([access.written, access.dropped], [4, 1]);
});

for (const [what, code, reopensNew] of [
  ['a standard output', 'ENOSPC', false],
  ['a full pipe', 'EAGAIN', true],
] as const)
  test(`reopen() of ${what} that took half a line breaks no line`, (t) => {
    const { access, sink, clock } = start(t);
    sink.reopensNew = reopensNew;
    let room = 500;
    sink.take = (length) => {
      const taken = Math.min(length, room);
      room -= taken;
      return taken > 0 ? taken : Object.assign(new Error('full'), { code });
    };
    for (let i = 0; i < 5; i++) access.write(example());
    clock.advance(FLUSH_MS);
    assert.notEqual(sink.text.at(-1), '\n');
    room = Infinity;
    access.reopen();
    clock.advance(FLUSH_MS);
    const lines = sink.text.trimEnd().split('\n');
    for (const line of lines) JSON.parse(line);
    assert.deepEqual([lines.length, access.written, access.dropped], [5, 5, 0]);
  });

test('write() complains once a minute about a broken disk', (t) => {
  const { access, sink, clock, messages } = start(t);
  sink.take = () => Object.assign(new Error('full'), { code: 'ENOSPC' });
  access.write(example());
  clock.advance(COMPLAIN_MS - RETRY_MS);
  assert.equal(messages.length, 1);
  clock.advance(2 * RETRY_MS);
  assert.equal(messages.length, 2);
  assert.match(messages[0] ?? '', /make room on the disk/);
});

test('close() writes what waits and counts what a broken disk costs', async () => {
  const clock = new ManualClock();
  const sink = new MemorySink();
  const access = new AccessLog(JSON_SETTINGS, sink, clock);
  access.write(example());
  await access.close();
  assert.equal(access.written, 1);
  assert.ok(sink.closed);
  const broken = new MemorySink();
  broken.take = () => new Error('gone');
  const lossy = new AccessLog(JSON_SETTINGS, broken, clock);
  lossy.write(example());
  lossy.write(example());
  await lossy.close();
  assert.equal(lossy.dropped, 2);
});

test('FileSink on /dev/full costs lines only, and names the reason', async () => {
  const clock = new ManualClock();
  const messages: string[] = [];
  const note = (message: string): unknown => messages.push(message);
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
  const access = new AccessLog(JSON_SETTINGS, new FileSink('/dev/full'), clock, log);
  for (let i = 0; i < 10_000; i++) access.write(example());
  await access.close();
  assert.equal(access.written, 0);
  assert.equal(access.dropped, 10_000);
  assert.equal(messages.length, 1);
  assert.match(messages[0] ?? '', /make room on the disk/);
});

test('reopen() follows a file that log rotation moved away', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'access.log');
  const first = new AccessLog(JSON_SETTINGS, new FileSink(file), new ManualClock());
  first.write(example());
  await first.close();
  const clock = new ManualClock();
  const access = new AccessLog(JSON_SETTINGS, new FileSink(file), clock);
  await rename(file, `${file}.1`);
  access.reopen();
  access.write(example());
  access.write(example());
  await access.close();
  assert.equal((await readFile(`${file}.1`, 'utf8')).split('\n').length - 1, 1);
  assert.equal((await readFile(file, 'utf8')).split('\n').length - 1, 2);
  assert.equal(fs.statSync(file).mode & 0o007, 0);
});

test('FileSink names the file that it cannot open', () => {
  assert.throws(() => new FileSink('/nowhere/access.log'), {
    name: 'MeshError',
    code: 'not_found',
    message: /^Cannot open the access log "\/nowhere\/access\.log": /,
  });
});

test('a kept origin and kept outcomes make the same line as writing it anew, in both formats', () => {
  const name = fc.string({ unit: 'binary', maxLength: 40 });
  const requests = fc.array(
    fc.record({
      caller: name,
      status: fc.constantFrom(0, 200, 204, 404, 503, 599, 600, 999),
      failure: fc.constantFrom('', 'no_endpoint'),
      rule: fc.constantFrom('', 'host_missing'),
      protocol: fc.constantFrom('HTTP/1.1', 'HTTP/1.0', ''),
      targetCut: fc.boolean(),
    }),
    { minLength: 1, maxLength: 20 },
  );
  fc.assert(
    fc.property(requests, fc.constantFrom('json' as const, 'common' as const), (all, format) => {
      const keeping = new AccessFormat(format, true);
      for (const request of all) {
        const lines = [false, true].map((keep) => {
          const record = Object.assign(example(), request);
          const used = keep ? keeping : new AccessFormat(format, true);
          if (keep) record.origin = used.origin(record);
          const to = new LineWriter(Buffer.alloc(LINE_BYTES_MAX));
          used.append(to, record);
          return to.buffer.toString('latin1', 0, to.length);
        });
        assert.equal(lines[1], lines[0]);
      }
    }),
  );
});
