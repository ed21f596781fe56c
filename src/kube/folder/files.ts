/** The manifest files: what each one came to, its last good objects, its problems. */

import { compareText } from '../../base/compare.ts';
import type { Clock } from '../../base/clock.ts';
import type { Problem } from '../../model/service.ts';
import { parseManifest } from '../manifest.ts';
import type { Manifest, ManifestObject } from '../manifest.ts';
import type { Claims } from './claims.ts';
import { lastingSignature, problemAt, readText } from './disk.ts';
import type { FoundLook } from './disk.ts';
import type { Holds } from './holds.ts';

/** A file as the source knows it: where it is, and how messages name it. */
export interface ManifestPath {
  readonly path: string;
  readonly shown: string;
}

interface FileState {
  readonly shown: string;
  readonly signature: string;
  /** The latest reading, good or not: its unchanged documents are not read again. */
  readonly latest: Manifest | null;
  readonly problems: readonly Problem[];
}

interface Signature {
  readonly now: string;
  /** The one to compare with later. */
  readonly lasting: string;
}

export interface ManifestFilesOptions {
  readonly claims: Claims;
  readonly holds: Holds;
  readonly clock: Clock;
  readonly onNotice: (text: string) => void;
}

/** Reads files when told to, and hands their objects to the claims. Call inside a batch of the store. */
export class ManifestFiles {
  readonly #claims: Claims;
  readonly #holds: Holds;
  readonly #clock: Clock;
  readonly #onNotice: (text: string) => void;
  readonly #files = new Map<string, FileState>();
  readonly #withProblems = new Set<string>();
  readonly #noticedKinds = new Set<string>();
  /** Those that are on no disk. */
  readonly #given = new Set<string>();

  constructor({ claims, holds, clock, onNotice }: ManifestFilesOptions) {
    this.#claims = claims;
    this.#holds = holds;
    this.#clock = clock;
    this.#onNotice = onNotice;
  }

  get size(): number {
    return this.#files.size;
  }

  has(path: string): boolean {
    return this.#files.has(path);
  }

  /** Those that can be looked at again. */
  *paths(): Iterable<string> {
    for (const path of this.#files.keys()) {
      if (!this.#given.has(path)) yield path;
    }
  }

  /** Objects that cannot be used, as far as they could be read. */
  *refused(): Iterable<ManifestObject> {
    for (const { latest } of this.#files.values()) yield* latest?.refused ?? [];
  }

  /** True when there are files and none could be read, ever. */
  isAllUnreadable(): boolean {
    return this.size > 0 && [...this.#files.values()].every(({ latest }) => latest === null);
  }

  /** True when no file has an object, good or bad, of a kind that is read. */
  isEmpty(): boolean {
    return [...this.#files.values()].every(
      ({ latest, problems }) => problems.length === 0 && (latest?.objects.length ?? 0) === 0,
    );
  }

  /** True when the file can only be what it was when it was last read. */
  isCurrent(path: string, look: FoundLook): boolean {
    return this.#files.get(path)?.signature === look.signature;
  }

  /** Reads the file and takes over its objects; a broken file keeps the last good ones. */
  read({ path, shown }: ManifestPath, look: FoundLook): void {
    const text = readText(path);
    const lasting = lastingSignature(look, this.#clock.wallMs());
    if (text.ok) this.#take({ path, shown }, text.text, { now: look.signature, lasting });
    else if (text.isAbsent) this.remove(path);
    else this.fail({ path, shown }, text.message, text.remedy);
  }

  /** Takes over the objects of a text that is on no disk, such as standard input. */
  give(shown: string, text: string): void {
    this.#given.add(shown);
    this.#take({ path: shown, shown }, text, { now: '', lasting: '' });
  }

  /** Keeps what the file had and says why it cannot be read. */
  fail({ path, shown }: ManifestPath, message: string, remedy: string): void {
    const latest = this.#files.get(path)?.latest ?? null;
    const problem = { ...problemAt(shown), message, remedy };
    this.#put(path, { shown, signature: '', latest, problems: [problem] });
  }

  /** The file is gone, and its objects with it. */
  remove(path: string): void {
    const state = this.#files.get(path);
    if (state === undefined) {
      this.#holds.clear(path);
      return;
    }
    if (this.#claims.has(state.shown) && !this.#holds.mayApply(path, 'absent')) return;
    this.#holds.clear(path);
    this.#files.delete(path);
    this.#withProblems.delete(path);
    this.#claims.replace(state.shown, []);
  }

  /** In order of files, then of lines. */
  problems(): Problem[] {
    const states = [...this.#withProblems].map((path) => this.#files.get(path));
    const found = states.filter((state) => state !== undefined);
    found.sort((a, b) => compareText(a.shown, b.shown));
    const held = new Set<string>();
    for (const path of this.#holds.paths()) held.add(this.#files.get(path)?.shown ?? '');
    const duplicates = this.#claims.problems((file) => held.has(file));
    return [...found.flatMap((state) => state.problems), ...duplicates];
  }

  #take({ path, shown }: ManifestPath, text: string, signature: Signature): void {
    const manifest = parseManifest(text, shown, this.#files.get(path)?.latest ?? undefined);
    const isEmptied = text.trim() === '' && this.#claims.has(shown);
    const isBroken = manifest.isBroken || isEmptied;
    const isLoss = isBroken || this.#claims.wouldLose(shown, manifest.objects);
    if (isLoss && !this.#holds.mayApply(path, signature.now)) return;
    this.#holds.clear(path);
    this.#put(path, {
      shown,
      signature: signature.lasting,
      latest: manifest,
      problems: isEmptied ? [emptied(shown)] : manifest.problems,
    });
    if (!isBroken) this.#claims.replace(shown, manifest.objects);
    this.#noticeKinds(manifest.skipped, shown);
  }

  #put(path: string, state: FileState): void {
    this.#files.set(path, state);
    if (state.problems.length > 0) this.#withProblems.add(path);
    else this.#withProblems.delete(path);
  }

  #noticeKinds(kinds: readonly string[], shown: string): void {
    for (const kind of kinds) {
      if (this.#noticedKinds.has(kind)) continue;
      this.#noticedKinds.add(kind);
      this.#onNotice(
        `Skipped objects of the kind ${kind}: maesh does not read it (first in "${shown}")`,
      );
    }
  }
}

/** `kubectl … > file` empties a file long before it writes it. */
function emptied(shown: string): Problem {
  return {
    ...problemAt(shown),
    message: 'File is empty: its last good objects stay',
    remedy: 'delete the file to remove them',
  };
}
