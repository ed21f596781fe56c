/**
 * The last good copy of the state of the mesh on disk, for an agent that starts while no controller answers.
 *
 * ```
 *  ┌──────────┬────────┬───────────────┬──────┬──────┬───┬──────────────────┐
 *  │ maeshcpy │ format │ position frame│ part │ part │ … │ SHA-256 of all   │
 *  │ 8 bytes  │ u32    │ epoch, version│      │      │   │ that is before it│
 *  └──────────┴────────┴───────────────┴──────┴──────┴───┴──────────────────┘
 * ```
 *
 * It is written beside, synced and renamed, so a path has a whole copy or none; what is damaged nevertheless is found by
 * its checksum, put aside as `.bad` and done without.
 */

import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { Clock } from '../base/clock.ts';
import { codeOf, MeshError } from '../base/error.ts';
import type { Log } from '../base/log.ts';
import { FRAME_TYPE, FrameReader } from './frame.ts';
import { readPosition, type Position } from './hello.ts';
import { readPart, type Part } from './part.ts';
import { PAYLOAD_BYTES_MAX, readPayload, valueFrame } from './payload.ts';
import type { Pool } from './pool.ts';

const MAGIC = 'maeshcpy';
/** What this version writes. Readers of 1 go on without what they do not know in a Service, so they must not get at it. */
const FORMAT = 2;
const FORMATS_READ: readonly number[] = [1, 2];
const HEAD_BYTES = 12;
const SUM_BYTES = 32;
const FILE_NAME = 'last-good.copy';
/** A hundred times what 10,000 Services need. */
const COPY_BYTES_MAX = 256 * 1024 * 1024;

export function copyPath(stateDir: string): string {
  return join(stateDir, FILE_NAME);
}

/**
 * Replaces the copy. Its folder is made if need be; only its owner can read it.
 * @throws MeshError when the disk or the system refuses
 */
export async function writeCopy(
  stateDir: string,
  position: Position,
  parts: readonly Buffer[],
): Promise<void> {
  const path = copyPath(stateDir);
  const beside = `${path}.new`;
  try {
    await mkdir(stateDir, { recursive: true });
    const file = await open(beside, 'w', 0o600);
    try {
      await file.writev(withSum([head(), positionFrame(position), ...parts]));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
    await syncFolder(dirname(path));
  } catch (error) {
    throw MeshError.from(error, `Cannot write the last good copy "${path}"`);
  }
}

/** The copy is what the controller says at that time (wall clock). One that is not there, or cannot be touched, stays as it is. */
export async function confirmCopy(stateDir: string, wallMs: number): Promise<void> {
  const time = new Date(wallMs);
  await utimes(copyPath(stateDir), time, time).catch(() => undefined);
}

function head(): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES);
  bytes.write(MAGIC, 'latin1');
  bytes.writeUInt32BE(FORMAT, MAGIC.length);
  return bytes;
}

function positionFrame(position: Position): Buffer {
  return valueFrame({ type: FRAME_TYPE.snapshot, flags: 0, version: position.version }, position);
}

function withSum(buffers: readonly Buffer[]): Buffer[] {
  const hash = createHash('sha256');
  for (const buffer of buffers) hash.update(buffer);
  return [...buffers, hash.digest()];
}

/** A rename is on disk for sure only once its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export interface Copy {
  readonly position: Position;
  /** Frames of the parts, as they are in the file. */
  readonly frames: readonly Buffer[];
  readonly parts: readonly Part[];
}

export interface DatedCopy extends Copy {
  /** Clock milliseconds at which it was true last. */
  readonly confirmedAtMs: number;
}

/** The copy, or null when there is none that can be used; why not is in the log. */
export async function readCopy(
  stateDir: string,
  pool: Pool,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<DatedCopy | null> {
  const path = copyPath(stateDir);
  try {
    const bytes = await readWhole(path);
    if (bytes === null) return null;
    const { mtimeMs } = await stat(path);
    // A clock that was set back since makes it no newer than now.
    const ageMs = Math.max(clock.wallMs() - mtimeMs, 0);
    return { ...(await parseCopy(bytes, pool)), confirmedAtMs: clock.nowMs() - ageMs };
  } catch (thrown) {
    const error = MeshError.from(thrown);
    if (error.code !== 'invalid_input') {
      log.warn('Cannot read the last good copy: starting without', { path, error });
      return null;
    }
    log.warn('The last good copy cannot be used: starting without, and keeping it aside', {
      path: `${path}.bad`,
      error,
    });
    await rename(path, `${path}.bad`).catch((failure: unknown) =>
      log.warn('Cannot put the last good copy aside', { path, error: MeshError.from(failure) }),
    );
    return null;
  }
}

async function readWhole(path: string): Promise<Buffer | null> {
  try {
    const { size } = await stat(path);
    if (size > COPY_BYTES_MAX) {
      throw new MeshError('invalid_input', `it has ${size} bytes, more than ${COPY_BYTES_MAX}`);
    }
    return await readFile(path);
  } catch (error) {
    if (codeOf(error) === 'not_found') return null;
    throw error;
  }
}

/**
 * Reads a copy without stopping the event loop for long.
 * @throws MeshError `invalid_input` when it is damaged, or of a newer version of maesh
 */
export async function parseCopy(bytes: Buffer, pool: Pool): Promise<Copy> {
  const frames = checkedFrames(bytes);
  const parts: Part[] = [];
  let position: Position | null = null;
  let fault: string | null = null;
  const reader = new FrameReader(PAYLOAD_BYTES_MAX, (frame) => {
    if (frame.type === FRAME_TYPE.part) parts.push(readPart(frame, pool));
    else position = readPosition(readPayload(frame));
  });
  for (const frame of frames) {
    fault ??= reader.push(frame);
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (fault !== null || !reader.isBetweenFrames || position === null) {
    throw new MeshError('invalid_input', fault ?? 'it does not end with a whole frame');
  }
  return { position, frames: frames.slice(1), parts };
}

/** The frames of a file whose checksum is right, cut by their own lengths. */
function checkedFrames(bytes: Buffer): Buffer[] {
  const end = bytes.length - SUM_BYTES;
  if (end < HEAD_BYTES || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) {
    throw new MeshError('invalid_input', 'it is not a copy of maesh');
  }
  const format = bytes.readUInt32BE(MAGIC.length);
  if (!FORMATS_READ.includes(format)) {
    const known = FORMATS_READ.join(' and ');
    throw new MeshError('invalid_input', `it has format ${format}, and ${known} are known here`);
  }
  const sum = createHash('sha256').update(bytes.subarray(0, end)).digest();
  if (!sum.equals(bytes.subarray(end))) {
    throw new MeshError('invalid_input', 'its checksum is wrong: it was damaged');
  }
  const frames: Buffer[] = [];
  for (let at = HEAD_BYTES; at < end;) {
    const length = at + 16 <= end ? 16 + bytes.readUInt32BE(at) : 16;
    frames.push(bytes.subarray(at, Math.min(at + length, end)));
    at += length;
  }
  return frames;
}
