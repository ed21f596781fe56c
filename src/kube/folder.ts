/** Manifests from files and folders into the store, kept up to date while they change. */

import type { Clock, Timer } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import type { Problem } from '../model/service.ts';
import { isEqual } from '../base/equal.ts';
import { Claims } from './folder/claims.ts';
import { lookAt } from './folder/disk.ts';
import { ManifestFiles } from './folder/files.ts';
import { Holds, SETTLE_MS } from './folder/holds.ts';
import { Tree } from './folder/tree.ts';
import type { Cause } from './folder/tree.ts';
import { Watches } from './folder/watches.ts';
import type { WatchDirectory } from './folder/watches.ts';
import type { ManifestObject } from './manifest.ts';
import type { StoreWriter } from './store.ts';

/** Events of one change come in a burst: they are collected for this long. */
const DEBOUNCE_MS = 15;

/** Everything is looked at this often, in case the system lost an event or refused a watch. */
export const POLL_MS = 2_000;

/** Longest piece of work at a time, since DNS and admin share the thread. */
const SLICE_MS = 25;

export interface FolderSourceOptions {
  /** Files and folders; a file given by name is read whatever its name. */
  readonly paths: readonly string[];
  /** Manifests that are on no disk, read once. */
  readonly input?: ManifestInput;
  readonly store: StoreWriter;
  readonly clock: Clock;
  /** What a person should know and nobody has to mend: a skipped kind, a refused watch. */
  readonly onNotice: (text: string) => void;
  /** The whole list as it is now, on each change of it; nothing before the first problem. */
  readonly onProblems: (problems: readonly Problem[]) => void;
  /** How directories are watched; `fs.watch` by default. */
  readonly watchDirectory?: WatchDirectory;
}

export interface ManifestInput {
  /** How messages name it. */
  readonly shown: string;
  readonly text: string;
}

/** Start it once; after `stop` it does nothing any more. */
export class FolderSource {
  readonly #store: StoreWriter;
  readonly #clock: Clock;
  readonly #onProblems: (problems: readonly Problem[]) => void;
  readonly #holds: Holds;
  readonly #files: ManifestFiles;
  readonly #watches: Watches;
  readonly #tree: Tree;
  readonly #input: ManifestInput | null;
  readonly #queue = new Map<string, Cause>();
  #problems: readonly Problem[] = [];
  #flushTimer: Timer | null = null;
  #settleTimer: Timer | null = null;
  #pollTimer: Timer | null = null;
  #isStopped = false;

