/** The files and folders below the given paths: finds out what is there, watches it, and has the files read. */

import { readdirSync } from 'node:fs';
import { basename, dirname, join, normalize, resolve, sep } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { MeshError } from '../../base/error.ts';
import type { Problem } from '../../model/service.ts';
import { lastingSignature, linkSteps, lookAt, problemAt } from './disk.ts';
import type { FoundLook } from './disk.ts';
import type { ManifestFiles } from './files.ts';
import type { Holds } from './holds.ts';
import type { Watches } from './watches.ts';

/** Files and folders that are followed, and how deep folders are entered. What is beyond is left out, with a problem. */
export const FILES_MAX = 100_000;
export const FOLDERS_MAX = 10_000;
export const FOLDER_DEPTH_MAX = 32;

const MANIFEST_NAME = /\.(?:yaml|yml|json)$/i;

/**
 * Why a path is looked at: `load` reads it whatever it looks like, `deep` also looks at what a folder has,
 * `event` reads the file or lists the folder, `poll` only does so when it looks changed.
 */
export type Cause = 'load' | 'deep' | 'event' | 'poll';

interface Folder {
  readonly identity: string;
  readonly signature: string;
  readonly children: Set<string>;
}

export interface TreeOptions {
  readonly paths: readonly string[];
  readonly files: ManifestFiles;
  readonly holds: Holds;
  readonly watches: Watches;
  readonly clock: Clock;
  /** Asks for a later `refresh`. */
  readonly mark: (path: string, cause: Cause) => void;
}

export class Tree {
  /** As absolute paths, in the order given, each with the way it was written. */
  readonly roots: ReadonlyMap<string, string>;
  readonly #files: ManifestFiles;
  readonly #holds: Holds;
  readonly #watches: Watches;
  readonly #clock: Clock;
  readonly #mark: (path: string, cause: Cause) => void;
  readonly #folders = new Map<string, Folder>();
  /** Given paths that do not exist now. */
  readonly #missing = new Set<string>();
  /** Links that lead nowhere now. */
  readonly #dangling = new Set<string>();
  #excess: Problem | null = null;

  constructor({ paths, files, holds, watches, clock, mark }: TreeOptions) {
    this.roots = new Map(paths.map((path) => [resolve(path), normalize(path)]));
    this.#files = files;
    this.#holds = holds;
    this.#watches = watches;
    this.#clock = clock;
    this.#mark = mark;
  }

  /** All that is known, folders first. */
  *paths(): Iterable<string> {
    yield* this.roots.keys();
    yield* this.#folders.keys();
    yield* this.#files.paths();
    yield* this.#dangling;
  }

