/** Watches on directories, one per directory however many ask for it; it says which names changed and nothing more. */

import { statSync, watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { MeshError } from '../../base/error.ts';

/** Called with the name inside the directory that changed, or null when the system does not say. */
export type NameListener = (name: string | null) => void;

/** The part of `fs.watch` that is used here. */
export type WatchDirectory = (
  directory: string,
  options: { readonly persistent: false },
  listener: (event: string, name: string | null) => void,
) => FSWatcher;

interface Watch {
  /** Device and inode: a directory of the same name that is another one needs another watch. */
  readonly identity: string;
  readonly watcher: FSWatcher | null;
  readonly listeners: Map<string, readonly NameListener[]>;
}

/** A directory that somebody wants to hear of. */
export interface Wanted {
  readonly directory: string;
  readonly listener: NameListener;
}

/** Owners are names that whoever asks makes up; what an owner asked for is replaced or given up as a whole. */
export class Watches {
  readonly #open: WatchDirectory;
  readonly #onNotice: (text: string) => void;
  readonly #watches = new Map<string, Watch>();
  readonly #directoriesOf = new Map<string, Set<string>>();
  #isNoticed = false;

  constructor(onNotice: (text: string) => void, open: WatchDirectory = watch) {
    this.#onNotice = onNotice;
    this.#open = open;
  }

  /**
   * From now on `owner` hears of exactly these directories. Where the system refuses a watch, it says so once and
   * polling has to do. A directory that was replaced by another one of its name is watched anew.
   */
  set(owner: string, wanted: readonly Wanted[]): void {
    const before = this.#directoriesOf.get(owner) ?? new Set();
    const listeners = new Map<string, NameListener[]>();
    for (const { directory, listener } of wanted) {
      const own = listeners.get(directory);
      if (own === undefined) listeners.set(directory, [listener]);
      else own.push(listener);
    }
    for (const [directory, own] of listeners) this.#renewed(directory).listeners.set(owner, own);
    for (const directory of before) {
      if (!listeners.has(directory)) this.#leave(owner, directory);
    }
    if (listeners.size > 0) this.#directoriesOf.set(owner, new Set(listeners.keys()));
    else this.#directoriesOf.delete(owner);
  }

  close(): void {
    for (const { watcher } of this.#watches.values()) watcher?.close();
    this.#watches.clear();
    this.#directoriesOf.clear();
  }

  #leave(owner: string, directory: string): void {
    const found = this.#watches.get(directory);
    found?.listeners.delete(owner);
    if (found === undefined || found.listeners.size > 0) return;
    found.watcher?.close();
    this.#watches.delete(directory);
  }

  /** The watch on what the directory is now, with the listeners it had. */
  #renewed(directory: string): Watch {
    const old = this.#watches.get(directory);
    const identity = identityOf(directory);
    if (old !== undefined && old.identity === identity) return old;
    old?.watcher?.close();
    const listeners = old?.listeners ?? new Map<string, readonly NameListener[]>();
    const watcher = this.#start(directory, (name) => {
      for (const own of listeners.values()) {
        for (const listener of own) listener(name);
      }
    });
    const renewed = { identity, watcher, listeners };
    this.#watches.set(directory, renewed);
    return renewed;
  }

  #start(directory: string, tell: NameListener): FSWatcher | null {
    try {
      const watcher = this.#open(directory, { persistent: false }, (_event, name) => tell(name));
      watcher.on('error', (error) => {
        watcher.close();
        this.#notice(directory, error);
      });
      return watcher;
    } catch (thrown) {
      const { code } = MeshError.from(thrown);
      // A directory that is gone by now is found by whoever asked.
      if (code !== 'not_found') this.#notice(directory, thrown);
      return null;
    }
  }

  #notice(directory: string, thrown: unknown): void {
    if (this.#isNoticed) return;
    this.#isNoticed = true;
    const { message } = MeshError.from(thrown);
    this.#onNotice(
      `Cannot watch "${directory}": ${message}; changes there take up to 2 s; raise fs.inotify.max_user_watches and fs.inotify.max_user_instances`,
    );
  }
}

function identityOf(directory: string): string {
  const stat = statSync(directory, { throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.dev}:${stat.ino}`;
}
