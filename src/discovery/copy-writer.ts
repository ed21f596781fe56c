/** Keeps the copy on disk up to date: seldom enough not to matter, and never twice at a time. */

import type { Clock, Timer } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import type { Log } from '../base/log.ts';
import { Archive, ARCHIVE_BOUNDS, type Contents } from './archive.ts';
import { confirmCopy, writeCopy } from './copy.ts';
import type { Position } from './hello.ts';
import { plainFrame } from './part-frame.ts';

export interface CopyWriterOptions {
  readonly stateDir: string;
  readonly contents: Contents;
  readonly clock: Clock;
  readonly log: Log;
  /** Clock milliseconds at which what is known was true last. */
  readonly confirmedAtMs: () => number;
}

/** From a change until it is on disk, and between two writes. */
const WRITE_AFTER_MS = 5_000;

export class CopyWriter {
  readonly #options: CopyWriterOptions;
  /** What was received, as it was received; its versions count the changes here. */
  readonly #archive: Archive;
  #position: Position | null = null;
  #timer: Timer | null = null;
  #isDirty = false;
  #writing: Promise<void> = Promise.resolve();
  #isFailing = false;
  #isStopped = false;

  constructor(options: CopyWriterOptions) {
    this.#options = options;
    // What came in a frame fits into one.
    this.#archive = new Archive(
      options.contents,
      {
        onTooLong: (service) =>
          options.log.error('A Service is too large for the last good copy', { service }),
      },
      // Nobody asks it for what was before its base.
      { ...ARCHIVE_BOUNDS, changes: 0 },
    );
  }

  /** The state of the mesh is at `position` now, made of these frames: all of it, or what changed. */
  add(position: Position, isSnapshot: boolean, frames: readonly Buffer[]): void {
    this.restore(position, isSnapshot, frames);
    this.#isDirty = true;
    this.#schedule();
  }

  /** The same for what is on disk already. */
  restore(position: Position, isSnapshot: boolean, frames: readonly Buffer[]): void {
    const version = this.#archive.version + 1;
    const parts = frames.map(plainFrame);
    if (isSnapshot) this.#archive.reset(version, parts);
    else this.#archive.append(version, parts, this.#options.clock.nowMs());
    this.#position = position;
  }

  /** Whether something came since the last write began. */
  get isDirty(): boolean {
    return this.#isDirty;
  }

  /** What is on disk is true at `confirmedAtMs()`: its time says so to whoever starts from it. */
  confirm(): void {
    if (this.#isDirty || this.#timer !== null || this.#isStopped) return;
    this.#writing = this.#confirm();
  }

  /** Writes what is not on disk yet. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#timer = null;
    await this.#writing;
    if (this.#isDirty) await this.#write();
    else await this.#confirm();
    this.#archive.close();
  }

  #schedule(): void {
    if (this.#timer !== null || this.#isStopped) return;
    this.#timer = this.#options.clock.after(WRITE_AFTER_MS, () => {
      this.#writing = this.#write().then(() => {
        this.#timer = null;
        if (this.#isDirty) this.#schedule();
      });
    });
  }

  async #confirm(): Promise<void> {
    const { stateDir, clock, confirmedAtMs } = this.#options;
    const atMs = confirmedAtMs();
    if (atMs > -Infinity) await confirmCopy(stateDir, clock.wallMs() - clock.nowMs() + atMs);
  }

  async #write(): Promise<void> {
    const position = this.#position;
    if (position === null) return;
    this.#isDirty = false;
    const { stateDir, log } = this.#options;
    const { base } = this.#archive;
    const frames = base.frames.map(({ bytes }) => bytes);
    for (
      let change = this.#archive.after(base.version);
      change !== undefined;
      change = this.#archive.after(change.version)
    ) {
      frames.push(change.frames);
    }
    try {
      await writeCopy(stateDir, position, frames);
      await this.#confirm();
      if (this.#isFailing) log.info('The last good copy is written again', { stateDir });
      this.#isFailing = false;
    } catch (error) {
      // Told once: the next try is at the next change.
      if (!this.#isFailing) log.warn('No last good copy', { error: MeshError.from(error) });
      this.#isFailing = true;
    }
  }
}
