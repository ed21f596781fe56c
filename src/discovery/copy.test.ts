import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock, systemClock } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import { silentLog } from '../base/log.ts';
import { confirmCopy, copyPath, parseCopy, readCopy, writeCopy, type Copy } from './copy.ts';
import { CopyWriter } from './copy-writer.ts';
import { encodeParts } from './part.ts';
import { Pool } from './pool.ts';
import {
  delta,
  eventually,
  identity,
  recordingLog,
  service,
  tempFolder,
  type LogLine,
} from './stream.fixture.ts';

const POSITION = { epoch: 'epoch-1', version: 7 };
const never = (): never => assert.fail('a Service is too long');

function framesOf(...keys: readonly string[]): Buffer[] {
  const content = delta(1, {
    services: keys.map((key) => service(key, ['10.1.0.1'])),
    identities: [identity('10.2.0.1')],
  });
  return [...encodeParts(content, 1, { onTooLong: never })].map(({ bytes }) => bytes);
}

function keysOf(copy: Copy | null): string[] {
  return copy?.parts.flatMap(({ services }) => services.map(({ key }) => key)) ?? [];
}

test('readCopy() gives back what writeCopy() wrote', async () => {
  const dir = join(tempFolder(), 'made/if/need/be');
  const frames = [...framesOf('shop/web'), ...framesOf('shop/api')];
  await writeCopy(dir, POSITION, frames);
  const copy = await readCopy(dir, new Pool(), { clock: systemClock, log: silentLog });
  assert.deepEqual(copy?.position, POSITION);
  assert.deepEqual(copy.frames, frames);
  assert.deepEqual(keysOf(copy), ['shop/web', 'shop/api']);
  assert.deepEqual(readdirSync(dir), ['last-good.copy'], 'nothing is left beside it');
  assert.equal(statSync(copyPath(dir)).mode & 0o777, 0o600);
});

test('no copy is no problem', async () => {
  const lines: LogLine[] = [];
  assert.equal(
    await readCopy(tempFolder(), new Pool(), { clock: systemClock, log: recordingLog(lines) }),
    null,
  );
  assert.deepEqual(lines, []);
});

