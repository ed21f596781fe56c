/**
 * Where one agent is in the stream, and what it is sent next. Pure: no socket, no clock; nothing here grows with the agent.
 * Parts that the agent does not understand are left out of a snapshot; in a change it is told that their Services are gone.
 *
 * ```
 *            resume has all changes since                  nothing new
 *  start ───────────────────────────────► deltas ◄────────────────────────┐
 *    │                                     │  ▲  └── next: what is new ────┘
 *    │ else               changes are gone,│  │ commit
 *    └──────────────────► snapshot ◄───────┘  │
 *                         reset, base, changes since the base
 * ```
 */

import type { Archive, Base, Change } from './archive.ts';
import { commitFrame, snapshotFrame } from './message.ts';
import { isUnderstood, type Needs, type Understanding } from './part-frame.ts';

interface Snapshot {
  readonly base: Base;
  /** Of the base, to be sent next. */
  index: number;
  /** Of the changes sent after the base. */
  version: number;
  parts: number;
}

/** Changes that are sent as one have about this many bytes. */
const BATCH_BYTES = 64 * 1024;

export class Cursor {
  readonly #archive: Archive;
  readonly #understanding: Understanding;
  /** The last version committed to the agent. */
  #version: number;
  #snapshot: Snapshot | null = null;
  /** Whether something was committed: an agent that resumes where the stream stands is told so by an empty change. */
  #hasCommitted = false;

  /** `resume` is the version that the agent has of this very stream; 0 is nothing. */
  constructor(archive: Archive, resume: number, understanding: Understanding) {
    this.#archive = archive;
    this.#understanding = understanding;
    this.#version = resume > 0 && archive.reaches(resume) ? resume : 0;
  }

  /** The version that the agent has once it has read what it was sent; 0 when none is whole yet. */
  get sentVersion(): number {
    return this.#hasCommitted ? this.#version : 0;
  }

  /** Frames to send now, perhaps none before it is asked again; null when there is nothing new. */
  next(): readonly Buffer[] | null {
    const archive = this.#archive;
    if (archive.version === 0) return null;
    if (this.#snapshot !== null) return this.#nextOfSnapshot(this.#snapshot);
    if (this.#version === archive.version) {
      if (this.#hasCommitted) return null;
      return [this.#commit(archive.version, 0)];
    }
    const change = this.#version === 0 ? undefined : archive.after(this.#version);
    if (change === undefined || this.#isSnapshotShorter(change)) return this.#startSnapshot();
    return this.#nextChanges(change);
  }

  #startSnapshot(): readonly Buffer[] {
    const { base } = this.#archive;
    this.#snapshot = { base, index: 0, version: base.version, parts: 0 };
    return [snapshotFrame()];
  }

  #nextOfSnapshot(snapshot: Snapshot): readonly Buffer[] {
    const { base } = snapshot;
    if (!this.#archive.holds(base)) return this.#startSnapshot();
    const frame = base.frames[snapshot.index];
    if (frame !== undefined) {
      snapshot.index += 1;
      if (!this.#isUnderstood(frame.needs)) return [];
      snapshot.parts += 1;
      return [frame.bytes];
    }
    const change = this.#archive.after(snapshot.version);
    if (change !== undefined) {
      snapshot.version = change.version;
      snapshot.parts += change.parts;
      return this.#framesOf(change);
    }
    this.#snapshot = null;
    this.#version = 0;
    return [this.#commit(snapshot.version, snapshot.parts)];
  }

  #nextChanges(first: Change): readonly Buffer[] {
    const from = this.#version;
    const frames: Buffer[] = [...this.#framesOf(first)];
    let { parts } = first;
    let bytes = first.frames.length;
    let last = first;
    for (;;) {
      const change = this.#archive.after(last.version);
      if (change === undefined || bytes + change.frames.length > BATCH_BYTES) break;
      frames.push(...this.#framesOf(change));
      parts += change.parts;
      bytes += change.frames.length;
      last = change;
    }
    if (last === first) {
      this.#version = first.version;
      this.#hasCommitted = true;
      return [...frames, first.commit];
    }
    this.#version = last.version;
    this.#hasCommitted = true;
    return [...frames, commitFrame(last.version, { from, parts })];
  }

  #isUnderstood(needs: Needs | null): boolean {
    return needs === null || isUnderstood(needs.terms, this.#understanding);
  }

  /** As many frames as the change has parts. */
  #framesOf({ frames, pieces }: Change): readonly Buffer[] {
    if (pieces === null) return [frames];
    return pieces.map(({ bytes, needs }) =>
      needs === null || this.#isUnderstood(needs) ? bytes : needs.without,
    );
  }

  #commit(version: number, parts: number): Buffer {
    const from = this.#version;
    this.#version = version;
    this.#hasCommitted = true;
    return commitFrame(version, { from, parts });
  }

  /** Whether an agent that is this far back has less to read when it starts anew. */
  #isSnapshotShorter(first: Change): boolean {
    const { bytes } = this.#archive;
    let behind = 0;
    for (
      let change: Change | undefined = first;
      change !== undefined;
      change = this.#archive.after(change.version)
    ) {
      behind += change.frames.length;
      if (behind > bytes) return true;
    }
    return false;
  }
}
