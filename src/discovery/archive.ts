/**
 * Everything at the latest version, as frames that are ready to be sent or written: a base, and the changes since.
 *
 * ```
 *  base (made at version 7, while 8 came)      log: changes that led to …
 *  ┌──────┬──────┬──────┬──────┐               ┌───┬───┬───┬───┬───┬───┐
 *  │ part │ part │ part │ part │               │ 5 │ 6 │ 7 │ 8 │ 9 │10 │
 *  └──────┴──────┴──────┴──────┘               └───┴───┴───┴───┴───┴───┘
 *                                                resume 4…9  └ all of these make the base whole: version 10
 * ```
 *
 * A base is made in the background, part by part, while the data changes. What it misses or has too new is in the
 * changes that came meanwhile; as a change carries whole Services, running through these once more puts everything right.
 * So nobody waits for a base, and no second copy of the data is needed to make one.
 */

import type { Snapshot } from '../model/service.ts';
import { commitFrame } from './message.ts';
import { encodeParts, type PartOptions } from './part.ts';
import type { PartFrame } from './part-frame.ts';

export interface Base {
  /** With all changes after this version it is whole. */
  readonly version: number;
  readonly frames: readonly PartFrame[];
  readonly bytes: number;
}

/** What leads from `version - 1` to `version`. */
export interface Change {
  readonly version: number;
  /** Frames of the parts, one after the other. */
  readonly frames: Buffer;
  /** The same one by one, if not every agent understands all of them; else null. */
  readonly pieces: readonly PartFrame[] | null;
  readonly parts: number;
  /** Frame of the commit for who has the version before. */
  readonly commit: Buffer;
  /** Clock milliseconds when it was made. */
  readonly atMs: number;
}

/** The data itself; it is its owner's, and only read here. */
export type Contents = Pick<Snapshot, 'services' | 'identities'>;

/** Changes are kept for who comes back, within these two bounds, and in any case while the base needs them. */
const CHANGES_MAX = 10_000;
const CHANGES_BYTES_MAX = 16 * 1024 * 1024;
/** A new base is made once the changes since are this many, or have as many bytes as the base and these at least. */
const TAIL_CHANGES = 2_000;
const TAIL_BYTES = 256 * 1024;

export interface ArchiveBounds {
  readonly changes: number;
  readonly changesBytes: number;
  readonly tailChanges: number;
  readonly tailBytes: number;
}

/** For whom others come back to. */
export const ARCHIVE_BOUNDS: ArchiveBounds = {
  changes: CHANGES_MAX,
  changesBytes: CHANGES_BYTES_MAX,
  tailChanges: TAIL_CHANGES,
  tailBytes: TAIL_BYTES,
};

const NO_BASE: Base = { version: 0, frames: [], bytes: 0 };

export class Archive {
  readonly #contents: Contents;
  readonly #options: PartOptions;
  readonly #bounds: ArchiveBounds;
  #base = NO_BASE;
  /** Readers that are in the middle of it may go on. */
  #baseBefore = NO_BASE;
  #log: Change[] = [];
  #logBytes = 0;
  /** Bytes of the changes after the base. */
  #tailBytes = 0;
  #version = 0;
  /** Counts up when a base that is being made is not wanted any more. */
  #making = 0;
  #isMaking = false;

  constructor(contents: Contents, options: PartOptions, bounds = ARCHIVE_BOUNDS) {
    this.#bounds = bounds;
    this.#contents = contents;
    this.#options = options;
  }

  get base(): Base {
    return this.#base;
  }

  /** 0 before anything is there. */
  get version(): number {
    return this.#version;
  }

  /** Whether a base is being made. */
  get isCompacting(): boolean {
    return this.#isMaking;
  }

  /** Bytes that someone needs who has nothing. */
  get bytes(): number {
    return this.#base.bytes + this.#tailBytes;
  }