  constructor(options: FolderSourceOptions) {
    const { store, clock, onNotice } = options;
    this.#input = options.input ?? null;
    this.#store = store;
    this.#clock = clock;
    this.#onProblems = options.onProblems;
    this.#holds = new Holds(clock);
    const claims = new Claims(store);
    this.#files = new ManifestFiles({ claims, holds: this.#holds, clock, onNotice });
    this.#watches = new Watches(onNotice, options.watchDirectory);
    this.#tree = new Tree({
      paths: options.paths,
      files: this.#files,
      holds: this.#holds,
      watches: this.#watches,
      clock,
      mark: (path, cause) => this.#mark(path, cause),
    });
  }

  /**
   * Reads everything and puts it into the store in one batch, then follows changes. Throws a `MeshError` when a path does
   * not exist or cannot be read, or when no file can be read; problems inside files are no reason to throw.
   */
  async start(): Promise<void> {
    for (const [path, shown] of this.#tree.roots) checkPath(path, shown);
    this.#load();
    const [problem] = this.#problems;
    if (this.#files.isAllUnreadable()) {
      await this.stop();
      throw new MeshError(
        'invalid_input',
        `Cannot read any manifest: "${problem?.object}": ${problem?.message}`,
      );
    }
    this.#pollTimer = this.#clock.every(POLL_MS, () => this.#poll());
  }

  /** Throws a `MeshError` where nothing was found that is of a kind that is read: most likely the path is another one. */
  checkFound(): void {
    if (!this.#files.isEmpty()) return;
    const places = [...this.#tree.roots.values()].map((path) => `"${path}"`);
    if (this.#input !== null) places.push(this.#input.shown);
    const paths = places.join(', ');
    throw new MeshError(
      'not_found',
      this.#files.size === 0
        ? `Cannot find a manifest in ${paths}: no file there ends in .yaml, .yml or .json`
        : `Cannot find an object in ${paths}: it has none of a kind that maesh reads, such as Service or Pod`,
    );
  }

  /** Objects that cannot be used, as far as they could be read. */
  refused(): Iterable<ManifestObject> {
    return this.#files.refused();
  }

  /** Reads everything again, changed or not, in one batch. */
  async reload(): Promise<void> {
    if (this.#isStopped) return;
    for (const path of this.#tree.paths()) this.#queue.set(path, 'load');
    this.#load();
  }

  /** Ends watching and polling; what is in the store stays. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#queue.clear();
    this.#flushTimer?.cancel();
    this.#settleTimer?.cancel();
    this.#pollTimer?.cancel();
    this.#watches.close();
  }

  #load(): void {
    for (const root of this.#tree.roots.keys()) this.#queue.set(root, 'load');
    this.#holds.isOff = true;
    try {
      const input = this.#input;
      if (input !== null) this.#store.batch(() => this.#files.give(input.shown, input.text));
      this.#work(Infinity);
    } finally {
      this.#holds.isOff = false;
    }
  }

  #mark(path: string, cause: Cause): void {
    if (this.#isStopped) return;
    this.#queue.set(path, stronger(this.#queue.get(path), cause));
    this.#flushTimer ??= this.#clock.after(DEBOUNCE_MS, () => this.#work(SLICE_MS));
  }

  #poll(): void {
    for (const path of this.#tree.paths()) {
      if (!this.#queue.has(path)) this.#queue.set(path, 'poll');
    }
    this.#work(SLICE_MS);
  }

  /** Looks at what is marked, for at most `sliceMs`, and tells what came of it. */
  #work(sliceMs: number): void {
    this.#stopFlushTimer();
    const endMs = this.#clock.nowMs() + sliceMs;
    this.#store.batch(() => {
      for (const [path, cause] of this.#queue) {
        this.#queue.delete(path);
        this.#tree.refresh(path, cause);
        if (this.#clock.nowMs() >= endMs) break;
      }
    });
    // What was marked meanwhile asked for a timer, and was mostly done in the same go.
    this.#stopFlushTimer();
    if (this.#queue.size > 0) this.#flushTimer = this.#clock.after(1, () => this.#work(SLICE_MS));
    if (this.#holds.paths().length > 0) {
      this.#settleTimer ??= this.#clock.after(SETTLE_MS, () => this.#settle());
    }
    this.#tell();
  }

  #stopFlushTimer(): void {
    this.#flushTimer?.cancel();
    this.#flushTimer = null;
  }

  #settle(): void {
    this.#settleTimer = null;
    for (const path of this.#holds.paths()) this.#mark(path, 'event');
    this.#work(SLICE_MS);
  }

  #tell(): void {
    const problems = [...this.#tree.problems(), ...this.#files.problems()];
    if (isEqual(problems, this.#problems)) return;
    this.#problems = problems;
    this.#onProblems(problems);
  }
}

const STRENGTH: Readonly<Record<Cause, number>> = { load: 3, deep: 2, event: 1, poll: 0 };

function stronger(a: Cause | undefined, b: Cause): Cause {
  return a !== undefined && STRENGTH[a] > STRENGTH[b] ? a : b;
}

function checkPath(path: string, shown: string): void {
  const look = lookAt(path);
  const action = `Cannot read manifests from "${shown}"`;
  if (look.kind === 'absent') {
    throw new MeshError('not_found', `${action}: no such file or folder; check the path after -f`);
  }
  if (look.kind === 'other') {
    throw new MeshError('invalid_input', `${action}: it is neither a file nor a folder; give one`);
  }
  if (look.kind === 'unreadable') {
    throw new MeshError('permission_denied', `${action}: ${look.reason}; check its permissions`);
  }
}