test('a copy that is damaged anywhere is not used', async () => {
  const dir = tempFolder();
  await writeCopy(dir, POSITION, framesOf('shop/web'));
  const good = readFileSync(copyPath(dir));
  await fc.assert(
    fc.asyncProperty(
      fc.nat(good.length - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      async (at, flip, isCut) => {
        const bytes = Buffer.from(good);
        bytes[at]! ^= flip;
        const damaged = isCut ? good.subarray(0, at) : bytes;
        await assert.rejects(parseCopy(damaged, new Pool()), MeshError);
      },
    ),
    { numRuns: 300 },
  );
});

test('a damaged copy is told, kept aside, and does not come back', async () => {
  const dir = tempFolder();
  writeFileSync(copyPath(dir), 'not a copy');
  const lines: LogLine[] = [];
  assert.equal(
    await readCopy(dir, new Pool(), { clock: systemClock, log: recordingLog(lines) }),
    null,
  );
  assert.deepEqual(readdirSync(dir), ['last-good.copy.bad']);
  assert.match(lines[0]?.fields ?? '', /it is not a copy of maesh/);
  assert.equal(
    await readCopy(dir, new Pool(), { clock: systemClock, log: recordingLog(lines) }),
    null,
  );
  assert.equal(lines.length, 1);
});

/** The copy with another head, and the checksum right again. */
function patched(bytes: Buffer, patch: (bytes: Buffer) => void): Buffer {
  const body = Buffer.from(bytes.subarray(0, -32));
  patch(body);
  return Buffer.concat([body, createHash('sha256').update(body).digest()]);
}

test('a copy of a newer format is told and kept aside', async () => {
  const dir = tempFolder();
  await writeCopy(dir, POSITION, framesOf('shop/web'));
  const newer = patched(readFileSync(copyPath(dir)), (bytes) => bytes.writeUInt32BE(3, 8));
  writeFileSync(copyPath(dir), newer);
  const lines: LogLine[] = [];
  assert.equal(
    await readCopy(dir, new Pool(), { clock: systemClock, log: recordingLog(lines) }),
    null,
  );
  assert.match(lines[0]?.fields ?? '', /it has format 3, and 1 and 2 are known here/);
  assert.deepEqual(readFileSync(`${copyPath(dir)}.bad`), newer);
});

test('a copy whose frames do not add up is refused though its checksum is right', async () => {
  const dir = tempFolder();
  await writeCopy(dir, POSITION, framesOf('shop/web'));
  const good = readFileSync(copyPath(dir));
  for (const length of [1, 1_000_000, 0xffff_ffff]) {
    const bytes = patched(good, (body) => body.writeUInt32BE(length, 12));
    await assert.rejects(parseCopy(bytes, new Pool()), MeshError);
  }
  const empty = patched(Buffer.concat([good.subarray(0, 12), Buffer.alloc(32)]), () => undefined);
  await assert.rejects(parseCopy(empty, new Pool()), /does not end with a whole frame/);
});

test('a write that fails leaves the copy that is there, and is told once', async () => {
  const dir = tempFolder();
  const clock = new ManualClock();
  const lines: LogLine[] = [];
  const log = recordingLog(lines);
  const contents = { services: new Map(), identities: new Map() };
  const copyWriter = new CopyWriter({
    stateDir: dir,
    contents,
    clock,
    log,
    confirmedAtMs: () => clock.nowMs(),
  });
  copyWriter.add(POSITION, true, framesOf('shop/web'));
  clock.advance(5_000);
  await eventually(() => existsSync(copyPath(dir)));
  const before = readFileSync(copyPath(dir));
  // A folder where the file beside should be fails for every user, root included.
  mkdirSync(`${copyPath(dir)}.new`);
  for (let version = 8; version < 11; version += 1) {
    copyWriter.add({ ...POSITION, version }, false, framesOf('shop/api'));
    await settled(copyWriter, clock);
  }
  assert.deepEqual(readFileSync(copyPath(dir)), before);
  assert.equal(lines.length, 1);
  assert.match(lines[0]!.fields, /Cannot write the last good copy/);
});

/** Lets a write that is due happen. */
async function settled(copyWriter: CopyWriter, clock: ManualClock): Promise<void> {
  await eventually(() => {
    clock.advance(5_000);
    return !copyWriter.isDirty;
  });
}

test('changes are written together, at most every 5 s, and the last ones at the end', async () => {
  const dir = tempFolder();
  const clock = new ManualClock();
  const contents = { services: new Map(), identities: new Map() };
  const copyWriter = new CopyWriter({
    stateDir: dir,
    contents,
    clock,
    log: silentLog,
    confirmedAtMs: () => clock.nowMs(),
  });
  copyWriter.add(POSITION, true, framesOf('shop/web'));
  copyWriter.add({ ...POSITION, version: 8 }, false, framesOf('shop/api'));
  clock.advance(4_999);
  assert.ok(copyWriter.isDirty);
  clock.advance(1);
  assert.ok(!copyWriter.isDirty, 'the write has begun');
  await eventually(() => existsSync(copyPath(dir)));
  const copy = await readCopy(dir, new Pool(), { clock: systemClock, log: silentLog });
  assert.deepEqual([copy?.position.version, keysOf(copy)], [8, ['shop/web', 'shop/api']]);

  copyWriter.add({ ...POSITION, version: 9 }, false, framesOf('shop/cart'));
  await copyWriter.stop();
  const last = await readCopy(dir, new Pool(), { clock: systemClock, log: silentLog });
  assert.deepEqual(
    [last?.position.version, keysOf(last)],
    [9, ['shop/web', 'shop/api', 'shop/cart']],
  );
  const { mtimeMs } = statSync(copyPath(dir));
  clock.advance(60_000);
  assert.equal(statSync(copyPath(dir)).mtimeMs, mtimeMs);
});

test('a copy says when it was true last, by its time on disk, and never later than now', async () => {
  const dir = tempFolder();
  const clock = new ManualClock();
  const contents = { services: new Map(), identities: new Map() };
  let confirmedAtMs = clock.nowMs();
  const copyWriter = new CopyWriter({
    stateDir: dir,
    contents,
    clock,
    log: silentLog,
    confirmedAtMs: () => confirmedAtMs,
  });
  copyWriter.add(POSITION, true, framesOf('shop/web'));
  // The link is lost before the copy is written: it is as old as the link.
  clock.advance(100_000);
  await eventually(() => existsSync(copyPath(dir)));
  await copyWriter.stop();
  const read = async (): Promise<number | undefined> => {
    const copy = await readCopy(dir, new Pool(), { clock, log: silentLog });
    return copy === null ? undefined : clock.nowMs() - copy.confirmedAtMs;
  };
  assert.equal(await read(), 100_000);
  confirmedAtMs = clock.nowMs();
  const other = new CopyWriter({
    stateDir: dir,
    contents,
    clock,
    log: silentLog,
    confirmedAtMs: () => confirmedAtMs,
  });
  other.restore(POSITION, true, framesOf('shop/web'));
  await other.stop();
  assert.equal(await read(), 0, 'confirmed without being written anew');
  await confirmCopy(dir, clock.wallMs() + 1e9);
  assert.equal(await read(), 0, 'a time that is to come is now');
  await confirmCopy(tempFolder(), 0);
});