  /** Frames that are everything at `version`; what was there is forgotten. */
  reset(version: number, frames: readonly PartFrame[]): void {
    this.#making += 1;
    this.#isMaking = false;
    this.#baseBefore = NO_BASE;
    this.#setBase(version, frames);
    this.#log = [];
    this.#logBytes = 0;
    this.#version = version;
  }

  /** The parts that lead to `version`, one more than the last. The data itself has them already. */
  append(version: number, frames: readonly PartFrame[], atMs: number): void {
    const change: Change = {
      version,
      frames: joined(frames.map(({ bytes }) => bytes)),
      pieces: frames.some(({ needs }) => needs !== null) ? frames : null,
      parts: frames.length,
      commit: commitFrame(version, { from: this.#version, parts: frames.length }),
      atMs,
    };
    this.#version = version;
    this.#log.push(change);
    this.#logBytes += sizeOf(change);
    this.#tailBytes += sizeOf(change);
    const { tailChanges, tailBytes } = this.#bounds;
    const isLong = version - this.#base.version >= tailChanges;
    if (isLong || this.#tailBytes >= Math.max(this.#base.bytes, tailBytes)) this.#compact();
    this.#trim();
  }

  /** The change that leads on from `version`, or undefined when it is not there (any more). */
  after(version: number): Change | undefined {
    const first = this.#log[0];
    return first === undefined ? undefined : this.#log[version + 1 - first.version];
  }

  /** Whether every change after `version` is there. */
  reaches(version: number): boolean {
    return (
      version === this.#version || (version < this.#version && this.after(version) !== undefined)
    );
  }

  /** Whether this base, which was the latest once, can still be made whole. */
  holds(base: Base): boolean {
    return (base === this.#base || base === this.#baseBefore) && this.reaches(base.version);
  }

  /** Stops making a base. */
  close(): void {
    this.#making += 1;
    this.#isMaking = false;
  }

  #setBase(version: number, frames: readonly PartFrame[]): void {
    const bytes = frames.reduce((sum, frame) => sum + frame.bytes.length, 0);
    this.#base = { version, frames, bytes };
    this.#tailBytes = 0;
  }

  #compact(): void {
    if (this.#isMaking) return;
    this.#isMaking = true;
    const making = ++this.#making;
    const from = this.#version;
    const { services, identities } = this.#contents;
    // Iterators of maps live with their changes: they skip what is gone and come to what is new.
    const content = { services: services.values(), identities: identities.values() };
    const all = { ...content, removedServices: [], removedIdentities: [] };
    const parts = encodeParts(all, from, this.#options);
    const frames: PartFrame[] = [];
    const step = (): void => {
      if (making !== this.#making) return;
      const next = parts.next();
      if (next.done !== true) {
        frames.push(next.value);
        setImmediate(step);
        return;
      }
      this.#isMaking = false;
      this.#baseBefore = this.#base;
      this.#setBase(from, frames);
      for (let at = this.after(from); at !== undefined; at = this.after(at.version)) {
        this.#tailBytes += sizeOf(at);
      }
      this.#trim();
    };
    setImmediate(step);
  }

  #trim(): void {
    const { changes, changesBytes } = this.#bounds;
    for (;;) {
      const first = this.#log[0];
      if (first === undefined || first.version > this.#base.version) return;
      if (this.#log.length <= changes && this.#logBytes <= changesBytes) return;
      this.#log.shift();
      this.#logBytes -= sizeOf(first);
    }
  }
}

function sizeOf({ frames, pieces, commit }: Change): number {
  // Pieces are a second copy, with what is sent instead of them.
  const without = pieces?.reduce((sum, { needs }) => sum + (needs?.without.length ?? 0), 0);
  return frames.length * (pieces === null ? 1 : 2) + (without ?? 0) + commit.length;
}

/** In memory of its own, as the frames are: `Buffer.concat` would take it from Node's pool. */
function joined(frames: readonly Buffer[]): Buffer {
  const [first] = frames;
  if (frames.length === 1 && first !== undefined) return first;
  const all = Buffer.allocUnsafeSlow(frames.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const frame of frames) at += frame.copy(all, at);
  return all;
}