  /** Paths that were given and are gone, and what is beyond the limits. */
  problems(): Problem[] {
    const problems = [...this.#missing].map((root) => ({
      ...problemAt(this.#shown(root)),
      message: 'Path does not exist: its objects are gone',
      remedy: 'create it again; it is found without a restart',
    }));
    return this.#excess === null ? problems : [...problems, this.#excess];
  }

  /** Brings what is known of one path up to date; marks what else has to be looked at. */
  refresh(path: string, cause: Cause): void {
    const look = lookAt(path);
    if (look.kind === 'file') this.#refreshFile(path, look, cause);
    else if (look.kind === 'directory') this.#refreshFolder(path, look, cause);
    else if (look.kind === 'unreadable') this.#fail(path, look.reason);
    else this.#forget(path, look.isLink);
  }

  #refreshFile(path: string, look: FoundLook, cause: Cause): void {
    const parent = this.#folders.get(dirname(path));
    const isGiven = this.roots.has(path);
    if (this.#folders.has(path)) this.#forgetFolder(path);
    if (!isGiven && (parent === undefined || !MANIFEST_NAME.test(path))) return;
    this.#found(path);
    if (cause === 'poll' && this.#files.isCurrent(path, look)) return;
    if (this.#files.size >= FILES_MAX && !this.#files.has(path)) {
      this.#exceed(path, `More than ${FILES_MAX} files`);
      return;
    }
    parent?.children.add(path);
    if (look.isLink || isGiven) this.#watchLinks(path);
    this.#files.read({ path, shown: this.#shown(path) }, look);
  }

  #refreshFolder(path: string, look: FoundLook, cause: Cause): void {
    const known = this.#folders.get(path);
    if (known === undefined && !this.#isWanted(path, look)) return;
    if (this.#files.has(path)) this.#files.remove(path);
    else this.#holds.clear(path);
    this.#found(path);
    const isSame = known?.identity === look.identity;
    if (cause === 'poll' && isSame && known.signature === look.signature) return;
    this.#enter(path, look, isSame ? cause : 'deep');
  }

  /** Lists the folder and marks what is new in it, what is gone, and what the cause asks for. */
  #enter(path: string, look: FoundLook, cause: Cause): void {
    // The watch comes before the listing, so that nothing falls between them.
    this.#watchFolder(path);
    if (look.isLink || this.roots.has(path)) this.#watchLinks(path);
    const children = this.#list(path);
    if (children === null) return;
    const old = this.#folders.get(path)?.children ?? new Set();
    const signature = lastingSignature(look, this.#clock.wallMs());
    this.#folders.set(path, { identity: look.identity, signature, children });
    this.#folders.get(dirname(path))?.children.add(path);
    const isWhole = cause === 'deep' || cause === 'load';
    this.#markAll(children, isWhole ? new Set() : old, cause === 'load' ? 'load' : 'event');
    this.#markAll(old, children, 'event');
  }

  #markAll(paths: ReadonlySet<string>, except: ReadonlySet<string>, cause: Cause): void {
    for (const path of paths) {
      if (!except.has(path)) this.#mark(path, cause);
    }
  }

  #found(path: string): void {
    this.#missing.delete(path);
    this.#dangling.delete(path);
  }

  /** A folder inside itself, by a link, would have no end. */
  #isWanted(path: string, look: FoundLook): boolean {
    let depth = 0;
    for (let at = path; !this.roots.has(at); depth++) {
      at = dirname(at);
      const folder = this.#folders.get(at);
      if (folder === undefined || folder.identity === look.identity) return false;
    }
    if (depth > FOLDER_DEPTH_MAX)
      this.#exceed(path, `Folders nested more than ${FOLDER_DEPTH_MAX} deep`);
    else if (this.#folders.size >= FOLDERS_MAX)
      this.#exceed(path, `More than ${FOLDERS_MAX} folders`);
    else return true;
    return false;
  }

  #list(path: string): Set<string> | null {
    try {
      const children = new Set<string>();
      for (const entry of readdirSync(path, { withFileTypes: true })) {
        if (entry.name.startsWith('.') || (entry.isFile() && !MANIFEST_NAME.test(entry.name)))
          continue;
        children.add(join(path, entry.name));
      }
      return children;
    } catch (thrown) {
      this.#fail(path, MeshError.from(thrown).message);
      return null;
    }
  }

  /** A path that is unreadable keeps what it had. */
  #fail(path: string, reason: string): void {
    const message = `Cannot read "${this.#shown(path)}": ${reason}`;
    this.#files.fail({ path, shown: this.#shown(path) }, message, 'check its permissions');
  }

  #forget(path: string, isLink: boolean): void {
    if (this.#folders.has(path)) this.#forgetFolder(path);
    if (this.#files.has(path)) this.#files.remove(path);
    const isGiven = this.roots.has(path);
    if (isGiven && !this.#missing.has(path) && this.#holds.mayApply(path, 'absent')) {
      this.#missing.add(path);
    }
    if (isLink) this.#dangling.add(path);
    else this.#dangling.delete(path);
    if (isLink || isGiven) {
      this.#watchLinks(path);
    } else {
      this.#folders.get(dirname(path))?.children.delete(path);
      this.#watches.set(linkOwner(path), []);
    }
  }

  #forgetFolder(path: string): void {
    for (const child of this.#folders.get(path)?.children ?? []) this.#mark(child, 'event');
    this.#folders.delete(path);
    this.#watches.set(path, []);
  }

  #watchFolder(path: string): void {
    const listener = (name: string | null): void => {
      // A mounted ConfigMap changes by replacing the link `..data`, through which all its files lead.
      if (name === null || name.startsWith('..')) this.#mark(path, 'deep');
      else if (!name.startsWith('.')) this.#mark(join(path, name), 'event');
    };
    this.#watches.set(path, [{ directory: path, listener }]);
  }

  #watchLinks(path: string): void {
    const wanted = linkSteps(path).map(({ directory, name }) => ({
      directory,
      listener: (changed: string | null) => {
        if (changed === null || changed === name) this.#mark(path, 'event');
      },
    }));
    this.#watches.set(linkOwner(path), wanted);
  }

  #exceed(path: string, message: string): void {
    this.#excess ??= {
      ...problemAt(this.#shown(path)),
      message: `${message}: this one and what comes after it is left out`,
      remedy: 'give fewer, larger files',
    };
  }

  /** The path as the user would write it. */
  #shown(path: string): string {
    for (const [root, written] of this.roots) {
      if (path === root) return written;
      const prefix = root.endsWith(sep) ? root : root + sep;
      if (path.startsWith(prefix)) return join(written, path.slice(prefix.length));
    }
    return basename(path);
  }
}

function linkOwner(path: string): string {
  return `link ${path}`;
}
